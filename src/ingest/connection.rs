//! One connection: HTTP/1.1 until somebody has enough.
//!
//! hyper's own timer for heads is off. It would make, set and drop a timer for every request; one timer for each
//! connection, moved only when it fires, bounds the same and also a client that doesn't read its answers.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::Request;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::HttpService,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::{BoxError, ServiceBuilder};
use tower_http::{body::UnsyncBoxBody, catch_panic::CatchPanicLayer};

use super::{
    Ingest, answer,
    connections::{Activity, Place, Wish},
    receive::receive,
    tls,
};

/// The longest head, and the most that is read ahead of a connection. A usual body fits in as well.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// How long to take, and throw away, what a client still sends after its connection's last answer. Without that the
/// kernel resets the connection, and the client never reads why it was refused.
const LINGER: Duration = Duration::from_secs(2);

/// Serves a connection until it ends, or its patience does, or `place` is needed for something else.
pub(super) async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, ingest: Arc<Ingest>, place: Place) {
    let activity = place.activity();
    match tls {
        None => converse(stream, ingest, activity).await,
        Some(acceptor) => {
            if let Some(stream) = tls::handshake(&acceptor, stream, activity, &ingest.setup().settings).await {
                converse(stream, ingest, activity).await;
            }
        }
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, ingest: Arc<Ingest>, activity: &Arc<Activity>) {
    let settings = ingest.setup().settings.clone();
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(READ_BUFFER_BYTES)
        // Whoever closes its sending half after a request still gets the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service(ingest, activity));
    let (mut heard, mut leaves) = (Wish::Nothing, false);
    loop {
        // The connection first: what has arrived already is worth more than any wish.
        tokio::select! {
            biased;
            end = &mut connection => match end {
                Ok(()) => return linger(connection.into_parts().io.into_inner(), activity, heard).await,
                Err(error) => return tracing::debug!(reason = %error, "a connection broke"),
            },
            wish = activity.wish(heard) => match wish {
                Wish::Nothing | Wish::Finish => heard = wish,
                Wish::MakeRoom | Wish::GiveUp => return,
            },
            () = activity.silence(), if heard == Wish::Finish && !leaves => {
                leaves = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            () = activity.patience_ends(&settings) => return,
        }
    }
}

/// What answers the requests of one connection.
fn service(
    ingest: Arc<Ingest>,
    activity: &Arc<Activity>,
) -> impl HttpService<Incoming, ResBody = UnsyncBoxBody<Bytes, BoxError>, Error = Infallible, Future: Send> {
    let (worker, activity) = (Arc::clone(activity), Arc::clone(activity));
    let layers = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(answer::panicked))
        .map_future(move |request| Arc::clone(&worker).work_on(request));
    let receive = move |request: Request<Incoming>| receive(Arc::clone(&ingest), Arc::clone(&activity), request);
    TowerToHyperService::new(layers.service_fn(receive))
}

/// Closes our half and waits for the other one.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin, activity: &Activity, heard: Wish) {
    let drain = async {
        let mut sink = [0; 4096];
        if stream.shutdown().await.is_ok() {
            while stream.read(&mut sink).await.is_ok_and(|read| read > 0) {}
        }
    };
    tokio::select! {
        _ = timeout(LINGER, drain) => {}
        _ = activity.wish(heard) => {}
    }
}
