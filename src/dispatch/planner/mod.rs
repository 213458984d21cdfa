//! What a lane does next. Pure: things happen ([`Input`]) at a [`Moment`], and the planner says what to do
//! ([`Action`]); it never waits and asks nobody.
//!
//! Its rules:
//!
//! - At most one look into the queue is on its way, and one batch of settlements.
//! - A look brings what may start now, and some more to be ready when the first of those end, so that looks are few. What is
//!   ready is released as soon as the destination doesn't admit it.
//! - Where the destination has budgets, permits come before a look: it brings no more than may start at once, and what is left
//!   over of the permits goes back.
//! - It is limited from a draw that has to wait on until permits are left over, also while some are granted now and then.
//! - The queue is looked into when something may be there: after a hint, when the next delivery is due, and after
//!   [`LOOK_EVERY`] in any case, because hints may be lost and clocks may be set.
//! - While the store fails, nothing new is taken, and what ended waits: a lost settlement means a second delivery.
//! - When the destination becomes another, nothing is known of it: its lane begins anew. What is ready, or comes of a look that
//!   is on its way, was claimed for what it was, and is released. What its attempts still meet there decides about their
//!   deliveries only.
//! - After the stop nothing is taken; the lane is done when all that was on its way is settled.

mod draws;
mod look;
mod store_health;
mod unsettled;

use std::{
    collections::VecDeque,
    mem::{self, Discriminant},
    num::NonZeroUsize,
    time::Duration,
};

pub(super) use self::draws::Draws;
use self::{
    look::Look,
    store_health::StoreHealth,
    unsettled::{MAX_WAIT, Unsettled},
};
use super::{
    freshness::Freshness,
    messages::{Action, Ended, Found, Input, Moment, Notice, Taken, Terms},
};
use crate::{
    breaker::{Admission, Breaker, Condition},
    model::{Timestamp, Verdict},
    retry::RetryPolicy,
    store::{Claim, Settled, Settlement, StoreError},
};

/// How long the queue goes without a look when nothing hints at new work. A look costs microseconds; a lost hint costs so much
/// delay.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// When to look again after a look that found nothing although the store says that something is due.
const CONTRADICTION_PAUSE: Duration = Duration::from_millis(100);

/// Attempts' time-outs that may pass between a claim and the end of its attempt: those of the attempts on their way, of two
/// rounds that are ready before it ([`Breaker::ready`]), and its own.
pub(super) const ROUNDS: u32 = 4;

/// The state of a lane.
#[derive(Debug)]
pub(super) struct Planner {
    policy: RetryPolicy,
    breaker: Breaker,
    freshness: Freshness,
    /// Attempts on their way.
    in_flight: usize,
    /// Of these, those to what the destination was before it became another. They take places of its `concurrency`, and
    /// none of its ramp: what hangs there would hold up what is to mend it.
    former: usize,
    /// Claimed, to be attempted next.
    ready: VecDeque<Claim>,
    look: Look,
    draws: Draws,
    /// Since when the destination's budgets have let less start than could.
    limited: Option<Timestamp>,
    unsettled: Unsettled,
    store: StoreHealth,
    life: Life,
    /// The kind of condition that people were told of last.
    told: Discriminant<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Stopping,
}

impl Planner {
    /// A lane that knows nothing yet: it looks at once, and begins at the start of the destination's ramp.
    pub(super) fn new(terms: Terms) -> Self {
        let Terms { policy, breaker, freshness, draws } = terms;
        Self {
            policy,
            breaker,
            freshness,
            in_flight: 0,
            former: 0,
            ready: VecDeque::new(),
            look: Look::At(Timestamp::EPOCH),
            draws,
            limited: None,
            unsettled: Unsettled::new(),
            store: StoreHealth::Works,
            life: Life::Running,
            told: mem::discriminant(&Condition::Flowing),
        }
    }

    /// What to do now that this has happened.
    pub(super) fn apply(&mut self, input: Input, moment: &Moment) -> Vec<Action> {
        let now = moment.now;
        self.limited = self.limited.or(self.draws.without_places_since(now));
        let mut actions = match input {
            Input::Nudged => self.nudged(now),
            Input::Looked(Ok(found)) => self.found(found, now),
            Input::Looked(Err(error)) => self.found_nothing(error, now),
            Input::Ended(ended) => ended.into_iter().filter_map(|ended| self.ended(ended, now)).collect(),
            Input::Settled(settlements, Ok(answers)) => self.settled(settlements, &answers, now),
            Input::Settled(settlements, Err(error)) => self.not_settled(settlements, error, now),
            Input::Granted(count) => self.granted(count),
            Input::Resumed => self.resumed(now),
            Input::Changed(terms) => self.changed(*terms, now),
            Input::Stopping => self.stopping(),
        };
        actions.extend(self.news(now));
        self.start_ready(moment, &mut actions);
        actions.extend(self.next_settling(now));
        actions.extend(self.next_look(moment));
        actions.extend(self.left_over());
        actions
    }

    /// When to nudge the lane if nothing happens before.
    pub(super) fn wake_at(&self, moment: &Moment) -> Timestamp {
        let at_the_latest = moment.now.plus(LOOK_EVERY);
        let at_the_latest =
            moment.pause.as_ref().and_then(|pause| pause.until).map_or(at_the_latest, |until| until.min(at_the_latest));
        let next = match self.store.rests(moment.now) {
            Some(until) => Some(until),
            None => self.unsettled.due().into_iter().chain(self.look_at(moment)).min(),
        };
        next.map_or(at_the_latest, |next| next.min(at_the_latest))
    }

    /// How the destination is doing.
    pub(super) fn condition(&self, now: Timestamp) -> Condition {
        match (self.breaker.condition(now), self.limited) {
            (Condition::Flowing, Some(since)) => Condition::Limited { since },
            (condition, _) => condition,
        }
    }

    /// Whether the stop is complete: nothing is on its way, everything is settled.
    pub(super) fn is_done(&self) -> bool {
        let may_bring_more = !matches!(self.look, Look::At(_));
        self.life == Life::Stopping && self.is_quiet() && !may_bring_more && self.unsettled.is_empty()
    }

    /// Whether no attempt is on its way or about to be.
    fn is_quiet(&self) -> bool {
        self.in_flight == 0 && self.ready.is_empty()
    }

    fn nudged(&mut self, now: Timestamp) -> Vec<Action> {
        self.look = self.look.not_after(now);
        Vec::new()
    }

    fn found(&mut self, found: Found, now: Timestamp) -> Vec<Action> {
        let mut next = found.next_due.unwrap_or(Timestamp::MAX).min(now.plus(LOOK_EVERY));
        if found.claims.is_empty() {
            next = next.max(now.plus(CONTRADICTION_PAUSE));
        }
        let is_outdated = matches!(self.look, Look::Outdated { .. });
        self.look = self.look.over(next);
        self.ready.extend(found.claims);
        if is_outdated {
            self.release_ready(now);
        }
        self.store_works()
    }

    fn found_nothing(&mut self, error: StoreError, now: Timestamp) -> Vec<Action> {
        self.look = self.look.over(now);
        self.store_fails(error, now)
    }

    fn ended(&mut self, ended: Ended, now: Timestamp) -> Option<Action> {
        let Ended { id, token, delivery, attempt, meaning, way, roll } = ended;
        self.in_flight = self.in_flight.saturating_sub(1);
        match way {
            Taken::Present => self.breaker.met(&attempt.outcome, meaning, now, roll),
            Taken::Former => self.former = self.former.saturating_sub(1),
        }
        let verdict = self.policy.verdict(meaning, &delivery, now, roll);
        let notice = match verdict {
            Verdict::Dead(reason) => Some(Action::Tell(Notice::Dead(id.clone(), reason))),
            Verdict::Done | Verdict::RetryAt(_) | Verdict::Release | Verdict::Expired => None,
        };
        self.unsettled.push(Settlement { id, token, verdict, attempt: Some(attempt) }, now);
        notice
    }

    fn settled(&mut self, settlements: Vec<Settlement>, answers: &[Settled], now: Timestamp) -> Vec<Action> {
        self.unsettled.answered(Vec::new());
        let mut actions = self.store_works();
        for (settlement, answer) in settlements.into_iter().zip(answers) {
            match (answer, settlement.verdict) {
                (Settled::LeaseLost, _) => actions.push(Action::Tell(Notice::LeaseLost(settlement.id))),
                (Settled::Recorded, Verdict::RetryAt(due)) => self.look = self.look.not_after(due),
                (Settled::Recorded, Verdict::Release) => self.look = self.look.not_after(now),
                (Settled::Recorded, Verdict::Done | Verdict::Dead(_) | Verdict::Expired) => {}
            }
        }
        actions
    }

    /// A lane that stops doesn't wait for the store: what isn't settled comes again after the next start.
    fn not_settled(&mut self, settlements: Vec<Settlement>, error: StoreError, now: Timestamp) -> Vec<Action> {
        let again = if self.life == Life::Running { settlements } else { Vec::new() };
        self.unsettled.answered(again);
        self.store_fails(error, now)
    }

    fn granted(&mut self, count: usize) -> Vec<Action> {
        self.draws = Draws::Holding(count);
        Vec::new()
    }

    fn resumed(&mut self, now: Timestamp) -> Vec<Action> {
        self.breaker.resume();
        self.look = self.look.not_after(now);
        Vec::new()
    }

    fn changed(&mut self, terms: Terms, now: Timestamp) -> Vec<Action> {
        self.release_ready(now);
        Terms { policy: self.policy, breaker: self.breaker, freshness: self.freshness, draws: self.draws } = terms;
        self.look = self.look.outdated(now);
        self.former = self.in_flight;
        self.limited = None;
        self.life = Life::Running;
        self.told = mem::discriminant(&Condition::Flowing);
        Vec::new()
    }

    fn stopping(&mut self) -> Vec<Action> {
        self.life = Life::Stopping;
        Vec::new()
    }

    fn store_works(&mut self) -> Vec<Action> {
        let is_news = mem::replace(&mut self.store, StoreHealth::Works) != StoreHealth::Works;
        is_news.then_some(Action::Tell(Notice::StoreWorks)).into_iter().collect()
    }

    /// Tells of the first failure only: a store that fails does so for a while.
    fn store_fails(&mut self, error: StoreError, now: Timestamp) -> Vec<Action> {
        let is_news = mem::replace(&mut self.store, StoreHealth::failed(now)) == StoreHealth::Works;
        is_news.then_some(Action::Tell(Notice::StoreFails(error))).into_iter().collect()
    }

    /// The destination's condition, when it is of another kind than people were told. That it is limited is no news: it
    /// does what the config says.
    fn news(&mut self, now: Timestamp) -> Option<Action> {
        let condition = self.breaker.condition(now);
        let kind = mem::discriminant(&condition);
        (mem::replace(&mut self.told, kind) != kind).then_some(Action::Tell(Notice::Condition(condition)))
    }

    /// Starts what is ready, as far as the destination admits it; releases it when the destination has to wait.
    fn start_ready(&mut self, moment: &Moment, actions: &mut Vec<Action>) {
        match self.admission(moment) {
            Admission::Now(free) => self.start(free.get(), moment.now, actions),
            Admission::Full => {}
            Admission::NotBefore(_) | Admission::Stopped => self.release_ready(moment.now),
        }
    }

    fn release_ready(&mut self, now: Timestamp) {
        for claim in self.ready.drain(..) {
            let (id, token) = (claim.id(), claim.token);
            self.unsettled.push(Settlement { id, token, verdict: Verdict::Release, attempt: None }, now);
        }
    }

    /// Starts up to `free` attempts. What is of no use any more is retired instead, and takes nobody's place.
    fn start(&mut self, mut free: usize, now: Timestamp, actions: &mut Vec<Action>) {
        while free > 0
            && let Some(claim) = self.ready.pop_front()
        {
            if self.freshness.is_over(&claim, now) {
                actions.push(self.retire(&claim, now));
                continue;
            }
            free -= 1;
            self.breaker.started();
            self.in_flight += 1;
            self.draws = self.draws.without(1);
            actions.push(Action::Attempt(claim));
        }
    }

    fn retire(&mut self, claim: &Claim, now: Timestamp) -> Action {
        let (id, token) = (claim.id(), claim.token);
        let settlement = Settlement { id: id.clone(), token, verdict: Verdict::Expired, attempt: None };
        self.unsettled.push(settlement, now);
        Action::Tell(Notice::Expired(id))
    }

    fn next_settling(&mut self, now: Timestamp) -> Option<Action> {
        let due = self.unsettled.due()?;
        // Later than it can be: the clock was set back.
        let is_due = due <= now || due > now.plus(MAX_WAIT);
        if self.store.rests(now).is_some() || !(is_due || self.is_quiet()) {
            return None;
        }
        self.unsettled.next_batch().map(Action::Settle)
    }

    fn next_look(&mut self, moment: &Moment) -> Option<Action> {
        let wanted = self.wanted(moment)?;
        let is_due = self.look_at(moment)? <= moment.now;
        if !is_due || self.store.rests(moment.now).is_some() {
            return None;
        }
        let Some(permitted) = NonZeroUsize::new(self.draws.permits()) else {
            self.draws = Draws::Asked { at: moment.now };
            return Some(Action::Draw(wanted));
        };
        self.look = Look::Pending { again: Timestamp::MAX };
        Some(Action::Look(wanted.min(permitted)))
    }

    /// Permits that no delivery is being looked for and none is ready for.
    fn left_over(&mut self) -> Option<Action> {
        let (Draws::Holding(permits), Look::At(_)) = (self.draws, self.look) else { return None };
        let count = permits.saturating_sub(self.ready.len());
        if count == 0 {
            return None;
        }
        self.draws = self.draws.without(count);
        self.limited = None;
        Some(Action::GiveBack(count))
    }

    /// When the next look can be; `None` while something else has to happen first.
    fn look_at(&self, moment: &Moment) -> Option<Timestamp> {
        let (Look::At(planned), false) = (self.look, matches!(self.draws, Draws::Asked { .. })) else { return None };
        match self.admission(moment) {
            Admission::NotBefore(admitted) => Some(planned.max(admitted)),
            Admission::Now(_) | Admission::Full => self.wanted(moment).map(|_| planned),
            Admission::Stopped => None,
        }
    }

    /// How many deliveries to claim; `None` while there are enough.
    fn wanted(&self, moment: &Moment) -> Option<NonZeroUsize> {
        let free = match self.admission(moment) {
            Admission::Now(free) => free.get(),
            Admission::Full => 0,
            Admission::NotBefore(_) | Admission::Stopped => return None,
        };
        let ready = if self.draws == Draws::Unlimited { self.breaker.ready() } else { 0 };
        // Half of it gone: a look brings as much as one round takes.
        let is_low = self.ready.len() <= ready / 2;
        if !is_low || self.unsettled.is_overdue() {
            return None;
        }
        NonZeroUsize::new((free + ready).saturating_sub(self.ready.len()))
    }

    /// The breaker's answer, unless people or the stop say no.
    fn admission(&self, moment: &Moment) -> Admission {
        if moment.pause.is_some() || self.life == Life::Stopping {
            return Admission::Stopped;
        }
        match self.breaker.admission(self.in_flight.saturating_sub(self.former), moment.now) {
            Admission::Now(free) => {
                let places = self.breaker.concurrency().get().saturating_sub(self.in_flight);
                NonZeroUsize::new(free.get().min(places)).map_or(Admission::Full, Admission::Now)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;
