//! The client against servers that behave in every way but well, over real sockets.

mod guard;
mod tls;
mod tokens;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};

use super::{plain::Plain, *};
use crate::model::FailureKind;

/// Far more than a loopback answer needs, so that no test fails because the machine is busy.
const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(10) };
/// For what is meant to time out.
const HASTY: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_millis(300) };

fn settings(timeouts: Timeouts) -> Settings {
    Settings { timeouts, trust: Trust::Nobody, identity: None, policy: Policy::AllowPrivate, grant: None }
}

fn client(timeouts: Timeouts) -> Client {
    Client::new(settings(timeouts)).unwrap()
}

/// Sends as one does who has nothing to prove.
async fn sent(client: &Client, request: OutboundRequest) -> Sent {
    client.send(request, &Credentials::default()).await
}

/// What a request meets, past reqwest and with it: the same.
async fn both_ways(client: &Client, request: OutboundRequest) -> Sent {
    let met = sent(client, request.clone()).await;
    assert_eq!(shown(&met), shown(&sent(client, by_reqwest(request)).await));
    met
}

/// The same request by reqwest, for it has a user name in its address.
fn by_reqwest(mut request: OutboundRequest) -> OutboundRequest {
    request.url.set_username("me").unwrap();
    assert!(!Plain::leads_to(&request.url));
    request
}

fn shown(sent: &Sent) -> Result<String, Failure> {
    sent.as_ref().map(|reply| format!("{reply:?}")).map_err(Failure::clone)
}

/// A server that treats every connection in one way, for as long as it is kept.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn new<F: Future<Output = ()> + Send + 'static>(
        behaviour: impl Fn(TcpStream) -> F + Send + Clone + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                open.spawn(behaviour(stream));
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    /// Answers each request of a connection with these bytes.
    async fn answering(answer: String) -> Self {
        Self::new(move |mut stream| {
            let answer = answer.clone();
            async move { while !request(&mut stream).await.is_empty() && write(&mut stream, &answer).await {} }
        })
        .await
    }

    fn request(&self) -> OutboundRequest {
        OutboundRequest {
            method: Method::POST,
            url: format!("http://{}/hook?token=secret", self.address).parse().unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"hello"),
            must_be_kept: false,
            shown: String::new(),
        }
    }

    /// What its requests meet, whichever way they go.
    async fn meets(&self, timeouts: Timeouts) -> Sent {
        both_ways(&client(timeouts), self.request()).await
    }
}

/// Reads one request; empty when the client has gone. The requests here end in `hello` or have no body.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"hello") && !String::from_utf8_lossy(&bytes).contains("content-length: 0\r\n") {
        match stream.read_buf(&mut bytes).await {
            Ok(n) if n > 0 => {}
            _ => return String::new(),
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), text: &str) -> bool {
    stream.write_all(text.as_bytes()).await.is_ok()
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn failure(kind: FailureKind, detail: &str) -> Failure {
    Failure { kind, detail: detail.into() }
}

#[tokio::test]
async fn a_refused_connection_is_told_in_two_words_and_without_the_address() {
    let mut request = Server::answering(String::new()).await.request();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    request.url.set_port(Some(closed.port())).unwrap();
    let refused = both_ways(&client(PATIENT), request).await.unwrap_err();
    assert_eq!(refused, failure(FailureKind::Connect, "Connection refused"));
}

#[tokio::test]
async fn an_unknown_host_is_no_connection() {
    let url: Url = "http://no-such-host.invalid/secret".parse().unwrap();
    let request = OutboundRequest { url, ..Server::answering(String::new()).await.request() };
    let unknown = both_ways(&client(PATIENT), request).await.unwrap_err();
    assert_eq!(unknown.kind, FailureKind::Connect);
    assert!(!unknown.detail.contains("secret"), "{}", unknown.detail);
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let server = Server::new(|mut stream| async move { while !request(&mut stream).await.is_empty() {} }).await;
    let began = Instant::now();
    let silent = server.meets(HASTY).await.unwrap_err();
    assert!(began.elapsed() < HASTY.connect, "it waited for {:?}", began.elapsed());
    assert_eq!(silent, failure(FailureKind::Timeout, "no whole answer within 300ms"));
}

/// A listener that accepts nobody and whose queue is full: Linux drops what else would connect, as a firewall does.
#[tokio::test]
async fn a_server_that_cannot_be_reached_is_waited_for_as_long_as_connecting_may_take() {
    let listener = TcpSocket::new_v4().unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // The kernel queues one more than it is asked to.
    let _queued = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    let mut request = Server::answering(String::new()).await.request();
    request.url.set_port(Some(address.port())).unwrap();
    let client = client(Timeouts { connect: Duration::from_millis(300), ..PATIENT });
    assert_eq!(both_ways(&client, request).await.unwrap_err(), failure(FailureKind::Connect, "nothing within 300ms"));
}

#[tokio::test]
async fn a_server_that_hangs_up_resets_or_talks_nonsense_broke_the_connection() {
    let hangs_up = Server::new(|mut stream| async move { drop(request(&mut stream).await) }).await;
    let resets = Server::new(|stream| async move { stream.set_zero_linger().unwrap() }).await;
    let talks_nonsense = Server::answering("SSH-2.0-OpenSSH_9.2\r\n\r\n".into()).await;
    for (server, detail) in [
        (hangs_up, "connection closed before message completed"),
        (resets, "Connection reset by peer"),
        (talks_nonsense, "invalid HTTP version parsed"),
    ] {
        assert_eq!(server.meets(PATIENT).await.unwrap_err(), failure(FailureKind::Broken, detail));
    }
}

#[tokio::test]
async fn headers_without_end_are_not_read_without_end() {
    let server = Server::new(|mut stream| async move {
        request(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\n").await;
        while write(&mut stream, &format!("x-more: {}\r\n", "y".repeat(1000))).await {}
    })
    .await;
    assert_eq!(server.meets(PATIENT).await.unwrap_err().kind, FailureKind::Broken);
}

#[tokio::test]
async fn of_a_body_without_end_only_the_start_is_read() {
    let server = Server::new(|mut stream| async move {
        request(&mut stream).await;
        write(&mut stream, "HTTP/1.1 503 Busy\r\n\r\n").await;
        while write(&mut stream, "more, ").await {}
    })
    .await;
    let began = Instant::now();
    let reply = server.meets(PATIENT).await.unwrap();
    assert_eq!(reply.status, 503);
    assert_eq!(reply.excerpt().len(), 1024);
    assert!(began.elapsed() < PATIENT.total, "it read until the time-out");
}

#[tokio::test]
async fn a_body_that_crawls_ends_with_the_time_out_and_the_status_counts() {
    let server = Server::new(|mut stream| async move {
        request(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nso far").await;
        request(&mut stream).await;
    })
    .await;
    let reply = server.meets(HASTY).await.unwrap();
    assert_eq!((reply.status.as_u16(), &*reply.excerpt()), (200, "so far"));
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_undo_the_status() {
    let server = Server::new(|mut stream| async move {
        request(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nso far").await;
    })
    .await;
    let reply = server.meets(PATIENT).await.unwrap();
    assert_eq!((reply.status.as_u16(), &*reply.excerpt()), (200, "so far"));
}

#[tokio::test]
async fn an_excerpt_ends_with_a_whole_character_and_shows_what_is_no_text() {
    let devanagari = "क".repeat(400);
    let server = Server::answering(answer("200 OK", &devanagari)).await;
    assert_eq!(server.meets(PATIENT).await.unwrap().excerpt(), "क".repeat(1024 / 3));

    let server = Server::new(|mut stream| async move {
        request(&mut stream).await;
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na\xffb").await);
    })
    .await;
    assert_eq!(server.meets(PATIENT).await.unwrap().excerpt(), "a\u{fffd}b");
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let elsewhere = Server::answering(answer("200 OK", "")).await;
    let redirect =
        format!("HTTP/1.1 307 Moved\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", elsewhere.address);
    let server = Server::answering(redirect).await;
    assert_eq!(server.meets(PATIENT).await.unwrap().status, 307);
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn one_connection_serves_many_requests_also_when_answers_are_longer_than_the_excerpt() {
    let server = Server::answering(answer("200 OK", &"x".repeat(30_000))).await;
    let client = client(PATIENT);
    for _ in 0..20 {
        assert_eq!(sent(&client, server.request()).await.unwrap().status, 200);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

/// A server that closes its idle connections (Node after 5 s, many after one answer when they are busy) would otherwise
/// fail the first attempt after every pause, and trip the breaker by doing what HTTP allows.
#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_not_a_failure() {
    let server = Server::new(|mut stream| async move {
        request(&mut stream).await;
        write(&mut stream, &answer("200 OK", "")).await;
    })
    .await;
    let client = client(PATIENT);
    for _ in 0..50 {
        assert_eq!(sent(&client, server.request()).await.unwrap().status, 200);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 50);
}

/// Sends a request and returns it as the server read it.
async fn on_the_wire(change: impl FnOnce(&mut OutboundRequest)) -> String {
    seen(&client(PATIENT), &Credentials::default(), change).await
}

async fn seen(client: &Client, credentials: &Credentials, change: impl FnOnce(&mut OutboundRequest)) -> String {
    let (seen, mut read) = tokio::sync::mpsc::channel(1);
    let server = Server::new(move |mut stream| {
        let seen = seen.clone();
        async move {
            let request = request(&mut stream).await;
            write(&mut stream, &answer("200 OK", "")).await;
            seen.send(request).await.unwrap();
        }
    })
    .await;
    let mut request = server.request();
    change(&mut request);
    client.send(request, credentials).await.unwrap();
    read.recv().await.unwrap().replace(&server.address.to_string(), "HOST")
}

#[tokio::test]
async fn nothing_is_added_to_a_request_but_accept_and_what_the_connection_needs() {
    let seen = on_the_wire(|request| drop(request.headers.insert("x-team", "voice".parse().unwrap()))).await;
    let expected = "POST /hook?token=secret HTTP/1.1\r\nx-team: voice\r\naccept: */*\r\nhost: HOST\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn an_empty_body_has_a_length_too() {
    let seen = on_the_wire(|request| request.body = Bytes::new()).await;
    assert!(seen.contains("\r\ncontent-length: 0\r\n"), "{seen}");
}

#[tokio::test]
async fn credentials_in_the_address_become_a_header() {
    let seen = on_the_wire(|request| {
        request.url.set_username("me").unwrap();
        request.url.set_password(Some("pw")).unwrap();
    })
    .await;
    assert!(seen.starts_with("POST /hook?token=secret HTTP/1.1\r\nauthorization: Basic bWU6cHc=\r\n"), "{seen}");
}
