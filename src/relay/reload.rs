//! Reading the config again while the relay runs, one request after another.
//!
//! Either all of it is taken or nothing: what can't be read, has a mistake or can't be made into clients changes nothing, and
//! everybody who asks is told why.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot, watch,
    },
    task,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    StartError,
    changes::{Changes, Running},
    current::{Applied, Current, Ready, shown_text},
};
use crate::{
    admin::{
        NotReloaded,
        view::{ConfigView, LastReloadView, ReloadView, SourceChangesView},
    },
    clock::Clock,
    config::{Config, LoadError, Severity},
    model::Timestamp,
    telemetry::Metrics,
};

/// Reads the config, always from where it was read at the start.
pub type Loader = Arc<dyn Fn() -> Result<Config, LoadError> + Send + Sync>;

/// Who asks while so many wait hears that there are too many. One more reload helps nobody.
const MOST_WAITING: usize = 16;

/// How long reading may take, certificates and secret files included: they may lie on a file system that hangs.
const READ_DEADLINE: Duration = Duration::from_secs(30);

/// Why the config stays what it is.
pub(super) struct Refusal {
    /// The first thing that is wrong, in a line.
    first: String,
    /// All that is wrong, in lines.
    details: String,
}

impl Refusal {
    fn new(reason: impl Into<String>) -> Self {
        let details = reason.into();
        Self { first: details.lines().next().unwrap_or_default().to_owned(), details }
    }
}

impl From<LoadError> for Refusal {
    fn from(error: LoadError) -> Self {
        let LoadError::Invalid(problems) = &error else {
            return Self::new(format!("{}\n{}", error.with_cause(), error.advice()));
        };
        let first = problems.iter().find(|problem| problem.severity() == Severity::Error).map(|problem| {
            let line = problems.position(problem).map_or_else(String::new, |position| format!(":{}", position.line));
            format!("{}{line}: {}", problems.file_name(), problem.message())
        });
        Self { first: first.unwrap_or_default(), details: problems.to_string() }
    }
}

impl From<StartError> for Refusal {
    fn from(error: StartError) -> Self {
        Self::new(error.to_string())
    }
}

const STOPPING: NotReloaded = NotReloaded::Unread("the relay is stopping");

/// What comes of a reload.
type Outcome = Result<ReloadView, Refusal>;

/// Asks for reloads. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    requests: mpsc::Sender<oneshot::Sender<Outcome>>,
}

/// Requests for reloads, in the order in which they are answered.
pub(super) type Requests = mpsc::Receiver<oneshot::Sender<Outcome>>;

impl Reloader {
    /// Who asks, and what was asked.
    pub(super) fn new() -> (Self, Requests) {
        let (requests, waiting) = mpsc::channel(MOST_WAITING);
        (Self { requests }, waiting)
    }

    /// Reads the config again and makes the relay what it says now.
    ///
    /// # Errors
    /// [`NotReloaded`]: the relay goes on as before.
    pub async fn reload(&self) -> Result<ReloadView, NotReloaded> {
        let (reply, outcome) = oneshot::channel();
        self.requests.try_send(reply).map_err(|error| match error {
            TrySendError::Full(_) => NotReloaded::Unread("too many want the config to be read again at the same time"),
            TrySendError::Closed(_) => STOPPING,
        })?;
        outcome.await.map_err(|_| STOPPING)?.map_err(|refusal| NotReloaded::Refused(refusal.details))
    }
}

/// What people see of the config with which a relay starts.
pub(super) fn shown(config: &Config, loaded_at: Timestamp) -> ConfigView {
    let (path, text) = (config.file_name().to_owned(), shown_text(config));
    ConfigView { path, loaded_at, text, needs_restart: Vec::new(), last_reload: None }
}

/// What reloads, until the relay stops.
pub(super) struct Reloads {
    pub(super) load: Loader,
    pub(super) current: Current,
    pub(super) shown: watch::Sender<ConfigView>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
}

impl Reloads {
    /// Answers all `requests`, until `stop`.
    pub(super) async fn answer(mut self, mut requests: Requests, stop: CancellationToken) {
        while let Some(Some(reply)) = stop.run_until_cancelled(requests.recv()).await {
            let Some(outcome) = stop.run_until_cancelled(self.reload()).await else { return };
            // Whoever asked may have gone. What was read counts all the same.
            let _gone = reply.send(outcome);
        }
    }

    async fn reload(&mut self) -> Outcome {
        let ready = read(Arc::clone(&self.load), self.current.running().clone()).await;
        let at = self.clock.now();
        let outcome = ready.map(|ready| self.take(ready, at));
        self.remember(&outcome, at);
        outcome
    }

    fn take(&mut self, ready: Ready, at: Timestamp) -> ReloadView {
        let (text, warnings) = (ready.text(), ready.warnings());
        let Applied { destinations, sources, needs_restart } = self.current.apply(ready);
        tell(&destinations, &sources, &needs_restart, &warnings);
        let needs_restart: Vec<String> = needs_restart.into_iter().map(str::to_owned).collect();
        self.shown.send_modify(|shown| {
            (shown.loaded_at, shown.text) = (at, text);
            shown.needs_restart.clone_from(&needs_restart);
        });
        let Changes { added, changed, removed, unchanged } = destinations;
        let sources = sources.into();
        ReloadView { loaded_at: at, added, changed, removed, unchanged, sources, needs_restart, warnings }
    }

    /// Keeps what came of it for those who look later.
    fn remember(&self, outcome: &Outcome, at: Timestamp) {
        match outcome {
            Ok(_) => self.metrics.config_taken(at),
            Err(refusal) => {
                self.metrics.config_refused();
                tracing::error!(
                    "the config isn't taken, and the relay goes on as before: {}",
                    refusal.details.trim_end()
                );
            }
        }
        let refusal = outcome.as_ref().err();
        let last_reload = LastReloadView {
            at,
            ok: refusal.is_none(),
            problem: refusal.map(|refusal| refusal.first.clone()),
            problems: refusal.map(|refusal| refusal.details.clone()),
        };
        self.shown.send_modify(|shown| shown.last_reload = Some(last_reload));
    }
}

/// Reads the config and makes all of it ready, where it may block.
async fn read(load: Loader, running: Running) -> Result<Ready, Refusal> {
    let reading = task::spawn_blocking(move || Ok(Ready::new(load()?, &running)?));
    match timeout(READ_DEADLINE, reading).await {
        Ok(Ok(ready)) => ready,
        Ok(Err(_)) => Err(Refusal::new("a bug in the relay, please report it: reading the config panicked")),
        Err(_) => Err(Refusal::new(format!("reading the config took longer than {READ_DEADLINE:?}"))),
    }
}

fn tell(destinations: &Changes, sources: &Changes, needs_restart: &[&str], warnings: &str) {
    let lists = [("destinations", destinations), ("sources", sources)];
    let told = lists.into_iter().filter_map(|(what, changes)| Some(format!("; {what}: {}", changes.words()?)));
    tracing::info!(
        "the config was read again{}; {} destinations as before",
        told.collect::<String>(),
        destinations.unchanged.len()
    );
    if !needs_restart.is_empty() {
        tracing::warn!("the config has changes that wait for the relay's next start: {}", needs_restart.join(", "));
    }
    if !warnings.is_empty() {
        tracing::warn!("{}", warnings.trim_end());
    }
}

impl From<Changes> for SourceChangesView {
    fn from(changes: Changes) -> Self {
        let Changes { added, changed, removed, unchanged } = changes;
        Self { added, changed, removed, unchanged }
    }
}
