//! Whole requests, and what people see of them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use serde_json::{Value as Json, json};
use url::Url;

use super::*;
use crate::{
    model::{EventId, Name, OriginalHeaders, Reading},
    template::{JsonTemplate, Leaf, Template},
};

mod hostile;

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

/// A finished call.
fn call(metadata: &Json) -> Event {
    let body = json!({ "id": "e1", "event": "a1.post-conversation", "metadata": metadata }).to_string();
    Event { reading: Reading::of(body.as_bytes()), body: body.into(), ..event() }
}

fn delivery() -> Delivery {
    Delivery::new(Name::new("crm").unwrap(), RECEIVED)
}

fn target(url: &str) -> Target {
    Target::new(Address::fixed(url.parse().unwrap()))
}

/// The constants that templates here use: one for all to see, one for nobody.
fn vars() -> Vars {
    [
        ("channel".to_owned(), Var::Open("C1".to_owned())),
        ("base".to_owned(), Var::Open("https://eu.example:8443/api".to_owned())),
        ("key".to_owned(), Var::Secret("hunter2".into())),
    ]
    .into_iter()
    .collect()
}

fn templated(url: &str) -> Target {
    Target { vars: vars(), ..Target::new(Address::compile(url, &vars()).unwrap()) }
}

fn leaf(source: &str) -> JsonTemplate {
    JsonTemplate::Leaf(Leaf::compile(source).unwrap())
}

/// A body with one member, `text`.
fn json_body(source: &str) -> Body {
    Body::Json(JsonTemplate::Object(vec![("text".to_owned(), leaf(source))]))
}

fn header_template(name: &'static str, source: &str) -> HeaderTemplate {
    let value = Template::compile(source).unwrap();
    HeaderTemplate { name: HeaderName::from_static(name), value, is_sensitive: false }
}

/// The request for an attempt.
fn nth(target: &Target, event: &Event, delivery: &Delivery, attempt: u32) -> Result<OutboundRequest, Unsendable> {
    let auth = Captured::from([("instance_url".to_owned(), "https://acme.my.example".to_owned())]);
    outbound(
        target,
        &Occasion { event, delivery, attempt, now: RECEIVED, auth: &auth, kept_body: None, sampling: Sampling::ALL },
    )
}

/// The request for the first attempt.
fn first(target: &Target, event: &Event) -> Result<OutboundRequest, Unsendable> {
    nth(target, event, &delivery(), 1)
}

fn header<'a>(request: &'a OutboundRequest, name: &str) -> &'a str {
    request.headers.get(name).unwrap().to_str().unwrap()
}

#[test]
fn the_body_goes_out_untouched_with_what_makes_it_verifiable() {
    let request = first(&target("https://crm.example/calls"), &event()).unwrap();
    assert_eq!(request.body, event().body);
    assert_eq!(header(&request, "content-type"), "application/json; charset=utf-8");
    assert_eq!(header(&request, "x-signature"), "5f1c");
    assert!(!request.must_be_kept);
}

#[test]
fn a_body_without_content_type_stays_without() {
    let bare = Event { headers: OriginalHeaders::default(), ..event() };
    let request = first(&target("https://crm.example/"), &bare).unwrap();
    assert!(!request.headers.contains_key("content-type"));
    assert!(!request.headers.contains_key("x-signature"));
}

#[test]
fn every_attempt_carries_the_same_identity_and_its_own_number() {
    let attempts = [1, 2, 9].map(|n| nth(&target("https://crm.example/"), &event(), &delivery(), n).unwrap());
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
    let request = nth(&target("https://crm.example/"), &event(), &again, 4).unwrap();
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
    let request = first(&target, &event()).unwrap();
    assert_eq!(header(&request, "content-type"), "application/cloudevents+json");
    assert_eq!(header(&request, "x-relay-attempt"), "1");
    assert_eq!(request.headers.get_all("x-team").iter().count(), 2);
}

#[test]
fn what_the_relay_sets_is_reserved() {
    let request = first(&target("https://crm.example/"), &event()).unwrap();
    let of_the_event = [header::CONTENT_TYPE, HeaderName::from_static("x-signature")];
    for name in request.headers.keys() {
        assert_eq!(is_reserved(name), !of_the_event.contains(name), "{name}");
    }
    assert!(!is_reserved(&header::AUTHORIZATION));
}

#[test]
fn a_body_that_is_made_has_its_own_content_type_and_no_signature() {
    let json = Target { body: json_body("{{ call.id }}"), ..target("https://crm.example/") };
    let text = Target { body: Body::Text(Template::compile("{{ call.id }}!").unwrap()), ..json.clone() };
    let normalized = Target { body: Body::Normalized, ..json.clone() };
    let xml = Target { content_type: Some(HeaderValue::from_static("text/xml")), ..text.clone() };
    let call = call(&json!({ "callId": "CALL-1" }));
    for (target, content_type) in [
        (&json, "application/json"),
        (&normalized, "application/json"),
        (&text, "text/plain; charset=utf-8"),
        (&xml, "text/xml"),
    ] {
        let request = first(target, &call).unwrap();
        assert_eq!(header(&request, "content-type"), content_type);
        assert!(!request.headers.contains_key("x-signature"));
    }
    assert_eq!(first(&json, &call).unwrap().body, r#"{"text":"CALL-1"}"#);
    assert_eq!(first(&text, &call).unwrap().body, "CALL-1!");
}

#[test]
fn a_normalized_body_is_the_document_that_templates_see() {
    let normalized = Target { body: Body::Normalized, ..target("https://crm.example/") };
    let request = first(&normalized, &call(&json!({ "callId": "CALL-1" }))).unwrap();
    let document: Json = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(document["call"]["id"], "CALL-1");
    assert_eq!(document["event"]["delivery_id"], "e1");
    assert_eq!(document["payload"]["id"], "e1");
}

#[test]
fn templates_see_the_event_the_constants_the_credentials_fields_and_the_delivery() {
    let source = "{{ call.id }} {{ vars.channel }} {{ vars.key }} {{ auth.instance_url }} {{ delivery.attempt }} \
                  {{ delivery.id }} {{ delivery.idempotency_key }}";
    let target =
        Target { vars: vars(), body: Body::Text(Template::compile(source).unwrap()), ..target("https://crm.example/") };
    let again = Delivery { round: 1, ..delivery() };
    let request = nth(&target, &call(&json!({ "callId": "CALL-1" })), &again, 3).unwrap();
    let id = format!("{}.crm", event().id);
    assert_eq!(request.body, format!("CALL-1 C1 hunter2 https://acme.my.example 3 {id} {id}.r1"));
}

#[test]
fn a_header_may_be_a_template_and_is_left_out_when_it_is_empty() {
    let header_templates = vec![
        header_template("x-call", " {{ call.id }}-{{ vars.channel }} "),
        header_template("x-from", "{{ call.from }}"),
    ];
    let target = Target { header_templates, vars: vars(), ..target("https://crm.example/") };
    let request = first(&target, &call(&json!({ "callId": "CALL-1" }))).unwrap();
    assert_eq!(header(&request, "x-call"), "CALL-1-C1");
    assert!(!request.headers.contains_key("x-from"));
    assert_eq!(header(&request, "x-signature"), "5f1c", "the body is still the raw one");
}

#[test]
fn an_address_may_be_a_template() {
    let call = call(&json!({ "callId": "CALL 1/2?", "fromNumber": "+1415" }));
    for (url, expected) in [
        ("https://crm.example/calls/{{ call.id }}", "https://crm.example/calls/CALL%201%2F2%3F"),
        ("https://crm.example/calls?id={{ call.id }}&x=1", "https://crm.example/calls?id=CALL%201%2F2%3F&x=1"),
        ("https://crm.example/{{ call.id | urlencode }}/", "https://crm.example/CALL%201%2F2%3F/"),
        ("{{ vars.base }}/calls/{{ call.id }}", "https://eu.example:8443/api/calls/CALL%201%2F2%3F"),
        ("{{ auth.instance_url }}/x/{{ vars.channel }}", "https://acme.my.example/x/C1"),
        ("{{ auth.instance_url }}", "https://acme.my.example/"),
        ("https://crm.example/{{ vars.channel ~ call.id }}", "https://crm.example/C1CALL%201%2F2%3F"),
        ("https://crm.example/{{ [vars.channel, call.id] | join('-') }}", "https://crm.example/C1-CALL%201%2F2%3F"),
        ("https://crm.example/{{ vars.channel | replace('1', call.id) }}", "https://crm.example/CCALL%201%2F2%3F"),
        ("https://crm.example/{% if call.id %}{{ call.id }}{% endif %}", "https://crm.example/CALL%201%2F2%3F"),
        ("https://crm.example/{% set vars = call %}{{ vars.id }}", "https://crm.example/CALL%201%2F2%3F"),
    ] {
        assert_eq!(first(&templated(url), &call).unwrap().url.as_str(), expected);
    }
}

#[test]
fn no_event_decides_whom_the_relay_calls() {
    for url in [
        "https://{{ call.id }}/x",
        "https://{{ call.id }}.crm.example/x",
        "https://crm.example{{ call.id }}",
        "https://crm.example:{{ call.id }}/x",
        "{{ call.id }}/x",
        "{{ payload.url }}",
        "{{ vars.base }}{{ call.id }}",
        "{{ auth.instance_url }}.evil.example/x",
        "{{ auth.instance_url ~ call.id }}/x",
        "{% if call.id %}https://a.example/{% endif %}",
        "{# https://a.example/ #}{{ call.id }}",
        "ftp://crm.example/{{ call.id }}",
        "https://me:pw@crm.example/{{ call.id }}",
        "https:{{ call.id }}",
    ] {
        assert!(Address::compile(url, &vars()).is_err(), "{url}");
    }
}

#[test]
fn a_constant_that_stands_for_the_host_has_to_be_an_address() {
    let flaw = |url| Address::compile(url, &vars()).unwrap_err().message;
    assert_eq!(flaw("{{ vars.channel }}/x"), "`vars.channel` stands for the host: it would be no address");
    assert_eq!(flaw("{{ vars.none }}/x"), "nothing is called `vars.none` here");
}

#[test]
fn an_address_that_would_lose_a_part_is_not_called() {
    for (url, reason) in [
        ("https://crm.example/calls/{{ call.id }}", "a part of its path would be empty"),
        ("https://crm.example/{{ call.id }}", "a part of its path would be empty"),
        ("https://crm.example/calls/{{ call.id }}/notes", "a part of its path would be empty"),
        ("https://crm.example/calls/{{ call.id }}?x=1", "a part of its path would be empty"),
        ("{{ auth.nothing }}/x", "no `nothing` came with the credentials"),
    ] {
        let refused = first(&templated(url), &call(&json!({}))).unwrap_err();
        assert!(refused.to_string().contains(reason), "{url}: {refused}");
    }
    let query = first(&templated("https://crm.example/?id={{ call.id }}"), &call(&json!({}))).unwrap();
    assert_eq!(query.url.as_str(), "https://crm.example/?id=");
}

#[test]
fn what_a_template_asks_for_in_vain_is_told_by_its_place() {
    let url = templated("https://crm.example/{{ call.nothing }}");
    let header = Target { header_templates: vec![header_template("x-a", "{{ nothing }}")], ..target("https://a/") };
    let body = Target { body: json_body("{{ nothing }}"), ..target("https://a/") };
    for (target, start) in [
        (url, "the template of `url` can't be rendered: "),
        (header, "the template of the header `x-a` can't be rendered: "),
        (body, "the template of `json` can't be rendered: "),
    ] {
        let refused = first(&target, &call(&json!({}))).unwrap_err().to_string();
        assert!(refused.starts_with(start) && refused.contains("nothing"), "{refused}");
    }
}

#[test]
fn a_body_that_has_to_be_the_same_is_kept_once_and_sent_again() {
    let target = Target { body: json_body("{{ delivery.attempt }}"), resend: Resend::Same, ..target("https://a/") };
    let (event, delivery, auth) = (event(), delivery(), Captured::new());
    let occasion = |attempt, kept_body| Occasion {
        event: &event,
        delivery: &delivery,
        attempt,
        now: RECEIVED,
        auth: &auth,
        kept_body,
        sampling: Sampling::ALL,
    };
    let request = outbound(&target, &occasion(1, None)).unwrap();
    assert!(request.must_be_kept);
    let again = outbound(&target, &occasion(2, Some(request.body.clone()))).unwrap();
    assert_eq!(again.body, r#"{"text":1}"#);
    assert!(!again.must_be_kept);

    let anew = Target { resend: Resend::Anew, ..target.clone() };
    assert_eq!(outbound(&anew, &occasion(2, Some(request.body))).unwrap().body, r#"{"text":2}"#);
    let raw = Target { body: Body::Raw, ..target };
    let kept = Some(Bytes::from_static(b"of an older config"));
    assert_eq!(outbound(&raw, &occasion(2, kept)).unwrap().body, event.body);
    assert!(!outbound(&raw, &occasion(1, None)).unwrap().must_be_kept, "it is in the store already");
}

#[test]
fn a_body_that_is_kept_sees_no_secret() {
    let kept = Target {
        vars: vars(),
        body: json_body("{{ vars.channel }}{{ vars['k' ~ 'ey'] }}"),
        resend: Resend::Same,
        ..target("https://a/")
    };
    assert!(first(&kept, &event()).unwrap_err().to_string().contains("undefined"));
    let anew = Target { resend: Resend::Anew, ..kept };
    assert_eq!(first(&anew, &event()).unwrap().body, r#"{"text":"C1hunter2"}"#);
}

#[test]
fn people_see_no_credentials_no_query_and_no_secret_path() {
    assert_eq!(target("https://crm.example:8443/api/calls").shown(), "POST https://crm.example:8443/api/calls");
    assert_eq!(target("http://me:pw@[::1]:80/x?token=t#f").shown(), "POST http://[::1]/x?…");
    let slack = Target::new(Address::fixed("https://hooks.slack.com/services/T0/B0/x?y=z".parse().unwrap()).hidden());
    assert_eq!(slack.shown(), "POST https://hooks.slack.com/…");
}

#[test]
fn people_see_the_address_that_a_template_made_but_for_its_query_and_its_secrets() {
    let call = call(&json!({ "callId": "CALL-1" }));
    let open = templated("{{ auth.instance_url }}/calls/{{ call.id }}?key={{ vars.key }}");
    assert_eq!(open.shown(), "POST {{ auth.instance_url }}/calls/{{ call.id }}?…");
    assert_eq!(first(&open, &call).unwrap().shown, "POST https://acme.my.example/calls/CALL-1?…");
    let url = Address::compile("https://a.example/{{ vars.key }}/{{ call.id }}", &vars()).unwrap().hidden();
    let secret = Target { vars: vars(), ..Target::new(url) };
    assert_eq!(secret.shown(), "POST https://a.example/…");
    assert_eq!(first(&secret, &call).unwrap().shown, "POST https://a.example/…");
}

#[test]
fn debugging_shows_no_secret_either() {
    let url: Url = "https://hooks.slack.com/services/T0/B0/hush".parse().unwrap();
    let body = json_body("{{ vars.key }}");
    let slack = Target { vars: vars(), body, ..Target::new(Address::fixed(url).hidden()) };
    let request = first(&slack, &event()).unwrap();
    assert!(request.body.windows(7).any(|bytes| bytes == b"hunter2"));
    for text in [format!("{slack:?} {:?} {:?}", slack.vars, slack.url), format!("{request:?}")] {
        assert!(text.contains("hooks.slack.com") && !text.contains("hush") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn people_see_the_body_with_masks_for_its_secrets() {
    let target =
        Target { vars: vars(), body: json_body("{{ vars.key | upper }}-{{ call.id }}"), ..target("https://a/") };
    let call = call(&json!({ "callId": "CALL-1" }));
    let (delivery, auth) = (delivery(), Captured::new());
    let occasion = Occasion {
        event: &call,
        delivery: &delivery,
        attempt: 1,
        now: RECEIVED,
        auth: &auth,
        kept_body: None,
        sampling: Sampling::ALL,
    };
    assert_eq!(shown_body(&target, &occasion).unwrap(), r#"{"text":"(SECRET)-CALL-1"}"#);
}

#[test]
fn the_relays_own_signature_is_over_what_it_sends() {
    let signing = Some(Signer::atoms(HeaderName::from_static("x-signature"), "hunter2").unwrap());
    let target = Target { signing, body: json_body("{{ call.id }}"), ..target("https://a/") };
    let request = first(&target, &call(&json!({ "callId": "CALL-1" }))).unwrap();
    let verifier = crate::verify::Verifier::new(HeaderName::from_static("x-signature"), ["hunter2"]).unwrap();
    assert!(verifier.verify(&request.headers, request.body).is_ok());

    let raw = first(&Target { body: Body::Raw, ..target }, &event()).unwrap();
    assert!(verifier.verify(&raw.headers, raw.body).is_ok(), "it stands in place of the event's");
}

#[test]
fn what_http_cannot_carry_is_unsendable_with_the_reason() {
    let mut broken = event();
    broken.headers.signature = Some(("x-signature".into(), b"a\r\nX-Evil: 1".to_vec()));
    let refused = first(&target("https://crm.example/"), &broken).unwrap_err();
    assert_eq!(refused.to_string(), "the signature header holds characters that HTTP doesn't allow");

    let header_templates = vec![header_template("x-call", "{{ call.id }}")];
    let target = Target { header_templates, ..target("https://crm.example/") };
    let refused = first(&target, &call(&json!({ "callId": "a\r\nX-Evil: 1" }))).unwrap_err();
    assert_eq!(refused.to_string(), "the x-call header holds characters that HTTP doesn't allow");
}

#[test]
fn an_alert_has_a_body_of_its_own() {
    let body = json!({ "metadata": { "eventType": "relay-alert" }, "text": "crm is stopped" }).to_string();
    let headers = OriginalHeaders { content_type: Some(b"application/json".to_vec()), signature: None };
    let source = Name::new(crate::model::OWN_SOURCE).unwrap();
    let alert = Event { source, headers, reading: Reading::of(body.as_bytes()), body: body.clone().into(), ..event() };
    let text = Body::Text(Template::compile("{{ call.id }}").unwrap());
    let for_calls =
        Target { body: text, content_type: Some("text/x-calls".parse().unwrap()), ..target("https://x.example/") };
    let request = first(&for_calls, &alert).unwrap();
    assert_eq!((&request.body[..], header(&request, "content-type")), (body.as_bytes(), "application/json"));

    let shaped = Target { alert: json_body("{{ payload.text }}"), resend: Resend::Same, ..for_calls };
    let request = first(&shaped, &alert).unwrap();
    assert_eq!(request.body, r#"{"text":"crm is stopped"}"#);
    assert_eq!((header(&request, "content-type"), request.must_be_kept), ("application/json", true));
}
