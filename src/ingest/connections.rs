//! How many connections are open, and which of them makes room for another.
//!
//! Invariants: there are never more than the limit; a connection with an authentic event in work is never asked to make room.
//!
//! When all places are taken, the connection has to go that has been without an authentic event for the longest, and of those
//! that have brought one before, only when there are no others. So whoever opens connections and stays silent, or sends heads
//! or bodies without end or without a right signature, can't keep those out who have something to say.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::{Resource, getrlimit};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use super::Settings;

/// With a place for more, bodies could take more memory than a small machine has: each connection has up to 64 KiB of a
/// body for free, so these make 64 MiB.
const MOST_CONNECTIONS: u64 = 1024;

/// A connection that has been quiet for less is about to say something: most senders connect in order to send at once.
const QUIET_ENOUGH: Duration = Duration::from_secs(1);

/// How often to look for a connection that has become quiet enough, while somebody waits for a place.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The number of connections that this process can afford: a quarter of its file descriptors. The rest is for the process
/// itself (some 15), the store (at most 70, most of them while it reads a long backlog), the admin side (at most 64) and
/// the deliveries (destinations × concurrency). Strangers must never have what the journal needs to go on.
pub(super) fn affordable() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from((descriptors / 4).clamp(1, MOST_CONNECTIONS)).unwrap_or(1)
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
            self.ask_one_to_leave();
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

    fn ask_one_to_leave(&self) {
        let now = Instant::now();
        let open = lock(&self.open);
        let dispensable = open.activities.values().filter_map(|activity| Some((activity.dispensable()?, activity)));
        let enough = dispensable.filter(|((_, since), _)| now.duration_since(*since) >= QUIET_ENOUGH);
        if let Some((_, first)) = enough.min_by_key(|(order, _)| *order) {
            tracing::debug!(limit = self.limit, "all connections are in use: closing the one that is needed least");
            first.tell(Wish::MakeRoom);
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
    /// Close, unless an authentic event is in work.
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
    standing: Standing,
    wish: Wish,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Open since then, without a whole head so far.
    Fresh(Instant),
    /// A request is in work since then, of which nobody knows yet who sent it.
    Unverified(Instant),
    /// An authentic event is in work.
    Busy,
    /// Nothing in work since then.
    Quiet(Instant),
}

/// What is known of the other side; who stands lower goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Nothing.
    Stranger,
    /// It has sent an authentic event.
    Source,
}

impl Activity {
    fn new() -> Self {
        let state = State { phase: Phase::Fresh(Instant::now()), standing: Standing::Stranger, wish: Wish::Nothing };
        Self { state: Mutex::new(state), told: Notify::new() }
    }

    /// Awaits the answer to `request`, which is in work until then.
    pub(super) async fn work_on<F: Future>(self: Arc<Self>, request: F) -> F::Output {
        lock(&self.state).phase = Phase::Unverified(Instant::now());
        let _quiet_afterwards = QuietAfterwards(&self);
        request.await
    }

    /// Takes note that the request in work is an authentic event.
    pub(super) fn is_authentic(&self) {
        let mut state = lock(&self.state);
        (state.phase, state.standing) = (Phase::Busy, Standing::Source);
    }

    /// Until when nothing has to happen on the connection; `None` while a request is in work, which has deadlines of its
    /// own.
    fn patience(&self, settings: &Settings) -> Option<Instant> {
        match lock(&self.state).phase {
            Phase::Fresh(since) => Some(since + settings.head_deadline),
            Phase::Unverified(_) | Phase::Busy => None,
            Phase::Quiet(since) => Some(since + settings.keep_alive),
        }
    }

    /// Its place in the order in which connections have to go; `None` for one that must not.
    fn dispensable(&self) -> Option<(Standing, Instant)> {
        let state = lock(&self.state);
        match state.phase {
            Phase::Fresh(since) | Phase::Unverified(since) | Phase::Quiet(since) => Some((state.standing, since)),
            Phase::Busy => None,
        }
    }

    fn tell(&self, wish: Wish) {
        let mut state = lock(&self.state);
        state.wish = state.wish.max(wish);
        self.told.notify_one();
    }

    /// Waits for a wish that is more urgent than the one `heard` before, and for the right moment: who has an authentic event
    /// in work doesn't make room.
    pub(super) async fn wish(&self, heard: Wish) -> Wish {
        loop {
            let wish = self.present_wish();
            if wish > heard {
                return wish;
            }
            self.told.notified().await;
        }
    }

    fn present_wish(&self) -> Wish {
        let mut state = lock(&self.state);
        if state.wish == Wish::MakeRoom && matches!(state.phase, Phase::Busy) {
            state.wish = Wish::Nothing;
        }
        state.wish
    }

    /// Whether the answer in work is to be the connection's last one.
    pub(super) fn is_leaving(&self) -> bool {
        lock(&self.state).wish >= Wish::Finish
    }

    /// Waits until a connection has to go that has said nothing yet.
    pub(super) async fn has_to_go(&self) {
        if self.wish(Wish::Nothing).await == Wish::Finish {
            self.silence().await;
        }
    }

    /// Waits until nothing has happened on the connection for too long.
    pub(super) async fn patience_ends(&self, settings: &Settings) {
        loop {
            let look_again = Instant::now() + settings.keep_alive;
            let until = self.patience(settings).unwrap_or(look_again);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// Waits until the connection isn't about to say something. At a stop a client that has just connected, or has just been
    /// answered, may have its next request on the way already, and doesn't try again when that meets a closed door.
    pub(super) async fn silence(&self) {
        while let Some((_, since)) = self.dispensable()
            && let until = since + QUIET_ENOUGH
            && until > Instant::now()
        {
            sleep_until(until).await;
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
        assert_eq!(oldest.activity.wish(Wish::Nothing).await, Wish::MakeRoom);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_just_connected_is_left_alone() {
        let connections = Connections::new(1);
        let place = connections.enter().await;
        assert!(waits(connections.enter()).await);
        assert_eq!(told(&place), Wish::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn one_with_an_authentic_event_in_work_never_makes_room() {
        let connections = Connections::new(1);
        let place = connections.enter().await;
        let activity = Arc::clone(place.activity());
        advance(QUIET_ENOUGH).await;
        place.activity().tell(Wish::MakeRoom);
        let event = async {
            activity.is_authentic();
            pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = Arc::clone(&activity).work_on(event) => {}
            wish = activity.wish(Wish::Nothing) => panic!("it was told {wish:?}"),
            () = async { assert!(waits(connections.enter()).await) } => {}
        }
        assert!(activity.dispensable().is_some(), "afterwards it is quiet");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_its_time_with_a_body_makes_room() {
        let connections = Connections::new(1);
        let place = connections.enter().await;
        let trickling = Arc::clone(place.activity()).work_on(pending::<()>());
        let others = async {
            advance(QUIET_ENOUGH).await;
            assert!(waits(connections.enter()).await);
        };
        tokio::select! {
            biased;
            () = trickling => {}
            () = others => {}
        }
        assert_eq!(told(&place), Wish::MakeRoom);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_goes_before_one_that_has_sent_an_authentic_event_however_long_ago() {
        let connections = Connections::new(2);
        let source = connections.enter().await;
        Arc::clone(source.activity()).work_on(async { source.activity().is_authentic() }).await;
        advance(QUIET_ENOUGH * 30).await;
        let stranger = connections.enter().await;
        advance(QUIET_ENOUGH).await;
        assert!(waits(connections.enter()).await);
        assert_eq!((told(&source), told(&stranger)), (Wish::Nothing, Wish::MakeRoom));
        drop(stranger);
        let busy = connections.enter().await;
        let work = Arc::clone(busy.activity()).work_on(async {
            busy.activity().is_authentic();
            assert!(waits(connections.enter()).await);
        });
        work.await;
        assert_eq!(told(&source), Wish::MakeRoom, "there is nobody else");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_also_concerns_the_busy_and_is_not_taken_back() {
        let connections = Connections::new(1);
        let place = connections.enter().await;
        let busy = Arc::clone(place.activity()).work_on(async {
            connections.tell_all(Wish::Finish);
            place.activity().tell(Wish::MakeRoom);
            place.activity().wish(Wish::Nothing).await
        });
        assert_eq!(timeout(LOOK_AGAIN, busy).await, Ok(Wish::Finish));
    }
}
