//! Budgets: the places that attempts take, of one destination's rate or of what several share.
//!
//! A lane that looks for deliveries draws permits first, as many as it could use, and gives back those that it finds no
//! delivery for. So no delivery is claimed that has to wait for a budget, whose windows may be longer than any lease.
//!
//! Lanes are served in the order in which they ask. Each gets what there is, at most what it asked for, and has to queue
//! again: so one that could use up everything gets its turn and no more, and none starves.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{self, Notify},
    time,
};

use crate::{
    clock::Clock,
    model::Timestamp,
    rate::{Pace, Room, Window},
};

/// How long a wait may be before the clock is asked again: somebody may have set it.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Places for attempts that some lanes draw from.
#[derive(Debug)]
pub struct Budget {
    pace: Mutex<Pace>,
    /// Held by the lane whose turn it is.
    turn: sync::Mutex<()>,
    /// Told when a place may have become free.
    freed: Notify,
    clock: Clock,
}

impl Budget {
    /// A budget of which nothing is used yet. Without windows and `concurrency` it limits nothing.
    #[must_use]
    pub fn new(windows: &[Window], concurrency: Option<NonZeroUsize>, clock: Clock) -> Self {
        let pace = Mutex::new(Pace::new(windows, concurrency));
        Self { pace, turn: sync::Mutex::new(()), freed: Notify::new(), clock }
    }

    /// Sets other limits. The places that are taken stay taken, and what was sent counts on.
    pub fn limit(&self, windows: &[Window], concurrency: Option<NonZeroUsize>) {
        self.pace().limit(windows, concurrency);
        self.freed.notify_one();
    }

    /// Waits for its turn and then for places: one at least, `most` at most.
    async fn places(self: &Arc<Self>, most: NonZeroUsize) -> Vec<Place> {
        let _turn = self.turn.lock().await;
        loop {
            let now = self.clock.now();
            let sleep = match self.taken(most, now) {
                Ok(places) => return places,
                Err(until) => until.map_or(LONGEST_SLEEP, |until| until.since(now)),
            };
            tokio::select! {
                () = self.freed.notified() => {}
                () = time::sleep(sleep.min(LONGEST_SLEEP)) => {}
            }
        }
    }

    /// Up to `most` places; if there is none, when there is one, if that is known.
    fn taken(self: &Arc<Self>, most: NonZeroUsize, now: Timestamp) -> Result<Vec<Place>, Option<Timestamp>> {
        let mut pace = self.pace();
        match pace.room(now) {
            Room::For(free) => {
                let count = free.min(most);
                pace.take(count);
                Ok((0..count.get()).map(|_| Place { budget: Arc::clone(self), use_: Use::None }).collect())
            }
            Room::NotBefore(at) => Err(Some(at)),
            Room::Full => Err(None),
        }
    }

    /// What a panic left is as good as what was there before: each change is one step.
    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in one budget. It is free again when this is dropped; after an attempt it counts for the length of the windows.
#[derive(Debug)]
struct Place {
    budget: Arc<Budget>,
    use_: Use,
}

/// Whether an attempt came of a place.
#[derive(Debug, Clone, Copy)]
enum Use {
    None,
    Attempt,
}

impl Drop for Place {
    fn drop(&mut self) {
        match self.use_ {
            Use::None => self.budget.pace().give_back(),
            Use::Attempt => self.budget.pace().ended(self.budget.clock.now()),
        }
        self.budget.freed.notify_one();
    }
}

/// The right to make one attempt: a place in each budget of a destination, none where there is none.
#[derive(Debug, Default)]
pub(super) struct Permit(Vec<Place>);

impl Permit {
    /// The attempt begins. It ends when the permit is dropped.
    pub(super) fn spend(&mut self) {
        for place in &mut self.0 {
            place.use_ = Use::Attempt;
        }
    }
}

/// Waits for permits: one at least, `most` at most. Nothing is lost when the caller stops waiting.
pub(super) async fn draw(budgets: &[Arc<Budget>], most: NonZeroUsize) -> Vec<Permit> {
    let mut permits: Vec<Permit> = (0..most.get()).map(|_| Permit::default()).collect();
    for budget in budgets {
        let places = budget.places(NonZeroUsize::new(permits.len()).unwrap_or(most)).await;
        permits.truncate(places.len());
        for (permit, place) in permits.iter_mut().zip(places) {
            permit.0.push(place);
        }
    }
    permits
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    fn count(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    fn window(limit: usize, seconds: u64) -> Window {
        Window { limit: count(limit), length: Duration::from_secs(seconds) }
    }

    /// A clock that goes with the paused time of a test.
    fn clock() -> Clock {
        let start = time::Instant::now();
        Clock::from_fn(move || Timestamp::from_millis(1_000_000).plus(start.elapsed()))
    }

    fn budget(windows: &[Window], concurrency: Option<usize>) -> Arc<Budget> {
        Arc::new(Budget::new(windows, concurrency.map(count), clock()))
    }

    fn spend(permits: Vec<Permit>) {
        for mut permit in permits {
            permit.spend();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_gets_what_there_is_and_waits_for_the_next_window() {
        let budgets = [budget(&[window(4, 1)], None)];
        let begin = time::Instant::now();
        let first = draw(&budgets, count(8)).await;
        assert_eq!((first.len(), begin.elapsed()), (4, Duration::ZERO));
        spend(first);
        assert_eq!(draw(&budgets, count(8)).await.len(), 4);
        assert!(begin.elapsed() > Duration::from_secs(1) && begin.elapsed() < Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_is_there_for_the_next_at_once() {
        let budgets = [budget(&[window(2, 3_600)], None)];
        let begin = time::Instant::now();
        let unused = draw(&budgets, count(2)).await;
        let (two, ()) = tokio::join!(draw(&budgets, count(2)), async { drop(unused) });
        assert_eq!((two.len(), begin.elapsed()), (2, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_of_other_limits_and_what_was_sent_counts_under_them() {
        let budgets = [budget(&[window(2, 3_600)], None)];
        spend(draw(&budgets, count(2)).await);
        let begin = time::Instant::now();
        let widened = async { budgets[0].limit(&[window(5, 3_600)], None) };
        let (three, ()) = tokio::join!(draw(&budgets, count(8)), widened);
        assert_eq!((three.len(), begin.elapsed()), (3, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_needs_a_place_in_each_of_its_budgets() {
        let (own, shared) = (budget(&[window(5, 1)], None), budget(&[], Some(2)));
        let budgets = [Arc::clone(&own), shared];
        let two = draw(&budgets, count(8)).await;
        assert_eq!(two.len(), 2);
        assert_eq!(draw(&[own], count(8)).await.len(), 3, "what the second budget didn't allow was given back");
    }

    #[tokio::test(start_paused = true)]
    async fn lanes_take_turns_and_none_starves() {
        let shared = budget(&[window(4, 1)], None);
        let taken: Arc<[AtomicU64; 3]> = Arc::default();
        let mut lanes = JoinSet::new();
        for lane in 0..3 {
            let (budgets, taken) = ([Arc::clone(&shared)], Arc::clone(&taken));
            lanes.spawn(async move {
                loop {
                    let permits = draw(&budgets, count(8)).await;
                    taken[lane].fetch_add(permits.len() as u64, Ordering::SeqCst);
                    time::sleep(Duration::from_millis(10)).await;
                    spend(permits);
                }
            });
        }
        time::sleep(Duration::from_secs(120)).await;
        lanes.shutdown().await;
        let taken = taken.each_ref().map(|taken| taken.load(Ordering::SeqCst));
        assert!(taken.iter().max().unwrap() - taken.iter().min().unwrap() <= 4, "{taken:?}");
        assert!(taken.iter().sum::<u64>() > 440, "{taken:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_keeps_nobody_waiting() {
        let budgets = [budget(&[], Some(1))];
        let held = draw(&budgets, count(1)).await;
        let gave_up = time::timeout(Duration::from_secs(60), draw(&budgets, count(1))).await;
        assert!(gave_up.is_err());
        drop(held);
        assert_eq!(draw(&budgets, count(1)).await.len(), 1);
    }
}
