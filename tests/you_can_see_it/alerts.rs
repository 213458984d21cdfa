//! The relay tells by itself what is wrong, and no more often than it has to.

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    eventually, fixtures,
    forward::Forward,
    relay::WholeRelay,
    sink::{Got, Sink, status},
    wire::{Answer, Request},
};

/// Everything to `crm`; alerts to `ops`, as soon as something is wrong. What the machine's disk is like doesn't count.
fn config(crm: &Sink, ops: &Sink) -> String {
    format!(
        r#"
[destination.crm]
url = "{}"

[destination.ops]
url = "{}"

[[route]]
to = ["crm"]

[alerts]
to = ["ops"]
gather = "0s"
disk_free = "0B"
disk_full_in = "1s"
signature_failures = "3/10m"
"#,
        crm.url("/calls"),
        ops.url("/alerts"),
    )
}

async fn post(relay: &WholeRelay, path: &str) -> Answer {
    let host = relay.admin.to_string();
    let request = Request::new(&format!("POST /api/v1/{path} HTTP/1.1")).without("Host").header("Host", &host);
    request.header("Content-Type", "application/json").send(relay.admin).await
}

async fn get(relay: &WholeRelay, path: &str) -> Value {
    let host = relay.admin.to_string();
    let request = Request::new(&format!("GET /api/v1/{path} HTTP/1.1")).without("Host").header("Host", &host);
    let answer = request.send(relay.admin).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

fn title(alert: &Got) -> String {
    let body: Value = serde_json::from_slice(&alert.body).unwrap();
    body["alert"]["title"].as_str().unwrap().to_owned()
}

/// The titles of the first alerts, once there are so many.
async fn titles(ops: &Sink, count: usize) -> Vec<String> {
    ops.wait_for(count).await.iter().map(title).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trouble_is_told_once_also_over_a_restart_and_so_is_its_end() {
    let (crm, ops, time) = (Sink::start().await, Sink::start().await, Forward::default());
    crm.reply(|_| status(401));
    let relay = WholeRelay::start_by(time.clock(), TempDir::new().unwrap(), &config(&crm, &ops)).await;
    let event = fixtures::body("02-post-outbound.json");
    assert_eq!(Request::signed(event).send(relay.public).await.status, 200);

    let alert = ops.wait_for(1).await.swap_remove(0);
    assert_eq!(title(&alert), "crm is stopped");
    let text = String::from_utf8(alert.body.to_vec()).unwrap();
    assert!(text.contains("1 delivery waits; none is lost") && text.contains("`atoms-relay resume crm`"), "{text}");
    assert!(!text.contains("4155550132") && !text.contains("CALL-1790012345678"), "{text}");
    assert_eq!(alert.header("content-type"), "application/json");

    let relay = WholeRelay::start_by(time.clock(), relay.stop().await, &config(&crm, &ops)).await;
    eventually("stopping again", async || (crm.got().len() >= 2).then_some(())).await;
    assert_eq!(post(&relay, "destinations/ops/pause").await.status, 200);
    // Of what concerns `ops` nobody else can be told.
    eventually("an alert for nobody", async || {
        let events = get(&relay, "events?source=atoms-relay").await;
        (events["items"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    assert_eq!(post(&relay, "destinations/ops/resume").await.status, 200);

    crm.reply(|_| status(200));
    assert_eq!(post(&relay, "destinations/crm/resume").await.status, 200);
    eventually("going on", async || {
        let all = get(&relay, "destinations").await;
        let mut all = all["items"].as_array().unwrap().iter();
        all.any(|one| one["name"] == "crm" && one["condition"] == "flowing" && one["waiting"] == 0).then_some(())
    })
    .await;
    let told = eventually("telling of the end", async || {
        time.by(Duration::from_secs(10));
        Some(ops.got()).filter(|got| got.len() >= 2)
    })
    .await;
    assert_eq!(told.iter().map(title).collect::<Vec<_>>(), ["crm is stopped", "over: crm is stopped"]);
    assert!(crm.got().iter().all(|got| got.path == "/calls" && !got.body.starts_with(b"{\"metadata\":{\"eventType\"")));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_requests_and_dead_letters_are_told_and_an_alert_is_seen_like_an_event() {
    let (crm, ops) = (Sink::start().await, Sink::start().await);
    let relay = WholeRelay::start(&config(&crm, &ops)).await;
    // Requests before the first look don't count: they go on until there has been one.
    let told = eventually("telling of forgery", async || {
        let answer = Request::signed_with("5f1c", fixtures::event("e1")).send(relay.public).await;
        assert_eq!(answer.status, 401);
        Some(ops.got()).filter(|got| !got.is_empty())
    })
    .await;
    assert_eq!(title(&told[0]), "requests to atoms have no valid signature");

    crm.reply(|_| status(422));
    assert_eq!(Request::signed(fixtures::event("e1")).send(relay.public).await.status, 200);
    assert_eq!(titles(&ops, 2).await[1], "crm has dead letters");

    let id = told[0].header("x-relay-event").to_owned();
    let alert = eventually("delivering it", async || {
        Some(get(&relay, &format!("events/{id}")).await).filter(|alert| alert["state"] == "delivered")
    })
    .await;
    assert_eq!((&alert["source"], &alert["type"]), (&"atoms-relay".into(), &"relay-alert".into()));
    assert_eq!(alert["deliveries"][0]["destination"], "ops");
    let calls = get(&relay, "calls").await;
    let calls = calls["items"].as_array().unwrap().iter().map(|call| &call["call"]);
    assert_eq!(calls.collect::<Vec<_>>(), ["CALL-e1"], "alerts are no call");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_alert_reaches_everybody_and_is_forgotten() {
    let (crm, ops) = (Sink::start().await, Sink::start().await);
    let relay = WholeRelay::start(&config(&crm, &ops)).await;
    for count in 1..=2 {
        assert_eq!(post(&relay, "alerts/test").await.status, 200);
        assert_eq!(titles(&ops, count).await[count - 1], "a test alert");
    }
    relay.stop().await;

    let relay = WholeRelay::start("").await;
    let answer = post(&relay, "alerts/test").await;
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("the config has no `[alerts]`"), "{answer:?}");
    relay.stop().await;
}
