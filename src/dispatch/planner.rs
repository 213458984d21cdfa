//! What a lane does next. Pure: things happen ([`Input`]) at a [`Moment`], and the planner says what to do
//! ([`Action`]); it never waits and asks nobody.
//!
//! Its rules:
//!
//! - At most one look into the queue and one settling are on their way. What ends meanwhile is settled together.
//! - A look asks for no more than may start now. What it brings is started at once, or released if the destination no longer
//!   admits it.
//! - The queue is looked into when something may be there: after a hint, when the next delivery is due, and after
//!   [`LOOK_EVERY`] in any case, because hints may be lost and clocks may be set.
//! - While the store fails, nothing new is taken, and what ended waits: a lost settlement means a second delivery.
//! - After the stop nothing is taken; the lane is done when all that was on its way is settled.

use std::{
    mem::{self, Discriminant},
    num::NonZeroUsize,
    time::Duration,
};

use crate::{
    breaker::{Admission, Breaker, Condition},
    model::{Attempt, DeadReason, Delivery, DeliveryId, Timestamp, Verdict},
    outcome::Meaning,
    retry::RetryPolicy,
    store::{Claim, ClaimToken, Pause, Settled, Settlement, StoreError},
};

/// How long the queue goes without a look when nothing hints at new work. A look costs microseconds; a lost hint costs so much
/// delay.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// When to look again after a look that found nothing although the store says that something is due.
const CONTRADICTION_PAUSE: Duration = Duration::from_millis(100);

/// How long a store that failed is left alone.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Settlements that may wait for the one before them; more means that the store is slower than the destination, and then
/// nothing new is taken. At up to 2 KiB each they stay below 2 MiB.
const MAX_UNSETTLED: usize = 1024;

/// When something happens, and what people want at that time.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    /// The time.
    pub(super) now: Timestamp,
    /// The pause that people put on the destination.
    pub(super) pause: Option<Pause>,
}

/// What happens to a lane.
#[derive(Debug)]
pub(super) enum Input {
    /// There may be something to do: a hint, or the time has come.
    Nudged,
    /// A look into the queue is over.
    Looked(Result<Found, StoreError>),
    /// Attempts are over.
    Ended(Vec<Ended>),
    /// A settling is over.
    Settled(Vec<Settlement>, Result<Vec<Settled>, StoreError>),
    /// A person says that the destination is well again.
    Resumed,
    /// The relay stops.
    Stopping,
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Action {
    /// Claim up to so many deliveries.
    Look(NonZeroUsize),
    /// Attempt this delivery.
    Attempt(Claim),
    /// Tell the store what became of these.
    Settle(Vec<Settlement>),
    /// Tell people.
    Tell(Notice),
}

/// What people may want to know.
#[derive(Debug)]
pub(super) enum Notice {
    /// The destination's condition is another kind of condition now.
    Condition(Condition),
    /// A delivery was given up.
    Dead(DeliveryId, DeadReason),
    /// The store didn't take what became of a delivery: its lease had passed.
    LeaseLost(DeliveryId),
    /// The store fails.
    StoreFails(StoreError),
    /// It does its work again.
    StoreWorks,
}

/// What a look found.
#[derive(Debug)]
pub(super) struct Found {
    /// Deliveries, claimed for us.
    pub(super) claims: Vec<Claim>,
    /// When the next one is due: in the past when there may be more already, `None` when nothing waits.
    pub(super) next_due: Option<Timestamp>,
}

/// An attempt that is over.
#[derive(Debug)]
pub(super) struct Ended {
    /// The delivery.
    pub(super) id: DeliveryId,
    /// The claim that it was attempted under.
    pub(super) token: ClaimToken,
    /// The delivery as it stood before.
    pub(super) delivery: Delivery,
    /// What happened.
    pub(super) attempt: Attempt,
    /// What it means.
    pub(super) meaning: Meaning,
    /// A random fraction in `0.0..1.0`, for what is decided about it.
    pub(super) roll: f64,
}

/// The state of a lane.
#[derive(Debug)]
pub(super) struct Planner {
    policy: RetryPolicy,
    breaker: Breaker,
    /// Attempts on their way.
    in_flight: usize,
    look: Look,
    /// What ended and isn't with the store yet.
    unsettled: Vec<Settlement>,
    settling: Settling,
    store: StoreHealth,
    life: Life,
    /// The kind of condition that people were told of last.
    told: Discriminant<Condition>,
}

#[derive(Debug, Clone, Copy)]
enum Look {
    /// The next one is due then.
    At(Timestamp),
    /// One is on its way. Since it began we learned that another is due then.
    Pending { again: Timestamp },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settling {
    Idle,
    Pending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StoreHealth {
    Works,
    FailsUntil(Timestamp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Stopping,
}

impl Planner {
    /// A lane that knows nothing yet: it looks at once, and begins at the start of the destination's ramp.
    pub(super) fn new(concurrency: NonZeroUsize, policy: RetryPolicy) -> Self {
        Self {
            policy,
            breaker: Breaker::new(concurrency, policy.backoff()),
            in_flight: 0,
            look: Look::At(Timestamp::EPOCH),
            unsettled: Vec::new(),
            settling: Settling::Idle,
            store: StoreHealth::Works,
            life: Life::Running,
            told: mem::discriminant(&Condition::Flowing),
        }
    }

    /// What to do now that this has happened.
    pub(super) fn apply(&mut self, input: Input, moment: &Moment) -> Vec<Action> {
        let mut actions = match input {
            Input::Nudged => self.nudged(moment.now),
            Input::Looked(Ok(found)) => self.found(found, moment),
            Input::Looked(Err(error)) => self.found_nothing(error, moment.now),
            Input::Ended(ended) => ended.into_iter().filter_map(|ended| self.ended(ended, moment.now)).collect(),
            Input::Settled(settlements, Ok(answers)) => self.settled(settlements, &answers, moment.now),
            Input::Settled(settlements, Err(error)) => self.not_settled(settlements, error, moment.now),
            Input::Resumed => self.resumed(moment.now),
            Input::Stopping => self.stopping(),
        };
        actions.extend(self.news(moment.now));
        actions.extend(self.next_settling(moment.now));
        actions.extend(self.next_look(moment));
        actions
    }

    /// When to nudge the lane if nothing happens before.
    pub(super) fn wake_at(&self, moment: &Moment) -> Timestamp {
        let at_the_latest = moment.now.plus(LOOK_EVERY);
        let next = self.store_rests(moment.now).or_else(|| self.look_at(moment));
        next.map_or(at_the_latest, |next| next.min(at_the_latest))
    }

    /// How the destination is doing.
    pub(super) fn condition(&self, now: Timestamp) -> Condition {
        self.breaker.condition(now)
    }

    /// Whether the stop is complete: nothing is on its way, everything is settled.
    pub(super) fn is_done(&self) -> bool {
        self.life == Life::Stopping
            && self.in_flight == 0
            && matches!(self.look, Look::At(_))
            && self.unsettled.is_empty()
            && self.settling == Settling::Idle
    }

    fn nudged(&mut self, now: Timestamp) -> Vec<Action> {
        self.look_not_after(now);
        Vec::new()
    }

    fn found(&mut self, found: Found, moment: &Moment) -> Vec<Action> {
        let now = moment.now;
        let mut next = found.next_due.unwrap_or(Timestamp::MAX).min(now.plus(LOOK_EVERY));
        if found.claims.is_empty() {
            next = next.max(now.plus(CONTRADICTION_PAUSE));
        }
        self.look_is_over(next);
        let mut actions = self.store_works();
        actions.extend(found.claims.into_iter().filter_map(|claim| self.start(claim, moment)));
        actions
    }

    fn found_nothing(&mut self, error: StoreError, now: Timestamp) -> Vec<Action> {
        self.look_is_over(now);
        self.store_fails(error, now)
    }

    /// Starts an attempt, if the destination still admits it.
    fn start(&mut self, claim: Claim, moment: &Moment) -> Option<Action> {
        let admitted = matches!(self.admission(moment), Admission::Now(_));
        if !admitted {
            let (id, token) = (claim.id(), claim.token);
            self.unsettled.push(Settlement { id, token, verdict: Verdict::Release, attempt: None });
            return None;
        }
        self.breaker.started();
        self.in_flight += 1;
        Some(Action::Attempt(claim))
    }

    fn ended(&mut self, ended: Ended, now: Timestamp) -> Option<Action> {
        let Ended { id, token, delivery, attempt, meaning, roll } = ended;
        self.in_flight = self.in_flight.saturating_sub(1);
        self.breaker.met(&attempt.outcome, meaning, now, roll);
        let verdict = self.policy.verdict(meaning, &delivery, now, roll);
        let notice = match verdict {
            Verdict::Dead(reason) => Some(Action::Tell(Notice::Dead(id.clone(), reason))),
            Verdict::Done | Verdict::RetryAt(_) | Verdict::Release => None,
        };
        self.unsettled.push(Settlement { id, token, verdict, attempt: Some(attempt) });
        notice
    }

    fn settled(&mut self, settlements: Vec<Settlement>, answers: &[Settled], now: Timestamp) -> Vec<Action> {
        self.settling = Settling::Idle;
        let mut actions = self.store_works();
        for (settlement, answer) in settlements.into_iter().zip(answers) {
            match (answer, settlement.verdict) {
                (Settled::LeaseLost, _) => actions.push(Action::Tell(Notice::LeaseLost(settlement.id))),
                (Settled::Recorded, Verdict::RetryAt(due)) => self.look_not_after(due),
                (Settled::Recorded, Verdict::Release) => self.look_not_after(now),
                (Settled::Recorded, Verdict::Done | Verdict::Dead(_)) => {}
            }
        }
        actions
    }

    fn not_settled(&mut self, settlements: Vec<Settlement>, error: StoreError, now: Timestamp) -> Vec<Action> {
        self.settling = Settling::Idle;
        if self.life == Life::Running {
            self.unsettled.extend(settlements);
        }
        self.store_fails(error, now)
    }

    fn resumed(&mut self, now: Timestamp) -> Vec<Action> {
        self.breaker.resume();
        self.look_not_after(now);
        Vec::new()
    }

    fn stopping(&mut self) -> Vec<Action> {
        self.life = Life::Stopping;
        Vec::new()
    }

    fn store_works(&mut self) -> Vec<Action> {
        match mem::replace(&mut self.store, StoreHealth::Works) {
            StoreHealth::Works => Vec::new(),
            StoreHealth::FailsUntil(_) => vec![Action::Tell(Notice::StoreWorks)],
        }
    }

    /// Tells of the first failure only: a store that fails does so for a while.
    fn store_fails(&mut self, error: StoreError, now: Timestamp) -> Vec<Action> {
        match mem::replace(&mut self.store, StoreHealth::FailsUntil(now.plus(STORE_PAUSE))) {
            StoreHealth::Works => vec![Action::Tell(Notice::StoreFails(error))],
            StoreHealth::FailsUntil(_) => Vec::new(),
        }
    }

    fn look_not_after(&mut self, at: Timestamp) {
        self.look = match self.look {
            Look::At(planned) => Look::At(planned.min(at)),
            Look::Pending { again } => Look::Pending { again: again.min(at) },
        };
    }

    fn look_is_over(&mut self, next: Timestamp) {
        self.look = match self.look {
            Look::Pending { again } => Look::At(again.min(next)),
            Look::At(planned) => Look::At(planned.min(next)),
        };
    }

    fn next_settling(&mut self, now: Timestamp) -> Option<Action> {
        if self.unsettled.is_empty() || self.settling == Settling::Pending || self.store_rests(now).is_some() {
            return None;
        }
        self.settling = Settling::Pending;
        Some(Action::Settle(mem::take(&mut self.unsettled)))
    }

    fn next_look(&mut self, moment: &Moment) -> Option<Action> {
        let is_due = self.look_at(moment)? <= moment.now;
        let Admission::Now(free) = self.admission(moment) else { return None };
        if !is_due || self.store_rests(moment.now).is_some() {
            return None;
        }
        self.look = Look::Pending { again: Timestamp::MAX };
        Some(Action::Look(free))
    }

    /// When the next look can be; `None` while something else has to happen first.
    fn look_at(&self, moment: &Moment) -> Option<Timestamp> {
        let Look::At(planned) = self.look else { return None };
        if self.unsettled.len() >= MAX_UNSETTLED {
            return None;
        }
        match self.admission(moment) {
            Admission::Now(_) => Some(planned),
            Admission::NotBefore(admitted) => Some(planned.max(admitted)),
            Admission::Full | Admission::Stopped => None,
        }
    }

    /// Until when a failing store is left alone.
    fn store_rests(&self, now: Timestamp) -> Option<Timestamp> {
        match self.store {
            StoreHealth::FailsUntil(until) if now < until => Some(until),
            StoreHealth::FailsUntil(_) | StoreHealth::Works => None,
        }
    }

    /// The destination's condition, when it is of another kind than people were told.
    fn news(&mut self, now: Timestamp) -> Option<Action> {
        let condition = self.breaker.condition(now);
        let kind = mem::discriminant(&condition);
        (mem::replace(&mut self.told, kind) != kind).then_some(Action::Tell(Notice::Condition(condition)))
    }

    /// The breaker's answer, unless people or the stop say no.
    fn admission(&self, moment: &Moment) -> Admission {
        if moment.pause.is_some() || self.life == Life::Stopping {
            return Admission::Stopped;
        }
        self.breaker.admission(self.in_flight, moment.now)
    }
}

#[cfg(test)]
mod tests;
