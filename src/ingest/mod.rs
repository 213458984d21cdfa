//! From the network into the store: an event comes in whole, verified and durable, or it doesn't come in.
//!
//! Invariants:
//!
//! 1. 200 only after the store said that the event, its deduplication key and its deliveries are durable.
//! 2. Nothing of a body is looked at before its signature is right; nothing authentic is refused for its content.
//! 3. A client that hangs up undoes nothing: once a body is verified, its commit runs to its end.
//! 4. All that a stranger can make us keep is bounded: connections, bytes of bodies, time.
//! 5. A request meets one configuration from its head to its answer: the one that was current when its head was read.
//!
//! Deliberately absent: HTTP/2 (a proxy in front has it), decompression (the signature is over the bytes as
//! they are sent), and any knowledge of what happens to an event later.

mod answer;
mod body;
mod commit;
mod connection;
mod connections;
mod count;
mod head;
mod listener;
mod receipt;
mod receive;
mod server;
mod setup;
mod tls;
mod trace;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use self::setup::Setup;
pub use self::{
    listener::Listener,
    server::serve,
    tls::{Certificate, TlsError},
};
use crate::{clock::Clock, model::Name, route::Routes, store::Store, telemetry::Metrics, verify::Verifier};

/// The bounds of ingest. [`Settings::new`] derives all that people don't set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The longest body in bytes. A longer one is refused, and its event lost: far above what a source sends.
    pub max_body: u64,
    /// From the end of a request's head to its answer, at most. The sender gives up on its own after a while; what is
    /// answered later was answered in vain.
    pub accept_deadline: Duration,
    /// From the end of a request's head to the end of its body, at most.
    pub body_deadline: Duration,
    /// From the opening of a connection to the end of its first request's head, at most.
    pub head_deadline: Duration,
    /// From an answer to the end of the next request's head on the same connection, at most.
    pub keep_alive: Duration,
    /// Connections open at a time; further ones wait in the kernel's backlog.
    pub max_connections: usize,
    /// How long requests may go on after a stop.
    pub grace: Duration,
}

/// A connection was opened to send a request at once.
const HEAD_DEADLINE: Duration = Duration::from_secs(15);

/// More than the 60 s after which nginx and most load balancers close an idle connection by themselves: if we closed
/// first, a request could meet the closing, and its sender doesn't try again.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

impl Settings {
    /// Settings for bodies of at most `max_body` bytes that are answered within `accept_deadline`.
    #[must_use]
    pub fn new(max_body: u64, accept_deadline: Duration) -> Self {
        Self {
            max_body,
            accept_deadline,
            // A quarter of the time is left for the commit.
            body_deadline: accept_deadline.saturating_sub(accept_deadline / 4),
            head_deadline: HEAD_DEADLINE,
            keep_alive: KEEP_ALIVE,
            max_connections: connections::affordable(),
            // Whatever was running at the stop has its answer by then.
            grace: accept_deadline,
        }
    }
}

/// Who may send events, where, and how they prove who they are.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub name: Name,
    /// The path that it posts to, compared as it stands.
    pub path: String,
    /// Checks its signatures.
    pub verifier: Verifier,
}

/// The public side of the relay, to be given to [`serve`].
pub struct Ingest {
    setup: watch::Sender<Arc<Setup>>,
    store: Arc<dyn Store>,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Commits that have begun and that no request waits for any more. [`serve`] awaits them; each is bounded by the accept
    /// deadline and one call of the store.
    commits: TaskTracker,
}

impl Ingest {
    /// An ingest for `sources` that stores what it accepts in `store`, for the destinations that `routes` name, and counts in
    /// `metrics`.
    #[must_use]
    pub fn new(
        settings: Settings,
        sources: Vec<Source>,
        routes: Arc<Routes>,
        store: Arc<dyn Store>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (setup, _) = watch::channel(Arc::new(Setup::new(settings, sources, routes, &metrics)));
        Self { setup, store, clock, metrics, commits: TaskTracker::new() }
    }

    /// Takes events by these from now on. Requests whose head has been read are answered by what was there before; how many
    /// connections there may be doesn't change.
    pub fn apply(&self, settings: Settings, sources: Vec<Source>, routes: Arc<Routes>) {
        let next = Setup::new(settings, sources, routes, &self.metrics).after(&self.setup());
        self.setup.send_replace(Arc::new(next));
    }

    /// What a request that begins now is treated by.
    fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.borrow())
    }
}
