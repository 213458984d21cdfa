//! What is on disk, what happens when it is damaged, and when writing it fails.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use atoms_relay::{
    model::{DeadReason, EventId, Order, Verdict},
    store::{
        Acceptance, Damage, EventFilter, Store, StoreError,
        embedded::{Embedded, Options},
    },
};
use tokio::task::JoinSet;

use crate::{
    bench::{Bench, DAY, LEASE, claim_one, everything, name, open, settlement, wait_until_left},
    sim_disk::SimDisk,
};

/// A text that stands in bodies and nowhere else.
const CANARY: &str = "canary-4711-in-the-body";

fn body_with_canary(number: u32) -> Vec<u8> {
    format!(r#"{{"id":"{number}","event":"a.b","text":"{CANARY}","pad":"{}"}}"#, "x".repeat(20_000)).into_bytes()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("journal")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn holds_canary(path: &Path) -> bool {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().any(|entry| holds_canary(&entry.unwrap().path()));
    }
    let bytes = fs::read(path).unwrap();
    bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
}

async fn ids(store: &Embedded) -> Vec<EventId> {
    let listing = store.events(EventFilter::default(), everything()).await.unwrap();
    listing.items.into_iter().map(|event| event.id).collect()
}

#[tokio::test]
async fn sled_holds_no_event_body() {
    let bench = Bench::new();
    let store = bench.open();
    for number in 0..20 {
        store.accept(bench.event_with(body_with_canary(number), &["crm"])).await.unwrap();
    }
    let claim = claim_one(&store, "crm").await;
    store.settle(vec![settlement(&claim, Verdict::RetryAt(bench.now()), bench.now())]).await.unwrap();
    store.close().await.unwrap();
    assert!(holds_canary(&bench.path().join("journal")));
    assert!(!holds_canary(&bench.path().join("index")));
    let blobs = bench.path().join("index/blobs");
    assert!(!blobs.exists() || fs::read_dir(blobs).unwrap().next().is_none(), "sled made a blob, which it never syncs");
}

#[tokio::test]
async fn segments_disappear_when_their_events_are_delivered_and_past_retention() {
    let bench = Bench::new();
    let options = Options { segment_bytes: 64 * 1024, ..bench.options() };
    let store = open(&options).unwrap();
    for number in 0..40 {
        store.accept(bench.event_with(body_with_canary(number), &["crm"])).await.unwrap();
    }
    let many = segments(bench.path()).len();
    assert!(many >= 10, "{many}");

    let claims = store.claim(&name("crm"), 40, LEASE, Order::None).await.unwrap();
    let (last, others) = claims.split_last().unwrap();
    let done = others.iter().map(|claim| settlement(claim, Verdict::Done, bench.now())).collect();
    store.settle(done).await.unwrap();
    store.tidy().await.unwrap();
    assert_eq!(segments(bench.path()).len(), many, "nothing is past its retention yet");

    bench.pass(7 * DAY);
    store.tidy().await.unwrap();
    assert!(segments(bench.path()).len() <= 3, "{:?}", segments(bench.path()));
    assert_eq!(ids(&store).await, [last.event.id]);

    // What is gone is still known for a duplicate, also when the index is made anew from what is left.
    drop(store);
    wait_until_left(bench.path());
    fs::remove_file(bench.path().join("checkpoint")).unwrap();
    let store = open(&options).unwrap();
    assert!(store.report().rebuilt.is_some());
    let again = store.accept(bench.event_with(body_with_canary(0), &["crm"])).await.unwrap();
    assert!(matches!(again, Acceptance::Duplicate(_)));
    bench.pass(60 * DAY);
    store.tidy().await.unwrap();
    assert_eq!(store.accept(bench.event_with(body_with_canary(0), &[])).await.unwrap(), Acceptance::Created);
}

#[tokio::test]
async fn a_few_live_events_do_not_hold_a_long_journal() {
    let bench = Bench::new();
    let options = Options { segment_bytes: 64 * 1024, ..bench.options() };
    let store = open(&options).unwrap();
    let mut waiting = Vec::new();
    for number in 0..60 {
        // Every tenth goes to a destination that is down.
        let to = if number % 10 == 0 { "down" } else { "crm" };
        let new = bench.event_with(body_with_canary(number), &[to]);
        waiting.extend((to == "down").then(|| new.event.clone()));
        store.accept(new).await.unwrap();
    }
    let first = claim_one(&store, "down").await;
    store.settle(vec![settlement(&first, Verdict::RetryAt(bench.now()), bench.now())]).await.unwrap();
    let claims = store.claim(&name("crm"), 60, LEASE, Order::None).await.unwrap();
    let done = claims.iter().map(|claim| settlement(claim, Verdict::Done, bench.now())).collect();
    store.settle(done).await.unwrap();
    bench.pass(7 * DAY);
    store.tidy().await.unwrap();
    assert!(segments(bench.path()).len() <= 6, "{:?}", segments(bench.path()));

    for event in &waiting {
        let stored = store.event(event.id).await.unwrap().unwrap();
        assert_eq!(stored.event, *event);
    }
    let carried = store.event(first.event.id).await.unwrap().unwrap();
    assert_eq!(carried.deliveries[0].1.len(), 1, "its attempt came along");
    assert_eq!(store.claim(&name("down"), 60, LEASE, Order::None).await.unwrap().len(), waiting.len());
}

/// Found by a test whose clock jumped: the round that it asked for met the one that was due by itself, both had the same
/// segment removed in one batch, and the second removal failed the store.
#[tokio::test]
async fn two_rounds_of_housekeeping_at_once_do_no_harm() {
    let bench = Bench::new();
    let store = open(&Options { segment_bytes: 16 * 1024, ..bench.options() }).unwrap();
    for number in 0..40 {
        store.accept(bench.event_with(body_with_canary(number), &[])).await.unwrap();
    }
    bench.pass(7 * DAY);
    let rounds = tokio::join!(store.tidy(), store.tidy(), store.tidy(), store.tidy());
    assert!(matches!(rounds, (Ok(()), Ok(()), Ok(()), Ok(()))), "{rounds:?}");
    assert!(segments(bench.path()).len() <= 2, "{:?}", segments(bench.path()));
}

#[tokio::test]
async fn an_index_that_is_damaged_or_gone_is_made_anew() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 5] = [
        ("gone", |index| fs::remove_dir_all(index).unwrap()),
        ("emptied", |index| fs::write(index.join("db"), b"").unwrap()),
        ("zeroed", |index| {
            let len = fs::metadata(index.join("db")).unwrap().len();
            fs::write(index.join("db"), vec![0; usize::try_from(len).unwrap()]).unwrap();
        }),
        ("cut", |index| {
            let bytes = fs::read(index.join("db")).unwrap();
            fs::write(index.join("db"), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("replaced by nonsense", |index| fs::write(index.join("db"), vec![b'x'; 100_000]).unwrap()),
    ];
    for (what, harm) in harms {
        let bench = Bench::new();
        let store = bench.open();
        for number in 0..50 {
            store.accept(bench.event(number, &["crm"])).await.unwrap();
        }
        let claim = claim_one(&store, "crm").await;
        let dead = settlement(&claim, Verdict::Dead(DeadReason::Rejected), bench.now());
        store.settle(vec![dead]).await.unwrap();
        store.close().await.unwrap();
        drop(store);
        harm(&bench.path().join("index"));

        let store = bench.open();
        assert!(store.report().rebuilt.is_some(), "{what}: {:?}", store.report());
        assert_eq!(ids(&store).await.len(), 50, "{what}");
        assert_eq!(store.claim(&name("crm"), 100, LEASE, Order::None).await.unwrap().len(), 49, "{what}");
        let again = store.accept(bench.event(7, &["crm"])).await.unwrap();
        assert!(matches!(again, Acceptance::Duplicate(_)), "{what}");
    }
}

/// The index of a store that isn't open. The threads of whatever sled had it open before may hold its lock for some moments
/// more.
fn index(bench: &Bench) -> sled::Db {
    let config = sled::Config::new().path(bench.path().join("index")).mode(sled::Mode::LowSpace);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if Instant::now() < deadline && error.to_string().contains("acquire lock") => {
                thread::park_timeout(Duration::from_millis(1));
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Some of the tables of the index, by the byte that starts their keys.
const EVENTS: u8 = 1;
const NOTES: u8 = 12;

/// Puts nonsense into a table of the index, which opens as before. Only whoever reads there meets it.
fn spoil(index: &sled::Db, table: u8) {
    let keys: Vec<_> = index.scan_prefix([table]).keys().map(Result::unwrap).collect();
    assert!(!keys.is_empty());
    for key in keys {
        index.insert(key, b"").unwrap();
    }
}

/// A store with an event, closed, and with an index whose table is spoilt.
async fn spoilt(table: u8) -> Bench {
    let bench = with_one_event().await;
    spoil(&index(&bench), table);
    bench
}

async fn with_one_event() -> Bench {
    let bench = Bench::new();
    let store = bench.open();
    store.accept(bench.event(1, &["crm"])).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    wait_until_left(bench.path());
    bench
}

async fn assert_made_anew(bench: &Bench) {
    let store = bench.open();
    assert!(store.report().rebuilt.is_some(), "{:?}", store.report());
    assert_eq!(store.claim(&name("crm"), 10, LEASE, Order::None).await.unwrap().len(), 1);
}

/// Found by the kills next door, which cut the index's file: sled opened what was left and found the hole when it was asked
/// for what had been there. Then the store failed, and again after each restart, for nobody doubted its index.
#[tokio::test]
async fn an_index_whose_damage_shows_in_use_fails_the_store_and_is_made_anew_at_the_next_start() {
    let bench = spoilt(EVENTS).await;
    let store = bench.open();
    assert_eq!(store.report().rebuilt, None);
    let refused = store.claim(&name("crm"), 10, LEASE, Order::None).await.unwrap_err();
    assert!(matches!(refused, StoreError::Failed(_)), "{refused}");
    drop(store);
    assert_made_anew(&bench).await;
}

/// The same damage, met while the index catches up with the journal: then the store didn't open, again and again.
#[tokio::test]
async fn an_index_whose_damage_shows_at_the_start_is_made_anew_at_once() {
    let bench = with_one_event().await;
    let store = bench.open();
    store.accept(bench.event(2, &["slack"])).await.unwrap();
    drop(store);
    wait_until_left(bench.path());
    spoil(&index(&bench), EVENTS);
    assert_made_anew(&bench).await;
}

/// What is on no shelf yet is read at the start: by it the first event is known when it comes again.
#[tokio::test]
async fn an_index_whose_notes_are_damaged_or_missing_is_made_anew_at_once() {
    let bench = spoilt(NOTES).await;
    assert_made_anew(&bench).await;
    let store = bench.open();
    assert!(matches!(store.accept(bench.event(1, &["crm"])).await, Ok(Acceptance::Duplicate(_))));
}

#[tokio::test]
async fn damage_in_the_journal_costs_the_record_that_it_hits_and_is_reported() {
    let bench = Bench::new();
    let disk = SimDisk::default();
    let options = Options { disk: Arc::new(disk.clone()), ..bench.options() };
    let store = open(&options).unwrap();
    for number in 0..10 {
        store.accept(bench.event_with(body_with_canary(number), &["crm"])).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let is_segment = |name: &Path| name.extension().is_some_and(|e| e == "journal");
    let (segment, mut bytes) = disk.files().into_iter().find(|(name, _)| is_segment(name)).unwrap();
    bytes[70_000] ^= 8;
    disk.replace(&segment, bytes);

    let store = open(&options).unwrap();
    assert_eq!(store.claim(&name("crm"), 100, LEASE, Order::Call).await.unwrap().len(), 9);
    assert_eq!(store.stats().damage, Damage { events: 1, ..Damage::default() }, "met on the way");
    store.close().await.unwrap();
    drop(store);
    fs::remove_dir_all(bench.path().join("index")).unwrap();

    let store = open(&options).unwrap();
    assert_eq!(ids(&store).await.len(), 9);
    let damaged = store.report().damaged_bytes;
    assert!((20_000..21_000).contains(&damaged), "{damaged}");
    assert_eq!(store.stats().damage, Damage { places: 1, bytes: damaged, events: 0 }, "found by the start");
}

/// The journal still has what was forgotten, and a start that made the index anew showed all of it until the next housekeeping.
#[tokio::test]
async fn what_was_forgotten_does_not_come_back_with_a_new_index() {
    let bench = Bench::new();
    let store = bench.open();
    let waiting = bench.event(1, &["down"]);
    store.accept(waiting.clone()).await.unwrap();
    store.accept(bench.event(2, &["crm"])).await.unwrap();
    let claim = claim_one(&store, "crm").await;
    store.settle(vec![settlement(&claim, Verdict::Done, bench.now())]).await.unwrap();
    bench.pass(8 * DAY);
    store.tidy().await.unwrap();
    assert_eq!(ids(&store).await, [waiting.event.id]);
    store.close().await.unwrap();
    drop(store);
    fs::remove_dir_all(bench.path().join("index")).unwrap();

    let store = bench.open();
    assert!(
        store.report().rebuilt.is_some() && store.report().replayed > 2,
        "the journal has it: {:?}",
        store.report()
    );
    assert_eq!(ids(&store).await, [waiting.event.id]);
}

/// A store that was closed with an event in it, and its last segment.
async fn closed_with_an_event() -> (Bench, PathBuf) {
    let bench = Bench::new();
    let store = bench.open();
    store.accept(bench.event(1, &["crm"])).await.unwrap();
    store.close().await.unwrap();
    let segment = segments(bench.path()).pop().unwrap();
    (bench, segment)
}

#[tokio::test]
async fn a_format_of_the_future_is_refused_by_name_and_left_alone() {
    let (bench, segment) = closed_with_an_event().await;
    let mut bytes = fs::read(&segment).unwrap();
    bytes[8] = 99;
    let checksum = crc32c::crc32c(&bytes[..36]);
    bytes[36..40].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&segment, &bytes).unwrap();

    let refused = Embedded::open(bench.options()).err().unwrap().to_string();
    assert!(refused.contains("is in format 99, this version reads formats 1 to 3"), "{refused}");
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}

/// Found by reading what the random damage would have to hit: the format was looked at before the checksum, and one flipped
/// bit in it made the whole store refuse to open, as if a newer version had written it.
#[tokio::test]
async fn a_flipped_bit_in_a_format_is_damage_and_no_other_format() {
    let (bench, segment) = closed_with_an_event().await;
    let mut bytes = fs::read(&segment).unwrap();
    bytes[8] ^= 64;
    fs::write(&segment, &bytes).unwrap();

    let store = bench.open();
    assert_eq!(*claim_one(&store, "crm").await.event, bench.event(1, &["crm"]).event);
}

/// Waits until sled has let go of the index of a store that is closed, and moves its folder.
fn move_index(bench: &Bench, to: &str) {
    drop(index(bench));
    fs::rename(bench.path().join("index"), bench.path().join(to)).unwrap();
}

/// While the index's files are replaced by smaller ones, a crash may leave either, both, or for a moment neither in its place.
#[tokio::test]
async fn whatever_a_crash_leaves_of_two_indexes_nothing_is_lost_and_nothing_stays() {
    let is_left = |bench: &Bench| ["index.new", "index.old"].map(|name| bench.path().join(name).exists());
    for (crash, leave) in [
        (
            "while it is copied",
            (|bench| fs::create_dir_all(bench.path().join("index.new/blobs")).unwrap()) as fn(&Bench),
        ),
        ("between the renames", |bench| {
            move_index(bench, "index.old");
            fs::create_dir_all(bench.path().join("index.new/blobs")).unwrap();
        }),
        ("after the renames", |bench| fs::create_dir_all(bench.path().join("index.old/blobs")).unwrap()),
    ] {
        let bench = Bench::new();
        let store = bench.open();
        let event = bench.event(1, &["crm"]);
        let id = event.event.id;
        store.accept(event).await.unwrap();
        store.close().await.unwrap();
        drop(store);
        leave(&bench);
        let store = bench.open();
        assert!(store.event(id).await.unwrap().is_some(), "{crash}");
        assert_eq!(store.report().rebuilt.is_some(), crash == "between the renames", "{crash}");
        assert_eq!(is_left(&bench), [false, false], "{crash}");
    }
}

/// Events that leave an index large enough to see it: sled's files begin with more than a megabyte.
const MANY: u32 = 6_000;

#[tokio::test]
async fn an_index_that_a_backlog_has_left_large_becomes_small_while_the_store_runs() {
    let bench = Bench::new();
    let store = Arc::new(open(&Options { index_floor: 0, ..bench.options() }).unwrap());
    for group in 0..MANY / 200 {
        let mut accepts = JoinSet::new();
        for number in 200 * group..200 * (group + 1) {
            let (store, event) = (Arc::clone(&store), bench.event(number, &[]));
            accepts.spawn(async move { store.accept(event).await.unwrap() });
        }
        accepts.join_all().await;
    }
    let size = || -> u64 {
        let files = fs::read_dir(bench.path().join("index")).unwrap().map(|file| file.unwrap().metadata().unwrap());
        files.filter(fs::Metadata::is_file).map(|file| file.len()).sum()
    };
    bench.pass(70 * DAY);
    let before = size();
    store.tidy().await.unwrap();
    assert!(size() < before * 2 / 3, "{} of {before} bytes", size());
    let event = bench.event(MANY, &["crm"]);
    store.accept(event.clone()).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = bench.open();
    assert_eq!(store.report().rebuilt, None, "the new files are believed");
    assert!(store.event(event.event.id).await.unwrap().is_some());
}
