//! The last hour, minute by minute: what came in, what went out, what failed, what waited.
//!
//! Nothing is counted here. Whoever keeps a history notes every few seconds how far the counters are, and what has been added
//! since the last time belongs to the minute of the note. It takes 3 KiB for each destination that the configuration has had
//! since the start, and a restart forgets it: for longer memories there are metrics.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    time::Duration,
};

use crate::model::{Name, Timestamp};

const MINUTE_MILLIS: u64 = 60_000;
const MINUTE: Duration = Duration::from_millis(MINUTE_MILLIS);
/// How long the beginning of the oldest minute lies before that of the present one: 60 minutes are kept, both included.
const KEPT: Duration = Duration::from_millis(59 * MINUTE_MILLIS);

/// What happened within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute {
    /// When it began.
    pub at: Timestamp,
    /// Events that came in. For a destination nothing is counted here.
    pub accepted: u64,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Deliveries that waited when it was noted the last time.
    pub waiting: u64,
}

/// How far a destination was when it was noted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Deliveries that have arrived since the start.
    pub delivered: u64,
    /// Attempts that have failed since the start.
    pub failed: u64,
    /// Deliveries that wait now.
    pub waiting: u64,
}

/// The last hour of the relay and of each destination.
#[derive(Debug, Default)]
pub struct History {
    accepted: u64,
    all: Option<Series>,
    destinations: BTreeMap<Name, (Progress, Series)>,
}

/// Minutes without gaps.
#[derive(Debug)]
struct Series {
    /// Oldest first.
    earlier: VecDeque<Minute>,
    latest: Minute,
}

impl History {
    /// Notes how far everything is: events that were accepted since the start, and each destination.
    pub fn note(&mut self, now: Timestamp, accepted: u64, destinations: &BTreeMap<Name, Progress>) {
        let begin = now.minus(Duration::from_millis(now.as_millis() % MINUTE_MILLIS));
        let all = self.all.get_or_insert_with(|| Series::starting(begin)).minute(begin);
        all.accepted += accepted.saturating_sub(self.accepted);
        all.waiting = destinations.values().map(|progress| progress.waiting).sum();
        self.accepted = accepted;
        for (name, progress) in destinations {
            let new = || (Progress::default(), Series::starting(begin));
            let (before, series) = self.destinations.entry(name.clone()).or_insert_with(new);
            let own = series.minute(begin);
            own.waiting = progress.waiting;
            for minute in [&mut *all, own] {
                minute.delivered += progress.delivered.saturating_sub(before.delivered);
                minute.failed += progress.failed.saturating_sub(before.failed);
            }
            *before = *progress;
        }
    }

    /// The minutes of the relay as a whole, oldest first.
    pub fn minutes(&self) -> impl Iterator<Item = Minute> {
        self.all.iter().flat_map(Series::minutes)
    }

    /// The minutes of a destination, oldest first.
    pub fn minutes_of(&self, destination: &Name) -> impl Iterator<Item = Minute> {
        self.destinations.get(destination).into_iter().flat_map(|(_, series)| series.minutes())
    }
}

impl Series {
    fn starting(at: Timestamp) -> Self {
        Self { earlier: VecDeque::new(), latest: Minute::quiet(at, 0) }
    }

    /// The minute that begins at `begin`; the latest when that is later already, for a clock may be put right a little.
    /// Minutes in which nobody noted anything are filled in, with what waited before them.
    fn minute(&mut self, begin: Timestamp) -> &mut Minute {
        let oldest = begin.minus(KEPT);
        while self.latest.at < begin {
            let next = Minute::quiet(self.latest.at.plus(MINUTE).max(oldest), self.latest.waiting);
            self.earlier.push_back(mem::replace(&mut self.latest, next));
        }
        while self.earlier.front().is_some_and(|minute| minute.at < oldest) {
            self.earlier.pop_front();
        }
        &mut self.latest
    }

    fn minutes(&self) -> impl Iterator<Item = Minute> {
        self.earlier.iter().copied().chain([self.latest])
    }
}

impl Minute {
    const fn quiet(at: Timestamp, waiting: u64) -> Self {
        Self { at, accepted: 0, delivered: 0, failed: 0, waiting }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_790_000_040_000);

    fn crm() -> Name {
        Name::new("crm").unwrap()
    }

    fn at(delivered: u64, failed: u64, waiting: u64) -> BTreeMap<Name, Progress> {
        BTreeMap::from([(crm(), Progress { delivered, failed, waiting })])
    }

    fn seconds(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn what_was_added_since_the_last_note_belongs_to_the_minute_of_the_note() {
        let mut history = History::default();
        history.note(seconds(5), 2, &at(1, 1, 1));
        history.note(seconds(59), 3, &at(3, 1, 0));
        history.note(seconds(60), 7, &at(4, 3, 2));
        let first = Minute { at: START, accepted: 3, delivered: 3, failed: 1, waiting: 0 };
        let second = Minute { at: seconds(60), accepted: 4, delivered: 1, failed: 2, waiting: 2 };
        assert_eq!(history.minutes().collect::<Vec<_>>(), [first, second]);
        let of_crm = [first, second].map(|minute| Minute { accepted: 0, ..minute });
        assert_eq!(history.minutes_of(&crm()).collect::<Vec<_>>(), of_crm);
    }

    #[test]
    fn an_hour_is_kept_and_no_more_without_gaps_however_long_nobody_noted_anything() {
        for silence in [60, 600, 3_540, 3_600, 1_000_000] {
            let mut history = History::default();
            history.note(START, 1, &at(0, 0, 9));
            history.note(seconds(silence), 1, &at(0, 0, 9));
            let minutes: Vec<Minute> = history.minutes().collect();
            assert_eq!(minutes.len() as u64, (silence / 60 + 1).min(60), "after {silence} s");
            assert!(minutes.windows(2).all(|pair| pair[1].at == pair[0].at.plus(MINUTE)));
            assert!(minutes.iter().all(|minute| minute.waiting == 9));
            assert_eq!(minutes.last().unwrap().at, seconds(silence / 60 * 60));
        }
    }

    #[test]
    fn a_clock_that_is_put_right_by_some_seconds_makes_no_minute_twice() {
        let mut history = History::default();
        history.note(seconds(61), 1, &at(0, 0, 0));
        history.note(seconds(58), 2, &at(0, 0, 0));
        let minutes: Vec<Minute> = history.minutes().collect();
        assert_eq!(minutes, [Minute { accepted: 2, ..Minute::quiet(seconds(60), 0) }]);
    }

    #[test]
    fn a_destination_that_comes_back_is_not_counted_from_the_start_again() {
        let mut history = History::default();
        history.note(START, 0, &at(5, 0, 0));
        history.note(seconds(60), 0, &BTreeMap::new());
        history.note(seconds(120), 0, &at(6, 0, 0));
        let delivered: Vec<u64> = history.minutes().map(|minute| minute.delivered).collect();
        assert_eq!(delivered, [5, 0, 1]);
    }
}
