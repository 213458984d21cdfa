//! Delivery: a lane for each destination, which claims, asks the breaker, makes the request, sends it and settles.
//!
//! Lanes share nothing but the store. Each has its own task, its own connections and its own idea of its destination's
//! health, so a dead destination delays nobody else. Within a lane `select().await` is followed by a synchronous
//! `apply(input) -> actions` of the planner: an hour of scheduling is an ordinary unit test.
//!
//! A claim is settled after its attempt has ended. What isn't settled (a crash, a full disk, a lost lease) comes again
//! under the same idempotency key: at least once, never silently not at all.
//!
//! Deliveries for a destination that the config doesn't name have no lane. They stay where they are until it is named again.

mod attempts;
mod budget;
mod count;
mod freshness;
mod lane;
mod messages;
mod notices;
mod planner;

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time,
};
use tokio_util::sync::CancellationToken;

use self::{
    attempts::{Attempts, Way},
    lane::{Lane, Stops, Surroundings},
    planner::{Draws, Planner},
};
pub use self::{budget::Budget, freshness::Freshness};
use crate::{
    breaker::{Breaker, Condition},
    clock::Clock,
    model::{Name, Order},
    outcome::Rules,
    retry::RetryPolicy,
    send::{self, Client, ClientError},
    store::{Pause, Store},
    telemetry::{LaneMetrics, Metrics},
    transform::Target,
};

/// How long a lane that failed by a bug of ours stays down before it starts anew.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// How long the last settlements may take after the grace: one sync of the disk, on a bad day.
const LAST_SETTLING: Duration = Duration::from_secs(2);

/// What is known of a destination.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its name.
    pub name: Name,
    /// Where and how it wants to be called.
    pub target: Target,
    /// How it is called.
    pub settings: send::Settings,
    /// How many attempts may be on their way at once.
    pub concurrency: NonZeroUsize,
    /// What its attempts draw from; several destinations may have one in common.
    pub budgets: Vec<Arc<Budget>>,
    /// In which order it wants the events of a call.
    pub order: Order,
    /// Up to which age deliveries are of use to it.
    pub freshness: Freshness,
    /// How failed deliveries are tried again.
    pub retry: RetryPolicy,
    /// What is known of its answers.
    pub rules: Rules,
}

/// All lanes, running.
pub struct Dispatch {
    lanes: JoinSet<()>,
    stops: Stops,
    handle: Handle,
}

impl Dispatch {
    /// Starts a lane for each destination, which counts in `metrics`. They take nothing new once `stop` is cancelled.
    ///
    /// # Errors
    /// [`StartError`] when a destination can't be called at all; nothing runs then.
    pub fn start(
        destinations: Vec<Destination>,
        store: Arc<dyn Store>,
        clock: &Clock,
        stop: &CancellationToken,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let stops = Stops { gently: stop.child_token(), at_once: CancellationToken::new() };
        let mut lanes = JoinSet::new();
        let mut shown = BTreeMap::new();
        for destination in destinations {
            let name = destination.name.clone();
            let client = Client::new(destination.settings.clone())
                .map_err(|source| StartError { destination: name.clone(), source })?;
            let lane_metrics = Arc::new(metrics.lane(&name));
            let (around, visible) = surroundings(&destination, &client, &store, clock, &stops, lane_metrics);
            shown.insert(name.clone(), visible);
            let run = move || lane(&destination, client.clone(), around.clone()).run();
            lanes.spawn(supervised(name, run, stops.gently.clone()));
        }
        Ok(Self { lanes, stops, handle: Handle { shown: Arc::new(shown), store } })
    }

    /// For people: how the destinations are doing, and how to resume one.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops all lanes and waits until they have ended. They take nothing new, and what is on its way may take up to
    /// `grace`; what then still is is cut short, released and delivered after the next start.
    pub async fn finished(mut self, grace: Duration) {
        self.stops.gently.cancel();
        if time::timeout(grace, all(&mut self.lanes)).await.is_ok() {
            return;
        }
        tracing::warn!("the grace period is over: attempts are cut short, they will be made again");
        self.stops.at_once.cancel();
        if time::timeout(LAST_SETTLING, all(&mut self.lanes)).await.is_err() {
            tracing::error!("the store doesn't take the last settlements: what they say will be repeated");
            self.lanes.shutdown().await;
        }
    }
}

/// Lets people see and steer the lanes. Cheap to clone; outlives them.
#[derive(Clone)]
pub struct Handle {
    shown: Arc<BTreeMap<Name, Shown>>,
    store: Arc<dyn Store>,
}

/// What a lane shows of itself, and where it listens.
struct Shown {
    condition: watch::Receiver<Condition>,
    resume: Arc<Notify>,
}

impl Handle {
    /// How each destination is doing. A pause by people comes before all else: it is what has to end first.
    #[must_use]
    pub fn conditions(&self) -> BTreeMap<Name, Condition> {
        self.shown.iter().map(|(name, shown)| (name.clone(), self.condition(name, shown))).collect()
    }

    fn condition(&self, name: &Name, shown: &Shown) -> Condition {
        if let Some(Pause { since, until, reason }) = self.store.pause_of(name) {
            return Condition::Paused { since, until, reason };
        }
        shown.condition.borrow().clone()
    }

    /// Says that a destination is well again, whatever its lane thinks: it starts anew, at the beginning of its ramp. A
    /// pause by people stays.
    pub fn resume(&self, destination: &Name) {
        if let Some(shown) = self.shown.get(destination) {
            shown.resume.notify_one();
        }
    }
}

/// Why the lanes can't start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("destination `{destination}`: {source}")]
pub struct StartError {
    destination: Name,
    source: ClientError,
}

/// What a lane needs around it, and what people see of it.
fn surroundings(
    destination: &Destination,
    client: &Client,
    store: &Arc<dyn Store>,
    clock: &Clock,
    stops: &Stops,
    metrics: Arc<LaneMetrics>,
) -> (Surroundings, Shown) {
    let (condition, shown) = watch::channel(Condition::Flowing);
    let resume = Arc::new(Notify::new());
    let around = Surroundings {
        name: destination.name.clone(),
        timeout: client.longest_attempt(),
        budgets: destination.budgets.clone().into(),
        order: destination.order,
        store: Arc::clone(store),
        clock: clock.clone(),
        resume: Arc::clone(&resume),
        condition: Arc::new(condition),
        stops: stops.clone(),
        metrics,
    };
    (around, Shown { condition: shown, resume })
}

fn lane(destination: &Destination, client: Client, around: Surroundings) -> Lane {
    let draws = if destination.budgets.is_empty() { Draws::Unlimited } else { Draws::Holding(0) };
    let health = Breaker::new(destination.concurrency, destination.retry.backoff());
    let planner = Planner::new(health, destination.retry, destination.freshness.clone(), draws);
    let way = Way {
        target: destination.target.clone(),
        client,
        rules: destination.rules.clone(),
        store: Arc::clone(&around.store),
        clock: around.clock.clone(),
    };
    Lane::new(around, planner, Attempts::new(way))
}

/// Runs a lane until it ends, and anew when it panics: a bug of ours must not silence a destination. What the lane held
/// comes again when its leases have passed.
async fn supervised<F>(destination: Name, run: impl Fn() -> F, stop: CancellationToken)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut task = JoinSet::new();
        task.spawn(run());
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(%destination, "a bug in the relay, please report it: the lane panicked and starts anew");
            }
            _ => return,
        }
        if stop.run_until_cancelled(time::sleep(RESTART_PAUSE)).await.is_none() {
            return;
        }
    }
}

async fn all(lanes: &mut JoinSet<()>) {
    while lanes.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_panics_starts_anew() {
        let runs = AtomicU32::new(0);
        let panics_twice = || {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            async move { assert!(run >= 2, "this panic is the test's") }
        };
        supervised(Name::new("crm").unwrap(), panics_twice, CancellationToken::new()).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }
}
