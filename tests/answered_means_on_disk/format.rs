//! Files that earlier versions wrote, and what this one reads in them: `tests/fixtures/store/v<format>`.
//!
//! When the format changes: leave the old folders as they are, raise `FORMAT`, and write a new one with
//! `cargo test --test answered_means_on_disk -- --ignored write_the_fixture`. Read `export.jsonl` then: it is what all later
//! versions have to find.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use atoms_relay::{
    model::{Class, DeadReason, NewDelivery, Order, Reading, Verdict},
    store::{
        Acceptance, Pause, Replayed, Rerouting, Store,
        embedded::{Embedded, Options},
    },
};

use crate::bench::{Bench, DAY, LEASE, claim_one, name, open, settlement};

/// What this version writes.
const FORMAT: u32 = 3;
/// What is noted of an index that this version would make in another way: the journal is what has to be read.
const ANOTHER_LAYOUT: &str = "the index was made by another version, in another layout";
/// The folder of a queue in the fixture, and what has to be found there.
const QUEUE: &str = "queue";
const EXPORT: &str = "export.jsonl";
/// From the start of a bench's clock to the end of the fixture.
const AGE: std::time::Duration = DAY.saturating_mul(8);

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/store/v{format}"))
}

/// A bench over a copy of a fixture, on the day on which it was written.
fn copy_of(format: u32) -> Bench {
    let bench = Bench::new();
    copy(&fixture(format).join(QUEUE), bench.path());
    bench.pass(AGE);
    bench
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn run(arguments: &[&str], queue: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atoms-relay"));
    let output = command.arg("store").args(arguments).arg("--path").arg(queue).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn expected_export(format: u32) -> String {
    fs::read_to_string(fixture(format).join(EXPORT)).unwrap()
}

#[test]
fn every_format_is_read_to_the_last_byte_with_its_index_and_without() {
    for format in 1..=FORMAT {
        let bench = copy_of(format);
        assert_eq!(run(&["export"], bench.path()), expected_export(format), "format {format}");
        fs::remove_dir_all(bench.path().join("index")).unwrap();
        assert_eq!(run(&["export"], bench.path()), expected_export(format), "format {format}, index made anew");
    }
}

#[test]
fn every_format_is_found_to_be_all_right_and_has_every_kind_of_record() {
    for format in 1..=FORMAT {
        let bench = copy_of(format);
        let found: serde_json::Value = serde_json::from_str(&run(&["verify", "--json"], bench.path())).unwrap();
        let findings = found["findings"].as_array().unwrap();
        assert!(findings.iter().all(|finding| finding["what"] == ANOTHER_LAYOUT), "format {format}: {findings:?}");
        let kinds = ["events", "moves", "remembered", "pauses", "rendered", "rerouted"];
        for kind in &kinds[..kinds.len().min(format as usize + 3)] {
            let segments = found["segments"].as_array().unwrap();
            let records: u64 = segments.iter().map(|segment| segment[kind].as_u64().unwrap()).sum();
            assert!(records > 0, "format {format} has no {kind}");
        }
    }
}

#[tokio::test]
async fn a_store_of_every_format_goes_on_where_it_was() {
    for format in 1..=FORMAT {
        let bench = copy_of(format);
        let store = bench.open();
        let rebuilt = store.report().rebuilt.as_deref();
        assert!(rebuilt.is_none_or(|why| why == "the index is another version's"), "format {format}: {rebuilt:?}");
        let numbers = store.stats();
        let events = [9, 12, 14][format as usize - 1];
        assert_eq!((numbers.events, numbers.unrouted, numbers.quarantined), (events, 1, 1), "format {format}");
        let waiting = |to: &str| numbers.destinations.iter().find(|one| one.destination == name(to)).unwrap().waiting;
        let crm = [3, 4, 5][format as usize - 1];
        assert_eq!(["crm", "slack", "down"].map(waiting), [crm, 1, 1], "format {format}");

        let until = (format > 1).then(|| bench.now().plus(DAY));
        let pause = Pause { since: bench.now(), until, reason: "maintenance".into() };
        assert_eq!((store.pause_of(&name("slack")), store.pause_of(&name("crm"))), (Some(pause), None));
        let gone = store.accept(large(&bench, 1)).await.unwrap();
        assert!(matches!(gone, Acceptance::Duplicate(_)), "format {format}: an event that is gone is remembered");
        let due = store.claim(&name("crm"), 10, LEASE, Order::None).await.unwrap();
        let mut rounds: Vec<_> = due.iter().map(|claim| claim.delivery.round).collect();
        rounds.sort_unstable();
        let expected: &[u32] = if format < 3 { &[0, 1] } else { &[0, 0, 1] };
        assert_eq!(rounds, expected, "format {format}: the others are due later");
        store.settle(due.iter().map(|claim| settlement(claim, Verdict::Done, bench.now())).collect()).await.unwrap();
        store.close().await.unwrap();
    }
}

fn large(bench: &Bench, number: u32) -> atoms_relay::model::NewEvent {
    let pad = "x".repeat(3_000);
    bench.event_with(format!(r#"{{"id":"gone {number}","event":"a.b","pad":"{pad}"}}"#).into_bytes(), &["crm"])
}

#[tokio::test]
#[ignore = "writes into the source tree: for the day on which the format changes"]
async fn write_the_fixture() {
    let (bench, folder) = (Bench::new(), fixture(FORMAT));
    assert!(!folder.exists(), "{} exists: an old format's fixture is never written again", folder.display());
    write_queue(&bench).await;
    for part in ["journal", "index"] {
        copy(&bench.path().join(part), &folder.join(QUEUE).join(part));
    }
    fs::copy(bench.path().join("checkpoint"), folder.join(QUEUE).join("checkpoint")).unwrap();
    fs::write(folder.join(EXPORT), run(&["export"], bench.path())).unwrap();
}

/// A queue with every kind of record, and deliveries in every state.
async fn write_queue(bench: &Bench) {
    let store = open(&Options { segment_bytes: 4096, ..bench.options() }).unwrap();
    leave_carried_and_remembered(bench, &store).await;

    leave_what_came_with_format_2(bench, &store).await;
    store.accept(bench.event_with(b"not json \xff".to_vec(), &[])).await.unwrap();
    store.accept(bench.event(1, &[])).await.unwrap();
    let hindi = r#"{"id":"5","event":"a.post-conversation","metadata":{"transcript":"नमस्ते"}}"#;
    store.accept(bench.event_with(hindi.into(), &["crm", "slack"])).await.unwrap();
    settle_next(bench, &store, Verdict::Done).await;

    store.accept(bench.event(2, &["crm"])).await.unwrap();
    settle_next(bench, &store, Verdict::RetryAt(bench.now())).await;
    settle_next(bench, &store, Verdict::RetryAt(bench.now().plus(DAY))).await;
    store.accept(bench.event(3, &["crm"])).await.unwrap();
    settle_next(bench, &store, Verdict::Dead(DeadReason::Rejected)).await;
    store.accept(bench.event(4, &["crm"])).await.unwrap();
    let discarded = settle_next(bench, &store, Verdict::Dead(DeadReason::GaveUp)).await;
    assert_eq!(store.discard(vec![discarded]).await.unwrap(), 1);
    store.accept(bench.event(5, &["crm"])).await.unwrap();
    let delivered = settle_next(bench, &store, Verdict::Done).await;
    assert_eq!(store.replay(vec![delivered]).await.unwrap(), [Replayed::Due]);
    store.accept(bench.event(6, &["crm"])).await.unwrap();
    leave_what_came_with_format_3(bench, &store).await;

    let until = Some(bench.now().plus(DAY));
    let pause = |reason: &str| Some(Pause { since: bench.now(), until, reason: reason.into() });
    store.set_pause(&name("slack"), pause("maintenance")).await.unwrap();
    store.set_pause(&name("crm"), pause("")).await.unwrap();
    store.set_pause(&name("crm"), None).await.unwrap();
    store.close().await.unwrap();
}

/// Deliveries that a body was kept for, that expired, and that were refused from the start.
async fn leave_what_came_with_format_2(bench: &Bench, store: &Embedded) {
    let mut refused = bench.event(9, &["crm", "slack"]);
    refused.deliveries.iter_mut().for_each(|delivery| delivery.refused = Some("`call.lenght` is undefined".into()));
    store.accept(refused).await.unwrap();
    store.accept(bench.event(7, &["crm"])).await.unwrap();
    let claim = store.claim(&name("crm"), 1, LEASE, Order::None).await.unwrap().remove(0);
    store.keep_body(&claim.id(), claim.token, r#"{"text":"नमस्ते"}"#.into()).await.unwrap();
    let later = Verdict::RetryAt(bench.now().plus(DAY));
    store.settle(vec![settlement(&claim, later, bench.now())]).await.unwrap();

    store.accept(bench.event(8, &["api"])).await.unwrap();
    let claim = claim_one(store, "api").await;
    store.settle(vec![settlement(&claim, Verdict::Expired, bench.now())]).await.unwrap();
}

/// An event that was rerouted out of quarantine, with a refusal, and an answer that a rule spoke of.
async fn leave_what_came_with_format_3(bench: &Bench, store: &Embedded) {
    let mut new = bench.event(10, &[]);
    let reading = std::mem::replace(&mut new.event.reading, Reading::Quarantined("an older version's reason".into()));
    store.accept(new.clone()).await.unwrap();
    let refused = NewDelivery { refused: Some("`call.lenght` is undefined".into()), ..NewDelivery::to(name("slack")) };
    let deliveries = vec![NewDelivery::to(name("crm")), refused];
    store.reroute(vec![Rerouting { event: new.event.id, reading, deliveries }]).await.unwrap();

    store.accept(bench.event(11, &["api"])).await.unwrap();
    let claim = claim_one(store, "api").await;
    let mut judged = settlement(&claim, Verdict::RetryAt(bench.now().plus(DAY)), bench.now());
    judged.attempt = judged.attempt.map(|mut attempt| {
        attempt.outcome = attempt.outcome.judged(Some(Class::Throttled));
        attempt
    });
    store.settle(vec![judged]).await.unwrap();
}

/// An event with an attempt that had to be carried out of a dead segment, and the memory of those that are gone.
async fn leave_carried_and_remembered(bench: &Bench, store: &Embedded) {
    store.accept(bench.event(0, &["down"])).await.unwrap();
    let claim = claim_one(store, "down").await;
    store.keep_body(&claim.id(), claim.token, "carried along".into()).await.unwrap();
    store.settle(vec![settlement(&claim, Verdict::RetryAt(bench.now()), bench.now())]).await.unwrap();
    for number in 0..8 {
        store.accept(large(bench, number)).await.unwrap();
        settle_next(bench, store, Verdict::Done).await;
    }
    bench.pass(AGE);
    store.tidy().await.unwrap();
}

async fn settle_next(bench: &Bench, store: &Embedded, verdict: Verdict) -> atoms_relay::model::DeliveryId {
    let claim = claim_one(store, "crm").await;
    store.settle(vec![settlement(&claim, verdict, bench.now())]).await.unwrap();
    claim.id()
}
