//! Seven good destinations beside a black hole, one that answers 500 and one that crawls: what do the good ones notice?
//!
//! Each event goes to all, and is late by the time from its durable receipt to its arrival. Rounds with and without the bad
//! ones take turns, so that whatever else the machine does meets both. A short run checks that nobody is held up; the
//! measurement is
//!
//! ```text
//! RELAY_TEST_LONG=1 cargo test --release --test good_neighbours -- --nocapture
//! ```

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use atoms_relay::{
    dispatch::Destination,
    retry::RetryPolicy,
    send::{Settings, Timeouts},
};
use support::{
    fixtures,
    scripted::{Behaviour, Scripted},
    sender::{PATIENT, Sender, client, settings, to},
};
use tokio::time::interval;

const GOOD: usize = 7;

/// 50 events a second: 350 good deliveries, far below what a small machine can do.
const PACE: Duration = Duration::from_millis(20);

/// More than a busy machine adds to a delivery, and less than a bad destination would: its time-out.
const HELD_UP: Duration = Duration::from_secs(5);

/// How the good ones fare in a round: the time that each delivery took, shortest first.
type Times = Vec<Duration>;

fn percentile(times: &Times, percent: usize) -> Duration {
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// Fails as destinations do that people have configured: with the relay's own pauses.
fn bad(name: &str, destination: &Scripted, total: Duration) -> Destination {
    let (second, hour) = (Duration::from_secs(1), Duration::from_secs(60 * 60));
    let called = to(name, &destination.url("/"));
    let timeouts = Timeouts { connect: total, total };
    Destination {
        client: client(Settings { timeouts, ..settings() }),
        retry: RetryPolicy::try_new(5 * second, hour, 72 * hour).unwrap(),
        ..called
    }
}

/// A black hole, one that answers 500, and one that takes longer for an answer than events take to come in.
async fn bad_ones() -> Vec<(Scripted, Destination)> {
    let black_hole = Scripted::always(Behaviour::Hangs).await;
    let broken = Scripted::always(Behaviour::Answers(500)).await;
    let crawling = Scripted::always(Behaviour::AnswersAfter(Duration::from_secs(1), 200)).await;
    let black_hole = (bad("black-hole", &black_hole, 2 * HELD_UP), black_hole);
    let broken = (bad("broken", &broken, PATIENT), broken);
    let crawling = (bad("crawling", &crawling, PATIENT), crawling);
    [black_hole, broken, crawling].map(|(called, destination)| (destination, called)).into()
}

async fn round(events: usize, neighbours: Vec<(Scripted, Destination)>) -> Times {
    let mut good = Vec::new();
    for _ in 0..GOOD {
        good.push(Scripted::always(Behaviour::Answers(200)).await);
    }
    let to_good = good.iter().enumerate().map(|(n, destination)| to(&format!("good-{n}"), &destination.url("/")));
    let called: Vec<_> = to_good.chain(neighbours.iter().map(|(_, called)| called.clone())).collect();
    let names: Vec<String> = called.iter().map(|called| called.name.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sender = Sender::start(called);

    let (mut pace, mut received) = (interval(PACE), HashMap::new());
    for n in 0..events {
        pace.tick().await;
        let event = sender.accept(fixtures::event(&format!("{n:024}")), &names).await;
        received.insert(event.to_string(), Instant::now());
    }
    let mut times = Times::new();
    for destination in &good {
        let got = destination.wait_for(events).await;
        times.extend(got.iter().map(|got| got.at.saturating_duration_since(received[got.header("x-relay-event")])));
    }
    times.sort_unstable();
    times
}

#[expect(clippy::print_stdout, reason = "cargo shows it with --nocapture, and when the test fails")]
fn show(what: &str, times: &Times) {
    let [p50, p99] = [50, 99].map(|percent| percentile(times, percent));
    println!("{what}: p50 {p50:?}, p99 {p99:?} of {} deliveries", times.len());
}

/// Whether there is time to measure: set `RELAY_TEST_LONG` for that.
#[expect(clippy::disallowed_methods, reason = "a switch of the test run, not of the relay")]
fn is_long_run() -> bool {
    std::env::var_os("RELAY_TEST_LONG").is_some_and(|value| !value.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_destinations_hold_up_no_good_one() {
    let (rounds, events) = if is_long_run() { (6, 1_000) } else { (1, 50) };
    let (mut alone, mut beside) = (Times::new(), Times::new());
    for _ in 0..rounds {
        alone.extend(round(events, Vec::new()).await);
        beside.extend(round(events, bad_ones().await).await);
    }
    alone.sort_unstable();
    beside.sort_unstable();
    show("alone", &alone);
    show("beside a black hole, a 500er and a crawling one", &beside);
    assert!(percentile(&beside, 99) < percentile(&alone, 99) + HELD_UP);
}
