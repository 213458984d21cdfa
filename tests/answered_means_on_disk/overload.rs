//! The real program with more to do than its disk can take: it holds requests as long as their senders wait, in bounded memory.

use std::{
    net::SocketAddr,
    ops::Range,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    bench::is_long_run,
    preload::Preload,
    process::Home,
    support::{
        fixtures,
        scripted::{Behaviour, Scripted},
        wire::{Answer, Request},
        within,
    },
};

const MIB: usize = 1024 * 1024;

/// How long requests are held in these tests: long enough for a busy machine to read and verify them.
const DEADLINE: Duration = Duration::from_secs(4);

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// A home of relays that hold requests for [`DEADLINE`] and deliver to `sink`, and their disk.
fn home_over(sink: &Scripted) -> (Home, Preload) {
    let home = Home::new(&[("crm", sink.url("/"), "")]);
    home.configure("server", &format!("accept_deadline = \"{}s\"", DEADLINE.as_secs()));
    (home, Preload::new())
}

fn assert_refused_for_now(answer: &Answer) {
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")), "{answer:?}");
}

#[tokio::test]
async fn a_request_waits_for_a_slow_disk_and_is_refused_at_its_deadline_and_not_before() {
    let sink = Scripted::always(Behaviour::Answers(200)).await;
    let (home, preload) = home_over(&sink);
    let mut relay = home.start_with(|program| preload.attach(program, &home.queue()));
    relay.ready().await;

    let slowness = DEADLINE / 8;
    preload.delay_syncs(slowness);
    let began = Instant::now();
    let answer = Request::signed(fixtures::event("slow")).send(home.public()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(began.elapsed() >= slowness, "{:?}", began.elapsed());

    preload.delay_syncs(FOR_EVER);
    let began = Instant::now();
    let hangs = Request::signed(fixtures::event("hangs"));
    assert_refused_for_now(&hangs.send(home.public()).await);
    assert!(began.elapsed() >= DEADLINE * 9 / 10, "{:?}", began.elapsed());
    let health = Request::new("GET /healthz HTTP/1.1").send(home.public()).await;
    assert_eq!(health.status, 200, "whoever doesn't need the disk doesn't wait for it");

    preload.delay_syncs(Duration::ZERO);
    let again = hangs.send(home.public()).await;
    assert_eq!((again.status, again.text("status").as_str()), (200, "duplicate"), "its commit went on: {again:?}");
    sink.wait_for(2).await;
    relay.stop().await;
}

/// An event with a body of `length` bytes.
fn long_event(number: usize, length: usize) -> Request {
    let mut body = fixtures::event(&format!("{number:024}"));
    body.resize(length, b' ');
    Request::signed(body)
}

/// What events with these numbers are answered when all are sent at once, each over a connection of its own, and after how long.
async fn send_all(numbers: Range<usize>, length: usize, address: SocketAddr) -> Vec<(Answer, Duration)> {
    let (mut under_way, began) = (JoinSet::new(), Instant::now());
    for number in numbers {
        under_way.spawn(async move { (long_event(number, length).send(address).await, began.elapsed()) });
    }
    within("all answers", under_way.join_all()).await
}

/// Far more than the relay holds at a time.
const SENDERS: usize = 56;

/// What the relay may take in memory for all of them: the budget that long bodies share, eight times the longest; the same
/// once more for what the journal is about to write; for each connection what is free, as much read ahead, and a piece in
/// hand. And half of all that for the allocator's ways.
const fn bound(length: usize) -> usize {
    (2 * 8 * length + SENDERS * 3 * 64 * 1024) * 3 / 2
}

#[tokio::test(flavor = "multi_thread")]
async fn however_much_arrives_while_the_disk_hangs_the_memory_for_it_is_bounded() {
    let sink = Scripted::always(Behaviour::Answers(200)).await;
    let (home, preload) = home_over(&sink);
    let length = if is_long_run() { 8 * MIB } else { MIB };
    home.configure("server", &format!("max_body = \"{length}B\""));
    let mut relay = home.start_with(|program| preload.attach(program, &home.queue()));
    relay.ready().await;

    let before = relay.peak_memory();
    preload.delay_syncs(FOR_EVER);
    for (answer, after) in send_all(0..SENDERS, length, home.public()).await {
        assert_refused_for_now(&answer);
        // Who got no memory is told a quarter of the time earlier: then there was none left for the commit.
        assert!(after >= DEADLINE * 2 / 3, "{after:?}");
    }
    let (taken, bound) = (relay.peak_memory() - before, bound(length));
    println!(
        "torture: {SENDERS} bodies of {} MiB on a disk that hung, 0 lost, all told to come again, {} MiB taken of {} MiB sent",
        length / MIB,
        taken / MIB,
        SENDERS * length / MIB,
    );
    assert!(taken < bound, "{taken} bytes of memory, {bound} allowed");

    preload.delay_syncs(Duration::ZERO);
    for number in 0..SENDERS {
        assert_eq!(long_event(number, length).send(home.public()).await.status, 200);
    }
    relay.stop().await;
}
