//! The rooms put together: from a config, through every room, and over a restart.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;
#[path = "the_whole_relay/tls.rs"]
mod tls;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::{
    eventually, fixtures,
    relay::WholeRelay,
    sink::{Sink, status},
    wire::{Answer, Request, Wire},
};
use tokio::net::TcpStream;

const EVENTS: usize = 10;

fn everything_to(sink: &Sink) -> String {
    format!(
        r#"
[destination.crm]
url = "{}"
retry = {{ initial = "1s" }}

[[route]]
name = "everything"
to = ["crm"]
"#,
        sink.url("/calls")
    )
}

async fn post_all(relay: &WholeRelay) -> Vec<Answer> {
    let mut answers = Vec::new();
    for n in 0..EVENTS {
        answers.push(Request::signed(fixtures::event(&format!("e{n}"))).send(relay.public).await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_at_a_stop_is_delivered_after_the_next_start() {
    let sink = Sink::start().await;
    sink.reply(|_| status(503));
    let relay = WholeRelay::start(&everything_to(&sink)).await;
    let answers = post_all(&relay).await;
    assert!(answers.iter().all(|answer| answer.text("status") == "accepted"), "{answers:?}");
    sink.wait_for(1).await;
    let directory = relay.stop().await;

    let tried = sink.got().len();
    sink.reply(|_| status(200));
    let relay = WholeRelay::start_in(directory, &everything_to(&sink)).await;
    let got = sink.wait_for(tried + EVENTS).await.split_off(tried);
    let ids: BTreeSet<_> = got.iter().map(|got| got.header("x-relay-event").to_owned()).collect();
    assert_eq!(ids, answers.iter().map(|answer| answer.text("id")).collect());

    let again = post_all(&relay).await;
    assert!(again.iter().all(|answer| answer.text("status") == "duplicate"), "{again:?}");
    relay.stop().await;
    assert_eq!(sink.got().len(), tried + EVENTS, "nothing was delivered twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_runs_at_a_stop_is_answered_and_its_event_kept() {
    let sink = Sink::start().await;
    let relay = WholeRelay::start(&everything_to(&sink)).await;
    let mut wire = Wire::connect(relay.public).await;
    wire.send(&Request::signed(fixtures::event("e1")).header("Expect", "100-continue").head()).await;
    assert_eq!(wire.answer().await.status, 100);
    relay.ask_to_stop();
    let public = relay.public;
    eventually("refusing connections", async || TcpStream::connect(public).await.err()).await;
    wire.send(&fixtures::event("e1")).await;
    let answer = wire.answer().await;
    assert_eq!(answer.text("status"), "accepted");

    let relay = WholeRelay::start_in(relay.stop().await, &everything_to(&sink)).await;
    assert_eq!(sink.wait_for(1).await[0].header("x-relay-event"), answer.text("id"));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_nothing_listens() {
    let sink = Sink::start().await;
    let relay = WholeRelay::start(&everything_to(&sink)).await;
    let addresses = [relay.public, relay.admin];
    relay.stop().await;
    for address in addresses {
        eventually("refusing connections", async || TcpStream::connect(address).await.err()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_destination_gets_what_was_signed_and_another_what_it_asked_for() {
    let (raw, shaped) = (Sink::start().await, Sink::start().await);
    let config = format!(
        r#"
[destination.archive]
url = "{}"

[destination.crm]
url = "{}/{{{{ call.id }}}}"
method = "PUT"
vars = {{ team = "night" }}
headers = {{ X-Status = "{{{{ call.status }}}}" }}
json = {{ text = "Call {{{{ call.id }}}}: {{{{ analytics.summary }}}}", mood = "{{{{ analytics.disposition.caller_mood }}}}", escalated = "{{{{ analytics.disposition.escalation_needed }}}}", team = "{{{{ vars.team }}}}", nothing = "{{{{ none }}}}" }}

[[route]]
to = ["archive", "crm"]
"#,
        raw.url("/"),
        shaped.url("/calls"),
    );
    let relay = WholeRelay::start(&config).await;
    let body = fixtures::body("03-analytics-outbound.json");
    assert_eq!(Request::signed(body.clone()).send(relay.public).await.status, 200);

    let archived = raw.wait_for(1).await.swap_remove(0);
    assert_eq!(archived.body, body);
    assert!(archived.headers.contains_key("x-signature"));

    let got = shaped.wait_for(1).await.swap_remove(0);
    let summary =
        "The caller moved her cleaning from Thursday to Friday at eleven and asked for a call back about an invoice.";
    let expected = json!({
        "text": format!("Call CALL-1790012345678-a1b2c3: {summary}"), "mood": "friendly", "escalated": true, "team": "night",
        "nothing": null,
    });
    assert_eq!(serde_json::from_slice::<Value>(&got.body).unwrap(), expected);
    assert_eq!(got.path, "/calls/CALL-1790012345678-a1b2c3");
    assert_eq!((got.header("content-type"), got.header("x-status")), ("application/json", "completed"));
    assert!(!got.headers.contains_key("x-signature"), "it would not fit");
    assert_eq!(got.header("x-relay-event"), archived.header("x-relay-event"));
    relay.stop().await;
}
