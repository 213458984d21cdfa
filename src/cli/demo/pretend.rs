//! The destinations of the demo: real HTTP servers on loopback that tell what they get. One of them is down at first.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, task::JoinSet};

use super::story::{Scene, Story};
use crate::{
    cli::{table::Tone, text::harmless},
    model::Reading,
    verify::Verifier,
};

/// The largest body that is taken, in bytes. The demo's own have some 2 KiB; a visitor may send a large one of his own.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// How long a client may take for its headers.
const HEADER_DEADLINE: Duration = Duration::from_secs(30);

/// A destination of the demo.
pub(super) struct Pretend {
    name: &'static str,
    /// How many requests it refuses before it is up.
    refusals_left: AtomicU32,
    /// Checks that what arrives is what Atoms signed.
    verifier: Verifier,
    story: Story,
}

/// What a destination makes of a request.
enum Reception {
    Taken,
    Down,
    /// Down for the last time.
    Back,
    Altered,
}

impl Pretend {
    /// A destination that refuses the first `refusals` requests.
    pub(super) fn new(name: &'static str, refusals: u32, verifier: Verifier, story: Story) -> Arc<Self> {
        Arc::new(Self { name, refusals_left: AtomicU32::new(refusals), verifier, story })
    }

    /// Opens it in `tasks`, and says where it is.
    pub(super) async fn open(self: Arc<Self>, tasks: &mut JoinSet<()>) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        tasks.spawn(self.serve(listener));
        Ok(address)
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { return };
                    let pretend = Arc::clone(&self);
                    connections.spawn(async move {
                        let service = service_fn(|request| pretend.answer(request));
                        let mut server = http1::Builder::new();
                        server.timer(TokioTimer::new()).header_read_timeout(HEADER_DEADLINE);
                        // The relay closes its connections when it likes.
                        let _ended = server.serve_connection(TokioIo::new(stream), service).await;
                    });
                }
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the body is limited here, the one place of this file that reads one"
    )]
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.map(http_body_util::Collected::to_bytes);
        let Ok(body) = body else { return Ok(response(StatusCode::BAD_REQUEST, "the body can't be read")) };
        let reception = self.receive(&head.headers, &body);
        self.tell(&head.headers, &body, &reception).await;
        Ok(response(reception.status(), reception.words()))
    }

    fn receive(&self, headers: &HeaderMap, body: &Bytes) -> Reception {
        if self.verifier.verify(headers, body.clone()).is_err() {
            return Reception::Altered;
        }
        let one_less = |left: u32| left.checked_sub(1);
        match self.refusals_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(1) => Reception::Back,
            Ok(_) => Reception::Down,
            Err(_) => Reception::Taken,
        }
    }

    async fn tell(&self, headers: &HeaderMap, body: &[u8], reception: &Reception) {
        let reading = Reading::of(body);
        let event = reading.envelope().map_or("something", |envelope| &*envelope.event_type);
        let floor = self.story.floor().await;
        // When nobody reads the story any more, the destination still does its work.
        let _unheard = floor.tell(&Scene {
            who: self.name.to_owned(),
            what: format!("receives {}", harmless(event)),
            end: format!("{}{}", reception.words(), attempt(headers)),
            tone: if matches!(reception, Reception::Taken) { Tone::Good } else { Tone::Bad },
        });
        if matches!(reception, Reception::Back) {
            let (who, what) = (self.name.to_owned(), "is up again".to_owned());
            let _unheard = floor.tell(&Scene { who, what, end: String::new(), tone: Tone::Good });
        }
    }
}

/// Which attempt it is, from the second on.
fn attempt(headers: &HeaderMap) -> String {
    match headers.get("x-relay-attempt").and_then(|value| value.to_str().ok()) {
        Some("1") | None => String::new(),
        Some(number) => format!(" (attempt {})", harmless(number)),
    }
}

impl Reception {
    fn status(&self) -> StatusCode {
        match self {
            Self::Taken => StatusCode::OK,
            Self::Down | Self::Back => StatusCode::SERVICE_UNAVAILABLE,
            Self::Altered => StatusCode::BAD_REQUEST,
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Taken => "200",
            Self::Down | Self::Back => "503 down for maintenance",
            Self::Altered => "400 the signature is wrong",
        }
    }
}

fn response(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}
