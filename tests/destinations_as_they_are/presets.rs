//! Every preset, in front of its vendor, on its bad days.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    hubspot, pagerduty, salesforce, slack,
    support::{
        eventually, fixtures,
        relay::WholeRelay,
        sink::Sink,
        wire::{Answer, Request},
    },
    teams,
    vendor::{
        BadDays,
        Day::{Bad, Good},
    },
    zendesk,
};

/// The calls of the fixtures: an outbound one and an inbound one with their three events, one that nobody answered, one of a
/// web page.
const EVENTS: [&str; 8] = [
    "01-pre-outbound.json",
    "02-post-outbound.json",
    "03-analytics-outbound.json",
    "04-pre-inbound.json",
    "05-post-inbound-hindi.json",
    "06-analytics-inbound-mixed-types.json",
    "07-post-no-answer.json",
    "09-minimal-webcall.json",
];

async fn post(relay: &WholeRelay, files: &[&str]) {
    for file in files {
        let answer = Request::signed(fixtures::body(file)).send(relay.public).await;
        assert_eq!((answer.status, answer.text("status").as_str()), (200, "accepted"), "{file}");
    }
}

/// Asks the admin API.
pub(crate) async fn ask(relay: &WholeRelay, line: &str) -> Answer {
    let host = relay.admin.to_string();
    Request::new(line)
        .without("Host")
        .header("Host", &host)
        .header("Content-Type", "application/json")
        .send(relay.admin)
        .await
}

/// The numbers of one destination.
pub(crate) async fn numbers(relay: &WholeRelay, destination: &str) -> Value {
    let answer = ask(relay, "GET /api/v1/destinations HTTP/1.1").await;
    let all: Value = serde_json::from_str(&answer.body).unwrap();
    let all = all["items"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone();
    all.into_iter().find(|numbers| numbers["name"] == destination).unwrap()
}

/// Waits until nothing waits for a destination any more.
async fn drained(relay: &WholeRelay, destination: &str) {
    eventually(&format!("draining {destination}"), async || {
        let numbers = numbers(relay, destination).await;
        (numbers["waiting"] == 0).then_some(())
    })
    .await;
    assert_eq!(numbers(relay, destination).await["dead"], 0, "{destination} has dead letters");
}

/// Every event of every call to every vendor, and none of them has only good days.
#[tokio::test(flavor = "multi_thread")]
async fn one_config_delivers_all_calls_to_all_vendors_through_their_bad_days() {
    let webhook = slack::webhook(BadDays::new([Bad("429"), Good, Bad("rollup_error")])).await;
    let api = slack::api(BadDays::new([Bad("ratelimited"), Good, Bad("internal_error"), Bad("429")])).await;
    let teams = teams::start(BadDays::new([Bad("429"), Good, Bad("429")])).await;
    let hubspot = hubspot::start(BadDays::new([Bad("TEN_SECONDLY_ROLLING"), Good, Bad("423"), Bad("502")])).await;
    let salesforce = salesforce::start(BadDays::new([
        Good,
        Bad("INVALID_SESSION_ID"),
        Good,
        Bad("REQUEST_LIMIT_EXCEEDED"),
        Bad("UNABLE_TO_LOCK_ROW"),
    ]))
    .await;
    let zendesk = zendesk::start(BadDays::new([Bad("lost"), Bad("429")])).await;
    let pagerduty = pagerduty::start(BadDays::new([Bad("429"), Bad("500")])).await;
    let internal = Sink::start().await;

    let config = include_str!("all_vendors.toml")
        .replace("SLACK_URL", &webhook.sink.url("/services/T0/B0/hook"))
        .replace("SLACK_API_URL", &api.sink.url("/api/chat.postMessage"))
        .replace("TEAMS_URL", &teams.sink.url("/workflows/1/triggers/manual"))
        .replace("HUBSPOT", &hubspot.sink.url(""))
        .replace("SALESFORCE", &salesforce.sink.url(""))
        .replace("ZENDESK_URL", &zendesk.sink.url("/api/v2/tickets.json"))
        .replace("PAGERDUTY_URL", &pagerduty.sink.url("/v2/enqueue"))
        .replace("INTERNAL_URL", &internal.url("/calls"));
    let relay = WholeRelay::start(&config).await;
    post(&relay, &EVENTS).await;
    for name in ["slack", "slack-api", "teams", "hubspot", "salesforce", "zendesk", "pagerduty", "internal"] {
        drained(&relay, name).await;
    }

    webhook.with(|slack| {
        assert_eq!((slack.posted.len(), slack.pace.refused), (EVENTS.len(), 0));
        assert!(slack.posted.iter().any(|message| message.contains("*Call completed* after")), "{:#?}", slack.posted);
        assert!(slack.posted.iter().any(|message| message.contains("*Call summary*: The caller moved her cleaning")));
        assert!(slack.posted.iter().all(|message| !message.contains("4155550132")), "numbers are masked");
    });
    api.with(|slack| assert_eq!((slack.posted.len(), slack.pace.refused), (EVENTS.len(), 0)));
    teams.with(|teams| assert_eq!((teams.cards.len(), teams.pace.refused), (EVENTS.len(), 0)));
    hubspot.with(|hubspot| {
        assert_eq!(hubspot.calls.len(), 4, "one for each call");
        let outbound = &hubspot.calls["CALL-1790012345678-a1b2c3"];
        assert_eq!(outbound["hs_call_direction"], "OUTBOUND");
        assert_eq!(outbound["hs_call_status"], "COMPLETED");
        assert_eq!(outbound["hs_call_duration"], "31730");
        assert!(outbound["hs_call_body"].as_str().unwrap().starts_with("The caller moved"));
        assert_eq!(hubspot.pace.refused, 0);
    });
    salesforce.with(|salesforce| {
        assert_eq!(salesforce.tasks.len(), 4, "one for each call");
        let outbound = &salesforce.tasks["CALL-1790012345678-a1b2c3"];
        assert_eq!((&outbound["Status"], &outbound["CallType"]), (&"Completed".into(), &"Outbound".into()));
        assert_eq!(outbound["CallDurationInSeconds"], 32);
        assert!((2..=3).contains(&salesforce.tokens), "{} tokens for one session that ended", salesforce.tokens);
    });
    zendesk.with(|zendesk| {
        assert_eq!(
            (zendesk.tickets.len(), zendesk.hits),
            (1, 1),
            "one escalation, and no second ticket for the lost answer"
        );
        assert_eq!(zendesk.tickets[0]["external_id"], "CALL-1790012345678-a1b2c3");
    });
    pagerduty.with(|pagerduty| assert_eq!(pagerduty.alerts.len(), 1, "{:#?}", pagerduty.alerts));
    let bodies: BTreeMap<_, _> =
        internal.got().into_iter().map(|got| (got.header("x-relay-event").to_owned(), got.body)).collect();
    assert_eq!(bodies.len(), EVENTS.len());
    for body in bodies.values() {
        let document: Value = serde_json::from_slice(body).unwrap();
        assert!(document["call"]["id"].is_string() && document["event"]["type"].is_string());
    }
    relay.stop().await;
}

/// What a vendor says about its address or its token stops the destination, and loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_archived_stops_the_destination_and_keeps_its_events() {
    let webhook = slack::webhook(BadDays::new([Bad("channel_is_archived")])).await;
    let api = slack::api(BadDays::new([Bad("token_revoked")])).await;
    let config = include_str!("two_slacks.toml")
        .replace("SLACK_URL", &webhook.sink.url("/services/T0/B0/hook"))
        .replace("SLACK_API_URL", &api.sink.url("/api/chat.postMessage"));
    let relay = WholeRelay::start(&config).await;
    post(&relay, &EVENTS[..3]).await;
    for name in ["slack", "slack-api"] {
        let stopped = eventually("stopping", async || {
            let numbers = numbers(&relay, name).await;
            (numbers["condition"] == "stopped").then_some(numbers)
        })
        .await;
        assert_eq!((&stopped["waiting"], &stopped["dead"]), (&3.into(), &0.into()), "{name}");
    }
    assert_eq!((webhook.sink.got().len(), api.sink.got().len()), (1, 1));
    let resumed = ask(&relay, "POST /api/v1/destinations/slack/resume HTTP/1.1").await;
    assert!((200..300).contains(&resumed.status), "{resumed:?}");
    drained(&relay, "slack").await;
    webhook.with(|slack| assert_eq!(slack.posted.len(), 3));
    relay.stop().await;
}
