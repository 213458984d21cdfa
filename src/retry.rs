//! What becomes of the delivery? From an attempt's meaning, the time and a roll of the dice to a [`Verdict`].
//!
//! Pauses double from `initial` to `max`. The dice only ever add to a pause: a retry never comes earlier than people
//! configured or the destination asked for. A delivery is given up by a failed attempt, never without one: what waits
//! behind a destination that is down for a week is still sent once it is back.
//!
//! Whether the destination may be tried at all is [`crate::breaker`]'s question.

use std::time::Duration;

use crate::{
    model::{DeadReason, Delivery, Timestamp, Verdict},
    outcome::Meaning,
};

/// The most that the dice add to a pause. A fifth spreads deliveries that failed together (eight of them, 5 s later: one each
/// 125 ms), and the longest pause stays close to the `max` that people wrote.
const JITTER: f64 = 0.2;

/// Pauses that double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
}

impl Backoff {
    /// Pauses from `initial`, each twice the one before, up to `max`.
    ///
    /// # Errors
    /// [`RetryPolicyError`].
    pub fn try_new(initial: Duration, max: Duration) -> Result<Self, RetryPolicyError> {
        if initial.is_zero() {
            return Err(RetryPolicyError::NoDelay);
        }
        if max < initial {
            return Err(RetryPolicyError::MaxBelowInitial);
        }
        Ok(Self { initial, max })
    }

    /// The pause after `earlier` pauses, with up to a fifth added by `roll` (a fraction in `0.0..1.0`).
    #[must_use]
    pub fn pause(&self, earlier: u32, roll: f64) -> Duration {
        let pause = self.initial.saturating_mul(2_u32.saturating_pow(earlier)).min(self.max);
        let jitter = pause.as_secs_f64() * JITTER * roll.clamp(0.0, 1.0);
        pause.saturating_add(Duration::try_from_secs_f64(jitter).unwrap_or_default())
    }

    /// The same pauses, none longer than `max`.
    #[must_use]
    pub fn at_most(self, max: Duration) -> Self {
        Self { initial: self.initial.min(max), max: self.max.min(max) }
    }
}

/// How a destination wants failed deliveries tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    backoff: Backoff,
    give_up_after: Duration,
}

impl RetryPolicy {
    /// A policy: the first retry comes `initial` after the first failure, each further one twice as late, at most `max`.
    /// The first attempt that fails `give_up_after` or later after the delivery's life began is its last.
    ///
    /// # Errors
    /// [`RetryPolicyError`].
    pub fn try_new(initial: Duration, max: Duration, give_up_after: Duration) -> Result<Self, RetryPolicyError> {
        Ok(Self { backoff: Backoff::try_new(initial, max)?, give_up_after })
    }

    /// The pauses between attempts.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        self.backoff
    }

    /// For how long a delivery is tried.
    #[must_use]
    pub fn give_up_after(&self) -> Duration {
        self.give_up_after
    }

    /// What becomes of `delivery` after an attempt with this meaning; `roll` is a random fraction in `0.0..1.0`.
    #[must_use]
    pub fn verdict(&self, meaning: Meaning, delivery: &Delivery, now: Timestamp, roll: f64) -> Verdict {
        match meaning {
            Meaning::Success | Meaning::Duplicate => Verdict::Done,
            Meaning::RejectEvent => Verdict::Dead(DeadReason::Rejected),
            Meaning::Unsendable => Verdict::Dead(DeadReason::Unsendable),
            Meaning::StopDestination { .. } | Meaning::Reauth | Meaning::Undecided => Verdict::Release,
            Meaning::Retry(_) | Meaning::Throttled { until: None } => self.again(now, delivery, now, roll),
            Meaning::Throttled { until: Some(until) } => self.again(until, delivery, now, roll),
        }
    }

    /// The next attempt, not before `earliest`, or the end.
    fn again(&self, earliest: Timestamp, delivery: &Delivery, now: Timestamp, roll: f64) -> Verdict {
        if now.since(delivery.since) >= self.give_up_after {
            return Verdict::Dead(DeadReason::GaveUp);
        }
        let due = now.plus(self.backoff.pause(delivery.retries, roll));
        Verdict::RetryAt(due.max(earliest))
    }
}

/// Why a policy can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetryPolicyError {
    /// Retrying without a pause is an attack.
    #[error("`initial` has to be longer than nothing")]
    NoDelay,
    /// The bounds are the wrong way round.
    #[error("`max` has to be at least `initial`")]
    MaxBelowInitial,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{model::Name, outcome::Fault};

    const RECEIVED: Timestamp = Timestamp::from_millis(1_790_012_345_678);
    const BUSY: Meaning = Meaning::Retry(Fault::Destination);

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn policy() -> RetryPolicy {
        RetryPolicy::try_new(seconds(5), seconds(3_600), seconds(3 * 86_400)).unwrap()
    }

    fn delivery(retries: u32) -> Delivery {
        Delivery { retries, ..Delivery::new(Name::new("crm").unwrap(), RECEIVED) }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = [0, 1, 2, 9, 10, 4_000_000_000].map(|earlier| policy().backoff().pause(earlier, 0.0).as_secs());
        assert_eq!(pauses, [5, 10, 20, 2_560, 3_600, 3_600]);
    }

    #[test]
    fn a_delivery_is_given_up_by_the_first_failure_after_its_time() {
        let last_moment = RECEIVED.plus(seconds(3 * 86_400));
        let before = last_moment.minus(Duration::from_millis(1));
        assert!(matches!(policy().verdict(BUSY, &delivery(40), before, 0.0), Verdict::RetryAt(_)));
        let given_up = Verdict::Dead(DeadReason::GaveUp);
        assert_eq!(policy().verdict(BUSY, &delivery(40), last_moment, 0.0), given_up);
        assert_eq!(policy().verdict(Meaning::Success, &delivery(40), last_moment, 0.0), Verdict::Done);
    }

    #[test]
    fn a_replayed_dead_letter_is_not_given_up_for_its_age() {
        let a_week_later = RECEIVED.plus(seconds(7 * 86_400));
        let again = delivery(40).replayed(a_week_later);
        let due = a_week_later.plus(seconds(5));
        assert_eq!(policy().verdict(BUSY, &again, a_week_later, 0.0), Verdict::RetryAt(due));
    }

    #[test]
    fn retry_after_is_a_lower_bound_and_never_shortens_a_pause() {
        let until = |seconds| Meaning::Throttled { until: Some(RECEIVED.plus(seconds)) };
        let due = |seconds| Verdict::RetryAt(RECEIVED.plus(seconds));
        assert_eq!(policy().verdict(until(seconds(60)), &delivery(0), RECEIVED, 0.0), due(seconds(60)));
        assert_eq!(policy().verdict(until(seconds(1)), &delivery(0), RECEIVED, 0.0), due(seconds(5)));
    }

    #[test]
    fn what_decides_nothing_about_the_event_leaves_it_in_its_place() {
        let stop = Meaning::StopDestination { advice: "correct `url`" };
        assert_eq!(policy().verdict(stop, &delivery(3), Timestamp::MAX, 0.0), Verdict::Release);
        assert_eq!(policy().verdict(Meaning::Undecided, &delivery(3), Timestamp::MAX, 0.0), Verdict::Release);
    }

    #[test]
    fn a_policy_that_would_attack_or_contradicts_itself_cannot_exist() {
        let policy = |initial, max| RetryPolicy::try_new(seconds(initial), seconds(max), seconds(9));
        assert_eq!(policy(0, 5).err(), Some(RetryPolicyError::NoDelay));
        assert_eq!(policy(5, 4).err(), Some(RetryPolicyError::MaxBelowInitial));
    }

    prop_compose! {
        fn any_backoff()(initial in 1_u64.., longer in any::<u64>()) -> Backoff {
            let initial = Duration::from_millis(initial);
            Backoff::try_new(initial, initial.saturating_add(Duration::from_millis(longer))).unwrap()
        }
    }

    proptest! {
        #[test]
        fn pauses_grow_within_their_bounds(backoff in any_backoff(), earlier in any::<u32>(), roll in -1.0..9.0) {
            let (pause, next) = (backoff.pause(earlier, roll), backoff.pause(earlier.saturating_add(1), roll));
            prop_assert!(pause >= backoff.initial);
            prop_assert!(pause <= next);
            // To the rounding of a float, which millions of years show.
            prop_assert!(next.as_secs_f64() <= backoff.max.as_secs_f64() * (1.0 + JITTER) * 1.000_001);
        }

        #[test]
        fn the_dice_only_add(backoff in any_backoff(), earlier in any::<u32>(), roll: f64) {
            prop_assert!(backoff.pause(earlier, roll) >= backoff.pause(earlier, 0.0));
        }

        #[test]
        fn a_retry_is_never_due_before_now_nor_before_it_was_asked_for(
            backoff in any_backoff(), retries: u32, now: u64, until: u64, roll in 0.0..1.0,
        ) {
            let policy = RetryPolicy { backoff, give_up_after: Duration::MAX };
            let (now, until) = (Timestamp::from_millis(now), Timestamp::from_millis(until));
            let meaning = Meaning::Throttled { until: Some(until) };
            match policy.verdict(meaning, &delivery(retries), now, roll) {
                Verdict::RetryAt(due) => prop_assert!(due >= now && due >= until),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
