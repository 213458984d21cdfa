//! A destination that costs as little as possible, and looks at the age of what arrives.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::Notify,
    task::JoinSet,
    time::timeout,
};

use crate::bodies::Bodies;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const LENGTH_FIELD: &[u8] = b"content-length: ";

/// The destination.
pub(crate) struct Sink {
    address: SocketAddr,
    arrivals: Arc<Arrivals>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Arrivals {
    ages_micros: Mutex<Vec<u64>>,
    another: Notify,
}

impl Sink {
    pub(crate) async fn start(bodies: &Bodies) -> Self {
        Self::start_at("127.0.0.1:0", bodies).await
    }

    pub(crate) async fn start_at(address: impl ToSocketAddrs, bodies: &Bodies) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let (address, arrivals, bodies) = (listener.local_addr().unwrap(), Arc::default(), bodies.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let arrivals = Arc::clone(&arrivals);
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(receive(stream, bodies.clone(), Arc::clone(&arrivals)));
                }
            }
        });
        Self { address, arrivals, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn count(&self) -> u64 {
        self.arrivals.ages_micros.lock().unwrap().len() as u64
    }

    /// In microseconds, from sender to arrival.
    pub(crate) fn latencies(&self) -> Vec<u64> {
        self.arrivals.ages_micros.lock().unwrap().clone()
    }

    /// Waits until `count` deliveries have arrived, and says how long that took.
    pub(crate) async fn wait_for(&self, count: u64, limit: Duration) -> Duration {
        let start = Instant::now();
        while self.count() < count {
            let arrival = timeout(limit.saturating_sub(start.elapsed()), self.arrivals.another.notified()).await;
            assert!(arrival.is_ok(), "{} of {count} deliveries had arrived after {limit:?}", self.count());
        }
        start.elapsed()
    }
}

async fn receive(mut stream: TcpStream, bodies: Bodies, arrivals: Arc<Arrivals>) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        while let Some((head, length)) = first_request(&buffer) {
            let age = bodies.age_micros(&buffer[head..head + length]);
            arrivals.ages_micros.lock().unwrap().push(age);
            arrivals.another.notify_one();
            buffer.drain(..head + length);
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
        if !stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
            return;
        }
    }
}

/// The lengths of the first request's head and body, once it is all there.
fn first_request(buffer: &[u8]) -> Option<(usize, usize)> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let length = buffer[..head].split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(LENGTH_FIELD.len())?;
        name.eq_ignore_ascii_case(LENGTH_FIELD).then(|| std::str::from_utf8(value).unwrap().trim().parse().unwrap())
    });
    let length = length.expect("a Content-Length");
    (buffer.len() >= head + length).then_some((head, length))
}
