//! Who did what: the audit trail, as the admin API and the command line show it.

use std::fs;

use atoms_relay::{admin::Guard, audit::FILE, clock::Clock};
use serde_json::{Value, json};

use crate::{
    site::Site,
    support::{eventually, fixtures, receiver::Receiver, wire::Wire},
    window::{Window, command, run},
};

/// What the trail says, newest first: who did what to what, and what came of it.
async fn told(window: &Window) -> Vec<Value> {
    let entries = window.read("audit").await["items"].as_array().unwrap().clone();
    entries.into_iter().map(|entry| json!([entry["what"], entry["target"], entry["result"]])).collect()
}

#[tokio::test]
async fn every_change_is_written_down_before_it_is_answered() {
    let window = Window::open().await;
    let id = window.accept(fixtures::event("e1")).await;
    window.answer_all(422, "").await;
    let delivery = format!("{id}.crm");
    window.post("destinations/crm/pause", r#"{"reason":"moving house"}"#).await;
    window.post("destinations/crm/resume", "").await;
    window.post(&format!("deliveries/{delivery}/retry"), "").await;
    window.answer_all(422, "").await;
    window.post("replays", r#"{"all":true}"#).await;
    window.answer_all(422, "").await;
    window.post("dead-letters/discard", r#"{"all":true}"#).await;
    window.get(&format!("/api/v1/events/{id}/body")).await;

    let expected = [
        json!(["body", id, "shown"]),
        json!(["discard", null, "done, deliveries: 1"]),
        json!(["replay", null, "done, deliveries: 1"]),
        json!(["retry", delivery, "done, deliveries: 1"]),
        json!(["resume", "crm", "done"]),
        json!(["pause", "crm", "done"]),
    ];
    assert_eq!(told(&window).await, expected);
    let oldest = &window.read("audit").await["items"][5];
    assert_eq!((&oldest["detail"], &oldest["via"]), (&json!(r#"{"reason":"moving house"}"#), &json!("127.0.0.1")));
}

#[tokio::test]
async fn what_changes_nothing_is_not_written_down() {
    let window = Window::open().await;
    window.accept_many(1).await;
    window.answer_all(422, "").await;
    window.post("dead-letters/discard", r#"{"all":true,"dry_run":true}"#).await;
    for refused in [
        Window::change("destinations/crm/pause", "{}").header("Origin", "http://evil.example"),
        Window::change("destinations/unknown/pause", "{}"),
        Window::change("dead-letters/discard", "{}"),
    ] {
        assert!(refused.send(window.address).await.status >= 400);
    }
    assert_eq!(told(&window).await, [] as [Value; 0]);
}

#[tokio::test]
async fn an_entry_says_who_they_say_they_are_and_how_they_came() {
    let guard = Guard::new(Some(&"open-sesame-0123456789".into()), Vec::new());
    let window = Window::guarded(Receiver::start().await, Clock::system(), guard).await;
    let pause = Window::change("destinations/crm/pause", "").header("Authorization", "Bearer open-sesame-0123456789");
    assert_eq!(pause.header("X-Relay-User", &"ada".repeat(50)).send(window.address).await.status, 200);
    let trail = fs::read_to_string(window.folder.path().join(FILE)).unwrap();
    let written: Value = serde_json::from_str(&trail).unwrap();
    assert_eq!(written["entry"]["via"], "127.0.0.1 with the token");
    assert_eq!(written["entry"]["who"].as_str().unwrap().len(), 100);
    assert!(!trail.contains("sesame"), "{trail}");
}

/// A replay of many dead letters takes its time. Who hangs up meanwhile would otherwise leave no trace.
#[tokio::test]
async fn who_hangs_up_during_a_change_is_written_down_all_the_same() {
    let window = Window::open().await;
    window.accept_many(600).await;
    window.answer_all(422, "").await;
    let mut wire = Wire::connect(window.address).await;
    wire.send(&Window::change("replays", r#"{"all":true}"#).bytes()).await;
    eventually("the start of the replay", async || {
        let dead = window.read("status").await["queue"]["dead"].as_u64().unwrap();
        (dead < 600).then_some(())
    })
    .await;
    wire.reset();
    let entry = eventually("the entry", async || told(&window).await.into_iter().next()).await;
    let result = entry[2].as_str().unwrap();
    assert!(result.starts_with("broken off: ") || result == "done, deliveries: 600", "{result}");
}

#[tokio::test]
async fn pages_of_the_trail_follow_each_other_without_a_gap() {
    let window = Window::open().await;
    for number in 0..5 {
        window.post("destinations/crm/pause", &format!(r#"{{"reason":"{number}"}}"#)).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = window.read(&format!("audit?limit=2{cursor}")).await;
        let details =
            page["items"].as_array().unwrap().iter().map(|entry| entry["detail"].as_str().unwrap().to_owned());
        seen.extend(details);
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [4, 3, 2, 1, 0].map(|number| format!(r#"{{"reason":"{number}"}}"#)));
}

#[tokio::test]
async fn people_see_the_trail_and_whether_somebody_has_changed_it() {
    let site = Site::prepared().await;
    let relay = site.serve().await;
    let admin = format!("--admin http://{}", relay.address("admin_address"));
    let mut pause = command(&format!("{admin} pause crm --reason holidays"));
    assert!(pause.env("SUDO_USER", "ada").output().await.unwrap().status.success());
    relay.run("resume crm").await;
    let listed = relay.run("audit").await;
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[1].contains("127.0.0.1") && lines[1].contains("resume"), "{listed}");
    assert!(lines[2].contains("ada") && lines[2].contains("crm") && lines[2].contains("holidays"), "{listed}");

    let verify = format!("audit verify --config {}", site.config());
    let verified = run(&verify).await.ok();
    assert!(verified.contains("The audit trail is as it was written: 2 entries."), "{verified}");
    assert_eq!(relay.stop().await.code(), Some(0));
    let trail = site.folder().join("data").join(FILE);
    fs::write(&trail, fs::read_to_string(&trail).unwrap().replace("ada", "eve")).unwrap();
    let verified = run(&verify).await;
    assert_eq!(verified.status.code(), Some(65));
    assert!(verified.out.contains("line 2 doesn't follow the one before it"), "{}", verified.out);
}
