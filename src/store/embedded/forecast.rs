//! When will the disk be full, if it goes on like this? Pure.

use std::{collections::VecDeque, time::Duration};

use crate::model::Timestamp;

/// How far back "like this" reaches: long enough for the pauses of a normal day, short enough to notice an outage of a
/// destination within its first hour.
const WINDOW: Duration = Duration::from_secs(60 * 60);
/// With less to go by, nothing is said.
const ENOUGH: Duration = Duration::from_secs(60);

/// How the queue's size on disk has changed of late.
#[derive(Debug, Default)]
pub(super) struct Growth {
    sizes: VecDeque<(Timestamp, u64)>,
}

impl Growth {
    /// Takes note of the size at `now`.
    pub(super) fn note(&mut self, now: Timestamp, bytes: u64) {
        let start = now.minus(WINDOW);
        // A clock that was set back makes all that was noted before worthless.
        self.sizes.retain(|(at, _)| (start..=now).contains(at));
        self.sizes.push_back((now, bytes));
    }

    /// How long it takes until `room` more bytes are used; `None` when the queue isn't growing, or nothing can be said yet.
    pub(super) fn fills(&self, room: u64) -> Option<Duration> {
        let ((first_at, first), (last_at, last)) = (self.sizes.front()?, self.sizes.back()?);
        let span = last_at.since(*first_at);
        let grown = last.checked_sub(*first).filter(|grown| *grown > 0 && span >= ENOUGH)?;
        let seconds = u128::from(room) * span.as_millis() / u128::from(grown) / 1000;
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn minute(minute: u64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    #[test]
    fn at_a_steady_rate_it_says_when() {
        let mut growth = Growth::default();
        for passed in 0..5 {
            growth.note(minute(passed), passed * MIB);
        }
        assert_eq!(growth.fills(60 * MIB), Some(Duration::from_secs(60 * 60)));
        assert_eq!(growth.fills(0), Some(Duration::ZERO));
    }

    #[test]
    fn it_says_nothing_without_growth_or_too_early() {
        let mut growth = Growth::default();
        assert_eq!(growth.fills(MIB), None);
        growth.note(minute(0), 5 * MIB);
        growth.note(Timestamp::from_millis(59_000), 6 * MIB);
        assert_eq!(growth.fills(MIB), None);
        growth.note(minute(2), 4 * MIB);
        assert_eq!(growth.fills(MIB), None);
    }

    #[test]
    fn what_was_more_than_an_hour_ago_does_not_count() {
        let mut growth = Growth::default();
        growth.note(minute(0), 0);
        growth.note(minute(70), 100 * MIB);
        assert_eq!(growth.fills(MIB), None);
        growth.note(minute(80), 110 * MIB);
        assert_eq!(growth.fills(MIB), Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_clock_that_is_set_back_starts_it_anew() {
        let mut growth = Growth::default();
        growth.note(minute(100), 0);
        growth.note(minute(10), 50 * MIB);
        assert_eq!(growth.fills(MIB), None);
    }
}
