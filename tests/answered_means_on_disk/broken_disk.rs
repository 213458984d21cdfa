//! The real program on a disk that fails it: whichever operation it is, what was answered 200 is there after the next start.
//!
//! `failures.rs` next door does the same inside of one process, through the store's own seam and with far more work. This is
//! the shipped program: also what doesn't pass the seam (sled, locks), the exit code, and what is told to senders and people.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use atoms_relay::audit::{FILE, verify};
use fastrand::Rng;
use tokio::task::{JoinSet, LocalSet};

use crate::{
    bench::is_long_run,
    preload::{Failure, Preload},
    process::Home,
    support::{
        eventually, fixtures,
        scripted::{Behaviour, Scripted},
        wire::{Answer, Request, Wire},
    },
    trials,
};

/// Enough that the first is delivered and settled when the last comes in.
const EVENTS: usize = 6;

const FAILURES: [Failure; 4] = [Failure::Io, Failure::IoForGood, Failure::NoSpace, Failure::Halfway];

/// Trials at a time: most of one is waiting for a process.
const AT_ONCE: usize = 4;

/// Of the hundreds of operations of a life, how many fail in a short run: half of them while it starts, the others after that.
const SHORT: usize = 12;

/// What is counted over all trials.
#[derive(Default)]
struct Sum {
    /// Trials in which the operation failed. In the others there were fewer operations.
    failed: AtomicU64,
    /// Relays that took events and ended with [`IO`].
    poisoned: AtomicU64,
    /// Relays that ended with [`IO`] before they took any.
    stillborn: AtomicU64,
    /// Events that were answered with 200.
    acknowledged: AtomicU64,
}

/// The exit code of a relay whose disk failed (`EX_IOERR`).
const IO: i32 = 74;

fn body(n: usize) -> Vec<u8> {
    fixtures::event(&format!("{n:024}"))
}

/// A relay's answer to the n-th event, if there is one.
async fn hand_in(home: &Home, n: usize) -> Option<Answer> {
    let mut wire = Wire::try_connect(home.public()).await.ok()?;
    wire.try_send(&Request::signed(body(n)).bytes()).await.ok()?;
    wire.try_answer().await
}

/// The life of a relay.
struct Life {
    has_started: bool,
    /// The operations that its start took.
    start: u64,
    /// The numbers of the events that it answered with 200, and its ids for them.
    accepted: Vec<(usize, String)>,
    code: i32,
}

/// Has a relay live on a disk that may fail.
async fn live(home: &Home, preload: &Preload, sink: &Scripted) -> Life {
    let mut relay = home.start_with(|program| preload.attach(program, &home.queue()));
    let mut accepted = Vec::new();
    let has_started = relay.has_started().await;
    let start = preload.operations();
    if has_started {
        for n in 0..EVENTS {
            let answer = hand_in(home, n).await.filter(|answer| answer.status == 200);
            accepted.extend(answer.map(|answer| (n, answer.text("id"))));
        }
        // Who refuses an event has failed, and ends without being asked to.
        let is_done = || accepted.len() == EVENTS && sink.count() >= EVENTS;
        let has_ended = async || (is_done() || relay.has_ended()).then_some(relay.has_ended());
        if !eventually("deliveries, or the end of the relay", has_ended).await {
            relay.ask_to_stop();
        }
    }
    let status = relay.ended().await;
    let code = status.code().unwrap_or_else(|| panic!("it was ended by a signal: {status}\n{}", home.log()));
    Life { has_started, start, accepted, code }
}

/// A relay on the same queue, with a disk that works again, has to have everything that was acknowledged and to deliver it.
/// The error says what it hasn't.
async fn recovers(home: &Home, sink: &Scripted, accepted: &[(usize, String)]) -> Result<(), String> {
    let mut relay = home.start();
    if !relay.has_started().await {
        return Err("unopenable".into());
    }
    for (n, id) in accepted {
        let answer = hand_in(home, *n).await.expect("an answer");
        if (answer.text("status").as_str(), &answer.text("id")) != ("duplicate", id) {
            return Err(format!("event {n} ({id}) is lost: {answer:?}"));
        }
    }
    let is_drained = async || (home.status().await["queue"]["waiting"] == 0).then_some(());
    eventually("the delivery of what waits", is_drained).await;
    relay.stop().await;
    let got = sink.got();
    let lost = |(n, id): &&(usize, String)| {
        let arrived = got.iter().find(|got| got.header("x-relay-event") == id);
        arrived.is_none_or(|got| got.body != body(*n))
    };
    accepted.iter().find(lost).map_or(Ok(()), |(n, id)| Err(format!("event {n} ({id}) never arrived")))
}

/// Has the n-th operation of a relay fail, and judges what came of it.
async fn trial(n: u64, failure: Failure, sum: &Sum) {
    let sink = Scripted::always(Behaviour::Answers(200)).await;
    let (home, preload) = (Home::new(&[("crm", sink.url("/"), "")]), Preload::new());
    preload.fail(n, failure);
    let Life { has_started, accepted, code, .. } = live(&home, &preload, &sink).await;
    let context = format!("{failure:?} of operation {n} of {}: {}", preload.operations(), home.log());
    let has_failed = preload.failures() > 0;
    assert!(has_failed || (code, accepted.len()) == (0, EVENTS), "exit code {code}, {context}");
    assert!([0, IO].contains(&code), "exit code {code}, {context}");
    if let Err(lost) = recovers(&home, &sink, &accepted).await {
        panic!("{lost}: {context}");
    }
    let count = |counter: &AtomicU64, more: usize| counter.fetch_add(more as u64, Ordering::Relaxed);
    count(&sum.failed, has_failed.into());
    count(&sum.poisoned, (has_started && code == IO).into());
    count(&sum.stillborn, (!has_started).into());
    count(&sum.acknowledged, accepted.len());
}

/// The operations that a relay makes when nothing fails: until it has started, and until its end.
async fn operations_of_a_life() -> (u64, u64) {
    let sink = Scripted::always(Behaviour::Answers(200)).await;
    let (home, preload) = (Home::new(&[("crm", sink.url("/"), "")]), Preload::new());
    let Life { start, accepted, code, .. } = live(&home, &preload, &sink).await;
    assert_eq!((code, accepted.len()), (0, EVENTS), "{}", home.log());
    assert_ne!(preload.operations(), 0, "the program doesn't ask the C library");
    (start, preload.operations())
}

/// What to try: in a short run some operations in some ways, in a long one all in all.
fn plan((start, operations): (u64, u64)) -> Vec<(u64, Failure)> {
    let every = |at: RangeInclusive<u64>| at.flat_map(|n| FAILURES.map(|failure| (n, failure)));
    if is_long_run() {
        return every(1..=operations).collect();
    }
    let mut dice = Rng::with_seed(trials::first_seed());
    let parts = [1..=start, start + 1..=operations];
    parts.into_iter().flat_map(|part| dice.choose_multiple(every(part), SHORT / 2)).collect()
}

/// Makes all trials of a plan, some at a time.
async fn make(mut plan: Vec<(u64, Failure)>, sum: &Arc<Sum>) {
    let mut under_way = JoinSet::new();
    while !plan.is_empty() || !under_way.is_empty() {
        while let Some((n, failure)) = plan.pop_if(|_| under_way.len() < AT_ONCE) {
            let sum = Arc::clone(sum);
            under_way.spawn_local(async move { trial(n, failure, &sum).await });
        }
        under_way.join_next().await.map(Result::unwrap);
    }
}

#[tokio::test]
async fn whichever_operation_of_the_program_fails_what_it_answered_is_there_after_the_next_start() {
    let (began, sum) = (Instant::now(), Arc::new(Sum::default()));
    let plan = plan(operations_of_a_life().await);
    LocalSet::new().run_until(make(plan, &sum)).await;
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    println!(
        "torture: {} operations of the program failed, {} ended it and {} kept it from starting, {} acknowledged, 0 lost, \
         0 unopenable, {} s",
        count(&sum.failed),
        count(&sum.poisoned),
        count(&sum.stillborn),
        count(&sum.acknowledged),
        began.elapsed().as_secs(),
    );
    assert_ne!(count(&sum.failed), 0, "nothing failed at all");
}

/// The trail is no part of the queue, so the queue goes on.
#[tokio::test]
async fn what_cannot_be_written_into_the_audit_trail_is_said_and_no_body_is_shown() {
    let sink = Scripted::always(Behaviour::Answers(200)).await;
    let (home, preload) = (Home::new(&[("crm", sink.url("/"), "")]), Preload::new());
    let mut relay = home.start_with(|program| preload.attach_to(program, &home.queue().join(FILE)));
    assert!(relay.has_started().await, "{}", home.log());
    let id = hand_in(&home, 0).await.unwrap().text("id");
    let (pause, look) = (("POST", "destinations/crm/pause"), format!("events/{id}/body"));

    preload.fail(preload.operations() + 1, Failure::NoSpace);
    let (paused, shown) = (home.ask(pause).await, home.ask(("GET", &look)).await);
    assert_eq!((paused.status, shown.status), (503, 503), "{paused:?} {shown:?}");
    assert!(paused.text("detail").starts_with("the change was made, but the audit trail "), "{paused:?}");
    assert!(shown.text("detail").starts_with("the audit trail "), "{shown:?}");
    assert_eq!(home.status().await["destinations"][0]["condition"], "paused");
    assert!(home.log().contains("somebody's change isn't in the audit trail"), "{}", home.log());
    assert_eq!(home.readiness().await, 200);

    preload.mend();
    assert_eq!(home.ask(("GET", &look)).await.body.as_bytes(), body(0));
    let trail = verify(&home.queue().join(FILE)).unwrap();
    assert_eq!((trail.entries, trail.flaws.len()), (1, 0));
    relay.stop().await;
}
