//! The admin API over its socket.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use atoms_relay::{breaker::Condition, clock::Clock, model::Timestamp};
use serde_json::{Value, json};

use crate::{
    support::{disk::TroubledDisk, fixtures, receiver::Receiver, wire::Request},
    window::{Window, crm},
};

fn ids(items: &Value, key: &str) -> Vec<String> {
    items.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

// Health

#[tokio::test]
async fn a_relay_that_stops_is_alive_but_not_ready() {
    let window = Window::open().await;
    assert_eq!(window.get("/healthz").await.status, 200);
    let ready =
        json!({ "ready": true, "checks": [{ "check": "store", "ok": true }, { "check": "running", "ok": true }] });
    let answer = window.get("/readyz").await;
    assert_eq!((answer.status, serde_json::from_str(&answer.body).ok()), (200, Some(ready)));
    assert_eq!(window.get("/readyz?verbose").await.body, answer.body);

    window.stopping.cancel();
    let answer = window.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("the relay is stopping"), "{answer:?}");
    assert_eq!(window.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_full_disk_makes_it_not_ready_and_says_so() {
    let disk = TroubledDisk::default();
    disk.set_full(true);
    let window = Window::over(Receiver::start_on(&disk, |_| {}).await, Clock::system()).await;
    let answer = window.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains(r#"{"check":"store","ok":false,"reason""#), "{answer:?}");
    let status = window.run("status").await.ok();
    assert!(status.contains("not ready: "), "{status}");
}

// Reading

#[tokio::test]
async fn an_event_shows_what_was_sent_and_what_came_back() {
    let window = Window::open().await;
    let id = window.accept(fixtures::event("e1")).await;
    window.answer_all(422, "no such phone").await;

    let event = window.read(&format!("events/{id}")).await;
    assert_eq!(event["id"], json!(id));
    assert_eq!(event["source"], "atoms");
    assert_eq!(event["state"], "dead");
    assert_eq!(event["type"], "post-conversation");
    assert_eq!(event["agent"], "68c1f0aa41d2b7e5903c11a4");
    assert_eq!(event["call"], "CALL-e1");
    assert_eq!(event["source_id"], "e1");
    assert_eq!(event["content_type"], "application/json");
    let delivery = &event["deliveries"][0];
    assert_eq!(delivery["id"], json!(format!("{id}.crm")));
    assert_eq!(delivery["state"], "dead");
    assert_eq!(delivery["reason"], "rejected");
    let attempt = json!({
        "number": 1,
        "started_at": "2026-09-21T17:39:05.678Z",
        "took_ms": 12,
        "request": "POST http://crm.internal/calls",
        "outcome": { "result": "answered", "status": 422, "excerpt": "no such phone" },
    });
    assert_eq!(delivery["attempts"], json!([attempt]));
}

#[tokio::test]
async fn a_body_comes_back_byte_for_byte_as_a_file_that_no_browser_runs() {
    let window = Window::open().await;
    let body = fixtures::body("11-byte-exact.json");
    let id = window.accept(body.clone()).await;
    let answer = window.get(&format!("/api/v1/events/{id}/body")).await;
    assert_eq!(answer.body.as_bytes(), body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("content-disposition"), Some(&*format!("attachment; filename=\"{id}\"")));
    assert!(answer.header("content-security-policy").unwrap().contains("sandbox"));
}

#[tokio::test]
async fn what_cannot_be_read_is_shown_with_the_reason() {
    let window = Window::open().await;
    let id = window.accept("no json").await;
    let event = window.read(&format!("events/{id}")).await;
    assert_eq!(event["state"], "quarantined");
    assert_eq!(event["type"], Value::Null);
    assert!(event["quarantine_reason"].as_str().unwrap().contains("not an event in JSON"), "{event}");
    assert_eq!(ids(&window.read("events?state=quarantined").await["items"], "id"), [id]);
}

#[tokio::test]
async fn lists_page_through_without_a_gap_or_a_repetition() {
    let window = Window::open().await;
    let mut accepted = window.accept_many(7).await;
    window.answer_all(422, "").await;
    accepted.reverse();

    for (path, key) in [("events", "id"), ("deliveries", "event")] {
        assert_eq!(page_through(&window, path, key).await, accepted, "{path}");
    }
    let oldest_first: Vec<String> = accepted.iter().rev().map(|id| format!("{id}.crm")).collect();
    assert_eq!(page_through(&window, "dead-letters", "id").await, oldest_first);
}

async fn page_through(window: &Window, path: &str, key: &str) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = window.read(&format!("{path}?limit=3{cursor}")).await;
        assert!(page["items"].as_array().unwrap().len() <= 3);
        seen.extend(ids(&page["items"], key));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn lists_can_be_narrowed() {
    let window = Window::open().await;
    let [first, second] = window.accept_many(2).await.try_into().unwrap();
    window.answer_all(200, "").await;
    let third = window.accept(fixtures::event("e2")).await;

    let found = async |query: &str| ids(&window.read(query).await["items"], "id");
    assert_eq!(found("events?state=waiting").await, [&*third]);
    assert_eq!(found("events?state=delivered").await, [second, first.clone()]);
    assert_eq!(found("events?call=CALL-e0").await, [&*first]);
    assert_eq!(found("events?agent=other").await, Vec::<String>::new());
    assert_eq!(found("events?since=2999-01-01").await, Vec::<String>::new());
    assert_eq!(found("deliveries?state=waiting&destination=crm").await, [format!("{third}.crm")]);
    assert_eq!(found("deliveries?destination=slack").await, Vec::<String>::new());
    assert_eq!(found("deliveries?state=delivered&call=CALL-e0").await, [format!("{first}.crm")]);
}

#[tokio::test]
async fn questions_with_mistakes_are_answered_with_what_is_known() {
    let window = Window::open().await;
    for (path, status, words) in [
        ("/api/v1/events?agnt=x", 400, "it knows agent, type, call, source, since, until, state, cursor, limit"),
        ("/api/v1/events?state=lost", 400, "`waiting`, `dead`, `expired`, `delivered`, `unrouted`, `quarantined`"),
        ("/api/v1/dead-letters?cursor=zz", 400, "not a cursor"),
        ("/api/v1/status?x=1", 400, "it takes none"),
        ("/api/v1/events/nonsense", 404, "an event id looks like"),
        ("/api/v1/events/0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f", 404, "no such event"),
        ("/api/v1/nothing", 404, "no such address"),
        ("/api/v1/replays", 405, "POST"),
    ] {
        let answer = window.get(path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("application/problem+json")),
            "{path}"
        );
        assert!(answer.text("detail").contains(words), "{path}: {}", answer.text("detail"));
    }
}

// Destinations

#[tokio::test]
async fn a_destination_shows_how_it_is_doing_and_why() {
    let window = Window::open().await;
    window.accept_many(2).await;
    let at = Timestamp::from_millis(1_790_012_345_678);
    let stopped = Condition::Stopped { since: at, reason: "answered 401".into() };
    window.conditions.lock().unwrap().insert(crm(), stopped);

    let crm = &window.read("destinations").await["items"][0];
    assert_eq!((&crm["name"], &crm["condition"]), (&json!("crm"), &json!("stopped")));
    assert_eq!((&crm["reason"], &crm["since"]), (&json!("answered 401"), &json!("2026-09-21T17:39:05.678Z")));
    assert_eq!((&crm["waiting"], &crm["dead"]), (&json!(2), &json!(0)));
    assert!(crm["oldest"].is_string());
}

#[tokio::test]
async fn a_destination_that_left_the_config_is_shown_while_something_is_kept_for_it() {
    let window = Window::open().await;
    window.accept_many(1).await;
    window.conditions.lock().unwrap().clear();
    let left_over = &window.read("status").await["destinations"][0];
    assert_eq!((&left_over["name"], &left_over["condition"]), (&json!("crm"), &json!("unconfigured")));

    window.answer_all(200, "").await;
    assert_eq!(window.read("destinations").await["items"], json!([]));
}

#[tokio::test]
async fn a_pause_is_kept_in_the_store_and_a_resume_reaches_the_breaker_too() {
    let window = Window::open().await;
    let paused = window.post("destinations/crm/pause", r#"{"reason":"moving house"}"#).await;
    assert_eq!((&paused["condition"], &paused["reason"]), (&json!("paused"), &json!("moving house")));
    assert_eq!(window.receiver.store.pause_of(&crm()).unwrap().reason, "moving house");

    let resumed = window.post("destinations/crm/resume", "").await;
    assert_eq!(resumed["condition"], "flowing");
    assert_eq!(window.receiver.store.pause_of(&crm()), None);
    assert_eq!(*window.resumed.lock().unwrap(), [crm()]);
    assert_eq!(Window::change("destinations/slack/pause", "{}").send(window.address).await.status, 404);
}

#[tokio::test]
async fn a_pause_can_end_by_itself_but_not_before_it_began() {
    let window = Window::open().await;
    let paused = window.post("destinations/crm/pause", r#"{"until":"2999-01-01T00:00:00.000Z"}"#).await;
    assert_eq!((&paused["condition"], &paused["until"]), (&json!("paused"), &json!("2999-01-01T00:00:00.000Z")));
    let late = Window::change("destinations/crm/pause", r#"{"until":"2001-01-01T00:00:00Z"}"#);
    assert_eq!(late.send(window.address).await.status, 400);
}

// Dead letters

#[tokio::test]
async fn dead_letters_are_replayed_all_or_one_by_one() {
    let window = Window::open().await;
    let events = window.accept_many(3).await;
    window.answer_all(422, "").await;
    let one = format!(r#"{{"deliveries":["{}.crm","{}.slack"]}}"#, events[0], events[0]);

    let rehearsed = window.post("replays", &one.replace('}', r#","dry_run":true}"#)).await;
    let counted = |done: &Value| (done["dry_run"].clone(), done["deliveries"].clone(), done["skipped"].clone());
    assert_eq!(counted(&rehearsed), (json!(true), json!(1), json!(1)));
    assert_eq!(window.read("status").await["queue"]["dead"], 3);
    assert_eq!(counted(&window.post("replays", &one).await), (json!(false), json!(1), json!(1)));
    assert_eq!(window.read("status").await["queue"]["dead"], 2);

    let all = r#"{"all":true,"destination":"crm"}"#;
    assert_eq!(window.post("replays", all).await["deliveries"], 2);
    assert_eq!(window.read("status").await["queue"]["dead"], 0);
    assert_eq!(window.read("status").await["queue"]["waiting"], 3);
}

#[tokio::test]
async fn what_dies_again_while_all_are_replayed_is_not_sent_round_and_round() {
    let the_request_came = Timestamp::from_millis(1_790_000_000_000);
    let window = Window::over(Receiver::start().await, Clock::from_fn(move || the_request_came)).await;
    window.accept_many(2).await;
    window.answer_all(422, "").await;
    assert_eq!(window.post("replays", r#"{"all":true}"#).await["deliveries"], 0);
}

#[tokio::test]
async fn many_dead_letters_are_discarded_step_by_step_and_only_those_asked_for() {
    let window = Window::open().await;
    window.accept_many(510).await;
    window.answer_all(422, "").await;
    let waiting = window.accept(fixtures::event("waits")).await;

    let mistaken = format!(r#"{{"deliveries":["{waiting}.crm"]}}"#);
    assert_eq!(window.post("dead-letters/discard", &mistaken).await["deliveries"], 0);
    assert_eq!(window.post("dead-letters/discard", r#"{"all":true,"destination":"slack"}"#).await["deliveries"], 0);
    assert_eq!(window.post("dead-letters/discard", r#"{"all":true,"dry_run":true}"#).await["deliveries"], 510);
    assert_eq!(window.post("dead-letters/discard", r#"{"all":true}"#).await["deliveries"], 510);
    let queue = &window.read("status").await["queue"];
    assert_eq!((&queue["dead"], &queue["waiting"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn a_delivery_can_be_retried_also_when_it_has_arrived() {
    let window = Window::open().await;
    let id = window.accept(fixtures::event("e1")).await;
    window.answer_all(200, "").await;
    window.post(&format!("deliveries/{id}.crm/retry"), "").await;
    let delivery = &window.read(&format!("events/{id}")).await["deliveries"][0];
    assert_eq!((&delivery["state"], &delivery["round"]), (&json!("waiting"), &json!(1)));
    let unknown = Window::change(&format!("deliveries/{id}.slack/retry"), "").send(window.address).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_vague_selection_or_an_unknown_field_changes_nothing() {
    let window = Window::open().await;
    window.accept_many(1).await;
    window.answer_all(422, "").await;
    for (body, words) in [
        ("{}", "say which"),
        (r#"{"destination":"crm"}"#, "say which"),
        (r#"{"all":true,"destinations":"crm"}"#, "expected one of `deliveries`, `all`, `destination`, `dry_run`"),
        ("[", "the body is not what is wanted here"),
    ] {
        let answer = Window::change("dead-letters/discard", body).send(window.address).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.text("detail").contains(words), "{}", answer.text("detail"));
    }
    assert_eq!(window.read("status").await["queue"]["dead"], 1);
}

// Strangers

#[tokio::test]
async fn a_foreign_name_of_this_machine_is_no_way_in() {
    let window = Window::open().await;
    for host in ["evil.example", "relay.example:9090"] {
        let request = Request::new("GET /api/v1/status HTTP/1.1").without("Host").header("Host", host);
        assert_eq!(request.send(window.address).await.status, 421, "{host}");
    }
    let two =
        Request::new("GET /healthz HTTP/1.1").without("Host").header("Host", "localhost").header("Host", "localhost");
    assert_eq!(two.send(window.address).await.status, 400);
}

#[tokio::test]
async fn another_site_in_the_same_browser_can_change_nothing() {
    let window = Window::open().await;
    let pause = Window::change("destinations/crm/pause", r#"{"reason":"x"}"#);
    for (name, value) in [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site"), ("Origin", "null")] {
        assert_eq!(pause.clone().header(name, value).send(window.address).await.status, 403, "{name}: {value}");
    }
    let form = pause.clone().without("Content-Type").header("Content-Type", "text/plain");
    assert_eq!(form.send(window.address).await.status, 415);
    assert_eq!(window.receiver.store.pause_of(&crm()), None);
    assert_eq!(pause.header("Origin", "http://localhost").send(window.address).await.status, 200);
}

#[tokio::test]
async fn a_body_without_end_is_refused() {
    let window = Window::open().await;
    let huge = format!(r#"{{"reason":"{}"}}"#, "x".repeat(1024 * 1024));
    let answer = Window::change("destinations/crm/pause", &huge).chunked().send(window.address).await;
    assert_eq!(answer.status, 413);
}

// What people look at

#[tokio::test]
async fn a_body_is_shown_with_its_phone_numbers_masked_to_who_asks_for_that() {
    let window = Window::open().await;
    let id = window.accept(fixtures::body("02-post-outbound.json")).await;
    let masked = window.get(&format!("/api/v1/events/{id}/body?mask=phones")).await;
    assert_eq!((masked.status, masked.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(masked.body.contains(r#""toNumber":"+********132""#), "{}", masked.body);
    assert!(!masked.body.contains("1415555"), "{}", masked.body);
    assert!(masked.body.contains("CALL-1790012345678-a1b2c3"), "{}", masked.body);

    let raw = window.get(&format!("/api/v1/events/{id}/body")).await;
    assert_eq!(raw.body.as_bytes(), fixtures::body("02-post-outbound.json"));
    assert_eq!(window.get(&format!("/api/v1/events/{id}/body?mask=names")).await.status, 400);
}

#[tokio::test]
async fn the_last_hour_begins_with_the_start_and_says_what_waits() {
    let clock = Arc::new(AtomicU64::new(1_790_000_040_000));
    let told = Arc::clone(&clock);
    let read = move || Timestamp::from_millis(told.load(Ordering::SeqCst));
    let window = Window::over(Receiver::start().await, Clock::from_fn(read)).await;
    window.accept_many(2).await;
    assert_eq!(window.read("history").await["minutes"].as_array().unwrap().len(), 1);

    clock.fetch_add(61 * 60_000, Ordering::SeqCst);
    let history = window.read("history").await;
    let minutes = history["minutes"].as_array().unwrap();
    assert_eq!(minutes.len(), 60);
    assert_eq!((&minutes[0]["waiting"], &minutes[59]["waiting"]), (&json!(2), &json!(2)));
    assert_eq!(history["destinations"][0]["name"], "crm");
    assert_eq!(history["destinations"][0]["minutes"][59]["waiting"], 2);
}
