//! A destination that behaves as a script says, well or badly, and remembers what it got and when.
//!
//! By hand over TCP: a server library would be too well behaved.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use super::eventually;

/// What a destination does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers with this status and an empty body.
    Answers(u16),
    /// Answers with this status, these further header lines and this body.
    AnswersWith(u16, String, String),
    /// Answers with this status after a while.
    AnswersAfter(Duration, u16),
    /// Answers with this status and a body without end.
    AnswersEndlessly(u16),
    /// Answers with this status and the start of a body that never goes on.
    AnswersHalf(u16),
    /// Never answers.
    Hangs,
    /// Ends the connection without an answer.
    HangsUp,
    /// Resets the connection.
    Resets,
    /// Answers something that isn't HTTP.
    TalksNonsense,
}

/// One request that a destination got.
#[derive(Debug, Clone)]
pub struct Got {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// When it had been read.
    pub at: Instant,
    /// Requests that waited for their answers then, this one included.
    pub at_once: usize,
    /// Requests that had been answered before.
    pub answered: usize,
}

impl Got {
    /// The value of a header that has to be there.
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

type Script = dyn Fn(usize, &Got) -> Behaviour + Send + Sync;

#[derive(PartialEq, Eq)]
enum Memory {
    Keeps,
    Forgets,
}

/// A destination on loopback. It stops when it is dropped.
pub struct Scripted {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    memory: Memory,
    got: Mutex<Vec<Got>>,
    count: AtomicUsize,
    script: Mutex<Arc<Script>>,
    connections: AtomicUsize,
    at_once: AtomicUsize,
    answered: AtomicUsize,
}

impl Scripted {
    /// One that does the same with every request.
    pub async fn always(behaviour: Behaviour) -> Self {
        Self::with(move |_, _| behaviour.clone()).await
    }

    /// One that does the first of these with the first request, and so on, and the last with all further ones.
    pub async fn sequence(behaviours: impl IntoIterator<Item = Behaviour>) -> Self {
        let behaviours: Vec<_> = behaviours.into_iter().collect();
        Self::with(move |n, _| behaviours[n.min(behaviours.len() - 1)].clone()).await
    }

    /// One that does what `script` says to the n-th request, from 0.
    pub async fn with(script: impl Fn(usize, &Got) -> Behaviour + Send + Sync + 'static) -> Self {
        Self::start(Memory::Keeps, Arc::new(script)).await
    }

    /// One that does what `script` says, and keeps nothing: for more requests than anybody has memory for.
    pub async fn forgetful(script: impl Fn(usize, &Got) -> Behaviour + Send + Sync + 'static) -> Self {
        Self::start(Memory::Forgets, Arc::new(script)).await
    }

    async fn start(memory: Memory, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            memory,
            got: Mutex::default(),
            count: AtomicUsize::new(0),
            script: Mutex::new(script),
            connections: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept_all(listener, Arc::clone(&state)));
        Self { address, state, _tasks: tasks }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Does the same with every request from now on.
    pub fn becomes(&self, behaviour: Behaviour) {
        *self.state.script.lock().unwrap() = Arc::new(move |_, _| behaviour.clone());
    }

    /// All it got so far.
    pub fn got(&self) -> Vec<Got> {
        self.state.got.lock().unwrap().clone()
    }

    /// How many requests it got so far.
    pub fn count(&self) -> usize {
        self.state.count.load(Ordering::SeqCst)
    }

    /// Waits until it has got `count` requests, and returns all it got.
    pub async fn wait_for(&self, count: usize) -> Vec<Got> {
        eventually(&format!("{count} requests to a destination"), async || (self.count() >= count).then(|| self.got()))
            .await
    }

    /// Waits until nobody is connected: everything that was sent to it has been read then.
    pub async fn wait_until_left(&self) {
        let is_left = async || (self.state.connections.load(Ordering::SeqCst) == 0).then_some(());
        eventually("the end of all connections to a destination", is_left).await;
    }
}

async fn accept_all(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        state.connections.fetch_add(1, Ordering::SeqCst);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            serve(stream, &state).await;
            state.connections.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn serve(mut stream: TcpStream, state: &State) {
    let mut unread = Vec::new();
    while let Some((headers, body)) = read(&mut stream, &mut unread).await {
        let behaviour = remember(state, headers, body);
        if let Behaviour::AnswersAfter(time, _) = behaviour {
            sleep(time).await;
        }
        // Before the answer: whoever has read it may come back at once.
        state.at_once.fetch_sub(1, Ordering::SeqCst);
        state.answered.fetch_add(1, Ordering::SeqCst);
        if !act(&mut stream, behaviour).await {
            return;
        }
    }
}

/// Reads one request; `None` when the connection ends instead.
async fn read(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<(HeaderMap, Bytes)> {
    let end = loop {
        if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        fill(stream, unread).await?;
    };
    let headers = headers(std::str::from_utf8(&unread[..end]).unwrap());
    let length: usize = headers.get("content-length").map_or(0, |length| length.to_str().unwrap().parse().unwrap());
    while unread.len() < end + 4 + length {
        fill(stream, unread).await?;
    }
    let body = Bytes::copy_from_slice(&unread[end + 4..end + 4 + length]);
    unread.drain(..end + 4 + length);
    Some((headers, body))
}

async fn fill(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(unread).await.ok()?;
    (read > 0).then_some(())
}

fn headers(head: &str) -> HeaderMap {
    let lines = head.split("\r\n").skip(1).map(|line| line.split_once(": ").unwrap());
    lines.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

fn remember(state: &State, headers: HeaderMap, body: Bytes) -> Behaviour {
    let mut got = state.got.lock().unwrap();
    let at_once = state.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    let answered = state.answered.load(Ordering::SeqCst);
    let request = Got { headers, body, at: Instant::now(), at_once, answered };
    let behaviour = state.script.lock().unwrap()(state.count.load(Ordering::SeqCst), &request);
    if state.memory == Memory::Keeps {
        got.push(request);
    }
    // Last: whoever waits for the count looks at the rest then.
    state.count.fetch_add(1, Ordering::SeqCst);
    behaviour
}

/// Does it; whether the connection can be used again.
async fn act(stream: &mut TcpStream, behaviour: Behaviour) -> bool {
    match behaviour {
        Behaviour::Answers(status) | Behaviour::AnswersAfter(_, status) => write(stream, &answer(status, "", "")).await,
        Behaviour::AnswersWith(status, headers, body) => write(stream, &answer(status, &headers, &body)).await,
        Behaviour::AnswersEndlessly(status) => {
            write(stream, &format!("HTTP/1.1 {status} So\r\n\r\n")).await;
            while write(stream, "more and ").await {}
            false
        }
        Behaviour::AnswersHalf(status) => {
            write(stream, &format!("HTTP/1.1 {status} So\r\ncontent-length: 99\r\n\r\nthe start")).await;
            until_gone(stream).await
        }
        Behaviour::Hangs => until_gone(stream).await,
        Behaviour::HangsUp => false,
        Behaviour::Resets => {
            stream.set_zero_linger().unwrap();
            false
        }
        Behaviour::TalksNonsense => {
            write(stream, "220 mail.example ESMTP\r\n\r\n").await;
            false
        }
    }
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} So\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

async fn write(stream: &mut TcpStream, text: &str) -> bool {
    stream.write_all(text.as_bytes()).await.is_ok()
}

/// Waits until the other side has given up.
async fn until_gone(stream: &mut TcpStream) -> bool {
    while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {}
    false
}
