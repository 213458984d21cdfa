//! Accepting connections, and stopping.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Ingest, connection,
    connections::{Connections, Wish},
    listener::Listener,
};

/// For commits that nobody waits for any more, after the last connection has ended.
const LAST_COMMITS: Duration = Duration::from_secs(1);

/// Serves what arrives at `listener` until `stop`, then accepts no more, closes idle connections, answers the requests
/// that are running and returns, after [`Settings::grace`](super::Settings::grace) at the latest.
pub async fn serve(listener: Listener, ingest: Arc<Ingest>, stop: CancellationToken) {
    let connections = Connections::new(ingest.setup().settings.max_connections);
    let tasks = TaskTracker::new();
    // A connection that is accepted also gets its place: who waits for one isn't looked for again after the stop.
    while let Some(stream) = stop.run_until_cancelled(listener.accept()).await {
        let place = connections.enter().await;
        tasks.spawn(connection::serve(stream, listener.acceptor(), Arc::clone(&ingest), place));
    }
    drop(listener);
    finish(&ingest, &connections, &tasks).await;
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
