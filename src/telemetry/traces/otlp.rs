//! Spans as OTLP has them, in its JSON encoding: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.
//!
//! That is: names in camel case, ids in hex, and integers of 64 bits as texts. Names of attributes follow OpenTelemetry's
//! conventions where there is one; what is the relay's own begins with `atoms_relay.`.

use std::{borrow::Cow, time::Duration};

use serde::Serialize;

use super::span::{Attempted, Became, Received, Reception, Span};
use crate::model::Timestamp;

/// `SpanKind.SPAN_KIND_SERVER`, `SPAN_KIND_CLIENT` and `Status.STATUS_CODE_ERROR` in the protocol's description.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const ERROR: u8 = 2;

const NANOS_PER_MILLI: u128 = 1_000_000;

/// The body of a request that brings these spans.
pub(super) fn document(spans: &[Span]) -> Vec<u8> {
    let service = [text("service.name", env!("CARGO_PKG_NAME")), text("service.version", env!("CARGO_PKG_VERSION"))];
    let resource = Resource { attributes: service.into() };
    let scope = Scope { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") };
    let spans = spans.iter().map(OtlpSpan::of).collect();
    let request = Request { resource_spans: [ResourceSpans { resource, scope_spans: [ScopeSpans { scope, spans }] }] };
    // Texts and numbers: nothing in it can fail to be written.
    serde_json::to_vec(&request).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<OtlpSpan<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OtlpSpan<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: Cow<'static, str>,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'a>>,
    events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    time_unix_nano: String,
    name: &'static str,
}

#[derive(Serialize)]
struct Status {
    code: u8,
    message: Cow<'static, str>,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'static str,
    value: Value<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Value<'a> {
    StringValue(Cow<'a, str>),
    IntValue(String),
}

fn text<'a>(key: &'static str, text: impl Into<Cow<'a, str>>) -> Attribute<'a> {
    Attribute { key, value: Value::StringValue(text.into()) }
}

fn number(key: &'static str, number: u64) -> Attribute<'static> {
    Attribute { key, value: Value::IntValue(number.to_string()) }
}

fn nanos(at: Timestamp, after: Duration) -> String {
    (u128::from(at.as_millis()) * NANOS_PER_MILLI + after.as_nanos()).to_string()
}

impl<'a> OtlpSpan<'a> {
    fn of(span: &'a Span) -> Self {
        let (began_at, took) = span.time();
        let (name, kind) = match span {
            Span::Received(received) => (format!("receive {}", received.source), SERVER),
            Span::Attempted(attempted) => (format!("deliver {}", attempted.delivery.destination), CLIENT),
        };
        let (attributes, events, flaw) = match span {
            Span::Received(received) => (of_receipt(received), vec![verified(received)], flaw_of_receipt(received)),
            Span::Attempted(attempted) => (of_attempt(attempted), Vec::new(), flaw_of_attempt(attempted)),
        };
        Self {
            trace_id: span.trace().to_string(),
            span_id: span.id().to_string(),
            parent_span_id: span.parent().map(|parent| parent.to_string()),
            name: name.into(),
            kind,
            start_time_unix_nano: nanos(began_at, Duration::ZERO),
            end_time_unix_nano: nanos(began_at, took),
            attributes,
            events,
            status: flaw.map(|message| Status { code: ERROR, message }),
        }
    }
}

fn of_receipt(received: &Received) -> Vec<Attribute<'_>> {
    let mut attributes = vec![
        text("atoms_relay.source", received.source.as_str()),
        text("atoms_relay.event.id", received.event.to_string()),
        text("atoms_relay.result", received.reception.word()),
        number("http.request.body.size", received.body_len as u64),
    ];
    attributes.extend(received.event_type.as_deref().map(|kind| text("atoms_relay.event.type", kind)));
    if let Reception::Duplicate(first) = received.reception {
        attributes.push(text("atoms_relay.duplicate_of", first.to_string()));
    }
    attributes
}

/// The moment that divides a receipt: what is before it was up to the sender and the network, what is after it to the disk.
fn verified(received: &Received) -> Event {
    Event { time_unix_nano: nanos(received.verified_at, Duration::ZERO), name: "verified" }
}

fn flaw_of_receipt(received: &Received) -> Option<Cow<'static, str>> {
    match received.reception {
        Reception::Refused(_) => Some("not stored".into()),
        Reception::Accepted | Reception::Quarantined | Reception::Duplicate(_) => None,
    }
}

fn of_attempt(attempted: &Attempted) -> Vec<Attribute<'_>> {
    let met = match attempted.met {
        Ok(status) => number("http.response.status_code", status.into()),
        Err(kind) => text("error.type", kind.to_string()),
    };
    vec![
        text("atoms_relay.destination", attempted.delivery.destination.as_str()),
        text("atoms_relay.event.id", attempted.delivery.event.to_string()),
        text("atoms_relay.delivery.id", attempted.delivery.to_string()),
        number("atoms_relay.attempt", attempted.number.into()),
        text("atoms_relay.verdict", attempted.became.word()),
        met,
    ]
}

fn flaw_of_attempt(attempted: &Attempted) -> Option<Cow<'static, str>> {
    match (attempted.became, attempted.met) {
        (Became::Delivered, _) => None,
        (_, Ok(status)) => Some(format!("answered {status}").into()),
        (_, Err(kind)) => Some(kind.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::{
        model::{DeliveryId, EventId, FailureKind, Name},
        telemetry::RefusalReason,
    };

    const BEGAN_AT: Timestamp = Timestamp::from_millis(1_790_012_345_678);

    fn event(byte: u8) -> EventId {
        EventId::new(BEGAN_AT, [byte; 10])
    }

    fn received(reception: Reception) -> Span {
        Span::Received(Received {
            event: event(7),
            source: Name::new("atoms").unwrap(),
            event_type: Some("post-conversation".into()),
            body_len: 21,
            began_at: BEGAN_AT,
            verified_at: BEGAN_AT.plus(Duration::from_millis(1)),
            took: Duration::from_micros(2500),
            reception,
        })
    }

    fn attempted(met: Result<u16, FailureKind>, became: Became) -> Span {
        let delivery = DeliveryId { event: event(7), destination: Name::new("crm").unwrap() };
        Span::Attempted(Attempted { delivery, number: 2, began_at: BEGAN_AT, took: Duration::ZERO, met, became })
    }

    fn written(span: Span) -> Json {
        let document: Json = serde_json::from_slice(&document(&[span])).unwrap();
        document["resourceSpans"][0]["scopeSpans"][0]["spans"][0].clone()
    }

    fn attribute(span: &Json, key: &str) -> Json {
        let attributes = span["attributes"].as_array().unwrap();
        attributes.iter().find(|attribute| attribute["key"] == key).map_or(Json::Null, |found| found["value"].clone())
    }

    #[test]
    fn a_receipt_is_written_as_the_protocol_wants_it() {
        let written = written(received(Reception::Accepted));
        assert_eq!(written["traceId"], event(7).to_string().replace('-', ""));
        assert_eq!((&written["name"], &written["kind"]), (&json!("receive atoms"), &json!(2)));
        assert_eq!(written["startTimeUnixNano"], "1790012345678000000");
        assert_eq!(written["endTimeUnixNano"], "1790012345680500000");
        assert_eq!(written["events"], json!([{ "timeUnixNano": "1790012345679000000", "name": "verified" }]));
        assert_eq!(attribute(&written, "atoms_relay.source"), json!({ "stringValue": "atoms" }));
        assert_eq!(attribute(&written, "http.request.body.size"), json!({ "intValue": "21" }));
        assert_eq!((written.get("parentSpanId"), written.get("status")), (None, None));
    }

    #[test]
    fn an_attempt_is_a_child_of_the_receipt_and_an_error_unless_it_delivers() {
        let receipt = written(received(Reception::Accepted));
        let failed = written(attempted(Ok(503), Became::Retried));
        assert_eq!((&failed["parentSpanId"], &failed["kind"]), (&receipt["spanId"], &json!(3)));
        assert_eq!(failed["status"], json!({ "code": 2, "message": "answered 503" }));
        assert_eq!(attribute(&failed, "http.response.status_code"), json!({ "intValue": "503" }));
        assert_eq!(attribute(&failed, "atoms_relay.verdict"), json!({ "stringValue": "retried" }));

        let unanswered = written(attempted(Err(FailureKind::Connect), Became::Retried));
        assert_eq!(attribute(&unanswered, "error.type"), json!({ "stringValue": "no connection" }));
        assert_eq!(written(attempted(Ok(200), Became::Delivered)).get("status"), None);
    }

    #[test]
    fn a_duplicate_belongs_to_the_trace_of_the_first() {
        let duplicate = written(received(Reception::Duplicate(event(1))));
        assert_eq!(duplicate["traceId"], event(1).to_string().replace('-', ""));
        assert_ne!(duplicate["spanId"], duplicate["parentSpanId"]);
        let refused = written(received(Reception::Refused(RefusalReason::DiskFull)));
        assert_eq!(refused["status"]["code"], 2);
        assert_eq!(attribute(&refused, "atoms_relay.result"), json!({ "stringValue": "disk_full" }));
    }
}
