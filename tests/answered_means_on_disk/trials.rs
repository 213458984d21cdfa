//! Many trials, each from a seed of its own, and what came of all of them.
//!
//! Trial *n* of a run has the seed `first + n`. `RELAY_TORTURE_SEED` sets the first one, so that the same variable repeats a
//! whole run or, with one trial, the one that failed. What a trial does follows from its seed alone; how its threads share
//! the time does not, so a repetition may take a few attempts.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

/// What is wrong with a store.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Something that was acknowledged is gone, or isn't what it was.
    Lost(String),
    /// It doesn't open any more.
    Unopenable(String),
    /// Anything else that must not be.
    Wrong(String),
}

impl Broken {
    /// Says more of how it came about.
    pub(crate) fn during(self, what: &str) -> Self {
        match self {
            Self::Lost(found) => Self::Lost(format!("{found}, during {what}")),
            Self::Unopenable(found) => Self::Unopenable(format!("{found}, during {what}")),
            Self::Wrong(found) => Self::Wrong(format!("{found}, during {what}")),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(what) => write!(f, "lost: {what}"),
            Self::Unopenable(why) => write!(f, "unopenable: {why}"),
            Self::Wrong(what) => write!(f, "wrong: {what}"),
        }
    }
}

/// What came of trials.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What was done to the store, as often as it was: cuts, faults, damages.
    pub(crate) trials: u64,
    /// Commands that the store acknowledged.
    pub(crate) acknowledged: u64,
    /// Of these, events that it knew already.
    pub(crate) duplicates: u64,
    lost: u64,
    unopenable: u64,
    wrong: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.trials += other.trials;
        self.acknowledged += other.acknowledged;
        self.duplicates += other.duplicates;
    }

    fn count(&mut self, broken: &Broken) {
        *match broken {
            Broken::Lost(_) => &mut self.lost,
            Broken::Unopenable(_) => &mut self.unopenable,
            Broken::Wrong(_) => &mut self.wrong,
        } += 1;
    }
}

/// Runs a trial for each of so many seeds, and fails when any of them found something broken. `trial` gets its seed and counts
/// what it does.
#[expect(clippy::print_stdout, reason = "cargo shows it with --nocapture, and when the test fails")]
pub(crate) fn run(kind: &str, seeds: u64, trial: impl Fn(u64, &mut Tally) -> Result<(), Broken> + Sync) {
    let (first, began) = (first_seed(), Instant::now());
    let (next, sum) = (AtomicU64::new(first), Mutex::new(Tally::default()));
    let work = || {
        let seeds =
            std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|seed| *seed < first + seeds);
        for seed in seeds {
            let mut tally = Tally::default();
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| trial(seed, &mut tally)));
            let outcome = outcome.unwrap_or_else(|_| Err(Broken::Wrong("a panic, see above".into())));
            let mut sum = sum.lock().unwrap();
            sum.add(&tally);
            if let Err(broken) = outcome {
                println!("{broken}\n  once more: RELAY_TORTURE_SEED={seed} RELAY_TORTURE_{}=1", kind.to_uppercase());
                sum.count(&broken);
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, Into::into);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));

    let Tally { trials, acknowledged, duplicates, lost, unopenable, wrong } = sum.into_inner().unwrap();
    println!(
        "torture: {trials} {kind}, {acknowledged} acknowledged, {lost} lost, {unopenable} unopenable, {wrong} wrong, \
         {duplicates} duplicates, seeds {first} to {last}, {seconds} s",
        last = first + seeds - 1,
        seconds = began.elapsed().as_secs(),
    );
    assert_eq!((lost, unopenable, wrong), (0, 0, 0), "{kind}");
}

/// The seed of the first trial of a run.
pub(crate) fn first_seed() -> u64 {
    number_in("RELAY_TORTURE_SEED").unwrap_or_else(|| fastrand::u64(..1 << 40))
}

/// Runs a trial's future.
pub(crate) fn block_on<T>(trial: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(trial)
}

/// How many trials of a kind `RELAY_TORTURE_<KIND>` asks for. Without it there is time for a few only.
pub(crate) fn asked_for(kind: &str) -> Option<u64> {
    number_in(&format!("RELAY_TORTURE_{}", kind.to_uppercase()))
}

#[expect(clippy::disallowed_methods, reason = "a switch of the test run, not of the relay")]
fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// A folder that is gone after the trial. In memory where that can be had: what has to survive is in the simulated disk.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}
