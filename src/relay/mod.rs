//! From a [`Config`] to a running relay, and back to nothing running: start order and shutdown order.
//!
//! | start | why then |
//! | --- | --- |
//! | 1. listeners | senders wait in the kernel's backlog while the store recovers, rather than being refused |
//! | 2. store | recovers before anything reads or writes |
//! | 3. dispatch, alerts, admin, ingest | |
//!
//! Shutdown goes the other way: ingest, dispatch and alerts stop taking anything new and finish what they have, side by side, then the
//! store closes, then the admin listener, which says "stopping" until then.

mod certificate;
mod error;
mod listen;
mod parts;
mod queue;
mod vitals;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    certificate::PublicCertificate,
    listen::{listen_for_events, listen_for_people, taking_events},
};
pub use self::{
    error::{RelayError, StartError},
    vitals::Vitals,
};
use crate::{
    admin::{self, Admin, Controls, Guard},
    alerts::{self, Alerts, Senses},
    clock::Clock,
    config::{Config, Endpoint},
    dispatch::Dispatch,
    ingest::{self, Ingest},
    route::Routes,
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
    /// What watches over the rest.
    alerts: TaskTracker,
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
    /// Starts everything that `config` asks for. Ports may be 0: see [`Relay::public_address`].
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        Self::start_on(Inherited::default(), config, clock).await
    }

    /// The same on the sockets that the service manager passed, where it passed some.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start_on(inherited: Inherited, config: Config, clock: Clock) -> Result<Self, StartError> {
        let (public_listener, public) = listen_for_events(config.server.listen, inherited.ingest).await?;
        let (admin_listener, admin) = listen_for_people(&config.admin, inherited.admin).await?;
        let guard = Guard::new(config.admin.token.as_ref(), config.admin.names);
        let mut metrics = Metrics::new(clock.now());
        let certificate = config.server.tls.map(|tls| PublicCertificate::new(tls, &metrics));
        let store = queue::open(&config.queue, &clock, &mut metrics).await?;
        let trail = queue::open_trail(config.queue.path).await?;
        let (leaving, stop, stop_admin) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let (_, watched) = watch::channel(Arc::new(parts::alerts(config.alerts, &config.sources, &metrics)));

        let (routes, current_routes) = watch::channel(Arc::new(config.routes));
        let budgets = config.budgets.into_iter().map(|shared| parts::budget(shared, &clock)).collect();
        let destinations = config.destinations.into_iter();
        let destinations = destinations.map(|one| parts::destination(one, &budgets, &current_routes, &clock));
        let destinations = destinations.collect::<Result<_, _>>()?;
        let metrics = Arc::new(metrics);
        let dispatch = Dispatch::start(destinations, Arc::clone(&store), clock.clone(), &stop, Arc::clone(&metrics));
        let settings = ingest::Settings::new(config.server.max_body, config.server.accept_deadline);
        let sources = config.sources.into_iter().map(parts::source).collect();
        let routes = Arc::clone(&routes.borrow());
        let ingest = Ingest::new(settings, sources, routes, Arc::clone(&store), clock.clone(), Arc::clone(&metrics));
        let alerts = Alerts::new(senses(&dispatch), watched.clone(), Arc::clone(&store), clock.clone());
        let controls = controls(&dispatch, current_routes, watched, &leaving);
        let answers = Admin::new(Arc::clone(&store), clock.clone(), controls, metrics, guard, trail);

        let answers = tracked(admin::serve(admin_listener, Arc::new(answers), stop_admin.clone()));
        let public_listener = taking_events(public_listener, certificate.as_deref())?;
        let ingest = tracked(ingest::serve(public_listener, Arc::new(ingest), stop.clone()));
        if let Some(certificate) = certificate {
            ingest.spawn(certificate.watch(clock.clone(), stop.clone()));
        }
        let alerts = tracked(alerts.run(stop.clone()));
        Ok(Self { public, admin, store, dispatch, ingest, alerts, answers, leaving, stop, stop_admin })
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

    /// Works until `stop` is ready, or until the store fails; then ends in good order.
    ///
    /// # Errors
    /// [`RelayError`]: the store failed, now or while it was closed. Everything that was acknowledged is on disk all the
    /// same.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), RelayError> {
        let Self { store, dispatch, ingest, alerts, answers, leaving, stop: stopping, stop_admin, .. } = self;
        let failure = tokio::select! {
            () = stop => None,
            error = store.failed() => Some(error),
        };
        leaving.cancel();
        stopping.cancel();
        tokio::join!(dispatch.finished(GRACE), ingest.wait(), alerts.wait());
        let closed = store.close().await;
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

fn senses(dispatch: &Dispatch) -> Senses {
    let seen = dispatch.handle();
    Senses { conditions: Box::new(move || seen.conditions()), config_refused_at: Box::new(|| None) }
}

fn controls(
    dispatch: &Dispatch,
    routes: watch::Receiver<Arc<Routes>>,
    alerts: watch::Receiver<Arc<alerts::Settings>>,
    leaving: &CancellationToken,
) -> Controls {
    let (seen, steered) = (dispatch.handle(), dispatch.handle());
    Controls {
        conditions: Box::new(move || seen.conditions()),
        routes: Box::new(move || Arc::clone(&routes.borrow())),
        resume: Box::new(move |destination| steered.resume(destination)),
        test_alert: Box::new(move || alerts.borrow().test()),
        stopping: leaving.clone(),
    }
}
