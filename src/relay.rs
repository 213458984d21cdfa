//! From a [`Config`] to a running relay, and back to nothing running: start order and shutdown order.
//!
//! | start | why then |
//! | --- | --- |
//! | 1. listeners | senders wait in the kernel's backlog while the store recovers, rather than being refused |
//! | 2. store | recovers before anything reads or writes |
//! | 3. dispatch, admin, ingest | |
//!
//! Shutdown goes the other way: ingest and dispatch stop taking anything new and finish what they have, side by side, then the
//! store closes, then the admin listener, which says "stopping" until then.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admin::{self, Admin, Controls},
    clock::Clock,
    config::{self, Config, Destination, Queue, Source},
    dispatch::{self, Budget, Dispatch, Freshness},
    ingest::{self, Ingest},
    model::Name,
    route::Routes,
    send::{Settings, Timeouts, Trust},
    store::{
        Store, StoreError,
        embedded::{Embedded, OpenError, Options, Report, Retention},
    },
    telemetry::Metrics,
};

/// How long attempts may go on after a stop. The systemd unit allows more than this and the deadlines of ingest.
const GRACE: Duration = Duration::from_secs(25);

/// A relay that has started.
pub struct Relay {
    public: SocketAddr,
    admin: SocketAddr,
    store: Arc<dyn Store>,
    dispatch: Dispatch,
    /// The listener that takes events.
    ingest: TaskTracker,
    /// The listener that answers people.
    answers: TaskTracker,
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
        let (public_listener, public) = listen("server.listen", config.server.listen).await?;
        let (admin_listener, admin) = listen("admin.listen", config.admin.listen).await?;
        let mut metrics = Metrics::new(clock.now());
        let store = open_store(&config.queue, &clock, &mut metrics).await?;
        let (stop, stop_admin) = (CancellationToken::new(), CancellationToken::new());

        let budgets = config.budgets.into_iter().map(|shared| budget(shared, &clock)).collect();
        let destinations = config.destinations.into_iter();
        let routes = Arc::new(config.routes);
        let destinations = destinations.map(|configured| destination(configured, &budgets, &routes, &clock)).collect();
        let dispatch = Dispatch::start(destinations, Arc::clone(&store), &clock, &stop, &metrics)?;
        let settings = ingest::Settings::new(config.server.max_body, config.server.accept_deadline);
        let sources = config.sources.into_iter().map(source).collect();
        let ingest = Ingest::new(settings, sources, routes, Arc::clone(&store), clock.clone(), &metrics);
        let controls = controls(&dispatch, &stop);
        let answers = Admin::new(Arc::clone(&store), clock, controls, metrics);

        let answers = tracked(admin::serve(admin_listener, Arc::new(answers), stop_admin.clone()));
        let ingest = tracked(ingest::serve(public_listener, Arc::new(ingest), stop.clone()));
        Ok(Self { public, admin, store, dispatch, ingest, answers, stop, stop_admin })
    }

    /// Where events are taken.
    #[must_use]
    pub fn public_address(&self) -> SocketAddr {
        self.public
    }

    /// Where people's questions are answered.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Works until `stop` is ready, or until the store fails; then ends in good order.
    ///
    /// # Errors
    /// [`RelayError`]: the store failed, now or while it was closed. Everything that was acknowledged is on disk all the
    /// same.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), RelayError> {
        let Self { store, dispatch, ingest, answers, stop: stopping, stop_admin, .. } = self;
        let failure = tokio::select! {
            () = stop => None,
            error = store.failed() => Some(error),
        };
        stopping.cancel();
        tokio::join!(dispatch.finished(GRACE), ingest.wait());
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

async fn listen(setting: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bind = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        io::Result::Ok((listener, bound))
    };
    bind.await.map_err(|source| StartError::Listen { setting, address, source })
}

async fn open_store(queue: &Queue, clock: &Clock, metrics: &mut Metrics) -> Result<Arc<dyn Store>, StartError> {
    let retention = Retention {
        delivered: queue.retention,
        dead_letters: queue.dead_letter_retention,
        deduplication: queue.deduplication,
    };
    let options = Options::new(&queue.path, retention, queue.min_free_disk, clock.clone());
    let options = Options { syncs: metrics.syncs(), ..options };
    let opened = task::spawn_blocking(move || Embedded::open(options)).await;
    let store = opened.map_err(|_| StartError::Bug("the queue"))??;
    let report = store.report();
    tell(report);
    metrics.store_opened(report.rebuilt.is_some().into());
    Ok(Arc::new(store))
}

fn tell(report: &Report) {
    if let Some(reason) = &report.rebuilt {
        tracing::warn!("the queue's index was rebuilt from the journal ({} records): {reason}", report.replayed);
    } else if report.replayed > 0 {
        tracing::info!("the queue's index caught up with {} records of the journal", report.replayed);
    }
}

fn budget(configured: config::Budget, clock: &Clock) -> (Name, Arc<Budget>) {
    let config::Budget { name, rate, concurrency } = configured;
    (name, Arc::new(Budget::new(&rate, concurrency, clock.clone())))
}

fn destination(
    configured: Destination,
    shared: &BTreeMap<Name, Arc<Budget>>,
    routes: &Arc<Routes>,
    clock: &Clock,
) -> dispatch::Destination {
    let settings = Settings {
        timeouts: Timeouts { connect: configured.connect_timeout, total: configured.timeout },
        trust: trust(&configured),
        identity: configured.tls.identity,
        policy: configured.policy,
        grant: configured.grant,
    };
    let is_limited = !configured.rate.is_empty();
    let own = is_limited.then(|| Arc::new(Budget::new(&configured.rate, None, clock.clone())));
    let shared = configured.budget.and_then(|name| shared.get(&name).cloned());
    let budgets = own.into_iter().chain(shared).collect();
    dispatch::Destination {
        name: configured.name,
        target: configured.target,
        settings,
        concurrency: configured.concurrency,
        budgets,
        order: configured.order,
        freshness: Freshness::new(configured.max_age, Arc::clone(routes)),
        retry: configured.retry,
        rules: configured.rules,
    }
}

fn trust(configured: &Destination) -> Trust {
    let (url, token_url) = (configured.target.url.sample(), configured.grant.as_ref().map(|grant| &grant.token_url));
    match &configured.tls.authorities {
        Some(authorities) => Trust::Only(authorities.clone()),
        None => Trust::for_calls_to(token_url.into_iter().chain([&url])),
    }
}

fn source(configured: Source) -> ingest::Source {
    ingest::Source { name: configured.name, path: configured.path, verifier: configured.verifier }
}

fn controls(dispatch: &Dispatch, stop: &CancellationToken) -> Controls {
    let (seen, steered) = (dispatch.handle(), dispatch.handle());
    Controls {
        conditions: Box::new(move || seen.conditions()),
        resume: Box::new(move |destination| steered.resume(destination)),
        stopping: stop.clone(),
    }
}

/// Why the relay can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error("can't listen on {address} ({setting}): {source}")]
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The queue can't be opened.
    #[error("can't open the queue: {0}")]
    Store(#[from] OpenError),
    /// A destination can't be called at all.
    #[error(transparent)]
    Dispatch(#[from] dispatch::StartError),
    /// Something panicked.
    #[error("a bug in the relay, please report it: opening {0} panicked")]
    Bug(&'static str),
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}; nothing that was acknowledged is lost, and a restart recovers it")]
pub struct RelayError(StoreError);
