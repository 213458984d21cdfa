//! Accepting connections, and stopping.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Ingest, connection,
    connections::{Connections, Wish},
};

/// After a failed accept. What fails here (no file descriptors, no memory) passes when a connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// For commits that nobody waits for any more, after the last connection has ended.
const LAST_COMMITS: Duration = Duration::from_secs(1);

/// Serves what arrives at `listener` until `stop`, then accepts no more, closes idle connections, answers the requests
/// that are running and returns, after [`Settings::grace`](super::Settings::grace) at the latest.
pub async fn serve(listener: TcpListener, ingest: Arc<Ingest>, stop: CancellationToken) {
    let connections = Connections::new(ingest.setup().settings.max_connections);
    let tasks = TaskTracker::new();
    let None = stop.run_until_cancelled(accept_all(&listener, &ingest, &connections, &tasks)).await;
    drop(listener);
    finish(&ingest, &connections, &tasks).await;
}

async fn accept_all(
    listener: &TcpListener,
    ingest: &Arc<Ingest>,
    connections: &Arc<Connections>,
    tasks: &TaskTracker,
) -> std::convert::Infallible {
    loop {
        let stream = accept(listener).await;
        let place = connections.enter().await;
        tasks.spawn(connection::serve(stream, Arc::clone(ingest), place));
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and complete: none should wait for the acknowledgement of another.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(reason = %error, "a connection ended before it began");
                }
                return stream;
            }
            Err(error) if is_the_callers(&error) => tracing::debug!(reason = %error, "a connection ended early"),
            Err(error) => {
                tracing::warn!(reason = %error, "can't accept connections: trying again in {ACCEPT_PAUSE:?}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether a failed accept says something about that connection only.
fn is_the_callers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

async fn finish(ingest: &Ingest, connections: &Connections, tasks: &TaskTracker) {
    let end = Instant::now() + ingest.setup().settings.grace;
    connections.tell_all(Wish::Finish);
    tasks.close();
    if timeout_at(end, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "requests were still running when the time for the stop was over");
        connections.tell_all(Wish::GiveUp);
        tasks.wait().await;
    }
    ingest.commits.close();
    if timeout_at(end + LAST_COMMITS, ingest.commits.wait()).await.is_err() {
        tracing::error!(commits = ingest.commits.len(), "the store did not answer; unanswered events may be stored");
    }
}
