//! How long will it take until nothing waits for a destination, if it goes on like this? Pure.
//!
//! Counted is what waits, not what is sent: so what comes in meanwhile counts, and what other relays on the same queue do.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    model::{Name, Timestamp},
    store::DestinationStats,
};

/// How far back "like this" reaches: long enough to smooth a destination's moods, short enough to notice when it is back.
const WINDOW: Duration = Duration::from_secs(120);
/// With less to go by, nothing is said.
const ENOUGH: Duration = Duration::from_secs(5);

/// What has waited for each destination of late.
#[derive(Debug, Default)]
pub(super) struct Drain(BTreeMap<Name, VecDeque<(Timestamp, u64)>>);

impl Drain {
    /// Takes note of what waits at `now`.
    pub(super) fn note(&mut self, now: Timestamp, destinations: &[DestinationStats]) {
        let start = now.minus(WINDOW);
        for destination in destinations {
            let samples = self.0.entry(destination.destination.clone()).or_default();
            // A clock that was set back makes all that was noted before worthless.
            samples.retain(|(at, _)| (start..=now).contains(at));
            samples.push_back((now, destination.waiting));
        }
    }

    /// How long until nothing waits; `None` while it doesn't become less, or nothing can be said yet.
    pub(super) fn of(&self, destination: &Name) -> Option<Duration> {
        let samples = self.0.get(destination)?;
        let ((first_at, first), (last_at, last)) = (samples.front()?, samples.back()?);
        let span = last_at.since(*first_at);
        let less = first.checked_sub(*last).filter(|less| *less > 0 && span >= ENOUGH)?;
        let millis = u128::from(*last) * span.as_millis() / u128::from(less);
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crm() -> Name {
        Name::new("crm").unwrap()
    }

    fn after(samples: &[(u64, u64)]) -> Option<Duration> {
        let mut drain = Drain::default();
        for (second, waiting) in samples {
            let stats = DestinationStats {
                destination: crm(),
                waiting: *waiting,
                in_flight: 0,
                dead: 0,
                expired: 0,
                oldest: None,
            };
            drain.note(Timestamp::from_millis(second * 1000), &[stats]);
        }
        drain.of(&crm())
    }

    #[test]
    fn at_a_steady_pace_it_says_when() {
        assert_eq!(after(&[(0, 1000), (5, 950), (10, 900)]), Some(Duration::from_secs(90)));
        assert_eq!(after(&[(0, 10), (10, 0)]), Some(Duration::ZERO));
    }

    #[test]
    fn it_says_nothing_while_it_does_not_become_less_or_too_early() {
        assert_eq!(after(&[(0, 10), (10, 10)]), None);
        assert_eq!(after(&[(0, 10), (10, 20)]), None);
        assert_eq!(after(&[(0, 10), (4, 5)]), None);
        assert_eq!(after(&[]), None);
    }

    #[test]
    fn what_was_long_ago_does_not_count_and_a_clock_set_back_starts_it_anew() {
        assert_eq!(after(&[(0, 10_000), (200, 100), (210, 50)]), Some(Duration::from_secs(10)));
        assert_eq!(after(&[(500, 100), (10, 50)]), None);
    }
}
