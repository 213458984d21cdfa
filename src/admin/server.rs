//! The connections of the admin listener: how many, how long, and how they end.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    task::JoinSet,
    time::{interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Admin,
    listener::{Caller, Listener, Stream},
};

/// Connections at a time. People and probes need a handful; more would take file descriptors from the public side.
const MAX_CONNECTIONS: usize = 64;
/// How long a client may take for its request line and headers. It also ends connections that idle.
const HEADER_DEADLINE: Duration = Duration::from_secs(30);
/// How long answers may take to finish after the stop: they are small, and the relay has finished its own work by then.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked how much waits: a forecast is as fresh as that.
const OBSERVED_EVERY: Duration = Duration::from_secs(5);
/// How long to wait when no connection can be accepted, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests on `listener` and keeps the last hour's history until `stop`, then lets those under way finish for two
/// seconds.
pub async fn serve(listener: Listener, admin: Arc<Admin>, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let (mut connections, mut history) = (JoinSet::new(), JoinSet::new());
    history.spawn(keep_history(Arc::clone(&admin)));
    let mut observations = interval(OBSERVED_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            _ = observations.tick() => admin.observe(),
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, caller)) => {
                    connections.spawn(converse(stream, caller, Arc::clone(&admin), graceful.watcher()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin listener can't accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    if timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::info!("cut admin connections that did not end in time");
    }
    connections.shutdown().await;
    history.shutdown().await;
}

async fn keep_history(admin: Arc<Admin>) -> Infallible {
    admin.keep_history().await
}

async fn converse(stream: Stream, caller: Caller, admin: Arc<Admin>, watcher: Watcher) {
    let service = service_fn(move |request| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(admin.answer(request, caller).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "an admin connection ended early");
    }
}
