//! The past, found by its calls, and sent again.

use atoms_relay::{
    clock::Clock,
    model::{DedupKey, Event, EventId, Name, NewEvent, OriginalHeaders, Reading, Timestamp},
    store::Acceptance,
};
use serde_json::{Value, json};

use crate::{support::receiver::Receiver, window::Window};

fn of_call(id: &str, event_type: &str, call: &str) -> Vec<u8> {
    format!(r#"{{"id":"{id}","event":"68c1f0aa41d2b7e5903c11a4.{event_type}","metadata":{{"callId":"{call}"}}}}"#)
        .into_bytes()
}

/// An event that an older version couldn't read, and this one can.
async fn quarantined(window: &Window, id: &str, received_at: Timestamp) -> EventId {
    let (body, source) = (of_call(id, "post-conversation", "CALL-q"), Name::new("atoms").unwrap());
    let reading = Reading::Quarantined("an older version's reason".into());
    let dedup_key = DedupKey::of(&source, &reading, &body);
    let (id, headers) = (EventId::new(received_at, [7; 10]), OriginalHeaders::default());
    let event = Event { id, source, received_at, reading, headers, body: body.into() };
    let accepted = window.receiver.store.accept(NewEvent { event, dedup_key, deliveries: Vec::new() }).await.unwrap();
    assert_eq!(accepted, Acceptance::Created);
    id
}

fn texts(items: &Value, key: &str) -> Vec<String> {
    items.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

// Calls

#[tokio::test]
async fn a_call_is_shown_with_all_its_events_and_says_what_is_missing() {
    let window = Window::open().await;
    let first = window.accept(of_call("1", "pre-conversation", "CALL/ 1")).await;
    window.accept(of_call("2", "pre-conversation", "CALL-2")).await;
    let second = window.accept(of_call("3", "post-conversation", "CALL/ 1")).await;
    window.answer_all(422, "no such phone").await;

    let call = window.read("calls/CALL%2F%201").await;
    assert_eq!((&call["call"], &call["agent"]), (&json!("CALL/ 1"), &json!("68c1f0aa41d2b7e5903c11a4")));
    assert_eq!((&call["complete"], &call["missing"]), (&json!(false), &json!(["analytics-completed"])));
    assert_eq!(texts(&call["events"], "id"), [first, second]);
    assert_eq!(call["events"][0]["deliveries"][0]["attempts"][0]["outcome"]["status"], 422);

    window.accept(of_call("4", "analytics-completed", "CALL/ 1")).await;
    let call = window.read("calls/CALL%2F%201").await;
    assert_eq!((&call["complete"], &call["missing"]), (&json!(true), &json!([])));
    assert_eq!(window.get("/api/v1/calls/nobody").await.status, 404);
}

#[tokio::test]
async fn each_call_stands_once_in_the_list_where_its_newest_event_is_whatever_the_page() {
    let window = Window::open().await;
    for (id, call) in [("1", "A"), ("2", "B"), ("3", "A"), ("4", "C"), ("5", "B"), ("6", "A")] {
        window.accept(of_call(id, "post-conversation", call)).await;
    }
    window.accept("no json").await;
    for limit in 1..5 {
        let (mut calls, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = window.read(&format!("calls?limit={limit}{cursor}")).await;
            calls.extend(texts(&page["items"], "call"));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(calls, ["A", "B", "C"], "limit {limit}");
    }
    let page = window.read("calls?call=B").await;
    assert_eq!(page["items"][0]["events"].as_array().unwrap().len(), 2);
    assert!(page["items"][0]["first_received_at"].as_str() < page["items"][0]["last_received_at"].as_str());
}

#[tokio::test]
async fn a_call_is_a_timeline_on_the_command_line() {
    let window = Window::open().await;
    window.accept(of_call("1", "pre-conversation", "CALL-1")).await;
    window.answer_all(200, "").await;
    window.accept(of_call("2", "post-conversation", "CALL-1")).await;
    let listed = window.run("calls").await.ok();
    assert!(listed.contains("CALL-1") && listed.contains("waiting  pre-conversation, post-conversation"), "{listed}");
    assert_eq!(window.run("calls --json --state delivered").await.ok().lines().count(), 1);

    let shown = window.run("calls show CALL-1").await.ok();
    let lines = ["without analytics-completed", "pre-conversation  delivered", "crm: delivered", "200 (12 ms)"];
    let mut rest = shown.as_str();
    for line in lines.into_iter().chain(["post-conversation  waiting: crm"]) {
        let Some((_, after)) = rest.split_once(line) else { panic!("no {line} in its place: {shown}") };
        rest = after;
    }
    let unknown = window.run("calls show CALL-9").await;
    assert_eq!(unknown.status.code(), Some(65), "{}", unknown.err);
}

// Sending again

#[tokio::test]
async fn what_a_filter_chooses_is_sent_again_but_for_what_is_on_its_way() {
    let window = Window::open().await;
    for (id, call) in [("1", "A"), ("2", "A"), ("3", "B")] {
        window.accept(of_call(id, "post-conversation", call)).await;
    }
    window.answer_all(200, "").await;
    window.accept(of_call("4", "analytics-completed", "A")).await;

    let of_call_a = r#"{"filter":{"call":"A"},"dry_run":true}"#;
    let would = window.post("replays", of_call_a).await;
    assert_eq!((&would["deliveries"], &would["events"], &would["created"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!(window.read("status").await["queue"]["waiting"], 1, "a rehearsal changes nothing");
    let done = window.post("replays", &of_call_a.replace("true", "false")).await;
    assert_eq!((&done["deliveries"], &done["chosen"]), (&json!(2), &json!(3)));
    assert_eq!(window.read("status").await["queue"]["waiting"], 3);
}

#[tokio::test]
async fn a_state_chooses_deliveries_and_a_limit_takes_them_in_portions() {
    let window = Window::open().await;
    window.accept_many(5).await;
    window.answer_all(422, "").await;
    let ids = window.accept_many(1).await;
    assert_eq!(ids.len(), 1);

    let (mut cursor, mut deliveries) = (Value::Null, 0);
    loop {
        let request = json!({ "filter": { "state": "dead" }, "limit": 2, "cursor": cursor });
        let done = window.post("replays", &request.to_string()).await;
        deliveries += done["deliveries"].as_u64().unwrap();
        cursor = done["next"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(deliveries, 5);
    assert_eq!(window.read("status").await["queue"]["dead"], 0);
}

#[tokio::test]
async fn todays_routes_give_past_events_what_they_have_not() {
    let window = Window::open().await;
    window.accept(of_call("1", "post-conversation", "A")).await;
    window.answer_all(200, "").await;
    let unreadable = window.accept("no json").await;
    let readable = quarantined(&window, "2", Clock::system().now()).await;
    window.route_all_to(&["crm", "billing"]);

    let reroute = |dry_run: bool| json!({ "reroute": true, "filter": { "since": "2020-01-01" }, "dry_run": dry_run });
    let would = window.post("replays", &reroute(true).to_string()).await;
    assert_eq!((&would["events"], &would["created"]), (&json!(2), &json!(3)), "{would}");
    assert_eq!(window.read(&format!("events/{readable}")).await["state"], "quarantined");
    for created in [3, 0] {
        let done = window.post("replays", &reroute(false).to_string()).await;
        assert_eq!(done["created"], created, "to do it again changes nothing");
    }

    let event = window.read(&format!("events/{readable}")).await;
    assert_eq!((&event["state"], &event["call"]), (&json!("waiting"), &json!("CALL-q")));
    assert_eq!(window.read(&format!("events/{unreadable}")).await["state"], "quarantined");
    let delivered = window.read("deliveries?state=delivered").await;
    assert_eq!(texts(&delivered["items"], "destination"), ["crm"], "what has arrived isn't sent again");
    assert_eq!(window.read("deliveries?destination=billing&state=waiting").await["items"].as_array().unwrap().len(), 2);
}

/// Found by the test above, which now and then was quick enough: what had come in within the millisecond of the request was
/// left out.
#[tokio::test]
async fn what_came_in_a_moment_ago_is_sent_again_too() {
    let now = Clock::system().now();
    let window = Window::over(Receiver::start().await, Clock::from_fn(move || now)).await;
    quarantined(&window, "1", now).await;
    window.route_all_to(&["crm"]);
    let done = window.post("replays", r#"{"reroute":true,"filter":{"since":"2020-01-01"}}"#).await;
    assert_eq!(done["created"], 1, "{done}");
}

#[tokio::test]
async fn a_replay_has_to_say_what_it_means() {
    let window = Window::open().await;
    for (wrong, why) in [
        ("{}", "say which"),
        (r#"{"filter":{}}"#, "at least one condition"),
        (r#"{"reroute":true}"#, "at least one condition"),
        (r#"{"filter":{"state":"unrouted"}}"#, "add `reroute`"),
        (r#"{"filter":{"call":"A"},"all":true}"#, "don't go with it"),
        (r#"{"filter":{"destination":"nobody"}}"#, "the config has no destination `nobody`"),
        (r#"{"all":true,"limit":5}"#, "belong to a `filter`"),
        (r#"{"filter":{"call":"A"},"limit":0}"#, "`limit`"),
    ] {
        let answer = Window::change("replays", wrong).send(window.address).await;
        assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
        assert!(answer.text("detail").contains(why), "{wrong}: {answer:?}");
    }
}

#[tokio::test]
async fn a_replay_says_first_what_it_would_do_and_needs_a_yes() {
    let window = Window::open().await;
    let ids = window.accept_many(2).await;
    window.answer_all(200, "").await;

    let in_a_pipe = window.run("replay --destination crm").await;
    assert_eq!(in_a_pipe.status.code(), Some(64));
    assert!(in_a_pipe.err.contains("--dry-run") && in_a_pipe.err.contains("--yes"), "{}", in_a_pipe.err);
    let rehearsed = window.run("replay --destination crm --dry-run").await.ok();
    assert_eq!(rehearsed, "2 deliveries would be due now, of 2 events.\n");
    let refused = window.on_a_terminal("replay --since 1h", "n\n").await;
    assert!(refused.contains("2 deliveries would be due now, of 2 events. Go on? [y/N]"), "{refused}");
    assert_eq!(window.read("status").await["queue"]["waiting"], 0);
    let agreed = window.on_a_terminal("replay --since 1h", "y\n").await;
    assert!(agreed.contains("2 deliveries due now, of 2 events."), "{agreed}");
    assert_eq!(window.read("status").await["queue"]["waiting"], 2);

    window.answer_all(200, "").await;
    assert_eq!(window.run(&format!("replay {}.crm --yes", ids[0])).await.ok(), "1 delivery due now.\n");
    assert_eq!(window.run(&format!("replay {} --yes", ids[1])).await.ok(), "1 delivery due now, of 1 event.\n");
    window.route_all_to(&["crm", "billing"]);
    let rerouted = window.run("replay --reroute --destination billing --yes").await.ok();
    assert_eq!(rerouted, "2 events rerouted, 2 deliveries made.\n");
}
