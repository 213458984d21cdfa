//! A destination that remembers what it got, and answers as the test wants.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

use super::eventually;

/// The longest body that a sink takes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// One request that a sink got.
#[derive(Debug, Clone)]
pub struct Got {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Got {
    /// The value of a header that has to be there.
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

type Reply = dyn Fn(&Got) -> Response<Full<Bytes>> + Send + Sync;

/// A destination on loopback. It stops when it is dropped.
pub struct Sink {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    got: Mutex<Vec<Got>>,
    reply: Mutex<Arc<Reply>>,
}

impl Sink {
    /// A sink that answers 200.
    pub async fn start() -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// A sink at an address of the test's choice.
    pub fn listen(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { got: Mutex::default(), reply: Mutex::new(Arc::new(|_| status(200))) });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept_all(listener, Arc::clone(&state)));
        Self { address, state, _tasks: tasks }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers from now on what `reply` says.
    pub fn reply(&self, reply: impl Fn(&Got) -> Response<Full<Bytes>> + Send + Sync + 'static) {
        *self.state.reply.lock().unwrap() = Arc::new(reply);
    }

    /// All it got so far.
    pub fn got(&self) -> Vec<Got> {
        self.state.got.lock().unwrap().clone()
    }

    /// Waits until it has got `count` requests, and returns all it got.
    pub async fn wait_for(&self, count: usize) -> Vec<Got> {
        eventually(&format!("{count} requests to the sink"), async || Some(self.got()).filter(|got| got.len() >= count))
            .await
    }
}

/// An empty answer.
pub fn status(status: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

async fn accept_all(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let state = Arc::clone(&state);
        let service = service_fn(move |request| remember(request, Arc::clone(&state)));
        connections.spawn(async move {
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn remember(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    #[expect(clippy::disallowed_methods, reason = "limited")]
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else { return Ok(status(400)) };
    let got = Got { path: head.uri.path().to_owned(), headers: head.headers, body: body.to_bytes() };
    let reply = Arc::clone(&state.reply.lock().unwrap());
    let response = reply(&got);
    state.got.lock().unwrap().push(got);
    Ok(response)
}
