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
//!
//! Destinations come, change and go while the lanes run ([`Handle::apply`]). What is on its way is finished as it began;
//! what hasn't begun yet follows the new settings, and a lane whose destination is as before notices nothing.

mod attempts;
mod budget;
mod count;
mod freshness;
mod lane;
mod lanes;
mod messages;
mod notices;
mod planner;
mod pulse;
mod tell;
mod trace;

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::time;
use tokio_util::sync::CancellationToken;

use self::lanes::Lanes;
pub use self::{budget::Budget, freshness::Freshness};
use crate::{
    breaker::Condition,
    clock::Clock,
    model::{Name, Order},
    outcome::Rules,
    retry::RetryPolicy,
    send::Client,
    store::Store,
    telemetry::Metrics,
    transform::Target,
};

/// How long the last settlements may take after the grace: one sync of the disk, on a bad day.
const LAST_SETTLING: Duration = Duration::from_secs(2);

/// What is known of a destination.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its name.
    pub name: Name,
    /// Where and how it wants to be called.
    pub target: Target,
    /// Calls it.
    pub client: Client,
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

/// What a destination shall be from now on.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// What it is: nothing of it is touched.
    Same(Name),
    /// This, whether there was one of its name before or not. It starts anew.
    New(Arc<Destination>),
}

/// All lanes, running.
pub struct Dispatch {
    handle: Handle,
}

impl Dispatch {
    /// Starts a lane for each destination, which counts in `metrics`. They take nothing new once `stop` is cancelled.
    #[must_use]
    pub fn start(
        destinations: Vec<Destination>,
        store: Arc<dyn Store>,
        clock: Clock,
        stop: &CancellationToken,
        metrics: Arc<Metrics>,
    ) -> Self {
        let handle = Handle { lanes: Arc::new(Lanes::new(store, clock, stop, metrics)) };
        handle.apply(destinations.into_iter().map(Arc::new).map(Wanted::New).collect());
        Self { handle }
    }

    /// For people and for who reads the config again: how the destinations are doing, and how to steer them.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops all lanes and waits until they have ended. They take nothing new, and what is on its way may take up to
    /// `grace`; what then still is is cut short, released and delivered after the next start.
    pub async fn finished(self, grace: Duration) {
        let lanes = &self.handle.lanes;
        lanes.stops().gently.cancel();
        if time::timeout(grace, lanes.ended()).await.is_ok() {
            return;
        }
        tracing::warn!("the grace period is over: attempts are cut short, they will be made again");
        lanes.stops().at_once.cancel();
        if time::timeout(LAST_SETTLING, lanes.ended()).await.is_err() {
            tracing::error!("the store doesn't take the last settlements: what they say will be repeated");
            lanes.stops().unsettled.cancel();
            lanes.ended().await;
        }
    }
}

/// Lets people see and steer the lanes. Cheap to clone; outlives them.
#[derive(Clone)]
pub struct Handle {
    lanes: Arc<Lanes>,
}

impl Handle {
    /// How each destination is doing. A pause by people comes before all else: it is what has to end first.
    #[must_use]
    pub fn conditions(&self) -> BTreeMap<Name, Condition> {
        self.lanes.conditions()
    }

    /// Says that a destination is well again, whatever its lane thinks: it starts anew, at the beginning of its ramp. A
    /// pause by people stays.
    pub fn resume(&self, destination: &Name) {
        self.lanes.resume(destination);
    }

    /// Waits until each lane has made a turn that was asked for now: none of them is stuck.
    pub async fn turned(&self) {
        self.lanes.turned().await;
    }

    /// Makes `wanted` the destinations, all of them: one that isn't there gets nothing new, and what waits for it stays
    /// where it is.
    pub fn apply(&self, wanted: Vec<Wanted>) {
        self.lanes.apply(wanted);
    }
}
