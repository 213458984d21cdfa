//! Promise 3: only what is forged is refused. And what is taken in is whole, once, and within bounds.
//!
//! Over real sockets and a real store.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use atoms_relay::model::{Envelope, Reading};
use support::{
    disk::TroubledDisk,
    eventually,
    fixtures::{self, Vector},
    receiver::{DESTINATION, MAX_BODY, Receiver},
    wire::{Answer, Request, Wire},
    within,
};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

/// Short enough for a test to wait for, long enough for a busy machine to send a request in.
const SHORT: Duration = Duration::from_secs(1);

fn request_of(vector: &Vector) -> Request {
    let path = if vector.header == "X-Atoms-Signature" { "/old" } else { "/webhook" };
    let request = Request::new(&format!("POST {path} HTTP/1.1")).header("Content-Type", "application/json");
    let request = request.body(fixtures::body(&vector.file));
    match &vector.signature {
        Some(signature) => request.header(&vector.header, signature),
        None => request,
    }
}

fn usual_vectors() -> Vec<Vector> {
    let mut usual: Vec<_> = fixtures::vectors().into_iter().filter(Vector::is_usual).collect();
    usual.sort_by(|a, b| a.file.cmp(&b.file));
    usual.dedup_by(|a, b| a.file == b.file);
    assert_eq!(usual.len(), 14);
    usual
}

fn assert_taken(answer: &Answer, status: &str) {
    assert_eq!((answer.status, answer.text("status").as_str()), (200, status), "{answer:?}");
}

// What is authentic

#[tokio::test]
async fn every_vector_is_taken_or_refused_as_it_says() {
    let receiver = Receiver::start().await;
    for vector in fixtures::vectors() {
        let answer = request_of(&vector).send(receiver.address).await;
        assert_eq!(answer.status, if vector.valid { 200 } else { 401 }, "{vector:?}: {answer:?}");
    }
    let different_fixtures_and_one_by_the_older_header = 14 + 1;
    assert_eq!(receiver.events().await.len(), different_fixtures_and_one_by_the_older_header);
}

#[tokio::test]
async fn every_fixture_is_stored_byte_for_byte_with_what_it_says_of_itself() {
    let receiver = Receiver::start().await;
    for vector in usual_vectors() {
        let answer = request_of(&vector).send(receiver.address).await;
        let stored = receiver.event(&answer.text("id")).await;
        assert_eq!(stored.event.body, fixtures::body(&vector.file), "{}", vector.file);
        let signature = vector.signature.clone().unwrap().into_bytes();
        assert_eq!(stored.event.headers.signature, Some(("x-signature".into(), signature)));
        assert_eq!(stored.event.headers.content_type.as_deref(), Some(&b"application/json"[..]));
        if let Some(envelope) = stored.event.reading.envelope() {
            assert_eq!(envelope, &envelope_of(&vector.file), "{}", vector.file);
            assert_eq!(stored.deliveries.len(), 1);
            assert_eq!(stored.deliveries[0].0.destination.as_str(), DESTINATION);
        }
    }
}

/// The envelope, read the slow way.
fn envelope_of(file: &str) -> Envelope {
    let body: serde_json::Value = serde_json::from_slice(&fixtures::body(file)).unwrap();
    let (agent, event_type) = body["event"].as_str().unwrap().split_once('.').unwrap();
    let text = |value: &serde_json::Value| value.as_str().map(Into::into);
    Envelope {
        event_type: event_type.into(),
        agent: Some(agent.into()),
        call: text(&body["metadata"]["callId"]),
        id: text(&body["id"]),
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_quarantined_and_what_lacks_only_metadata_is_not() {
    let receiver = Receiver::start().await;
    for vector in usual_vectors() {
        let is_unreadable = vector.file.starts_with("12-") || vector.file.starts_with("14-");
        let answer = request_of(&vector).send(receiver.address).await;
        assert_taken(&answer, if is_unreadable { "quarantined" } else { "accepted" });
        let stored = receiver.event(&answer.text("id")).await;
        assert_eq!(matches!(stored.event.reading, Reading::Quarantined(_)), is_unreadable, "{}", vector.file);
        assert_eq!(stored.deliveries.is_empty(), is_unreadable, "{}", vector.file);

        let again = request_of(&vector).send(receiver.address).await;
        assert_taken(&again, "duplicate");
        assert_eq!(again.text("id"), answer.text("id"));
    }
}

#[tokio::test]
async fn a_duplicate_is_recognised_after_a_restart() {
    let receiver = Receiver::start().await;
    let request = Request::signed(fixtures::event("e1"));
    let first = request.send(receiver.address).await;
    assert_taken(&first, "accepted");

    let receiver = Receiver::start_in(receiver.stop().await, |_| {}).await;
    let again = request.send(receiver.address).await;
    assert_taken(&again, "duplicate");
    assert_eq!(again.text("id"), first.text("id"));
    assert_eq!(receiver.events().await.len(), 1);
}

#[tokio::test]
async fn of_identical_requests_at_the_same_time_one_is_accepted() {
    let receiver = Receiver::start().await;
    let mut requests = JoinSet::new();
    for _ in 0..32 {
        let address = receiver.address;
        requests.spawn(async move { Request::signed(fixtures::event("e1")).send(address).await });
    }
    let answers = within("the answers", requests.join_all()).await;
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.text("status") == "accepted").collect();
    assert_eq!(accepted.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.text("id") == accepted[0].text("id")), "{answers:?}");
    assert_eq!(receiver.events().await.len(), 1);
}

// What is forged

#[tokio::test]
async fn every_cause_of_a_401_looks_the_same_and_stores_nothing() {
    let receiver = Receiver::start().await;
    let body = fixtures::event("e1");
    let request = || Request::new("POST /webhook HTTP/1.1").body(body.clone());
    let right = atoms_relay::verify::sign(fixtures::SECRET, &body).unwrap();
    let forged = [
        request(),
        request().header("X-Signature", ""),
        request().header("X-Signature", &right[1..]),
        request().header("X-Signature", &format!("{right}, {right}")),
        request().header("X-Signature", &right).header("X-Signature", &right),
        request().header("X-Signature", &"0".repeat(64)),
        request().header("X-Signature", &right).body(b"{}"),
        request().header("X-Atoms-Signature", &right),
        request().header("X-Signature", &right).line("POST /old HTTP/1.1"),
    ];
    for request in forged {
        let answer = request.send(receiver.address).await;
        assert_eq!(answer.status, 401, "{request:?}");
        assert_eq!(answer.header("www-authenticate"), Some("HMAC-SHA256"));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.text("detail"), "The signature is missing or wrong.");
    }
    assert!(receiver.events().await.is_empty());
}

#[tokio::test]
async fn a_signature_in_a_trailer_is_none() {
    let receiver = Receiver::start().await;
    let body = fixtures::event("e1");
    let signature = atoms_relay::verify::sign(fixtures::SECRET, &body).unwrap();
    let request = Request::new("POST /webhook HTTP/1.1").header("Trailer", "X-Signature").body(body).chunked();
    let mut bytes = request.bytes();
    bytes.truncate(bytes.len() - "\r\n".len());
    bytes.extend_from_slice(format!("X-Signature: {signature}\r\n\r\n").as_bytes());
    let mut wire = Wire::connect(receiver.address).await;
    wire.send(&bytes).await;
    assert_eq!(wire.answer().await.status, 401);
}

// What is not a request to hand in an event

#[tokio::test]
async fn other_paths_methods_codings_and_hosts_are_refused() {
    let receiver = Receiver::start().await;
    let event = || Request::signed(fixtures::event("e1"));
    let refused = [
        (404, event().line("POST /other HTTP/1.1")),
        (404, event().line("POST /webhook/ HTTP/1.1")),
        (405, event().line("PUT /webhook HTTP/1.1")),
        (405, Request::new("GET /webhook HTTP/1.1")),
        (405, event().line("POST /healthz HTTP/1.1")),
        (415, event().header("Content-Encoding", "gzip")),
        (400, event().without("Host")),
        (400, event().header("Host", "other")),
    ];
    for (status, request) in refused {
        let answer = request.send(receiver.address).await;
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("allow").is_some(), status == 405, "{answer:?}");
    }
    assert!(receiver.events().await.is_empty());
}

#[tokio::test]
async fn health_is_answered() {
    let receiver = Receiver::start().await;
    assert_eq!(Request::new("GET /healthz HTTP/1.1").send(receiver.address).await.status, 200);
}

#[tokio::test]
async fn unusual_but_right_ways_to_write_a_request_are_understood() {
    let receiver = Receiver::start().await;
    let event = |id| Request::signed(fixtures::event(id));
    let requests = [
        event("old").line("POST /webhook HTTP/1.0").without("Host"),
        event("absolute").line("POST http://elsewhere.example/webhook HTTP/1.1"),
        event("query").line("POST /webhook?from=atoms HTTP/1.1"),
        event("identity").header("Content-Encoding", "identity"),
        event("chunked").chunked(),
    ];
    for request in requests {
        assert_taken(&request.send(receiver.address).await, "accepted");
    }
}

// Connections

#[tokio::test]
async fn a_connection_serves_one_request_after_another_also_when_they_come_at_once() {
    let receiver = Receiver::start().await;
    let mut wire = Wire::connect(receiver.address).await;
    let requests: Vec<u8> = (0..20).flat_map(|n| Request::signed(fixtures::event(&format!("e{n}"))).bytes()).collect();
    wire.send(&requests).await;
    for _ in 0..20 {
        assert_taken(&wire.answer().await, "accepted");
    }
    wire.send(&Request::signed(fixtures::event("e7")).bytes()).await;
    assert_taken(&wire.answer().await, "duplicate");
}

#[tokio::test]
async fn a_chunked_request_ends_its_connection() {
    let receiver = Receiver::start().await;
    let mut wire = Wire::connect(receiver.address).await;
    wire.send(&Request::signed(fixtures::event("e1")).chunked().bytes()).await;
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    wire.closed().await.unwrap();
}

#[tokio::test]
async fn who_waits_for_100_is_told_to_continue_or_refused_at_once() {
    let receiver = Receiver::start().await;
    let request = Request::signed(fixtures::event("e1")).header("Expect", "100-continue");
    let mut wire = Wire::connect(receiver.address).await;
    wire.send(&request.head()).await;
    assert_eq!(wire.answer().await.status, 100);
    wire.send(&fixtures::event("e1")).await;
    assert_taken(&wire.answer().await, "accepted");

    let mut wire = Wire::connect(receiver.address).await;
    wire.send(&request.line("POST /other HTTP/1.1").head()).await;
    assert_eq!(wire.answer().await.status, 404);
}

#[tokio::test]
async fn who_closes_the_sending_half_gets_an_answer() {
    let receiver = Receiver::start().await;
    let mut wire = Wire::connect(receiver.address).await;
    wire.send(&Request::signed(fixtures::event("e1")).bytes()).await;
    wire.finish_sending().await;
    assert_taken(&wire.answer().await, "accepted");
}

#[tokio::test]
async fn a_flood_of_silent_connections_does_not_keep_an_event_out() {
    let receiver = Receiver::start_with(|settings| settings.max_connections = 8).await;
    let mut silent = Vec::new();
    for n in 0..40 {
        let mut wire = Wire::connect(receiver.address).await;
        if n % 2 == 0 {
            wire.send(b"POST /webhook HTTP/1.1\r\nHo").await;
        }
        silent.push(wire);
    }
    assert_taken(&Request::signed(fixtures::event("e1")).send(receiver.address).await, "accepted");
}

// Bounds of time

#[tokio::test]
async fn a_head_that_trickles_is_cut_off() {
    let receiver = Receiver::start_with(|settings| settings.head_deadline = SHORT).await;
    let began = Instant::now();
    let mut wire = Wire::connect(receiver.address).await;
    let head = Request::signed(fixtures::event("e1")).head();
    wire.send(&head[..head.len() / 2]).await;
    drop(wire.closed().await);
    assert!(began.elapsed() >= SHORT);
}

#[tokio::test]
async fn a_connection_may_be_idle_for_a_while_and_not_for_ever() {
    let receiver = Receiver::start_with(|settings| settings.keep_alive = SHORT).await;
    let mut wire = Wire::connect(receiver.address).await;
    wire.send(&Request::new("GET /healthz HTTP/1.1").bytes()).await;
    assert_eq!(wire.answer().await.status, 200);
    let began = Instant::now();
    wire.closed().await.unwrap();
    assert!((SHORT * 9 / 10..SHORT * 10).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_body_that_trickles_is_refused_with_408() {
    let receiver = Receiver::start_with(|settings| settings.body_deadline = SHORT).await;
    let began = Instant::now();
    let request = Request::signed(fixtures::event("e1"));
    let mut wire = Wire::connect(receiver.address).await;
    wire.send(&request.head()).await;
    let mut answer = None;
    for byte in fixtures::event("e1") {
        wire.send(&[byte]).await;
        if timeout(SHORT / 10, wire.wait_for_bytes()).await.is_ok() {
            answer = Some(wire.answer().await);
            break;
        }
    }
    let answer = answer.expect("it was let trickle");
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert!(began.elapsed() >= SHORT);
    wire.closed().await.unwrap();
}

#[tokio::test]
async fn when_the_disk_is_full_a_request_is_held_until_its_deadline() {
    let disk = TroubledDisk::default();
    disk.set_full(true);
    let receiver = Receiver::start_on(&disk, |settings| settings.accept_deadline = SHORT).await;
    let began = Instant::now();
    let answer = Request::signed(fixtures::event("e1")).send(receiver.address).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")), "{answer:?}");
    assert!(began.elapsed() >= SHORT / 2, "{:?}", began.elapsed());
    assert!(receiver.events().await.is_empty());
}

#[tokio::test]
async fn when_the_disk_has_room_again_a_held_request_is_accepted() {
    let disk = TroubledDisk::default();
    disk.set_full(true);
    let receiver = Receiver::start_on(&disk, |_| {}).await;
    let mut wire = Wire::connect(receiver.address).await;
    wire.send(&Request::signed(fixtures::event("e1")).bytes()).await;
    assert!(timeout(SHORT, wire.wait_for_bytes()).await.is_err(), "it was answered without room");
    disk.set_full(false);
    assert_taken(&wire.answer().await, "accepted");
}

#[tokio::test]
async fn what_the_store_did_not_answer_in_time_is_committed_before_the_end() {
    let disk = TroubledDisk::default();
    let mut receiver = Receiver::start_on(&disk, |settings| settings.accept_deadline = SHORT).await;
    disk.set_stuck(true);
    let request = Request::signed(fixtures::event("e1"));
    assert_eq!(request.send(receiver.address).await.status, 503);
    receiver.ask_to_stop();
    let address = receiver.address;
    eventually("refusing connections", async || TcpStream::connect(address).await.err()).await;
    assert!(!receiver.has_stopped(), "it stopped with a commit on its way");
    disk.set_stuck(false);
    let receiver = Receiver::start_in(receiver.stop().await, |_| {}).await;
    assert_taken(&request.send(receiver.address).await, "duplicate");
}

#[tokio::test]
async fn when_the_store_is_closed_a_request_is_refused_at_once() {
    let receiver = Receiver::start().await;
    receiver.store.close().await.unwrap();
    let began = Instant::now();
    let answer = Request::signed(fixtures::event("e1")).send(receiver.address).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    assert!(began.elapsed() < Duration::from_secs(10));
}

// Bounds of size

#[tokio::test]
async fn a_body_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
    let receiver = Receiver::start().await;
    for (surplus, status) in [(-1, 200), (0, 200), (1, 413)] {
        for is_chunked in [false, true] {
            let length = usize::try_from(MAX_BODY.cast_signed() + surplus).unwrap();
            let mut body = fixtures::event(&format!("{surplus}-{is_chunked}"));
            body.resize(length, b' ');
            let request = Request::signed(body.clone());
            let request = if is_chunked { request.chunked() } else { request };
            let answer = request.send(receiver.address).await;
            assert_eq!(answer.status, status, "{surplus} {is_chunked} {answer:?}");
            if status == 200 {
                assert_eq!(receiver.event(&answer.text("id")).await.event.body, body);
            } else {
                assert_eq!(answer.header("connection"), Some("close"));
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_refused_before_it_is_sent() {
    let receiver = Receiver::start().await;
    let mut wire = Wire::connect(receiver.address).await;
    let head = format!("POST /webhook HTTP/1.1\r\nHost: relay\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1);
    wire.send(head.as_bytes()).await;
    assert_eq!(wire.answer().await.status, 413);
    wire.closed().await.unwrap();
}

#[tokio::test]
async fn who_sends_on_after_a_refusal_can_still_read_why() {
    let receiver = Receiver::start().await;
    let more_than_sockets_buffer = vec![b' '; 16 * 1024 * 1024];
    let mut wire = Wire::connect(receiver.address).await;
    wire.try_send(&Request::signed(more_than_sockets_buffer).bytes()).await.unwrap();
    assert_eq!(wire.answer().await.status, 413);
    wire.finish_sending().await;
    wire.closed().await.unwrap();
}

// Ends

#[tokio::test]
async fn who_hangs_up_leaves_a_whole_event_or_none() {
    let receiver = Receiver::start().await;
    let rounds = 60;
    for n in 0..rounds {
        let request = Request::signed(long_event(n));
        let bytes = request.bytes();
        let mut wire = Wire::connect(receiver.address).await;
        // A third each: before the last byte, at once after it, and some moments later.
        wire.send(&bytes[..bytes.len() - usize::from(n % 3 == 0)]).await;
        for _ in 0..if n % 3 == 2 { n } else { 0 } {
            tokio::task::yield_now().await;
        }
        wire.reset();
    }
    let before = receiver.events().await.len();
    let mut accepted = 0;
    for n in 0..rounds {
        let answer = Request::signed(long_event(n)).send(receiver.address).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        accepted += usize::from(answer.text("status") == "accepted");
        assert_eq!(receiver.event(&answer.text("id")).await.event.body, long_event(n));
    }
    assert_eq!(receiver.events().await.len(), rounds);
    assert!(accepted >= rounds / 3, "{accepted} were accepted, {before} had been stored");
}

#[tokio::test]
async fn who_hangs_up_during_the_commit_leaves_an_event_that_is_stored_and_waits_to_be_delivered() {
    let disk = TroubledDisk::default();
    disk.set_full(true);
    let receiver = Receiver::start_on(&disk, |settings| settings.accept_deadline = 60 * SHORT).await;
    let mut wire = Wire::connect(receiver.address).await;
    wire.send(&Request::signed(fixtures::event("e1")).bytes()).await;
    let verified = r#"ingest_body_bytes_count{source="atoms"} 1"#;
    eventually("verifying", async || receiver.tells(verified).then_some(())).await;
    wire.reset();
    assert!(receiver.events().await.is_empty());
    disk.set_full(false);
    let event = eventually("committing", async || receiver.events().await.pop()).await;
    let stored = receiver.event(&event.id.to_string()).await;
    assert_eq!(stored.event.body, fixtures::event("e1"));
    assert_eq!(stored.deliveries.len(), 1);
    assert!(stored.deliveries[0].0.state.is_waiting());
}

fn long_event(n: usize) -> Vec<u8> {
    let mut body = fixtures::event(&format!("e{n}"));
    body.resize(body.len() + 20_000, b' ');
    body
}

#[tokio::test]
async fn requests_that_run_at_a_stop_are_answered_and_idle_connections_are_closed() {
    let receiver = Receiver::start().await;
    let mut idle = Wire::connect(receiver.address).await;
    idle.send(&Request::new("GET /healthz HTTP/1.1").bytes()).await;
    assert_eq!(idle.answer().await.status, 200);

    let request = Request::signed(fixtures::event("e1"));
    let (head, body) = (request.head(), fixtures::event("e1"));
    let mut running = Wire::connect(receiver.address).await;
    running.send(&[&head[..], &body[..10]].concat()).await;
    let mut waiting = Wire::connect(receiver.address).await;
    waiting.send(&Request::signed(fixtures::event("e2")).header("Expect", "100-continue").head()).await;
    assert_eq!(waiting.answer().await.status, 100, "by now the relay knows of all three");

    receiver.ask_to_stop();
    idle.closed().await.unwrap();
    running.send(&body[10..]).await;
    let answer = running.answer().await;
    assert_taken(&answer, "accepted");
    assert_eq!(answer.header("connection"), Some("close"));
    waiting.send(&fixtures::event("e2")).await;
    assert_taken(&waiting.answer().await, "accepted");

    let address = receiver.address;
    let directory = receiver.stop().await;
    eventually("refusing connections", async || TcpStream::connect(address).await.err()).await;
    assert_eq!(Receiver::start_in(directory, |_| {}).await.events().await.len(), 2);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let receiver = Receiver::start_with(|settings| settings.grace = SHORT).await;
    let mut wire = Wire::connect(receiver.address).await;
    wire.send(&Request::signed(fixtures::event("e1")).header("Expect", "100-continue").head()).await;
    assert_eq!(wire.answer().await.status, 100);
    let began = Instant::now();
    receiver.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(wire.closed().await);
}
