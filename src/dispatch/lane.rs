//! The lane of one destination: waits for whatever happens first, asks the planner what follows, and does it.
//!
//! Nothing is decided here. The lane owns its attempts and its two hands in the store (one look, one settling) and the
//! one in its budgets, so that a
//! slow store doesn't keep it from seeing what ends, and nothing of it runs on when it has ended.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time,
};
use tokio_util::sync::CancellationToken;

use super::{
    attempts::Attempts,
    budget::{self, Budget, Permit},
    count,
    messages::{Action, Found, Input, Moment},
    notices,
    planner::{self, Planner},
};
use crate::{
    breaker::Condition,
    clock::Clock,
    model::{Name, Order, Timestamp},
    store::{Settled, Settlement, Store, StoreError},
    telemetry::LaneMetrics,
};

/// What a lease lasts beyond the longest attempts: for a task that has to wait for a processor, and for a store that
/// takes its time to settle, as long as a sender may wait for the same disk (`accept_deadline`, 20 s by default).
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// The two stops of a relay, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Stops {
    /// Take nothing new, finish what is on its way.
    pub(super) gently: CancellationToken,
    /// Cut short what is on its way.
    pub(super) at_once: CancellationToken,
}

/// What a lane shares with the world.
#[derive(Clone)]
pub(super) struct Surroundings {
    /// The destination.
    pub(super) name: Name,
    /// The longest that an attempt can take.
    pub(super) timeout: Duration,
    /// What its attempts draw from.
    pub(super) budgets: Arc<[Arc<Budget>]>,
    /// In which order the destination wants the events of a call.
    pub(super) order: Order,
    /// Where deliveries come from.
    pub(super) store: Arc<dyn Store>,
    /// The time.
    pub(super) clock: Clock,
    /// Told when a person resumes the destination.
    pub(super) resume: Arc<Notify>,
    /// Where people read how the destination is doing.
    pub(super) condition: Arc<watch::Sender<Condition>>,
    /// When to end.
    pub(super) stops: Stops,
    /// Where it counts.
    pub(super) metrics: Arc<LaneMetrics>,
}

/// One destination's lane.
pub(super) struct Lane {
    around: Surroundings,
    wake: Arc<Notify>,
    planner: Planner,
    attempts: Attempts,
    look: Hand<Result<Found, StoreError>>,
    settle: Hand<Settling>,
    draw: Hand<Vec<Permit>>,
    /// Drawn, for attempts that haven't begun.
    permits: Vec<Permit>,
    stopping: Stopping,
}

/// A call of the store on its way.
type Hand<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// What was to be settled, and the store's answers.
type Settling = (Vec<Settlement>, Result<Vec<Settled>, StoreError>);

/// Which of the stops the lane has heard of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopping {
    Not,
    Gently,
    AtOnce,
}

impl Lane {
    /// A lane that hasn't begun.
    pub(super) fn new(around: Surroundings, planner: Planner, attempts: Attempts) -> Self {
        let wake = around.store.wake(&around.name);
        Self {
            around,
            wake,
            planner,
            attempts,
            look: None,
            settle: None,
            draw: None,
            permits: Vec::new(),
            stopping: Stopping::Not,
        }
    }

    /// Runs until the stop is complete.
    pub(super) async fn run(mut self) {
        let mut input = Input::Nudged;
        loop {
            let moment = self.moment();
            count::input(&self.around.metrics, &input, moment.now);
            for action in self.planner.apply(input, &moment) {
                self.perform(action);
            }
            self.publish(&moment);
            if self.planner.is_done() {
                return;
            }
            input = self.select(self.planner.wake_at(&moment).since(moment.now)).await;
        }
    }

    fn moment(&self) -> Moment {
        Moment { now: self.around.clock.now(), pause: self.around.store.pause_of(&self.around.name) }
    }

    fn publish(&self, moment: &Moment) {
        let condition = self.planner.condition(moment.now);
        self.around.condition.send_if_modified(|shown| {
            let is_new = *shown != condition;
            *shown = condition;
            is_new
        });
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Look(max) => {
                let (store, name) = (self.around.store.clone(), self.around.name.clone());
                let lease = self.around.timeout.saturating_mul(planner::ROUNDS).saturating_add(LEASE_MARGIN);
                let order = self.around.order;
                self.look = Some(Box::pin(async move { look(&*store, &name, max.get(), lease, order).await }));
            }
            Action::Attempt(claim) => self.attempts.start(claim, self.permits.pop().unwrap_or_default()),
            Action::Draw(most) => {
                let budgets = Arc::clone(&self.around.budgets);
                self.draw = Some(Box::pin(async move { budget::draw(&budgets, most).await }));
            }
            Action::GiveBack(count) => self.permits.truncate(self.permits.len().saturating_sub(count)),
            Action::Settle(settlements) => {
                let store = self.around.store.clone();
                self.settle = Some(Box::pin(async move {
                    let answers = store.settle(settlements.clone()).await;
                    (settlements, answers)
                }));
            }
            Action::Tell(notice) => notices::tell(&self.around.name, &notice),
        }
    }

    /// Waits for whatever happens first, at most for `pause`.
    async fn select(&mut self, pause: Duration) -> Input {
        tokio::select! {
            ended = self.attempts.ended() => Input::Ended(ended),
            found = done(&mut self.look) => Input::Looked(found),
            (settlements, answers) = done(&mut self.settle) => Input::Settled(settlements, answers),
            permits = done(&mut self.draw) => {
                let count = permits.len();
                self.permits.extend(permits);
                Input::Granted(count)
            }
            () = self.around.stops.gently.cancelled(), if self.stopping == Stopping::Not => {
                self.stopping = Stopping::Gently;
                Input::Stopping
            }
            () = self.around.stops.at_once.cancelled(), if self.stopping != Stopping::AtOnce => {
                self.stopping = Stopping::AtOnce;
                self.attempts.interrupt();
                Input::Stopping
            }
            () = self.around.resume.notified() => Input::Resumed,
            () = self.wake.notified() => Input::Nudged,
            () = time::sleep(pause) => Input::Nudged,
        }
    }
}

/// Waits for a hand that is out; forever when none is. The hand stays out when the caller stops waiting.
async fn done<T>(hand: &mut Hand<T>) -> T {
    let Some(call) = hand else { return std::future::pending().await };
    let result = call.await;
    *hand = None;
    result
}

/// Claims what is due and finds out when to look again.
async fn look(store: &dyn Store, name: &Name, max: usize, lease: Duration, order: Order) -> Result<Found, StoreError> {
    let claims = store.claim(name, max, lease, order).await?;
    if claims.len() >= max {
        return Ok(Found { claims, next_due: Some(Timestamp::EPOCH) });
    }
    // When only this fails, the claims are ours all the same: look again soon, and meet it again.
    let next_due = store.next_due(name).await.unwrap_or(Some(Timestamp::EPOCH));
    Ok(Found { claims, next_due })
}
