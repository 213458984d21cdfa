//! How many requests may start now?
//!
//! Vendors count in several windows at once ("4 in a second, 60 in 30 s, 100 in an hour"), and each has to hold for every
//! stretch of time of its length, wherever it begins. The vendor counts when a request arrives, which we don't see: it is
//! somewhere between its start here and its end. So a request takes a place in each window from its start until the
//! window's length after its *end*. Then the vendor never sees more than the limit, however long a request was on its way,
//! and however unevenly they arrive. It costs little: where answers take long, `concurrency` is the limit, not the rate.
//!
//! A bucket that refills (GCRA) would need less memory and allow twice the limit in some windows, right after a pause. Here
//! each end is remembered for as long as it counts; of those that are very many, some are remembered as one, at the latest
//! of their times ([`CELLS`]).
//!
//! It forgets with the process: after a restart a vendor may answer 429 once, which [`crate::breaker`] obeys. A clock that is
//! set back lets nobody wait for longer than a whole window.

use std::{collections::VecDeque, num::NonZeroUsize, time::Duration};

use crate::model::Timestamp;

/// Ends that a window remembers one by one. Above, those within a thousandth of its length count as one, so a window frees
/// its places up to a thousandth of its length late, and takes at most 24 KiB.
const CELLS: u32 = 1024;

/// Time stamps leave out parts of a millisecond: what ended at "5" may have ended just before 6.
const CLOCK_GRAIN: Duration = Duration::from_millis(1);

/// At most so many requests in any stretch of time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many.
    pub limit: NonZeroUsize,
    /// The length.
    pub length: Duration,
}

/// The answer to "how many may start?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// So many.
    For(NonZeroUsize),
    /// None before this time.
    NotBefore(Timestamp),
    /// None before one of those on their way has ended.
    Full,
}

/// The places of some windows, and of what may be on its way at once: who takes them, and when they are free again.
#[derive(Debug, Clone)]
pub struct Pace {
    windows: Vec<Tally>,
    concurrency: NonZeroUsize,
    in_flight: usize,
}

impl Pace {
    /// Nobody has taken a place yet. Without windows and `concurrency` there is room for everybody.
    #[must_use]
    pub fn new(windows: &[Window], concurrency: Option<NonZeroUsize>) -> Self {
        Self {
            windows: windows.iter().map(|window| Tally::new(*window)).collect(),
            concurrency: concurrency.unwrap_or(NonZeroUsize::MAX),
            in_flight: 0,
        }
    }

    /// How many further requests may start at `now`.
    #[must_use]
    pub fn room(&mut self, now: Timestamp) -> Room {
        for tally in &mut self.windows {
            tally.turn(now);
        }
        let in_flight = self.in_flight;
        let limits = self.windows.iter().map(|tally| tally.free(in_flight));
        let free = limits.fold(self.concurrency.get().saturating_sub(in_flight), usize::min);
        match NonZeroUsize::new(free) {
            Some(free) => Room::For(free),
            None => self.next_free().map_or(Room::Full, Room::NotBefore),
        }
    }

    /// Takes `count` places; [`Self::room`] says how many there are.
    pub fn take(&mut self, count: NonZeroUsize) {
        self.in_flight = self.in_flight.saturating_add(count.get());
    }

    /// A request is over. It counts for the length of each window from `now`.
    pub fn ended(&mut self, now: Timestamp) {
        self.give_back();
        for tally in &mut self.windows {
            tally.turn(now);
            tally.add(now);
        }
    }

    /// A place was taken, and no request came of it.
    pub fn give_back(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Sets other limits. What is on its way and what has ended counts on, as far as the windows that there were remember it.
    pub fn limit(&mut self, windows: &[Window], concurrency: Option<NonZeroUsize>) {
        self.windows = windows.iter().map(|window| self.remembered(*window)).collect();
        self.concurrency = concurrency.unwrap_or(NonZeroUsize::MAX);
    }

    /// A window with what is known of its length: from the shortest one that is as long, else from the longest.
    fn remembered(&self, window: Window) -> Tally {
        let longer = self.windows.iter().filter(|tally| tally.window.length >= window.length);
        let longest = || self.windows.iter().max_by_key(|tally| tally.window.length);
        let empty = Tally::new(window);
        match longer.min_by_key(|tally| tally.window.length).or_else(longest) {
            Some(Tally { cells, ended, .. }) => Tally { cells: cells.clone(), ended: *ended, ..empty },
            None => empty,
        }
    }

    /// When all windows have a place, if nothing more ends; `None` when one that is on its way has to end first.
    fn next_free(&self) -> Option<Timestamp> {
        if self.in_flight >= self.concurrency.get() {
            return None;
        }
        let full = self.windows.iter().filter(|tally| tally.free(self.in_flight) == 0);
        full.map(Tally::first_expiry).try_fold(Timestamp::EPOCH, |latest, expiry| Some(latest.max(expiry?)))
    }
}

/// What counts in one window, oldest first.
#[derive(Debug, Clone)]
struct Tally {
    window: Window,
    /// Ends that lie no further apart count as one.
    grain: Duration,
    cells: VecDeque<Cell>,
    ended: usize,
}

/// Requests that ended at nearly the same time.
#[derive(Debug, Clone, Copy)]
struct Cell {
    first: Timestamp,
    last: Timestamp,
    count: usize,
}

impl Tally {
    fn new(window: Window) -> Self {
        let is_small = u32::try_from(window.limit.get()).is_ok_and(|limit| limit <= CELLS);
        let grain = if is_small { Duration::ZERO } else { window.length / CELLS };
        Self { window, grain, cells: VecDeque::new(), ended: 0 }
    }

    /// Forgets what counts no longer. What seems to have ended after `now`, because the clock was set back, ended by now.
    fn turn(&mut self, now: Timestamp) {
        for cell in self.cells.iter_mut().rev().take_while(|cell| cell.last > now) {
            cell.last = now;
            cell.first = cell.first.min(now);
        }
        while self.first_expiry().is_some_and(|expiry| expiry <= now) {
            let count = self.cells.pop_front().map_or(0, |cell| cell.count);
            self.ended = self.ended.saturating_sub(count);
        }
    }

    fn add(&mut self, now: Timestamp) {
        self.ended = self.ended.saturating_add(1);
        match self.cells.back_mut() {
            Some(cell) if now.since(cell.first) <= self.grain => {
                cell.last = now;
                cell.count = cell.count.saturating_add(1);
            }
            _ => self.cells.push_back(Cell { first: now, last: now, count: 1 }),
        }
    }

    fn free(&self, in_flight: usize) -> usize {
        self.window.limit.get().saturating_sub(self.ended).saturating_sub(in_flight)
    }

    /// When the oldest counts no longer; `None` when nothing has ended.
    fn first_expiry(&self) -> Option<Timestamp> {
        Some(self.cells.front()?.last.plus(self.window.length).plus(CLOCK_GRAIN))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_790_012_345_000);

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn window(limit: usize, length: Duration) -> Window {
        Window { limit: NonZeroUsize::new(limit).unwrap(), length }
    }

    fn room_for(count: usize) -> Room {
        Room::For(NonZeroUsize::new(count).unwrap())
    }

    /// A pace, and the starts that it allows when everybody starts as early as possible and is over at once.
    fn greedy(windows: &[Window], time: Duration) -> Vec<u64> {
        let mut pace = Pace::new(windows, None);
        let mut now = START;
        let mut starts = Vec::new();
        while now < START.plus(time) {
            match pace.room(now) {
                Room::For(_) => {
                    pace.take(NonZeroUsize::MIN);
                    pace.ended(now);
                    starts.push(now.as_millis() - START.as_millis());
                }
                Room::NotBefore(at) => now = at,
                Room::Full => panic!("nothing is on its way"),
            }
        }
        starts
    }

    #[test]
    fn a_full_window_frees_its_places_one_by_one() {
        let mut pace = Pace::new(&[window(2, millis(1_000))], None);
        for at in [0, 300] {
            pace.take(NonZeroUsize::MIN);
            pace.ended(START.plus(millis(at)));
        }
        assert_eq!(pace.room(START.plus(millis(300))), Room::NotBefore(START.plus(millis(1_001))));
        assert_eq!(pace.room(START.plus(millis(1_001))), room_for(1));
        assert_eq!(pace.room(START.plus(millis(1_301))), room_for(2));
    }

    #[test]
    fn the_strictest_of_several_windows_decides() {
        let teams = [window(4, millis(1_000)), window(6, millis(30_000)), window(10, millis(3_600_000))];
        let starts = greedy(&teams, millis(3_600_000));
        assert_eq!(starts, [0, 0, 0, 0, 1_001, 1_001, 30_001, 30_001, 30_001, 30_001]);
    }

    #[test]
    fn a_request_on_its_way_holds_its_place_and_a_window_longer() {
        let mut pace = Pace::new(&[window(1, millis(1_000))], None);
        assert_eq!(pace.room(START), room_for(1));
        pace.take(NonZeroUsize::MIN);
        assert_eq!(pace.room(START.plus(millis(9_000))), Room::Full);
        pace.ended(START.plus(millis(9_000)));
        assert_eq!(pace.room(START.plus(millis(9_500))), Room::NotBefore(START.plus(millis(10_001))));
    }

    #[test]
    fn under_other_limits_what_was_done_before_still_counts() {
        let mut pace = Pace::new(&[window(4, millis(1_000)), window(9, millis(60_000))], None);
        for at in [0, 900, 910] {
            pace.take(NonZeroUsize::MIN);
            pace.ended(START.plus(millis(at)));
        }
        pace.take(NonZeroUsize::MIN);
        let now = START.plus(millis(1_500));
        pace.limit(&[window(6, millis(1_000)), window(5, millis(120_000))], None);
        assert_eq!(pace.room(now), room_for(1), "three in two minutes and one on its way");
        pace.limit(&[window(6, millis(1_000))], None);
        assert_eq!(pace.room(now), room_for(3), "two in a second and one on its way");
        pace.limit(&[window(6, millis(1_000))], NonZeroUsize::new(1));
        assert_eq!(pace.room(now), Room::Full);
        pace.limit(&[], None);
        assert_eq!(pace.room(now), room_for(usize::MAX - 1));
    }

    #[test]
    fn what_was_taken_and_given_back_counts_for_nothing() {
        let mut pace = Pace::new(&[window(1, millis(1_000))], None);
        pace.take(NonZeroUsize::MIN);
        pace.give_back();
        assert_eq!(pace.room(START), room_for(1));
    }

    #[test]
    fn concurrency_is_free_again_as_soon_as_one_ends() {
        let mut pace = Pace::new(&[], NonZeroUsize::new(3));
        pace.take(NonZeroUsize::new(3).unwrap());
        assert_eq!(pace.room(START), Room::Full);
        pace.ended(START);
        assert_eq!(pace.room(START), room_for(1));
    }

    #[test]
    fn a_pace_without_limits_has_room_for_everybody() {
        assert_eq!(Pace::new(&[], None).room(START), Room::For(NonZeroUsize::MAX));
    }

    #[test]
    fn a_clock_that_was_set_back_costs_a_window_and_not_the_hour() {
        let mut pace = Pace::new(&[window(2, millis(1_000))], None);
        for at in [0, 300] {
            pace.take(NonZeroUsize::MIN);
            pace.ended(START.plus(millis(at)));
        }
        let earlier = START.minus(millis(3_600_000));
        assert_eq!(pace.room(earlier), Room::NotBefore(earlier.plus(millis(1_001))));
        assert_eq!(pace.room(earlier.plus(millis(500))), Room::NotBefore(earlier.plus(millis(1_001))));
        assert_eq!(pace.room(earlier.plus(millis(1_001))), room_for(2));
    }

    #[test]
    fn a_daily_quota_takes_little_memory_and_is_used_up_to_a_thousandth() {
        let day = millis(24 * 60 * 60 * 1_000);
        let mut pace = Pace::new(&[window(650_000, day)], None);
        for n in 0..650_000_u64 {
            pace.take(NonZeroUsize::MIN);
            pace.ended(START.plus(millis(n * 120)));
        }
        assert!(pace.windows[0].cells.len() <= CELLS as usize, "{} cells", pace.windows[0].cells.len());
        let Room::NotBefore(at) = pace.room(START.plus(millis(650_000 * 120))) else { panic!("there is room") };
        assert!(at > START.plus(day) && at <= START.plus(day + day / 1_000), "{at}");
    }

    /// What a vendor counts, at whatever time within its life it sees a request.
    fn most_seen(arrivals: &mut [u64], length: Duration) -> usize {
        arrivals.sort_unstable();
        let length = u64::try_from(length.as_millis()).unwrap();
        let in_window = |from: &u64| arrivals.iter().filter(|at| (*from..=from + length).contains(at)).count();
        arrivals.iter().map(in_window).max().unwrap_or(0)
    }

    /// One request: how long after it could start it does, how long it takes, and when in that time it arrives.
    fn request() -> impl Strategy<Value = (u64, u64, f64)> {
        (0_u64..400, 0_u64..700, 0.0..=1.0)
    }

    proptest! {
        #[test]
        fn a_vendor_never_sees_more_than_the_limit_in_any_stretch_of_a_windows_length(
            limits in prop::collection::vec((1_usize..6, 50_u64..3_000), 1..4),
            requests in prop::collection::vec(request(), 1..60),
            concurrency in prop::option::of(1_usize..5),
        ) {
            let windows: Vec<_> = limits.iter().map(|(limit, length)| window(*limit, millis(*length))).collect();
            let mut pace = Pace::new(&windows, concurrency.and_then(NonZeroUsize::new));
            let (mut now, mut on_their_way, mut arrivals) = (0, Vec::new(), Vec::new());
            for (delay, takes, arrives) in requests {
                now += delay;
                loop {
                    on_their_way.sort_unstable();
                    while on_their_way.first().is_some_and(|end| *end <= now) {
                        pace.ended(START.plus(millis(on_their_way.remove(0))));
                    }
                    match pace.room(START.plus(millis(now))) {
                        Room::For(_) => break,
                        Room::NotBefore(at) => {
                            let next = at.as_millis() - START.as_millis();
                            prop_assert!(next > now, "it would spin");
                            now = on_their_way.first().map_or(next, |end| next.min(*end));
                        }
                        Room::Full => now = on_their_way[0],
                    }
                }
                pace.take(NonZeroUsize::MIN);
                on_their_way.push(now + takes);
                #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss,
                         reason = "small positive numbers")]
                arrivals.push(now + (takes as f64 * arrives) as u64);
                prop_assert!(concurrency.is_none_or(|most| on_their_way.len() <= most));
            }
            for window in windows {
                prop_assert!(most_seen(&mut arrivals, window.length) <= window.limit.get(), "{window:?}: {arrivals:?}");
            }
        }

        #[test]
        fn nobody_waits_for_longer_than_the_longest_window_whatever_the_clock_does(
            length in 1_u64..100_000, limit in 1_usize..3_000, clock in prop::collection::vec(0_u64..10_000_000, 1..40),
        ) {
            let mut pace = Pace::new(&[window(limit, millis(length))], None);
            for at in clock {
                let now = START.plus(millis(at));
                match pace.room(now) {
                    Room::For(free) => {
                        pace.take(free);
                        (0..free.get()).for_each(|_| pace.ended(now));
                    }
                    Room::NotBefore(at) => prop_assert!(at.since(now) <= millis(length) + CLOCK_GRAIN),
                    Room::Full => prop_assert!(false, "nothing is on its way"),
                }
            }
        }
    }
}
