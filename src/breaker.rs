//! May this destination be tried now, and how fast?
//!
//! A breaker has three states for what the destination does, and one for what it is:
//!
//! ```text
//!            TRIP_AFTER failures in a row          the pause is over, one delivery goes out
//!   closed ───────────────────────────────▶ open ────────────────────────────────────────▶ half-open
//!     ▲ ▲                                    ▲                                               │  │
//!     │ │                                    └──────────────── it fails: a longer pause ─────┘  │
//!     │ └───────────────────────────────────────────────────── it is answered ──────────────────┘
//!     │ a person resumes, or the relay starts anew
//!   stopped ◀── from everywhere: its address or credentials are wrong
//! ```
//!
//! Closed doesn't mean at full speed: whatever was closed (the relay's start, a recovery, the end of a throttle) begins with
//! one attempt at a time, and each answer allows one more, up to the configured concurrency. So a backlog never stampedes a
//! destination that has just come up. `Retry-After` holds all deliveries of the destination, not only the one that met it.
//!
//! An answer that refuses one event proves the destination alive. What becomes of the delivery is
//! [`crate::retry`]'s question. Nothing here knows about pauses by people, which the store keeps.

use std::{mem, num::NonZeroUsize, time::Duration};

use crate::{
    model::{Outcome, Timestamp},
    outcome::{Fault, MAX_RETRY_AFTER, Meaning},
    retry::Backoff,
};

/// Failures in a row that trip. A restart of the destination's server breaks the few attempts that are on their way; five
/// without one answer between them are a state.
const TRIP_AFTER: u32 = 5;

/// The longest pause between probes. One request a minute harms nobody, and it bounds how long a recovery goes unnoticed.
const MAX_PROBE_PAUSE: Duration = Duration::from_secs(60);

/// The concurrency to begin with.
const RAMP_START: usize = 1;

/// How a destination is doing, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Deliveries flow.
    Flowing,
    /// It failed too often in a row; nothing but a probe is sent, at this time.
    Tripped {
        /// When it began to fail.
        since: Timestamp,
        /// When the next probe is due.
        probe_at: Timestamp,
        /// What the last attempt met.
        reason: String,
    },
    /// More waits for it than its rate or a budget lets go. It is well.
    Limited {
        /// Since when.
        since: Timestamp,
    },
    /// It asked us to wait (`Retry-After`).
    Throttled {
        /// Until when.
        until: Timestamp,
    },
    /// It is wrong (credentials, address): nothing is sent before a person has looked at it.
    Stopped {
        /// Since when.
        since: Timestamp,
        /// What the last attempt met, and what to do.
        reason: String,
    },
    /// People paused it.
    Paused {
        /// Since when.
        since: Timestamp,
        /// When the pause ends by itself; `None`: when a person ends it.
        until: Option<Timestamp>,
        /// In their words.
        reason: String,
    },
}

/// The answer to "may I?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// So many further attempts may start now.
    Now(NonZeroUsize),
    /// None before one of those on their way has ended.
    Full,
    /// None before this time.
    NotBefore(Timestamp),
    /// None before a person has resumed the destination.
    Stopped,
}

/// What is known of one destination's health, and what follows from it.
#[derive(Debug, Clone)]
pub struct Breaker {
    concurrency: NonZeroUsize,
    probe_pauses: Backoff,
    state: State,
    hold: Hold,
}

#[derive(Debug, Clone)]
enum State {
    Closed { allowed: usize, trouble: Option<Trouble> },
    Open { trouble: Trouble, probe_at: Timestamp, probes: u32 },
    HalfOpen { trouble: Trouble, probe_at: Timestamp, probes: u32 },
    Stopped { since: Timestamp, reason: String },
}

/// Failures without an answer between them.
#[derive(Debug, Clone)]
struct Trouble {
    since: Timestamp,
    failures: u32,
    reason: String,
}

/// The wait that the destination asked for, over when `until` is.
#[derive(Debug, Clone, Copy)]
struct Hold {
    until: Timestamp,
    /// Throttled answers since the last other one, for those that don't say how long to wait.
    in_a_row: u32,
}

/// What an attempt's meaning says about the destination.
enum Sign {
    Alive,
    Failing,
    Throttling { until: Option<Timestamp> },
    Wrong { advice: &'static str },
    Nothing,
}

impl From<Meaning> for Sign {
    fn from(meaning: Meaning) -> Self {
        match meaning {
            Meaning::Success | Meaning::Duplicate | Meaning::RejectEvent | Meaning::Retry(Fault::Event) => Self::Alive,
            Meaning::Retry(Fault::Destination) => Self::Failing,
            Meaning::Throttled { until } => Self::Throttling { until },
            Meaning::StopDestination { advice } => Self::Wrong { advice },
            Meaning::Reauth => Meaning::CREDENTIALS_REFUSED.into(),
            Meaning::Unsendable | Meaning::Undecided => Self::Nothing,
        }
    }
}

impl State {
    const RAMP: Self = Self::Closed { allowed: RAMP_START, trouble: None };
}

impl Breaker {
    /// A breaker for a destination that nothing is known of: closed, at the start of its ramp to `concurrency`. It probes
    /// after `pauses`, but at least once a minute.
    #[must_use]
    pub fn new(concurrency: NonZeroUsize, pauses: Backoff) -> Self {
        let probe_pauses = pauses.at_most(MAX_PROBE_PAUSE);
        Self { concurrency, probe_pauses, state: State::RAMP, hold: Hold { until: Timestamp::EPOCH, in_a_row: 0 } }
    }

    /// How many attempts may be on their way when all is well.
    #[must_use]
    pub fn concurrency(&self) -> NonZeroUsize {
        self.concurrency
    }

    /// How many attempts may start at `now`, while `in_flight` are on their way.
    #[must_use]
    pub fn admission(&self, in_flight: usize, now: Timestamp) -> Admission {
        match &self.state {
            State::Stopped { .. } => Admission::Stopped,
            _ if self.hold.is_on(now) => Admission::NotBefore(self.hold.until),
            State::Closed { allowed, .. } => free(*allowed, in_flight),
            State::Open { probe_at, .. } if is_ahead(*probe_at, now, 2 * MAX_PROBE_PAUSE) => {
                Admission::NotBefore(*probe_at)
            }
            // A probe goes out alone, so that its end can't be taken for another's. Half-open with nothing on its way: the
            // probe ended without a word about the destination, and another has to go.
            State::Open { .. } | State::HalfOpen { .. } => free(1, in_flight),
        }
    }

    /// How many deliveries to hold ready beyond those on their way: two rounds of what may be on its way at once. None for a
    /// destination that fails or is probed, since they would have to be released again.
    #[must_use]
    pub fn ready(&self) -> usize {
        match &self.state {
            State::Closed { allowed, trouble: None } => 2 * allowed,
            State::Closed { .. } | State::Open { .. } | State::HalfOpen { .. } | State::Stopped { .. } => 0,
        }
    }

    /// Takes note that an attempt starts.
    pub fn started(&mut self) {
        self.state = match mem::replace(&mut self.state, State::RAMP) {
            State::Open { trouble, probe_at, probes } => State::HalfOpen { trouble, probe_at, probes },
            other => other,
        };
    }

    /// Takes note of what an attempt met at `now`, and what it means; `roll` is a random fraction in `0.0..1.0`.
    pub fn met(&mut self, outcome: &Outcome, meaning: Meaning, now: Timestamp, roll: f64) {
        let sign = Sign::from(meaning);
        self.hold = self.held(&sign, now, roll);
        let state = mem::replace(&mut self.state, State::RAMP);
        self.state = self.after(state, &sign, outcome, now, roll);
    }

    /// A person says that all is well again.
    pub fn resume(&mut self) {
        self.state = State::RAMP;
        self.hold = Hold { until: Timestamp::EPOCH, in_a_row: 0 };
    }

    /// How the destination is doing at `now`.
    #[must_use]
    pub fn condition(&self, now: Timestamp) -> Condition {
        match &self.state {
            State::Stopped { since, reason } => Condition::Stopped { since: *since, reason: reason.clone() },
            _ if self.hold.is_on(now) => Condition::Throttled { until: self.hold.until },
            State::Closed { .. } => Condition::Flowing,
            State::Open { trouble, probe_at, .. } | State::HalfOpen { trouble, probe_at, .. } => {
                Condition::Tripped { since: trouble.since, probe_at: *probe_at, reason: trouble.reason.clone() }
            }
        }
    }

    /// The one place where the state changes by what an attempt met.
    fn after(&self, state: State, sign: &Sign, outcome: &Outcome, now: Timestamp, roll: f64) -> State {
        match (state, sign) {
            // The last are those that were on their way when it tripped.
            (state, Sign::Nothing)
            | (state @ State::Stopped { .. }, _)
            | (state @ State::Open { .. }, Sign::Failing) => state,
            (_, Sign::Wrong { advice }) => State::Stopped { since: now, reason: format!("{outcome}: {advice}") },
            // Answers to what was on its way when the destination asked for a pause don't widen what follows it.
            (State::Closed { allowed, .. }, Sign::Alive) if self.hold.is_on(now) => {
                State::Closed { allowed, trouble: None }
            }
            (State::Closed { allowed, .. }, Sign::Alive) => {
                State::Closed { allowed: allowed.saturating_add(1).min(self.concurrency.get()), trouble: None }
            }
            (State::Open { .. } | State::HalfOpen { .. }, Sign::Alive) | (_, Sign::Throttling { .. }) => State::RAMP,
            (State::Closed { allowed, trouble }, Sign::Failing) => {
                let trouble = Trouble::worse(trouble, outcome, now);
                if trouble.failures < TRIP_AFTER {
                    return State::Closed { allowed, trouble: Some(trouble) };
                }
                State::Open { trouble, probe_at: now.plus(self.probe_pauses.pause(0, roll)), probes: 0 }
            }
            (State::HalfOpen { trouble, probes, .. }, Sign::Failing) => {
                let probes = probes.saturating_add(1);
                let probe_at = now.plus(self.probe_pauses.pause(probes, roll));
                State::Open { trouble: Trouble::worse(Some(trouble), outcome, now), probe_at, probes }
            }
        }
    }

    fn held(&self, sign: &Sign, now: Timestamp, roll: f64) -> Hold {
        let hold = self.hold;
        match sign {
            Sign::Throttling { until: Some(until) } => Hold { until: hold.until.max(*until), ..hold },
            // Others that were on their way may meet the same: they prolong nothing.
            Sign::Throttling { until: None } if hold.is_on(now) => hold,
            Sign::Throttling { until: None } => Hold {
                until: now.plus(self.probe_pauses.pause(hold.in_a_row, roll)),
                in_a_row: hold.in_a_row.saturating_add(1),
            },
            Sign::Alive => Hold { in_a_row: 0, ..hold },
            Sign::Failing | Sign::Wrong { .. } | Sign::Nothing => hold,
        }
    }
}

impl Hold {
    fn is_on(&self, now: Timestamp) -> bool {
        is_ahead(self.until, now, MAX_RETRY_AFTER)
    }
}

impl Trouble {
    fn worse(before: Option<Self>, outcome: &Outcome, now: Timestamp) -> Self {
        let (since, failures) = before.map_or((now, 0), |trouble| (trouble.since, trouble.failures));
        Self { since, failures: failures.saturating_add(1), reason: outcome.to_string() }
    }
}

/// Whether `at` is still to come. What is further off than it can be (`at_most`) was set before the clock was set back.
fn is_ahead(at: Timestamp, now: Timestamp, at_most: Duration) -> bool {
    now < at && at.since(now) <= at_most
}

fn free(allowed: usize, in_flight: usize) -> Admission {
    NonZeroUsize::new(allowed.saturating_sub(in_flight)).map_or(Admission::Full, Admission::Now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FailureKind;

    const START: Timestamp = Timestamp::from_millis(1_790_012_345_000);

    /// A destination as its breaker sees it: time passes, attempts start and meet something.
    struct Story {
        breaker: Breaker,
        in_flight: usize,
        now: Timestamp,
    }

    impl Story {
        fn begin() -> Self {
            let pauses = Backoff::try_new(seconds(5), seconds(3_600)).unwrap();
            Self { breaker: Breaker::new(NonZeroUsize::new(8).unwrap(), pauses), in_flight: 0, now: START }
        }

        fn flowing() -> Self {
            let mut story = Self::begin();
            (0..8).for_each(|_| story.attempt_meets(Meaning::Success));
            story
        }

        fn tripped() -> Self {
            let mut story = Self::flowing();
            (0..TRIP_AFTER).for_each(|_| story.attempt_meets(DOWN));
            story
        }

        fn wait(&mut self, time: Duration) {
            self.now = self.now.plus(time);
        }

        fn admitted(&self) -> usize {
            match self.breaker.admission(self.in_flight, self.now) {
                Admission::Now(n) => n.get(),
                Admission::Full | Admission::NotBefore(_) | Admission::Stopped => 0,
            }
        }

        fn start(&mut self) {
            assert_ne!(self.admitted(), 0, "nothing may start");
            self.breaker.started();
            self.in_flight += 1;
        }

        fn meets(&mut self, meaning: Meaning) {
            self.in_flight -= 1;
            let outcome = Outcome::Failed { kind: FailureKind::Connect, detail: "connection refused".into() };
            self.breaker.met(&outcome, meaning, self.now, 0.0);
        }

        fn attempt_meets(&mut self, meaning: Meaning) {
            self.start();
            self.meets(meaning);
        }

        fn condition(&self) -> Condition {
            self.breaker.condition(self.now)
        }

        /// How long nothing may be sent.
        fn blocked_for(&self) -> Duration {
            match self.breaker.admission(self.in_flight, self.now) {
                Admission::NotBefore(at) => at.since(self.now),
                other => panic!("{other:?}"),
            }
        }
    }

    const DOWN: Meaning = Meaning::Retry(Fault::Destination);
    const UNAUTHORIZED: Meaning = Meaning::StopDestination { advice: "correct the credentials" };

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn throttled(until: Option<Timestamp>) -> Meaning {
        Meaning::Throttled { until }
    }

    #[test]
    fn a_start_with_a_backlog_begins_with_one_and_doubles_with_each_round_of_answers() {
        let mut story = Story::begin();
        let mut rounds = Vec::new();
        for _ in 0..5 {
            let round = story.admitted();
            rounds.push(round);
            (0..round).for_each(|_| story.start());
            assert_eq!(story.breaker.admission(story.in_flight, story.now), Admission::Full);
            (0..round).for_each(|_| story.meets(Meaning::Success));
        }
        assert_eq!(rounds, [1, 2, 4, 8, 8]);
    }

    #[test]
    fn two_rounds_are_held_ready_for_a_destination_that_answers_and_none_for_one_that_fails() {
        let mut story = Story::begin();
        assert_eq!(story.breaker.ready(), 2);
        story.attempt_meets(Meaning::Success);
        assert_eq!(story.breaker.ready(), 4);
        story.attempt_meets(DOWN);
        assert_eq!(story.breaker.ready(), 0);
        assert_eq!(Story::tripped().breaker.ready(), 0);
        assert_eq!(Story::flowing().breaker.ready(), 16);
    }

    #[test]
    fn failures_with_an_answer_between_them_do_not_trip() {
        let mut story = Story::flowing();
        for _ in 0..20 {
            (1..TRIP_AFTER).for_each(|_| story.attempt_meets(DOWN));
            story.attempt_meets(Meaning::Success);
        }
        assert_eq!(story.condition(), Condition::Flowing);
        assert_eq!(story.admitted(), 8);
    }

    #[test]
    fn a_refusal_of_one_event_proves_the_destination_alive() {
        for alive in [Meaning::RejectEvent, Meaning::Retry(Fault::Event)] {
            let mut story = Story::flowing();
            (1..TRIP_AFTER).for_each(|_| story.attempt_meets(DOWN));
            story.attempt_meets(alive);
            story.attempt_meets(DOWN);
            assert_eq!(story.condition(), Condition::Flowing);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_pause() {
        let mut tripped = Story::tripped();
        tripped.now = START.minus(seconds(300));
        assert_eq!(tripped.admitted(), 1);

        let mut held = Story::flowing();
        held.attempt_meets(throttled(Some(START.plus(seconds(60)))));
        held.now = START.minus(MAX_RETRY_AFTER);
        assert_eq!((held.admitted(), held.condition()), (1, Condition::Flowing));
    }

    #[test]
    fn failures_in_a_row_trip_it_and_people_see_since_when_and_why() {
        let mut story = Story::flowing();
        for _ in 0..TRIP_AFTER {
            story.attempt_meets(DOWN);
            story.wait(seconds(1));
        }
        let Condition::Tripped { since, probe_at, reason } = story.condition() else { panic!("it didn't trip") };
        assert_eq!(since, START);
        assert_eq!(probe_at, START.plus(seconds(4 + 5)));
        assert_eq!(reason, "no connection: connection refused");
        assert_eq!(story.admitted(), 0);
    }

    #[test]
    fn a_probe_is_one_delivery_and_goes_out_alone() {
        let mut story = Story::tripped();
        story.wait(seconds(5));
        assert_eq!(story.admitted(), 1);
        story.start();
        assert_eq!(story.admitted(), 0);
    }

    #[test]
    fn a_probe_waits_for_those_that_were_on_their_way() {
        let mut story = Story::flowing();
        (0..=TRIP_AFTER).for_each(|_| story.start());
        (0..TRIP_AFTER).for_each(|_| story.meets(DOWN));
        story.wait(seconds(5));
        assert_eq!(story.admitted(), 0);
        story.meets(DOWN);
        assert_eq!(story.admitted(), 1);
    }

    #[test]
    fn a_failed_probe_doubles_the_pause_up_to_a_minute() {
        let mut story = Story::tripped();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            pauses.push(story.blocked_for().as_secs());
            story.wait(story.blocked_for());
            story.attempt_meets(DOWN);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn an_answered_probe_closes_it_and_the_ramp_begins_anew() {
        for answer in [Meaning::Success, Meaning::RejectEvent] {
            let mut story = Story::tripped();
            story.wait(seconds(5));
            story.attempt_meets(answer);
            assert_eq!(story.condition(), Condition::Flowing);
            assert_eq!(story.admitted(), 1);
        }
    }

    #[test]
    fn a_probe_that_says_nothing_is_followed_by_another() {
        let mut story = Story::tripped();
        story.wait(seconds(5));
        story.attempt_meets(Meaning::Unsendable);
        assert_eq!(story.admitted(), 1);
        assert!(matches!(story.condition(), Condition::Tripped { .. }));
    }

    #[test]
    fn a_late_answer_of_one_that_was_on_its_way_closes_it_as_well() {
        let mut story = Story::flowing();
        (0..=TRIP_AFTER).for_each(|_| story.start());
        (0..TRIP_AFTER).for_each(|_| story.meets(DOWN));
        story.meets(Meaning::Success);
        assert_eq!(story.condition(), Condition::Flowing);
    }

    #[test]
    fn retry_after_holds_the_whole_destination_and_ends_in_a_ramp() {
        let mut story = Story::flowing();
        let until = story.now.plus(seconds(30));
        (0..8).for_each(|_| story.start());
        story.meets(throttled(Some(until)));
        story.meets(throttled(Some(until.minus(seconds(10)))));
        (0..6).for_each(|_| story.meets(Meaning::Success));
        assert_eq!(story.condition(), Condition::Throttled { until });
        assert_eq!(story.blocked_for(), seconds(30));
        story.wait(seconds(30));
        assert_eq!(story.condition(), Condition::Flowing);
        assert_eq!(story.admitted(), 1);
    }

    #[test]
    fn throttling_without_a_time_holds_for_a_growing_pause_however_many_meet_it() {
        let mut story = Story::flowing();
        (0..8).for_each(|_| story.start());
        (0..8).for_each(|_| story.meets(throttled(None)));
        assert_eq!(story.blocked_for(), seconds(5));
        story.wait(seconds(5));
        story.attempt_meets(throttled(None));
        assert_eq!(story.blocked_for(), seconds(10));
        story.wait(seconds(10));
        story.attempt_meets(Meaning::Success);
        story.attempt_meets(throttled(None));
        assert_eq!(story.blocked_for(), seconds(5));
    }

    #[test]
    fn a_wrong_destination_stops_until_a_person_resumes_it() {
        let mut story = Story::flowing();
        (0..3).for_each(|_| story.start());
        story.meets(UNAUTHORIZED);
        story.meets(Meaning::Success);
        story.meets(throttled(None));
        story.wait(seconds(1_000_000));
        assert_eq!(story.breaker.admission(0, story.now), Admission::Stopped);
        let reason = "no connection: connection refused: correct the credentials".to_owned();
        assert_eq!(story.condition(), Condition::Stopped { since: START, reason });
        story.breaker.resume();
        assert_eq!(story.condition(), Condition::Flowing);
        assert_eq!(story.admitted(), 1);
    }

    #[test]
    fn a_person_can_resume_out_of_every_condition() {
        let mut throttled_for_a_day = Story::flowing();
        throttled_for_a_day.attempt_meets(throttled(Some(START.plus(MAX_RETRY_AFTER))));
        for mut story in [throttled_for_a_day, Story::tripped()] {
            assert_eq!(story.admitted(), 0);
            story.breaker.resume();
            assert_eq!(story.admitted(), 1);
        }
    }
}
