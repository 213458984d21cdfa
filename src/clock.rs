//! The only wall clock and the only dice. Decisions get the time and their chances as arguments.
//!
//! A wall clock can be set, by mistake as well as to correct one. Retries, leases, retention and `give_up_after` all hang on it:
//! a date that is wrong by a month for a minute would give up deliveries and purge dead letters. So a clock that is set is
//! not believed before it has shown the same for an hour ([`DISBELIEF`]), which leaves people the time to notice the warning in
//! the log; until then time goes on from where it was. Between two runs nobody watches: a start believes what it finds.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};

use crate::model::Timestamp;

/// What a clock may be put right by at once. Time services correct what is less by letting the clock run faster or slower, and
/// make a step of what is more only at a start.
const SLACK: Duration = Duration::from_secs(5);

/// How long a clock that was set is not believed.
const DISBELIEF: Duration = Duration::from_secs(60 * 60);

/// Tells the time. Cheap to clone; all clones agree.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock. When somebody sets it, it doesn't jump for an hour.
    #[must_use]
    pub fn system() -> Self {
        let steady = Mutex::new(Steady::starting_at(wall_clock(), uptime()));
        Self(Arc::new(move || {
            // The lock is gone before anything is logged: a line of the log asks for the time as well.
            let (now, news) = steady.lock().unwrap_or_else(PoisonError::into_inner).read(wall_clock(), uptime());
            if let Some(news) = news {
                news.log();
            }
            now
        }))
    }

    /// A clock that tells what `read` returns, for tests and simulations of time.
    pub fn from_fn(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
fn wall_clock() -> Timestamp {
    SystemTime::now().into()
}

/// Since the machine started, the time included that it slept. Nobody can set this one.
fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// A wall clock under watch.
#[derive(Debug)]
struct Steady {
    /// When the machine started, by the wall clock as it is believed.
    start: Timestamp,
    doubt: Option<Doubt>,
}

/// That the wall clock shows something else.
#[derive(Debug)]
struct Doubt {
    /// When the machine would have started by what it shows.
    start: Timestamp,
    /// Since when, as time since the machine's start.
    since: Duration,
}

/// What people should know of their clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// It was set.
    Set { believed: Timestamp, shown: Timestamp },
    /// It has shown the new time for so long that it is believed.
    Believed { shown: Timestamp },
}

impl Steady {
    fn starting_at(wall_clock: Timestamp, uptime: Duration) -> Self {
        Self { start: wall_clock.minus(uptime), doubt: None }
    }

    /// The time, when the wall clock shows this and the machine has been up for so long.
    fn read(&mut self, shown: Timestamp, uptime: Duration) -> (Timestamp, Option<News>) {
        let start = shown.minus(uptime);
        if agree(start, self.start) {
            *self = Self { start, doubt: None };
            return (shown, None);
        }
        match &self.doubt {
            Some(doubt) if agree(start, doubt.start) && uptime.saturating_sub(doubt.since) >= DISBELIEF => {
                *self = Self { start, doubt: None };
                (shown, Some(News::Believed { shown }))
            }
            Some(doubt) if agree(start, doubt.start) => (self.start.plus(uptime), None),
            _ => {
                self.doubt = Some(Doubt { start, since: uptime });
                let believed = self.start.plus(uptime);
                (believed, Some(News::Set { believed, shown }))
            }
        }
    }
}

fn agree(one: Timestamp, other: Timestamp) -> bool {
    one.since(other).max(other.since(one)) <= SLACK
}

impl News {
    fn log(self) {
        match self {
            Self::Set { believed, shown } => tracing::warn!(
                "the system's clock was set from {believed} to {shown}: the relay goes by the old time for an hour, then by the \
                 new one; set it back if that was a mistake, restart the relay if it is right and can't wait"
            ),
            Self::Believed { shown } => tracing::warn!("the relay goes by the system's clock again: it is {shown}"),
        }
    }
}

/// Ten random bytes of the operating system, for ids.
///
/// # Errors
/// When the operating system has no entropy, which on Linux happens in the first moments of a boot only.
pub fn random_bytes() -> Result<[u8; 10], getrandom::Error> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A random fraction in `0.0..1.0`, for jitter.
#[must_use]
pub fn roll() -> f64 {
    fastrand::f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// A machine whose wall clock somebody sets.
    struct Machine {
        steady: Steady,
        wall_clock: Timestamp,
        uptime: Duration,
    }

    impl Machine {
        fn new() -> Self {
            let uptime = 3 * DAY;
            Self { steady: Steady::starting_at(START, uptime), wall_clock: START, uptime }
        }

        fn pass(&mut self, time: Duration) {
            self.wall_clock = self.wall_clock.plus(time);
            self.uptime += time;
        }

        fn read(&mut self) -> Timestamp {
            self.steady.read(self.wall_clock, self.uptime).0
        }

        fn news(&mut self) -> Option<News> {
            self.steady.read(self.wall_clock, self.uptime).1
        }
    }

    #[test]
    fn it_tells_what_the_wall_clock_shows_and_follows_small_corrections() {
        let mut machine = Machine::new();
        machine.pass(MINUTE);
        assert_eq!(machine.read(), START.plus(MINUTE));
        for _ in 0..10 {
            machine.wall_clock = machine.wall_clock.plus(SLACK);
            assert_eq!((machine.read(), machine.news()), (machine.wall_clock, None));
        }
    }

    #[test]
    fn a_mistake_that_is_corrected_within_the_hour_never_shows() {
        for wrong in [START.plus(30 * DAY), START.minus(30 * DAY), Timestamp::EPOCH] {
            let mut machine = Machine::new();
            machine.wall_clock = wrong;
            assert_eq!(machine.news(), Some(News::Set { believed: START, shown: wrong }));
            machine.pass(59 * MINUTE);
            assert_eq!((machine.read(), machine.news()), (START.plus(59 * MINUTE), None));
            machine.wall_clock = START.plus(59 * MINUTE);
            assert_eq!((machine.read(), machine.news()), (START.plus(59 * MINUTE), None));
        }
    }

    #[test]
    fn a_time_that_lasts_is_believed_after_an_hour() {
        for right in [START.plus(10 * DAY), START.minus(2 * DAY)] {
            let mut machine = Machine::new();
            machine.wall_clock = right;
            machine.read();
            machine.pass(60 * MINUTE);
            let believed = right.plus(60 * MINUTE);
            assert_eq!(machine.news(), Some(News::Believed { shown: believed }));
            assert_eq!((machine.read(), machine.news()), (believed, None));
        }
    }

    #[test]
    fn a_clock_that_is_set_again_and_again_is_believed_an_hour_after_the_last_time() {
        let mut machine = Machine::new();
        for _ in 0..5 {
            machine.wall_clock = machine.wall_clock.plus(DAY);
            assert!(matches!(machine.news(), Some(News::Set { .. })));
            machine.pass(40 * MINUTE);
        }
        assert_eq!(machine.read(), START.plus(5 * 40 * MINUTE));
    }

    #[test]
    fn the_systems_clock_shows_the_time_of_day() {
        let (before, now, after) = (wall_clock(), Clock::system().now(), wall_clock());
        assert!(before.minus(SLACK) <= now && now <= after.plus(SLACK), "{before} {now} {after}");
    }
}
