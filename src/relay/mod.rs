//! From a [`Config`] to a running relay, and back to nothing running: start order and shutdown order.
//!
//! | start | why then |
//! | --- | --- |
//! | 1. listeners | senders wait in the kernel's backlog while the store recovers, rather than being refused |
//! | 2. store | recovers before anything reads or writes |
//! | 3. dispatch, alerts, admin, ingest | |
//!
//! While it runs, the config can be read again (`reload`): then all of it is made ready first, and put in place at once.
//!
//! Shutdown goes the other way: ingest, dispatch and alerts stop taking anything new and finish what they have, side by side, then the
//! store closes while the last spans are sent, then the admin listener, which says "stopping" until then.

mod budgets;
mod certificate;
mod changes;
mod current;
mod error;
mod flows;
mod listen;
mod parts;
mod queue;
mod reload;
mod traces;
mod vitals;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    certificate::PublicCertificate,
    current::Current,
    flows::{Flows, Ground, Seen},
    listen::{listen_for_events, listen_for_people, taking_events},
    reload::Reloads,
    traces::Export,
};
pub use self::{
    error::{RelayError, StartError},
    reload::{Loader, Reloader},
    vitals::Vitals,
};
use crate::{
    admin,
    clock::Clock,
    config::{Config, Endpoint},
    dispatch::Dispatch,
    ingest,
    service::Inherited,
    store::Store,
    telemetry::Metrics,
};

/// How long attempts may go on after a stop. The systemd unit allows more than this and the deadlines of ingest.
const GRACE: Duration = Duration::from_secs(25);

/// A relay that has started.
pub struct Relay {
    public: SocketAddr,
    admin: Endpoint,
    store: Arc<dyn Store>,
    dispatch: Dispatch,
    /// The listener that takes events.
    ingest: TaskTracker,
    reloader: Reloader,
    /// What reads the config again.
    reloads: TaskTracker,
    /// What watches over the rest.
    alerts: TaskTracker,
    /// What brings spans to the collector of traces.
    traces: Export,
    /// The listener that answers people.
    answers: TaskTracker,
    /// Cancelled when the relay isn't ready any more, at the latest when it begins to stop.
    leaving: CancellationToken,
    /// Cancelled when the relay begins to stop.
    stop: CancellationToken,
    /// Cancelled when nothing is left to be asked about.
    stop_admin: CancellationToken,
}

impl Relay {
    /// Starts everything that `config` asks for, which `load` reads again when somebody wants that. Ports may be 0: see
    /// [`Relay::public_address`].
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(config: Config, load: Loader, clock: Clock) -> Result<Self, StartError> {
        Self::start_on(Inherited::default(), config, load, clock).await
    }

    /// The same on the sockets that the service manager passed, where it passed some.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start_on(sockets: Inherited, config: Config, load: Loader, clock: Clock) -> Result<Self, StartError> {
        let (public_listener, public) = listen_for_events(config.server.listen, sockets.ingest).await?;
        let (admin_listener, admin) = listen_for_people(&config.admin, sockets.admin).await?;
        let metrics = Metrics::new(clock.now());
        let certificate = config.server.tls.clone().map(|tls| PublicCertificate::new(tls, &metrics));
        let ground = Ground::open(&config, metrics, clock.clone()).await?;
        let trail = queue::open_trail(config.queue.path.clone()).await?;

        let (reloader, requests) = Reloader::new();
        let shown = watch::Sender::new(reload::shown(&config, clock.now()));
        let seen = Seen { config: shown.subscribe(), reloader: reloader.clone() };
        let (flows, alerts) = Flows::new(&config, &ground, trail, seen);
        let current = Current::start(config, &flows, &ground, admin.clone())?;
        let Ground { store, metrics, traces, leaving, stop, .. } = ground;
        let reloads = Reloads { load, current, shown, metrics, clock: clock.clone() };

        let (stop_admin, Flows { dispatch, ingest, admin: answers, .. }) = (CancellationToken::new(), flows);
        let answers = tracked(admin::serve(admin_listener, answers, stop_admin.clone()));
        let public_listener = taking_events(public_listener, certificate.as_deref())?;
        let ingest = tracked(ingest::serve(public_listener, ingest, stop.clone()));
        certificate.map(|certificate| ingest.spawn(certificate.watch(clock, stop.clone())));
        let reloads = tracked(reloads.answer(requests, stop.clone()));
        let alerts = tracked(alerts.run(stop.clone()));
        Ok(Self {
            public,
            admin,
            store,
            dispatch,
            ingest,
            reloader,
            reloads,
            alerts,
            traces,
            answers,
            leaving,
            stop,
            stop_admin,
        })
    }

    /// Where events are taken.
    #[must_use]
    pub fn public_address(&self) -> SocketAddr {
        self.public
    }

    /// Where people's questions are answered.
    #[must_use]
    pub fn admin_address(&self) -> &Endpoint {
        &self.admin
    }

    /// To be cancelled some time before a stop, so that load balancers turn away first: the relay says that it isn't ready, and
    /// works on.
    #[must_use]
    pub fn leaving(&self) -> CancellationToken {
        self.leaving.clone()
    }

    /// For whoever watches over the relay.
    #[must_use]
    pub fn vitals(&self) -> Vitals {
        Vitals::new(Arc::clone(&self.store), self.dispatch.handle())
    }

    /// For who wants the config to be read again.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Works until `stop` is ready, or until the store fails; then ends in good order.
    ///
    /// # Errors
    /// [`RelayError`]: the store failed, now or while it was closed. Everything that was acknowledged is on disk all the
    /// same.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), RelayError> {
        let Self {
            store, dispatch, ingest, reloads, alerts, traces, answers, leaving, stop: stopping, stop_admin, ..
        } = self;
        let failure = tokio::select! {
            () = stop => None,
            error = store.failed() => Some(error),
        };
        leaving.cancel();
        stopping.cancel();
        tokio::join!(reloads.wait(), dispatch.finished(GRACE), ingest.wait(), alerts.wait());
        let (closed, ()) = tokio::join!(store.close(), traces.end());
        stop_admin.cancel();
        answers.wait().await;
        match failure.or(closed.err()) {
            Some(error) => Err(RelayError(error)),
            None => Ok(()),
        }
    }
}

/// A task of its own, and the tracker by which it is awaited.
fn tracked(task: impl Future<Output = ()> + Send + 'static) -> TaskTracker {
    let tracker = TaskTracker::new();
    tracker.spawn(task);
    tracker.close();
    tracker
}
