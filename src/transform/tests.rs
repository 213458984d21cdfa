//! Whole requests, and what people see of them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::*;
use crate::model::{EventId, Name, OriginalHeaders, Reading, Timestamp};

const RECEIVED: Timestamp = Timestamp::from_millis(1_790_012_345_678);

fn event() -> Event {
    Event {
        id: EventId::new(RECEIVED, [7; 10]),
        source: Name::new("atoms").unwrap(),
        received_at: RECEIVED,
        reading: Reading::Quarantined(Arc::from("not read here")),
        headers: OriginalHeaders {
            content_type: Some(b"application/json; charset=utf-8".to_vec()),
            signature: Some(("x-signature".into(), b"5f1c".to_vec())),
        },
        body: Bytes::from_static(b"{ \"odd\" :\t1.10,\"odd\":2 }\r\n"),
    }
}

fn delivery() -> Delivery {
    Delivery::new(Name::new("crm").unwrap(), RECEIVED)
}

fn target(url: &str) -> Target {
    Target { method: Method::POST, url: url.parse().unwrap(), secret_url: false, headers: HeaderMap::new() }
}

fn header<'a>(request: &'a OutboundRequest, name: &str) -> &'a str {
    request.headers.get(name).unwrap().to_str().unwrap()
}

#[test]
fn the_body_goes_out_untouched_with_what_makes_it_verifiable() {
    let request = outbound(&target("https://crm.example/calls"), &event(), &delivery(), 1).unwrap();
    assert_eq!(request.body, event().body);
    assert_eq!(header(&request, "content-type"), "application/json; charset=utf-8");
    assert_eq!(header(&request, "x-signature"), "5f1c");
}

#[test]
fn a_body_without_content_type_stays_without() {
    let bare = Event { headers: OriginalHeaders::default(), ..event() };
    let request = outbound(&target("https://crm.example/"), &bare, &delivery(), 1).unwrap();
    assert!(!request.headers.contains_key("content-type"));
    assert!(!request.headers.contains_key("x-signature"));
}

#[test]
fn every_attempt_carries_the_same_identity_and_its_own_number() {
    let attempts = [1, 2, 9].map(|n| outbound(&target("https://crm.example/"), &event(), &delivery(), n).unwrap());
    let identity = format!("{}.crm", event().id);
    for (request, number) in attempts.iter().zip(["1", "2", "9"]) {
        assert_eq!(header(request, "idempotency-key"), identity);
        assert_eq!(header(request, "x-relay-delivery"), identity);
        assert_eq!(header(request, "x-relay-event"), event().id.to_string());
        assert_eq!(header(request, "x-relay-attempt"), number);
    }
}

#[test]
fn a_new_round_changes_the_idempotency_key_only() {
    let again = Delivery { round: 2, ..delivery() };
    let request = outbound(&target("https://crm.example/"), &event(), &again, 4).unwrap();
    assert_eq!(header(&request, "idempotency-key"), format!("{}.crm.r2", event().id));
    assert_eq!(header(&request, "x-relay-delivery"), format!("{}.crm", event().id));
}

#[test]
fn configured_headers_win_over_the_events_and_lose_against_the_relays() {
    let mut target = target("https://crm.example/");
    target.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
    target.headers.insert("x-relay-attempt", HeaderValue::from_static("77"));
    target.headers.append("x-team", HeaderValue::from_static("voice"));
    target.headers.append("x-team", HeaderValue::from_static("night"));
    let request = outbound(&target, &event(), &delivery(), 1).unwrap();
    assert_eq!(header(&request, "content-type"), "application/cloudevents+json");
    assert_eq!(header(&request, "x-relay-attempt"), "1");
    assert_eq!(request.headers.get_all("x-team").iter().count(), 2);
}

#[test]
fn what_the_relay_sets_is_reserved() {
    let request = outbound(&target("https://crm.example/"), &event(), &delivery(), 1).unwrap();
    let of_the_event = [header::CONTENT_TYPE, HeaderName::from_static("x-signature")];
    for name in request.headers.keys() {
        assert_eq!(is_reserved(name), !of_the_event.contains(name), "{name}");
    }
    assert!(!is_reserved(&header::AUTHORIZATION));
}

#[test]
fn people_see_no_credentials_no_query_and_no_secret_path() {
    assert_eq!(target("https://crm.example:8443/api/calls").shown(), "POST https://crm.example:8443/api/calls");
    assert_eq!(target("http://me:pw@[::1]:80/x?token=t#f").shown(), "POST http://[::1]/x?…");
    let slack = Target { secret_url: true, ..target("https://hooks.slack.com/services/T0/B0/x?y=z") };
    assert_eq!(slack.shown(), "POST https://hooks.slack.com/…");
}

#[test]
fn debugging_shows_no_secret_either() {
    let slack = Target { secret_url: true, ..target("https://hooks.slack.com/services/T0/B0/hush") };
    let request = outbound(&slack, &event(), &delivery(), 1).unwrap();
    for text in [format!("{slack:?}"), format!("{request:?}")] {
        assert!(text.contains("hooks.slack.com") && !text.contains("hush") && !text.contains("odd"), "{text}");
    }
}

#[test]
fn what_http_cannot_carry_is_unsendable_with_the_reason() {
    let mut broken = event();
    broken.headers.signature = Some(("x-signature".into(), b"a\r\nX-Evil: 1".to_vec()));
    let refused = outbound(&target("https://crm.example/"), &broken, &delivery(), 1).unwrap_err();
    assert_eq!(refused.to_string(), "the signature header holds characters that HTTP doesn't allow");
}
