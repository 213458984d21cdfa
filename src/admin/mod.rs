//! The admin listener: health, readiness, metrics, the part of `/api/v1` with which people see and steer the relay, and the
//! dashboard, whose pages ask that API.
//!
//! It reads the store and asks it to replay, discard and pause; what a destination is doing it learns through
//! [`Controls`], so that no other flow is known here. Every answer is made of the types in [`view`], every change goes into the
//! audit trail.
//!
//! [`Guard`] says who may: everybody who can connect, or only who has a token; and it keeps out what a web page could make a
//! browser send. TLS is left to a proxy. No answer shows a credential. The dashboard is in `pages`.

mod answer;
mod body;
mod calls;
mod change;
mod configuration;
mod drain;
mod guard;
mod history;
mod listener;
mod metrics;
mod openapi;
mod pages;
mod query;
mod read;
mod record;
mod replay;
mod resource;
mod routes;
mod schema;
mod selection;
mod server;
mod stream;
pub mod view;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use self::{
    drain::Drain,
    view::{ConfigView, DestinationView, ReloadView},
};
pub use self::{guard::Guard, listener::Listener, server::serve};
use crate::{
    audit::Trail,
    breaker::Condition,
    clock::Clock,
    model::{Name, Timestamp},
    route::Routes,
    store::{DestinationStats, Store},
    telemetry::{History, Metrics},
};

/// What the admin listener answers from.
pub struct Admin {
    store: Arc<dyn Store>,
    clock: Clock,
    controls: Controls,
    metrics: Arc<Metrics>,
    guard: watch::Sender<Guard>,
    trail: Arc<Trail>,
    history: Mutex<History>,
    started_at: Timestamp,
    /// A place for each that listens to the stream.
    streams: Arc<Semaphore>,
    drain: Mutex<Drain>,
}

/// The config while it is being read again.
pub type Reloading = Pin<Box<dyn Future<Output = Result<ReloadView, NotReloaded>> + Send>>;

/// Why the config stays what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReloaded {
    /// It is wrong in this way, in lines for people.
    Refused(String),
    /// Nobody reads it now, for this reason.
    Unread(&'static str),
}

/// How the admin listener reaches the running relay.
pub struct Controls {
    /// How each configured destination is doing, pauses by people included.
    pub conditions: Box<dyn Fn() -> BTreeMap<Name, Condition> + Send + Sync>,
    /// The routes that events are given now.
    pub routes: Box<dyn Fn() -> Arc<Routes> + Send + Sync>,
    /// Lets a destination be tried again that its breaker holds back.
    pub resume: Box<dyn Fn(&Name) + Send + Sync>,
    /// A test alert, and the destinations that get it; `None` when the config has no `[alerts]`.
    pub test_alert: Box<dyn Fn() -> Option<(Bytes, Vec<Name>)> + Send + Sync>,
    /// The config as it runs.
    pub config: Box<dyn Fn() -> ConfigView + Send + Sync>,
    /// Reads the config again.
    pub reload: Box<dyn Fn() -> Reloading + Send + Sync>,
    /// Cancelled when the relay begins to stop: it is not ready any more, but still answers questions.
    pub stopping: CancellationToken,
}

impl Admin {
    /// Answers those whom `guard` lets in from `store` and `metrics`, and writes into `trail` what they change; the relay
    /// counts as started now.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        controls: Controls,
        metrics: Arc<Metrics>,
        guard: Guard,
        trail: Arc<Trail>,
    ) -> Self {
        let started_at = clock.now();
        let (guard, streams) = (watch::Sender::new(guard), Arc::new(Semaphore::new(stream::MAX_STREAMS)));
        Self {
            store,
            clock,
            controls,
            metrics,
            guard,
            trail,
            history: Mutex::default(),
            started_at,
            streams,
            drain: Mutex::default(),
        }
    }

    /// Takes note of how much waits, so that a forecast can be made.
    fn observe(&self) {
        self.drain().note(self.clock.now(), &self.store.stats().destinations);
    }

    fn drain(&self) -> MutexGuard<'_, Drain> {
        self.drain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets those in from now on whom `guard` lets in.
    pub fn change_guard(&self, guard: Guard) {
        self.guard.send_replace(guard);
    }

    /// Every configured destination, and those that still have something in the store though the config doesn't name
    /// them any more.
    fn destinations(&self) -> Vec<DestinationView> {
        let conditions = (self.controls.conditions)();
        let mut numbers: BTreeMap<Name, DestinationStats> =
            self.store.stats().destinations.into_iter().map(|stats| (stats.destination.clone(), stats)).collect();
        let configured = conditions.into_iter().map(|(name, condition)| {
            let stats = numbers.remove(&name);
            let (lane, drain) = (self.metrics.lane(&name), self.drain().of(&name));
            let view = DestinationView::new(name, Some(condition), stats);
            view.with_pace(lane.total_delivered(), lane.total_failed(), drain)
        });
        let mut views: Vec<DestinationView> = configured.collect();
        let is_needed = |stats: &DestinationStats| stats.waiting > 0 || stats.dead > 0;
        let left_over = numbers.into_iter().filter(|(_, stats)| is_needed(stats));
        views.extend(left_over.map(|(name, stats)| DestinationView::new(name, None, Some(stats))));
        views
    }
}
