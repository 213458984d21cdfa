//! The real program under load, killed at random moments and started again: what it answered with 200 arrives.
//!
//! SIGKILL can't show a missing fsync, for the kernel keeps what a dead process had written; the model test next door cuts
//! the power. What it shows is everything above: that no answer goes out before its commit, that recovery finds what
//! every stage of the work leaves behind, and that a delivery stays the same one from process to process.
//!
//! `RELAY_TEST_SEED` repeats the moments of a run as far as moments can be repeated: the processes' own pace isn't ours.

use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use fastrand::Rng;
use tokio::time::{Instant, sleep};

use crate::{
    arrivals::{Destinations, Tally},
    bench::is_long_run,
    load::Load,
    process::{Home, Relay},
    support::eventually,
};

/// How long a relay runs at most before it is ended. On average half of it: a hundred events.
const LONGEST_LIFE: Duration = Duration::from_millis(800);

/// How long after its start a relay is killed at most that should not get so far as to be ready.
const LONGEST_BIRTH: Duration = Duration::from_millis(150);

/// How long after it was asked to stop a relay is killed at most that should not get so far as to have stopped.
const LONGEST_FAREWELL: Duration = Duration::from_millis(30);

/// How relays ended.
#[derive(Debug, Default)]
struct Ends {
    killed: usize,
    /// Of those that were killed: before they were ready.
    killed_at_start: usize,
    /// Of those that were killed: after they had been asked to stop.
    killed_at_stop: usize,
    stopped: usize,
}

impl Ends {
    /// Ends a relay that has just been started, in one of all ways.
    async fn end(&mut self, mut relay: Relay, harm: Harm, dice: &mut Rng) {
        let way = dice.u8(0..8);
        if way < 2 {
            pause(LONGEST_BIRTH, dice).await;
            return self.kill(relay).await;
        }
        relay.ready().await;
        pause(LONGEST_LIFE, dice).await;
        match way {
            2 => {
                relay.ask_to_stop();
                let status = relay.ended().await;
                assert!(status.code().is_some_and(|code| harm.exit_codes().contains(&code)), "{status}");
                self.stopped += 1;
            }
            3 => {
                relay.ask_to_stop();
                pause(LONGEST_FAREWELL, dice).await;
                self.killed_at_stop += 1;
                self.kill(relay).await;
            }
            _ => self.kill(relay).await,
        }
    }

    async fn kill(&mut self, relay: Relay) {
        let was_ready = relay.kill().await;
        self.killed += 1;
        self.killed_at_start += usize::from(!was_ready);
    }
}

/// Lets random time pass: the moment is what is tested.
async fn pause(longest: Duration, dice: &mut Rng) {
    sleep(longest.mul_f64(dice.f64())).await;
}

/// What else happens between the end of a relay and the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// Nothing.
    None,
    /// Every third time the index is gone, or only some of it is left. It is made from the journal, so it can be made again:
    /// at the start, or after the relay has met the damage, given up and been started again.
    Index,
}

impl Harm {
    /// Does to the queue in `folder` what is done after the n-th end of a relay.
    fn strike(self, n: usize, folder: &Path, dice: &mut Rng) {
        if self == Self::None || !n.is_multiple_of(3) {
            return;
        }
        match File::options().write(true).open(folder.join("index/db")) {
            Ok(db) if dice.bool() => {
                let len = db.metadata().unwrap().len();
                db.set_len(dice.u64(0..=len)).unwrap();
            }
            _ => remove_index(folder),
        }
    }

    /// Leaves no damage that shows only later.
    fn end(self, folder: &Path) {
        if self == Self::Index {
            remove_index(folder);
        }
    }

    /// The exit codes of a relay that is asked to stop.
    fn exit_codes(self) -> &'static [i32] {
        match self {
            Self::None => &[0],
            Self::Index => &[0, 74],
        }
    }
}

fn remove_index(folder: &Path) {
    drop(fs::remove_dir_all(folder.join("index")));
}

/// Kills relays under load so many times, and compares what they took with what arrived.
#[expect(clippy::print_stdout, reason = "cargo shows it with --nocapture, and when the test fails")]
async fn trial(kills: usize, harm: Harm) {
    let (seed, began) = (seed(), Instant::now());
    println!("RELAY_TEST_SEED={seed}");
    let mut dice = Rng::with_seed(seed);
    let destinations = Destinations::start().await;
    let home = Home::new(&destinations.settings());
    let load = Load::start(home.public());

    let mut ends = Ends::default();
    while ends.killed < kills {
        ends.end(home.start(), harm, &mut dice).await;
        destinations.wait_until_left().await;
        assert!(harm == Harm::Index || load.refusals().is_empty(), "seed {seed}, after {ends:?}: {}", home.log());
        harm.strike(ends.killed + ends.stopped, &home.queue(), &mut dice);
    }
    harm.end(&home.queue());
    let mut relay = home.start();
    relay.ready().await;
    let refused = load.refusals().len();
    let accepted = load.stop().await;
    let events = drained(&home).await;
    relay.stop().await;

    let Tally { delivered, repeated, lost } = destinations.judge(&accepted);
    let (taken, known) = (accepted.len(), accepted.iter().filter(|event| event.was_known).count());
    let Ends { killed, killed_at_start, killed_at_stop, stopped } = ends;
    println!(
        "{killed} kills ({killed_at_start} at the start, {killed_at_stop} at the stop), {stopped} stops, \
         {rebuilt} rebuilds, {taken} events accepted ({known} when they were sent again, {refused} refusals), \
         {delivered} deliveries made, {repeated} repeated, {lost} lost, seed {seed}, {seconds} s",
        rebuilt = home.log().matches("was rebuilt").count(),
        lost = lost.len(),
        seconds = began.elapsed().as_secs(),
    );
    assert!(lost.is_empty(), "{} are lost, such as {}; seed {seed}", lost.len(), lost[0]);
    assert_eq!(events, taken, "the relay counts other events than were answered");
}

/// Waits until all is delivered. Returns how many events there are.
async fn drained(home: &Home) -> usize {
    eventually("the delivery of the rest", async || {
        let queue = &home.status().await["queue"];
        assert_eq!(queue["dead"], 0);
        (queue["waiting"] == 0).then(|| queue["events"].as_u64().unwrap().try_into().unwrap())
    })
    .await
}

#[expect(clippy::disallowed_methods, reason = "a switch of the test run, not of the relay")]
fn seed() -> u64 {
    std::env::var("RELAY_TEST_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_the_relay_is_killed_what_it_answered_arrives_everywhere() {
    trial(if is_long_run() { 380 } else { 12 }, Harm::None).await;
}

/// The more there is the longer a rebuild takes, so the long run has fewer of them.
#[tokio::test(flavor = "multi_thread")]
async fn whenever_the_relay_is_killed_and_its_index_is_damaged_what_it_answered_arrives_everywhere() {
    trial(if is_long_run() { 120 } else { 12 }, Harm::Index).await;
}
