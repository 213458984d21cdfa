//! The lane of one destination: waits for whatever happens first, asks the planner what follows, and does it.
//!
//! Nothing is decided here. The lane owns its attempts and its two hands in the store (one look, one settling) and the
//! one in its budgets, so that a
//! slow store doesn't keep it from seeing what ends, and nothing of it runs on when it has ended.
//!
//! When its destination becomes another, what is on its way goes on as it began, and the rest of the lane is made anew around
//! it. When there is no destination any more, it ends as at a stop.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time,
};
use tokio_util::sync::CancellationToken;

use super::{
    Destination,
    attempts::{Attempts, Way},
    budget::{self, Permit},
    count,
    lanes::Current,
    messages::{Action, Found, Input, Moment, Terms},
    notices,
    planner::{self, Draws, Planner},
    pulse::Heart,
    tell::Teller,
    trace,
};
use crate::{
    breaker::{Breaker, Condition},
    clock::Clock,
    model::{Name, Order, Timestamp},
    store::{Settled, Settlement, Store, StoreError},
    telemetry::{LaneMetrics, Traces},
};

/// What a lease lasts beyond the longest attempts: for a task that has to wait for a processor, and for a store that
/// takes its time to settle, as long as a sender may wait for the same disk (`accept_deadline`, 20 s by default).
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// The stops of a relay, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Stops {
    /// Take nothing new, finish what is on its way.
    pub(super) gently: CancellationToken,
    /// Cut short what is on its way.
    pub(super) at_once: CancellationToken,
    /// Leave it to the next start what isn't settled.
    pub(super) unsettled: CancellationToken,
}

impl Stops {
    /// Stops, the first of which comes with `stop`.
    pub(super) fn after(stop: &CancellationToken) -> Self {
        let later = CancellationToken::new;
        Self { gently: stop.child_token(), at_once: later(), unsettled: later() }
    }
}

/// What a lane shares with the world.
#[derive(Clone)]
pub(super) struct Surroundings {
    /// The destination's name.
    pub(super) name: Name,
    /// Where deliveries come from.
    pub(super) store: Arc<dyn Store>,
    /// The time.
    pub(super) clock: Clock,
    /// Told when a person resumes the destination.
    pub(super) resume: Arc<Notify>,
    /// Where people read how the destination is doing.
    pub(super) condition: Arc<watch::Sender<Condition>>,
    /// By which it is seen to turn.
    pub(super) heart: Heart,
    /// When to end.
    pub(super) stops: Stops,
    /// Where it counts.
    pub(super) metrics: Arc<LaneMetrics>,
    /// Where it tells of attempts.
    pub(super) traces: Traces,
}

/// One destination's lane.
pub(super) struct Lane {
    around: Surroundings,
    destination: Arc<Destination>,
    /// Tells when the destination is another.
    following: watch::Receiver<Current>,
    wake: Arc<Notify>,
    planner: Planner,
    attempts: Attempts,
    look: Hand<Result<Found, StoreError>>,
    settle: Hand<Settling>,
    draw: Hand<Vec<Permit>>,
    /// Drawn, for attempts that haven't begun.
    permits: Vec<Permit>,
    teller: Teller,
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
    /// A lane to `destination` that hasn't begun. It knows of what `following` has told so far.
    pub(super) fn new(
        around: Surroundings,
        destination: Arc<Destination>,
        following: watch::Receiver<Current>,
    ) -> Self {
        Self {
            wake: around.store.wake(&around.name),
            planner: Planner::new(terms(&destination)),
            attempts: Attempts::new(way(&destination, &around)),
            teller: Teller::new(around.metrics.feed().clone()),
            around,
            destination,
            following,
            look: None,
            settle: None,
            draw: None,
            permits: Vec::new(),
            stopping: Stopping::Not,
        }
    }

    /// Runs until a stop is complete, or the destination is gone.
    pub(super) async fn run(mut self) {
        let mut input = Input::Nudged;
        loop {
            let moment = self.moment();
            count::input(&self.around.metrics, &input, moment.now);
            self.teller.input(&input, moment.now);
            trace::input(&self.around.traces, &input);
            for action in self.planner.apply(input, &moment) {
                self.perform(action);
            }
            self.publish(&moment);
            self.around.heart.beat();
            if self.planner.is_done() {
                return;
            }
            input = self.select(self.planner.wake_at(&moment).since(moment.now)).await;
        }
    }

    fn moment(&self) -> Moment {
        Moment { now: self.around.clock.now(), pause: self.around.store.pause_of(&self.around.name) }
    }

    fn publish(&mut self, moment: &Moment) {
        let condition = self.planner.condition(moment.now);
        self.teller.condition(&self.around.name, &condition, moment.pause.as_ref());
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
                let longest = self.destination.client.longest_attempt();
                let lease = longest.saturating_mul(planner::ROUNDS).saturating_add(LEASE_MARGIN);
                let order = self.destination.order;
                self.look = Some(Box::pin(async move { look(&*store, &name, max.get(), lease, order).await }));
            }
            Action::Attempt(claim) => self.attempts.start(claim, self.permits.pop().unwrap_or_default()),
            Action::Draw(most) => {
                let destination = Arc::clone(&self.destination);
                self.draw = Some(Box::pin(async move { budget::draw(&destination.budgets, most).await }));
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
            Ok(()) = self.following.changed(), if self.stopping == Stopping::Not => self.follow(),
            () = self.around.resume.notified() => Input::Resumed,
            () = self.wake.notified() => Input::Nudged,
            () = self.around.heart.wanted() => Input::Nudged,
            () = time::sleep(pause) => Input::Nudged,
        }
    }

    /// Becomes the lane of what the destination is now. Permits that no attempt was made with go back to the budgets that
    /// they came from.
    fn follow(&mut self) -> Input {
        let Some(destination) = self.following.borrow_and_update().clone() else { return Input::Stopping };
        self.draw = None;
        self.permits.clear();
        self.attempts.go(way(&destination, &self.around));
        self.destination = destination;
        Input::Changed(Box::new(terms(&self.destination)))
    }
}

/// What a destination wants of its planner.
fn terms(destination: &Destination) -> Terms {
    Terms {
        policy: destination.retry,
        breaker: Breaker::new(destination.concurrency, destination.retry.backoff()),
        freshness: destination.freshness.clone(),
        draws: if destination.budgets.is_empty() { Draws::Unlimited } else { Draws::Holding(0) },
    }
}

/// How a destination is called.
fn way(destination: &Destination, around: &Surroundings) -> Way {
    Way {
        target: destination.target.clone(),
        client: destination.client.clone(),
        rules: destination.rules.clone(),
        store: Arc::clone(&around.store),
        clock: around.clock.clone(),
        sampling: around.traces.sampling(),
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
