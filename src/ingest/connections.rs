//! How many connections are open, and which of them makes room for another.
//!
//! Invariants: there are never more than the limit; a connection with a request in work is never asked to make room.
//!
//! When all places are taken, the connection that has been quiet the longest has to go. So whoever opens connections and
//! stays silent, or sends a head without end, can't keep those out who have something to say.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::{Resource, getrlimit};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::Settings;

/// With a place for more, bodies could take more memory than a small machine has: each connection has up to 64 KiB of a
/// body for free, so these make 64 MiB.
const MOST_CONNECTIONS: u64 = 1024;

/// A connection that has been quiet for less is about to say something: most senders connect in order to send at once.
const QUIET_ENOUGH: Duration = Duration::from_secs(1);

/// How often to look for a connection that has become quiet enough, while somebody waits for a place.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The number of connections that this process can afford: half of its file descriptors. The other half is for the
/// store (some 20), the admin side, and the deliveries (destinations × concurrency).
pub(super) fn affordable() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from((descriptors / 2).clamp(1, MOST_CONNECTIONS)).unwrap_or(1)
}

/// The open connections.
pub(super) struct Connections {
    limit: usize,
    open: Mutex<Open>,
    left: Notify,
}

#[derive(Default)]
struct Open {
    next_key: u64,
    activities: HashMap<u64, Arc<Activity>>,
}

impl Connections {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, open: Mutex::default(), left: Notify::new() })
    }

    /// Waits for a place.
    pub(super) async fn enter(self: &Arc<Self>) -> Place {
        loop {
            if let Some(place) = self.try_enter() {
                return place;
            }
            self.ask_quietest_to_leave();
            // Either way, look again.
            drop(timeout(LOOK_AGAIN, self.left.notified()).await);
        }
    }

    fn try_enter(self: &Arc<Self>) -> Option<Place> {
        let mut open = lock(&self.open);
        if open.activities.len() >= self.limit {
            return None;
        }
        let (key, activity) = (open.next_key, Arc::new(Activity::new()));
        open.next_key += 1;
        open.activities.insert(key, Arc::clone(&activity));
        Some(Place { connections: Arc::clone(self), key, activity })
    }

    fn ask_quietest_to_leave(&self) {
        let now = Instant::now();
        let open = lock(&self.open);
        let quiet = open.activities.values().filter_map(|activity| Some((activity.quiet_since()?, activity)));
        if let Some((since, quietest)) = quiet.min_by_key(|(since, _)| *since)
            && now.duration_since(since) >= QUIET_ENOUGH
        {
            tracing::debug!(limit = self.limit, "all connections are in use: closing the one quiet for the longest");
            quietest.tell(Wish::MakeRoom);
        }
    }

    /// Tells all connections.
    pub(super) fn tell_all(&self, wish: Wish) {
        for activity in lock(&self.open).activities.values() {
            activity.tell(wish);
        }
    }
}

/// A place among the open connections, given back when it is dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    key: u64,
    activity: Arc<Activity>,
}

impl Place {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.connections.open).activities.remove(&self.key);
        self.connections.left.notify_one();
    }
}

/// What is wished of a connection from outside; each wish is more urgent than those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// Go on.
    Nothing,
    /// Close, unless a request is in work.
    MakeRoom,
    /// Answer what is in work, then close.
    Finish,
    /// Close.
    GiveUp,
}

/// What a connection is doing.
pub(super) struct Activity {
    state: Mutex<State>,
    told: Notify,
}

struct State {
    phase: Phase,
    wish: Wish,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Open since then, without a whole head so far.
    Fresh(Instant),
    /// A request is in work.
    Busy,
    /// Nothing in work since then.
    Quiet(Instant),
}

impl Activity {
    fn new() -> Self {
        let state = State { phase: Phase::Fresh(Instant::now()), wish: Wish::Nothing };
        Self { state: Mutex::new(state), told: Notify::new() }
    }

    /// Awaits `request`; the connection is busy until then.
    pub(super) async fn busy_with<F: Future>(self: Arc<Self>, request: F) -> F::Output {
        lock(&self.state).phase = Phase::Busy;
        let _quiet_afterwards = QuietAfterwards(&self);
        request.await
    }

    /// Until when nothing has to happen on the connection; `None` while a request is in work, which has deadlines of its
    /// own.
    pub(super) fn patience(&self, settings: &Settings) -> Option<Instant> {
        match lock(&self.state).phase {
            Phase::Fresh(since) => Some(since + settings.head_deadline),
            Phase::Busy => None,
            Phase::Quiet(since) => Some(since + settings.keep_alive),
        }
    }

    fn quiet_since(&self) -> Option<Instant> {
        match lock(&self.state).phase {
            Phase::Fresh(since) | Phase::Quiet(since) => Some(since),
            Phase::Busy => None,
        }
    }

    fn tell(&self, wish: Wish) {
        let mut state = lock(&self.state);
        state.wish = state.wish.max(wish);
        self.told.notify_one();
    }

    /// Waits for a wish, and for the right moment: who is busy doesn't make room.
    pub(super) async fn wish(&self) -> Wish {
        loop {
            self.told.notified().await;
            let mut state = lock(&self.state);
            if state.wish == Wish::MakeRoom && matches!(state.phase, Phase::Busy) {
                state.wish = Wish::Nothing;
                continue;
            }
            return state.wish;
        }
    }
}

struct QuietAfterwards<'a>(&'a Activity);

impl Drop for QuietAfterwards<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).phase = Phase::Quiet(Instant::now());
    }
}

/// What is locked here is whole at every moment, also when a thread panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::advance;

    use super::*;

    /// The wish that has been told to the connection in `place`, if any.
    fn told(place: &Place) -> Wish {
        lock(&place.activity.state).wish
    }

    async fn waits<F: Future>(waiting: F) -> bool {
        timeout(LOOK_AGAIN * 2, waiting).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_given_back_goes_to_whoever_waits() {
        let connections = Connections::new(1);
        let place = connections.enter().await;
        assert!(waits(connections.enter()).await);
        drop(place);
        assert!(!waits(connections.enter()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_quiet_for_the_longest_makes_room() {
        let connections = Connections::new(2);
        let oldest = connections.enter().await;
        advance(QUIET_ENOUGH).await;
        let newest = connections.enter().await;
        assert!(waits(connections.enter()).await);
        assert_eq!((told(&oldest), told(&newest)), (Wish::MakeRoom, Wish::Nothing));
        assert_eq!(oldest.activity.wish().await, Wish::MakeRoom);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_just_connected_is_left_alone() {
        let connections = Connections::new(1);
        let place = connections.enter().await;
        assert!(waits(connections.enter()).await);
        assert_eq!(told(&place), Wish::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn one_with_a_request_in_work_never_makes_room() {
        let connections = Connections::new(1);
        let place = connections.enter().await;
        let activity = Arc::clone(place.activity());
        advance(QUIET_ENOUGH).await;
        place.activity().tell(Wish::MakeRoom);
        tokio::select! {
            biased;
            () = Arc::clone(&activity).busy_with(pending()) => {}
            wish = activity.wish() => panic!("it was told {wish:?}"),
            () = async { assert!(waits(connections.enter()).await) } => {}
        }
        assert!(activity.quiet_since().is_some(), "afterwards it is quiet");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_also_concerns_the_busy_and_is_not_taken_back() {
        let connections = Connections::new(1);
        let place = connections.enter().await;
        let busy = Arc::clone(place.activity()).busy_with(async {
            connections.tell_all(Wish::Finish);
            place.activity().tell(Wish::MakeRoom);
            place.activity().wish().await
        });
        assert_eq!(timeout(LOOK_AGAIN, busy).await, Ok(Wish::Finish));
    }
}
