//! Which lanes there are: one for each destination that the config names or has named.
//!
//! A lane never shares its destination with another, not even for the time that the one needs to end: where a destination
//! goes and comes back, the same lane goes on, and `concurrency` holds all the while.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Destination, Wanted,
    lane::{Lane, Stops, Surroundings},
    pulse::{self, Pulse},
};
use crate::{
    breaker::Condition,
    clock::Clock,
    model::Name,
    store::{Pause, Store},
    telemetry::Metrics,
};

/// How long a lane that failed by a bug of ours stays down before it starts anew.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// What a destination is now; `None` while the config doesn't name it.
pub(super) type Current = Option<Arc<Destination>>;

/// The lanes, by the names of their destinations.
pub(super) struct Lanes {
    reins: Mutex<BTreeMap<Name, Reins>>,
    tasks: TaskTracker,
    store: Arc<dyn Store>,
    clock: Clock,
    stops: Stops,
    metrics: Arc<Metrics>,
}

/// By what a lane is held.
struct Reins {
    current: watch::Sender<Current>,
    condition: watch::Receiver<Condition>,
    resume: Arc<Notify>,
    pulse: Pulse,
}

impl Lanes {
    /// None yet. They take nothing new once `stop` is cancelled.
    pub(super) fn new(store: Arc<dyn Store>, clock: Clock, stop: &CancellationToken, metrics: Arc<Metrics>) -> Self {
        Self { reins: Mutex::default(), tasks: TaskTracker::new(), store, clock, stops: Stops::after(stop), metrics }
    }

    /// By what they are stopped.
    pub(super) fn stops(&self) -> &Stops {
        &self.stops
    }

    /// Waits until all have ended, after a stop.
    pub(super) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// How each destination that the config names is doing.
    pub(super) fn conditions(&self) -> BTreeMap<Name, Condition> {
        let reins = self.reins();
        let named = reins.iter().filter(|(_, reins)| reins.current.borrow().is_some());
        named.map(|(name, reins)| (name.clone(), self.condition(name, reins))).collect()
    }

    fn condition(&self, name: &Name, reins: &Reins) -> Condition {
        if let Some(Pause { since, until, reason }) = self.store.pause_of(name) {
            return Condition::Paused { since, until, reason };
        }
        reins.condition.borrow().clone()
    }

    /// Tells a lane that its destination is well again.
    pub(super) fn resume(&self, destination: &Name) {
        if let Some(reins) = self.reins().get(destination) {
            reins.resume.notify_one();
        }
    }

    /// Waits until each lane has made a turn that was asked for now. One without a destination makes none.
    pub(super) async fn turned(&self) {
        let pulse = |reins: &Reins| (reins.pulse.clone(), reins.current.subscribe());
        let pulses: Vec<_> = self.reins().values().map(pulse).collect();
        for (pulse, mut current) in pulses {
            tokio::select! {
                () = pulse.feel() => {}
                _ = current.wait_for(Option::is_none) => {}
            }
        }
    }

    /// Brings the lanes into line with what is wanted.
    pub(super) fn apply(&self, wanted: Vec<Wanted>) {
        let mut reins = self.reins();
        let mut named = BTreeSet::new();
        for wanted in wanted {
            match wanted {
                Wanted::Same(name) => drop(named.insert(name)),
                Wanted::New(destination) => {
                    let name = destination.name.clone();
                    let lane = reins.entry(name.clone()).or_insert_with(|| self.begin(&name));
                    lane.current.send_replace(Some(destination));
                    named.insert(name);
                }
            }
        }
        for (_, gone) in reins.iter().filter(|(name, _)| !named.contains(*name)) {
            gone.current.send_if_modified(|current| current.take().is_some());
        }
    }

    /// Begins a lane, which waits for its destination.
    fn begin(&self, name: &Name) -> Reins {
        let (current, following) = watch::channel(None);
        let (condition, shown) = watch::channel(Condition::Flowing);
        let (resume, (heart, pulse)) = (Arc::new(Notify::new()), pulse::heart());
        let around = Surroundings {
            name: name.clone(),
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
            resume: Arc::clone(&resume),
            condition: Arc::new(condition),
            heart,
            stops: self.stops.clone(),
            metrics: Arc::new(self.metrics.lane(name)),
            traces: self.metrics.traces().clone(),
        };
        let run = move |destination, following| Lane::new(around.clone(), destination, following).run();
        let (name, stops) = (name.clone(), self.stops.clone());
        self.tasks.spawn(async move {
            stops.unsettled.run_until_cancelled(supervised(name, following, run, &stops.gently)).await;
        });
        Reins { current, condition: shown, resume, pulse }
    }

    /// What a panic left is as good as what was there before: each change is one step.
    fn reins(&self) -> MutexGuard<'_, BTreeMap<Name, Reins>> {
        self.reins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a lane while there is a destination for it, until `stop`; and anew when it panics: a bug of ours must not silence a
/// destination. What the lane held comes again when its leases have passed.
async fn supervised<F>(
    name: Name,
    mut following: watch::Receiver<Current>,
    run: impl Fn(Arc<Destination>, watch::Receiver<Current>) -> F,
    stop: &CancellationToken,
) where
    F: Future<Output = ()> + Send + 'static,
{
    while let Some(Some(destination)) = stop.run_until_cancelled(named(&mut following)).await {
        let mut task = JoinSet::new();
        task.spawn(run(destination, following.clone()));
        if let Some(Err(error)) = task.join_next().await
            && error.is_panic()
        {
            tracing::error!(destination = %name, "a bug in the relay, please report it: the lane panicked and starts anew");
            stop.run_until_cancelled(time::sleep(RESTART_PAUSE)).await;
        }
    }
}

/// Waits until the config names the destination; `None` when it never will again.
async fn named(following: &mut watch::Receiver<Current>) -> Current {
    following.wait_for(Option::is_some).await.ok()?.clone()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::{
        address::Policy,
        model::Order,
        outcome::Rules,
        retry::RetryPolicy,
        send::{Client, Settings, Timeouts, Trust},
        transform::{Address, Target},
    };

    fn crm() -> Name {
        Name::new("crm").unwrap()
    }

    fn destination() -> Arc<Destination> {
        let second = Duration::from_secs(1);
        let settings = Settings {
            timeouts: Timeouts { connect: second, total: second },
            trust: Trust::Nobody,
            identity: None,
            policy: Policy::AllowPrivate,
            grant: None,
        };
        Arc::new(Destination {
            name: crm(),
            target: Target::new(Address::fixed("http://127.0.0.1:1/".parse().unwrap())),
            client: Client::new(settings).unwrap(),
            concurrency: 1.try_into().unwrap(),
            budgets: Vec::new(),
            order: Order::None,
            freshness: crate::dispatch::Freshness::default(),
            retry: RetryPolicy::try_new(second, second, second).unwrap(),
            rules: Rules::default(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_panics_starts_anew() {
        let (runs, stop) = (AtomicU32::new(0), CancellationToken::new());
        let (_current, following) = watch::channel(Some(destination()));
        let panics_twice = |_, _| {
            let (run, stop) = (runs.fetch_add(1, Ordering::SeqCst), stop.clone());
            async move {
                assert!(run >= 2, "this panic is the test's");
                stop.cancel();
            }
        };
        supervised(crm(), following, panics_twice, &stop).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_runs_when_there_is_a_destination_and_ends_for_good_when_nobody_can_name_one() {
        let runs = AtomicU32::new(0);
        let (current, following) = watch::channel(None);
        let run = |_, mut following: watch::Receiver<Current>| {
            runs.fetch_add(1, Ordering::SeqCst);
            async move { drop(following.wait_for(Option::is_none).await.map(|_| ())) }
        };
        let named_twice = async {
            for _ in 0..2 {
                current.send_replace(Some(destination()));
                time::sleep(RESTART_PAUSE).await;
                current.send_replace(None);
                time::sleep(RESTART_PAUSE).await;
            }
            drop(current);
        };
        let stop = CancellationToken::new();
        tokio::join!(supervised(crm(), following, run, &stop), named_twice);
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }
}
