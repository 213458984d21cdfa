//! The flows of a relay, made but not at work yet, and what connects them.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Reloader, StartError, parts, queue, traces::Export};
use crate::{
    admin::{Admin, Controls, view::ConfigView},
    alerts::{self, Alerts, Senses},
    audit::Trail,
    clock::Clock,
    config::Config,
    dispatch::{self, Dispatch},
    ingest::Ingest,
    model::Timestamp,
    route::Routes,
    store::Store,
    telemetry::Metrics,
};

/// What every flow stands on.
pub(super) struct Ground {
    pub(super) store: Arc<dyn Store>,
    pub(super) metrics: Arc<Metrics>,
    /// Where traces go, of which `metrics` tell.
    pub(super) traces: Export,
    pub(super) clock: Clock,
    /// Cancelled when the relay isn't ready any more, at the latest when it begins to stop.
    pub(super) leaving: CancellationToken,
    /// Cancelled when the relay begins to stop.
    pub(super) stop: CancellationToken,
}

impl Ground {
    /// Opens the queue of `config`, and the way to its collector of traces.
    pub(super) async fn open(config: &Config, mut metrics: Metrics, clock: Clock) -> Result<Self, StartError> {
        let store = queue::open(&config.queue, &clock, &mut metrics).await?;
        let traces = Export::start(config.traces.clone(), &mut metrics)?;
        let (metrics, leaving, stop) = (Arc::new(metrics), CancellationToken::new(), CancellationToken::new());
        Ok(Self { store, metrics, traces, clock, leaving, stop })
    }

    fn parts(&self) -> (Arc<dyn Store>, Clock, Arc<Metrics>) {
        (Arc::clone(&self.store), self.clock.clone(), Arc::clone(&self.metrics))
    }
}

/// The flows that can be given another config, and what others read of it.
pub(super) struct Flows {
    pub(super) dispatch: Dispatch,
    pub(super) ingest: Arc<Ingest>,
    pub(super) admin: Arc<Admin>,
    /// The routes that events are given now.
    pub(super) routes: watch::Sender<Arc<Routes>>,
    /// What the config says of alerts.
    pub(super) alerts: watch::Sender<Arc<alerts::Settings>>,
}

/// What people see of the config, and how they have it read again.
pub(super) struct Seen {
    pub(super) config: watch::Receiver<ConfigView>,
    pub(super) reloader: Reloader,
}

impl Flows {
    /// The flows on `ground`, which have nothing of a config yet but its bounds and its guard; and what watches over them.
    pub(super) fn new(config: &Config, ground: &Ground, trail: Arc<Trail>, seen: Seen) -> (Self, Alerts) {
        let (routes, alerts) = (watch::Sender::default(), watch::Sender::default());
        let (store, clock, metrics) = ground.parts();
        let dispatch = Dispatch::start(Vec::new(), store, clock, &ground.stop, metrics);
        let (store, clock, metrics) = ground.parts();
        let ingest = Ingest::new(parts::bounds(config), Vec::new(), Arc::default(), store, clock, metrics);
        let (store, clock, metrics) = ground.parts();
        let senses = senses(dispatch.handle(), seen.config.clone());
        let watching = Alerts::new(senses, alerts.subscribe(), Arc::clone(&store), clock.clone());
        let controls = controls(&dispatch, routes.subscribe(), alerts.subscribe(), seen, &ground.leaving);
        let admin = Admin::new(store, clock, controls, metrics, parts::guard(config), trail);
        (Self { dispatch, ingest: Arc::new(ingest), admin: Arc::new(admin), routes, alerts }, watching)
    }
}

fn controls(
    dispatch: &Dispatch,
    routes: watch::Receiver<Arc<Routes>>,
    alerts: watch::Receiver<Arc<alerts::Settings>>,
    seen: Seen,
    leaving: &CancellationToken,
) -> Controls {
    let (watched, steered, Seen { config, reloader }) = (dispatch.handle(), dispatch.handle(), seen);
    Controls {
        conditions: Box::new(move || watched.conditions()),
        routes: Box::new(move || Arc::clone(&routes.borrow())),
        resume: Box::new(move |destination| steered.resume(destination)),
        test_alert: Box::new(move || alerts.borrow().test()),
        config: Box::new(move || config.borrow().clone()),
        reload: Box::new(move || {
            let reloader = reloader.clone();
            Box::pin(async move { reloader.reload().await })
        }),
        stopping: leaving.clone(),
    }
}

fn senses(dispatch: dispatch::Handle, shown: watch::Receiver<ConfigView>) -> Senses {
    let conditions = Box::new(move || dispatch.conditions());
    Senses { conditions, config_refused_at: Box::new(move || refused_at(&shown.borrow())) }
}

/// When the config was refused, if none was taken since then.
fn refused_at(config: &ConfigView) -> Option<Timestamp> {
    config.last_reload.as_ref().filter(|reload| !reload.ok).map(|reload| reload.at)
}
