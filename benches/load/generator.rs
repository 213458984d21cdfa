//! Posting events: as fast as they are answered (closed loop), or at a rate whatever the answers do (open loop).

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::bodies::Bodies;

/// Connections of the open loop: at a calm rate, more than are ever in use.
const OPEN_CONNECTIONS: usize = 32;

/// Posts that wait for a connection in the open loop; more means that nothing is calm any more.
const OPEN_BACKLOG: usize = 100_000;

/// Numbers of requests, never the same twice in a run.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A server to post to.
pub(crate) type Target = SocketAddr;

/// What happened.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) accepted: u64,
    pub(crate) took: Duration,
    /// In microseconds, from when each request was due to its answer.
    pub(crate) latencies: Vec<u64>,
}

/// Posts on `connections`, on each one after another.
pub(crate) async fn closed(target: &Target, bodies: &Bodies, connections: usize, length: Duration) -> Load {
    let start = Instant::now();
    let end = start + length;
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let (target, bodies) = (*target, bodies.clone());
        workers.spawn(async move {
            let mut connection = Connection::open(target).await;
            let mut latencies = Vec::new();
            while Instant::now() < end {
                latencies.push(connection.post(&bodies, Instant::now()).await);
            }
            latencies
        });
    }
    gather(workers, start).await
}

/// Posts `count` events on `connections`, on each one after another.
pub(crate) async fn count(target: &Target, bodies: &Bodies, connections: usize, count: u64) -> Load {
    let (start, left) = (Instant::now(), Arc::new(AtomicU64::new(count)));
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let (target, bodies, left) = (*target, bodies.clone(), Arc::clone(&left));
        workers.spawn(async move {
            let mut connection = Connection::open(target).await;
            let mut latencies = Vec::new();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                latencies.push(connection.post(&bodies, Instant::now()).await);
            }
            latencies
        });
    }
    gather(workers, start).await
}

/// Posts `rate` events per second at random moments.
pub(crate) async fn open(target: &Target, bodies: &Bodies, rate: f64, length: Duration) -> Load {
    let start = Instant::now();
    let (due, waiting) = mpsc::channel(OPEN_BACKLOG);
    let waiting = Arc::new(Mutex::new(waiting));
    let mut workers = JoinSet::new();
    for _ in 0..OPEN_CONNECTIONS {
        let (target, bodies, waiting) = (*target, bodies.clone(), Arc::clone(&waiting));
        workers.spawn(async move {
            let mut connection = Connection::open(target).await;
            let mut latencies = Vec::new();
            while let Some(due) = next(&waiting).await {
                latencies.push(connection.post(&bodies, due).await);
            }
            latencies
        });
    }
    // A thread: the runtime's timers are too coarse to say when something was due.
    let pace = thread::spawn(move || pace(&due, rate, length));
    let load = gather(workers, start).await;
    pace.join().unwrap();
    load
}

async fn next(waiting: &Mutex<mpsc::Receiver<Instant>>) -> Option<Instant> {
    waiting.lock().await.recv().await
}

/// Sends the moments at which something is due.
fn pace(due: &mpsc::Sender<Instant>, rate: f64, length: Duration) {
    let start = Instant::now();
    let mut at = Duration::ZERO;
    loop {
        at += Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate);
        if at >= length {
            return;
        }
        thread::sleep((start + at).saturating_duration_since(Instant::now()));
        due.try_send(start + at).expect("the server keeps up with a calm rate");
    }
}

async fn gather(mut workers: JoinSet<Vec<u64>>, start: Instant) -> Load {
    let mut load = Load::default();
    while let Some(latencies) = workers.join_next().await {
        load.latencies.extend(latencies.unwrap());
    }
    load.accepted = load.latencies.len() as u64;
    load.took = start.elapsed();
    load
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(target: Target) -> Self {
        let stream = TcpStream::connect(target).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, request: Vec::new(), answer: Vec::new() }
    }

    /// Posts the next event and returns the microseconds from `due` to its answer.
    async fn post(&mut self, bodies: &Bodies, due: Instant) -> u64 {
        bodies.write_request(NEXT.fetch_add(1, Ordering::Relaxed), &mut self.request);
        self.stream.write_all(&self.request).await.unwrap();
        self.answer.clear();
        while !is_whole(&self.answer) {
            assert!(self.stream.read_buf(&mut self.answer).await.unwrap() > 0, "the server closed a connection");
        }
        assert!(self.answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.answer));
        u64::try_from(due.elapsed().as_micros()).unwrap()
    }
}

/// Whether an answer has ended. Those of floor and relay end with the `}` of a JSON object, and have no other.
fn is_whole(answer: &[u8]) -> bool {
    answer.ends_with(b"}")
}
