//! The queue of a relay that doesn't run, in the hands of an ops person: the real program over a real queue.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use atoms_relay::{
    clock::Clock,
    model::{
        Attempt, DeadReason, DedupKey, Event, EventId, Name, NewDelivery, NewEvent, Order, OriginalHeaders, Outcome,
        Reading, Timestamp, Verdict,
    },
    store::Settlement,
};
use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::yield_now;

use crate::{
    support::{
        fixtures::{SECRET, body, event},
        receiver::Receiver,
        relay::WholeRelay,
        sink::Sink,
        wire::Request,
        within,
    },
    window::{Output, command, crm, run},
};

/// Some of the tables of the index, by the byte that starts their keys.
const EVENTS: u8 = 1;
const DUE: u8 = 2;
const DEAD: u8 = 3;

/// A queue with an event in each state: delivered, dead, tried once and waiting, waiting, in quarantine.
async fn queue() -> TempDir {
    let receiver = Receiver::start().await;
    for verdict in [Verdict::Done, Verdict::Dead(DeadReason::Rejected), Verdict::RetryAt(Timestamp::EPOCH)] {
        accept(&receiver, &event(&format!("{verdict:?}"))).await;
        settle(&receiver, verdict).await;
    }
    accept(&receiver, &body("10-post-long-transcript.json")).await;
    accept(&receiver, &body("12-not-json.bin")).await;
    receiver.stop().await
}

/// Lets an event in. The next one comes a millisecond later at least, so that ids have the order in which they came.
async fn accept(receiver: &Receiver, body: &[u8]) {
    let answer = Request::signed(body).send(receiver.address).await;
    let id: EventId = answer.text("id").parse().unwrap();
    while Clock::system().now() <= id.timestamp() {
        yield_now().await;
    }
}

async fn settle(receiver: &Receiver, verdict: Verdict) {
    let claims = receiver.store.claim(&crm(), 1, Duration::from_secs(60), Order::None).await.unwrap();
    let attempt = Attempt {
        number: 1,
        started_at: Timestamp::from_millis(1_790_012_345_678),
        took: Duration::from_millis(12),
        request: "POST http://crm.internal/calls".into(),
        outcome: Outcome::Answered { status: 503, excerpt: "not\u{1b}[2J now".into() },
    };
    let (id, token) = (claims[0].id(), claims[0].token);
    receiver.store.keep_body(&id, token, Bytes::from_static(b"{\"text\":\"kept\"}")).await.unwrap();
    let settlement = Settlement { id, token, verdict, attempt: Some(attempt) };
    receiver.store.settle(vec![settlement]).await.unwrap();
}

async fn store(arguments: &str, queue: &Path) -> Output {
    run(&format!("store {arguments} --path {}", queue.display())).await
}

async fn verify(queue: &Path) -> (Option<i32>, Value) {
    let output = store("verify --json", queue).await;
    (output.status.code(), serde_json::from_str(&output.out).unwrap_or_else(|_| panic!("{}{}", output.out, output.err)))
}

async fn export(queue: &Path) -> String {
    store("export", queue).await.ok()
}

/// 200 KB for `crm`.
fn large_event(number: u32) -> NewEvent {
    let body = format!(r#"{{"id":"{number}","event":"a.b","pad":"{}"}}"#, "x".repeat(200_000)).into_bytes();
    let (received_at, source, reading) = (Clock::system().now(), Name::new("atoms").unwrap(), Reading::of(&body));
    let dedup_key = DedupKey::of(&source, &reading, &body);
    let id = EventId::new(received_at, *dedup_key.as_bytes().first_chunk().unwrap());
    let event = Event { id, source, received_at, reading, headers: OriginalHeaders::default(), body: body.into() };
    NewEvent { event, dedup_key, deliveries: vec![NewDelivery::to(crm())] }
}

/// Every file below a folder, but for the lock.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if !path.ends_with("lock") {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
}

/// The segment with the events.
fn segment(queue: &Path) -> PathBuf {
    queue.join("journal/00000000000000000001.journal")
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_sound_queue_is_said_to_be_sound_and_left_as_it_is() {
    let queue = queue().await;
    let before = files(queue.path());
    let (code, found) = verify(queue.path()).await;
    assert_eq!((code, &found["findings"]), (Some(0), &Value::Array(Vec::new())));
    assert_eq!((&found["events"], &found["quarantined"]), (&5.into(), &1.into()));
    let crm = &found["destinations"][0];
    assert_eq!(["waiting", "delivered", "dead"].map(|state| crm[state].as_u64()), [Some(2), Some(1), Some(1)]);
    assert_eq!((&found["segments"][0]["events"], &found["segments"][0]["moves"]), (&5.into(), &3.into()));

    let shown = store("verify", queue.path()).await.ok();
    assert!(shown.contains("5 events, 0 unrouted, 1 in quarantine") && shown.ends_with("All is well.\n"), "{shown}");
    assert!(files(queue.path()) == before, "something was changed");
}

#[tokio::test]
async fn damage_in_the_journal_is_told_by_its_place_and_by_what_it_cost() {
    let queue = queue().await;
    let long = export(queue.path()).await.lines().nth(3).unwrap().to_owned();
    let lost: Value = serde_json::from_str(&long).unwrap();
    // The long transcript is most of the segment.
    change(&segment(queue.path()), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let before = files(queue.path());

    let (code, found) = verify(queue.path()).await;
    assert_eq!(code, Some(65));
    let [damage, cost] = found["findings"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!((&damage["severity"], &damage["segment"]), (&"damage".into(), &1.into()));
    assert!(damage["offset"].as_u64() > Some(64) && damage["bytes"].as_u64() > Some(10_000), "{damage}");
    assert!(cost["what"].as_str().unwrap().ends_with(lost["id"].as_str().unwrap()), "{cost}");
    assert!(files(queue.path()) == before, "something was changed");

    let exported = store("export", queue.path()).await;
    assert_eq!((exported.status.code(), exported.out.lines().count()), (Some(65), 4));
    assert!(exported.err.contains(&format!("{}: gone from the journal", lost["id"].as_str().unwrap())));
}

/// Changes a table of the index. Its items lie in one page, as few as they are: the lengths of key and value, then both.
fn change_table(index: &sled::Db, table: u8, change: impl FnOnce(&mut Vec<(Vec<u8>, Vec<u8>)>)) {
    let page = index.scan_prefix([table]).next().map(Result::unwrap);
    let (at, page) = page.unwrap_or_else(|| (vec![table].into(), sled::IVec::default()));
    let (mut rest, mut items) = (&*page, Vec::new());
    while let Some((head, after)) = rest.split_first_chunk::<6>() {
        let [k0, k1, v0, v1, v2, v3] = *head;
        let (key, after) = after.split_at(u16::from_le_bytes([k0, k1]).into());
        let (value, after) = after.split_at(u32::from_le_bytes([v0, v1, v2, v3]) as usize);
        items.push((key.to_vec(), value.to_vec()));
        rest = after;
    }
    change(&mut items);
    let item = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let lengths =
            [&u16::try_from(key.len()).unwrap().to_le_bytes()[..], &u32::try_from(value.len()).unwrap().to_le_bytes()];
        [&lengths.concat()[..], key, value].concat()
    };
    // There is no empty page.
    index.remove(&at).unwrap();
    if !items.is_empty() {
        index.insert(at, items.iter().flat_map(item).collect::<Vec<u8>>()).unwrap();
    }
}

#[tokio::test]
async fn an_index_that_contradicts_the_journal_is_found_and_made_anew() {
    let queue = queue().await;
    let index = sled::Config::new().path(queue.path().join("index")).mode(sled::Mode::LowSpace).open().unwrap();
    change_table(&index, DUE, |items| drop(items.pop()));
    change_table(&index, DEAD, |items| items.push(([&b"nobody\0"[..], &[7; 24]].concat(), Vec::new())));
    change_table(&index, EVENTS, |items| drop(items.remove(2)));
    index.flush().unwrap();
    drop(index);

    let (code, found) = verify(queue.path()).await;
    assert_eq!(code, Some(65));
    let text = found["findings"].to_string();
    let lacks = "the index lacks an event that still has to be delivered";
    for what in
        [lacks, "the index has an event that its lists lack", "names what isn't so", "isn't what it counts: events"]
    {
        assert!(text.contains(what), "{what}: {text}");
    }
    let rebuilt = store("rebuild", queue.path()).await.ok();
    assert!(rebuilt.contains("5 events, 2 deliveries wait"), "{rebuilt}");
    assert_eq!(verify(queue.path()).await.0, Some(0));
    assert!(queue.path().join("index.set-aside").exists());
}

#[tokio::test]
async fn what_a_start_makes_good_by_itself_is_told_apart_from_damage() {
    let queue = queue().await;
    let advice_after = async |harm: &dyn Fn(&Path)| {
        harm(queue.path());
        let (code, found) = verify(queue.path()).await;
        store("rebuild", queue.path()).await.ok();
        (code, found["findings"].to_string())
    };
    let (code, text) = advice_after(&|queue| fs::remove_dir_all(queue.join("index")).unwrap()).await;
    assert!(code == Some(0) && text.contains("there is no index"), "{text}");
    let (code, text) = advice_after(&|queue| fs::remove_file(queue.join("checkpoint")).unwrap()).await;
    assert!(code == Some(0) && text.contains("there is no checkpoint"), "{text}");
    let (code, text) = advice_after(&|queue| change(&segment(queue), |bytes| bytes.extend(b"arec cut o"))).await;
    assert!(code == Some(0) && text.contains("unfinished write: 10 bytes"), "{text}");
    let (code, text) = advice_after(&|queue| fs::write(queue.join("checkpoint"), "nonsense").unwrap()).await;
    assert!(code == Some(65) && text.contains("the checkpoint is damaged"), "{text}");
    let (code, text) = advice_after(&|queue| change(&queue.join("index/db"), |db| db.truncate(db.len() / 2))).await;
    assert!(code == Some(65) && text.contains("the index can't be used"), "{text}");
    let (code, text) = advice_after(&|queue| change(&segment(queue), |bytes| bytes[30] ^= 1)).await;
    assert!(code == Some(65) && text.contains("the header of journal segment 1 is damaged"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_moves_to_another_machine_and_goes_on_there() {
    let (here, there) = (queue().await, TempDir::new().unwrap());
    let lines = export(here.path()).await;
    assert_eq!((lines.lines().count(), lines.matches("\"kept_body\":").count()), (5, 3));
    let file = there.path().join("queue.jsonl");
    fs::write(&file, &lines).unwrap();
    let elsewhere = there.path().join("data");
    let imported = store(&format!("import {}", file.display()), &elsewhere).await.ok();
    assert_eq!(imported, "5 events added.\n");
    assert_eq!(export(&elsewhere).await, lines);
    assert_eq!(verify(&elsewhere).await.0, Some(0));

    let sink = Sink::start().await;
    let config = format!("[destination.crm]\nurl = \"{}\"\n[[route]]\nname = \"all\"\nto = [\"crm\"]\n", sink.url("/"));
    fs::remove_file(&file).unwrap();
    let moved = TempDir::new().unwrap();
    fs::rename(&elsewhere, moved.path()).unwrap();
    let relay = WholeRelay::start_in(moved, &config).await;
    let got = sink.wait_for(2).await;
    let waiting = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let waiting = waiting.filter(|event| event["deliveries"][0]["state"] == "waiting");
    let ids: Vec<_> = waiting.map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    let arrived: Vec<_> = got.iter().map(|got| got.header("x-relay-event")).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| arrived.contains(&id.as_str())), "{ids:?} {arrived:?}");
    let again = Request::signed(event("Done")).send(relay.public).await;
    assert_eq!(again.text("status"), "duplicate");
    relay.stop().await;
    assert_eq!(sink.got().len(), 2, "what had been delivered there was not delivered again");
}

#[tokio::test]
async fn damaged_lines_are_named_and_do_not_stop_the_rest() {
    let (here, there) = (queue().await, TempDir::new().unwrap());
    let lines: Vec<String> = export(here.path()).await.lines().map(str::to_owned).collect();
    let cut = lines[1].get(..100).unwrap();
    let file = there.path().join("queue.jsonl");
    fs::write(&file, [&lines[0], cut, "", &lines[2], &lines[3].replace("\"body\":\"", "\"body\":\"+49")].join("\n"))
        .unwrap();
    let queue = there.path().join("data");

    let mut import = command(&format!("store import - --path {}", queue.display()));
    let output = within("importing", import.stdin(fs::File::open(&file).unwrap()).output()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(
        said.contains("line 2 is refused: it is no whole JSON") && said.contains("line 5 is refused: `body`"),
        "{said}"
    );
    assert!(!said.contains("+49"), "{said}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "2 events added, 2 lines refused.\n");

    fs::write(&file, lines.join("\n")).unwrap();
    let again = store(&format!("import {} --json", file.display()), &queue).await.ok();
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((&again["added"], &again["already_there"], &again["refused"]), (&3.into(), &2.into(), &0.into()));
    assert_eq!(export(&queue).await.lines().collect::<Vec<_>>(), lines);
}

#[tokio::test]
async fn an_export_is_narrowed_and_written_to_a_private_file() {
    let queue = queue().await;
    let count = async |filter: &str| store(&format!("export {filter}"), queue.path()).await.ok().lines().count();
    assert_eq!(count("--call CALL-Done").await, 1);
    assert_eq!(count("--type post-conversation --agent 68c1f0aa41d2b7e5903c11a4 --since 1h").await, 4);
    assert_eq!(count("--until 1h").await, 0);
    assert_eq!(count("--since 2026-01-01 --until 9999-01-01").await, 5);

    let file = queue.path().join("queue.jsonl");
    let output = format!("export --output {}", file.display());
    assert_eq!(store(&output, queue.path()).await.ok(), "");
    assert_eq!(fs::read_to_string(&file).unwrap(), export(queue.path()).await);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = store(&output, queue.path()).await;
    assert!(again.status.code() == Some(74) && again.err.contains("can't create"), "{}", again.err);
}

#[tokio::test]
async fn space_is_given_back_when_its_time_has_come() {
    let directory = TempDir::new().unwrap();
    let receiver = Receiver::start_in(TempDir::new_in(directory.path()).unwrap(), |_| {}).await;
    for number in 0..60 {
        receiver.store.accept(large_event(number)).await.unwrap();
    }
    for _ in 0..59 {
        settle(&receiver, Verdict::Done).await;
    }
    let queue = receiver.stop().await;
    let config = config_that_keeps_nothing(directory.path(), queue.path());
    let compacted = run(&format!("store compact --json --config {}", config.display())).await.ok();
    let compacted: Value = serde_json::from_str(&compacted).unwrap();
    let bytes = ["bytes_before", "bytes_after"].map(|when| compacted[when].as_u64().unwrap());
    assert!(bytes[0] > 12_000_000 && bytes[1] < 1_000_000, "{bytes:?}");
    let (code, found) = verify(queue.path()).await;
    assert_eq!((code, &found["events"]), (Some(0), &1.into()), "{found}");
    assert!(!queue.path().join("index.set-aside").exists());
}

#[tokio::test]
async fn what_was_delivered_and_is_gone_does_not_come_back_with_an_old_export() {
    let (directory, queue) = (TempDir::new().unwrap(), queue().await);
    let file = directory.path().join("queue.jsonl");
    fs::write(&file, export(queue.path()).await).unwrap();
    let config = config_that_keeps_nothing(directory.path(), queue.path());
    run(&format!("store compact --config {}", config.display())).await.ok();
    assert_eq!(export(queue.path()).await.lines().count(), 4);
    let imported = store(&format!("import {}", file.display()), queue.path()).await.ok();
    assert_eq!(imported, "0 events added, 5 were there already.\n");
}

/// A config file in `directory` that forgets what is delivered at once.
fn config_that_keeps_nothing(directory: &Path, queue: &Path) -> PathBuf {
    let file = directory.join("relay.toml");
    let text = format!(
        "[queue]\npath = \"{}\"\nretention = \"0s\"\n[source.atoms]\npath = \"/w\"\nsecrets = [\"{SECRET}\"]\n\
         [destination.crm]\nurl = \"http://127.0.0.1:9\"\n[[route]]\nname = \"all\"\nto = [\"crm\"]\n",
        queue.display()
    );
    fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn while_a_relay_runs_its_queue_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_owned();
    let receiver = Receiver::start_in(directory, |_| {}).await;
    let nothing = path.join("nothing.jsonl");
    fs::write(&nothing, "").unwrap();
    for command in ["verify", "rebuild", "export", &format!("import {}", nothing.display())] {
        let refused = store(command, &path).await;
        assert_eq!(refused.status.code(), Some(69), "{command}: {}", refused.err);
        let holder = format!("is in use by another relay (process {})", std::process::id());
        assert!(refused.err.contains(&holder), "{command}: {}", refused.err);
    }
    receiver.stop().await;
    let missing = store("verify", &path.join("elsewhere")).await;
    assert!(missing.status.code() == Some(74) && missing.err.contains("elsewhere"), "{}", missing.err);
}
