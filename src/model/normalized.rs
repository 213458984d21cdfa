//! One shape for every event: what `when`, `body = "normalized"` and every template sees.
//!
//! Reading never fails. What an event doesn't say is null (the transcript an empty list, the variables and metrics an
//! empty object or list), so one template serves every type of event. An empty text says nothing either. The two spellings
//! that the platform has for some statuses, and the two names it has for a call's numbers, become one; what isn't known
//! here passes unchanged.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, value::RawValue};

use super::{Event, EventId, Name, Timestamp};

/// An event in the one shape.
#[derive(Debug, Clone, Serialize)]
pub struct Normalized {
    /// What we know of it.
    pub event: About,
    /// The agent that had the call.
    pub agent: Agent,
    /// The call.
    pub call: Call,
    /// What was said: objects with `role`, `content` and `timestamp`.
    pub transcript: Vec<Value>,
    /// The agent's variables.
    pub variables: Map<String, Value>,
    /// What was found out about the call.
    pub analytics: Analytics,
    /// The original body.
    pub payload: Payload,
}

/// What the relay knows of an event.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    /// The relay's id of it.
    pub id: EventId,
    /// For example `post-conversation`; `None` for events in quarantine.
    #[serde(rename = "type")]
    pub event_type: Option<Arc<str>>,
    /// The source that sent it.
    pub source: Name,
    /// When its body had been read whole.
    pub received_at: Timestamp,
    /// The platform's own id of it, by which its duplicates are recognised.
    pub delivery_id: Option<Arc<str>>,
    /// Whether it was fetched from the platform instead of being sent by it. Always false: nothing fetches yet.
    pub recovered: bool,
}

/// The agent of a call.
#[derive(Debug, Clone, Serialize)]
pub struct Agent {
    /// Its id.
    pub id: Option<Arc<str>>,
}

/// A call. What comes from the body can be of any type; the types named are those that the platform describes.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// Its id.
    pub id: Option<Arc<str>>,
    /// The caller's number (E.164).
    pub from: Value,
    /// The called number (E.164).
    pub to: Value,
    /// `inbound` or `outbound`.
    pub direction: Value,
    /// `telephony`, `web` or what else the platform may have.
    pub channel: Value,
    /// `completed`, `no_answer`, `busy`, `failed`, `canceled` or another.
    pub status: Value,
    /// How long it took, in seconds, with parts.
    pub duration_seconds: Value,
    /// When it was answered (RFC 3339).
    pub answered_at: Value,
    /// When it ended (RFC 3339).
    pub ended_at: Value,
    /// Where its recording is.
    pub recording_url: Value,
}

/// What was found out about a call.
#[derive(Debug, Clone, Serialize)]
pub struct Analytics {
    /// What happened, in a sentence or two.
    pub summary: Value,
    /// The values of the disposition metrics, by their identifiers.
    pub disposition: Map<String, Value>,
    /// The values of the success metrics, by their identifiers.
    pub success: Map<String, Value>,
    /// All metrics as received, those of the disposition first.
    pub metrics: Vec<Value>,
}

impl Normalized {
    /// The document of `event`.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let payload = event.reading.envelope().and_then(|_| Payload::parse(&event.body)).unwrap_or_default();
        let metadata = Part::of(&payload.value).get("metadata");
        Self {
            event: About::of(event),
            agent: Agent { id: event.reading.envelope().and_then(|envelope| envelope.agent.clone()) },
            call: Call::of(event, metadata),
            transcript: metadata.get("transcript").items().map(line).collect(),
            variables: metadata.get("variables").object(),
            analytics: Analytics::of(metadata.get("analytics")),
            payload,
        }
    }
}

impl About {
    fn of(event: &Event) -> Self {
        Self {
            id: event.id,
            event_type: event.reading.envelope().map(|envelope| Arc::clone(&envelope.event_type)),
            source: event.source.clone(),
            received_at: event.received_at,
            delivery_id: event.reading.envelope().and_then(|envelope| envelope.id.clone()),
            recovered: false,
        }
    }
}

impl Call {
    fn of(event: &Event, metadata: Part<'_>) -> Self {
        let data = metadata.get("callData");
        let (channel, way) = channel_and_way(metadata.get("conversationType").or(data.get("callDirection")));
        Self {
            id: event.reading.envelope().and_then(|envelope| envelope.call.clone()),
            from: data.get("fromNumber").or(metadata.get("fromPhone")).value(),
            to: data.get("toNumber").or(metadata.get("toPhone")).value(),
            direction: direction(data.get("callDirection"), way),
            channel,
            status: status(data.get("callStatus")),
            duration_seconds: data.get("callDuration").value(),
            answered_at: data.get("answerTime").value(),
            ended_at: data.get("endTime").value(),
            recording_url: metadata.get("recordingUrl").value(),
        }
    }
}

/// The two halves of `telephonyInbound` and `telephony_outbound`. What has no second half is a channel alone, `webcall` for
/// example.
fn channel_and_way(kind: Part<'_>) -> (Value, Option<&'static str>) {
    let Some(text) = kind.text() else { return (kind.value(), None) };
    let folded = text.to_ascii_lowercase();
    let (channel, way) = ["inbound", "outbound"]
        .iter()
        .find_map(|way| Some((folded.strip_suffix(way)?.trim_end_matches('_'), Some(*way))))
        .unwrap_or((&folded, None));
    match channel {
        "" => (Value::Null, way),
        "webcall" | "web" => ("web".into(), way),
        _ if way.is_some() => (channel.into(), way),
        _ => (text.into(), None),
    }
}

/// `callDirection` where it says one; what it says otherwise passes, and where it says nothing the type of the
/// conversation may.
fn direction(given: Part<'_>, of_conversation: Option<&'static str>) -> Value {
    let (_, way) = channel_and_way(given);
    match (way, given.value()) {
        (Some(way), _) => way.into(),
        (None, Value::Null) => of_conversation.into(),
        (None, unknown) => unknown,
    }
}

/// The platform's guide and its API description spell two statuses differently; each has one spelling here.
fn status(given: Part<'_>) -> Value {
    match given.text() {
        Some("no-answer") => "no_answer".into(),
        Some("cancelled") => "canceled".into(),
        _ => given.value(),
    }
}

/// What somebody said. An item that is no object is taken for its content.
fn line(item: &Value) -> Value {
    let mut line = match item {
        Value::Object(line) => line.clone(),
        other => Map::from_iter([("content".to_owned(), other.clone())]),
    };
    for key in ["role", "content", "timestamp"] {
        line.entry(key).or_insert(Value::Null);
    }
    Value::Object(line)
}

impl Analytics {
    fn of(analytics: Part<'_>) -> Self {
        let (disposition, success) = (analytics.get("dispositionMetrics"), analytics.get("successMetrics"));
        Self {
            summary: analytics.get("summary").value(),
            disposition: values(disposition),
            success: values(success),
            metrics: disposition.items().chain(success.items()).cloned().collect(),
        }
    }
}

/// The values of metrics by their identifiers; of two with the same one the last.
fn values(metrics: Part<'_>) -> Map<String, Value> {
    let entry = |metric| {
        let metric = Part::of(metric);
        Some((metric.get("identifier").text()?.to_owned(), metric.get("value").value()))
    };
    metrics.items().filter_map(entry).collect()
}

/// A value in a body, or none.
#[derive(Debug, Clone, Copy)]
struct Part<'a>(Option<&'a Value>);

impl<'a> Part<'a> {
    /// `value`, unless it says nothing.
    fn of(value: &'a Value) -> Self {
        let says_nothing = value.is_null() || value.as_str() == Some("");
        Self((!says_nothing).then_some(value))
    }

    fn get(self, key: &str) -> Self {
        self.0.and_then(|value| value.get(key)).map_or(Self(None), Self::of)
    }

    fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0))
    }

    fn value(self) -> Value {
        self.0.cloned().unwrap_or_default()
    }

    fn text(self) -> Option<&'a str> {
        self.0?.as_str()
    }

    fn items(self) -> impl Iterator<Item = &'a Value> {
        self.0.and_then(Value::as_array).into_iter().flatten()
    }

    fn object(self) -> Map<String, Value> {
        self.0.and_then(Value::as_object).cloned().unwrap_or_default()
    }
}

/// The original body: as a value for those who look into it, and as it was written for those who pass it on, so that no
/// number is rounded on its way.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    value: Value,
    text: Option<Box<RawValue>>,
}

impl Payload {
    /// `None` when the body isn't JSON, or nested too deep to be taken apart.
    fn parse(body: &[u8]) -> Option<Self> {
        let value = serde_json::from_slice(body).ok()?;
        Some(Self { value, text: serde_json::from_slice(body).ok() })
    }

    /// The body as a value; null when it can't be read.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }
}

impl Serialize for Payload {
    /// As it was written, in JSON; other formats than `serde_json`'s should take [`Payload::value`].
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::{OriginalHeaders, Reading};

    const RECEIVED_AT: Timestamp = Timestamp::from_millis(1_790_012_345_678);

    fn event(body: &[u8]) -> Event {
        Event {
            id: EventId::new(RECEIVED_AT, [7; 10]),
            source: Name::new("atoms").unwrap(),
            received_at: RECEIVED_AT,
            reading: Reading::of(body),
            headers: OriginalHeaders::default(),
            body: Bytes::copy_from_slice(body),
        }
    }

    fn document(body: &[u8]) -> Value {
        serde_json::to_value(Normalized::of(&event(body))).unwrap()
    }

    /// The document of a body with this `metadata`.
    fn of_metadata(mut metadata: Value) -> Value {
        metadata["eventType"] = "x".into();
        document(json!({ "metadata": metadata }).to_string().as_bytes())
    }

    fn fixtures(directory: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(directory)
    }

    /// The documents in `tests/fixtures/normalized` were looked over by hand.
    #[test]
    fn every_fixture_has_the_document_that_was_looked_over() {
        let mut count = 0;
        for entry in fs::read_dir(fixtures("atoms")).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if stem == "vectors" {
                continue;
            }
            let actual = serde_json::to_string_pretty(&document(&fs::read(&path).unwrap())).unwrap() + "\n";
            let expected = fs::read_to_string(fixtures("normalized").join(format!("{stem}.json"))).unwrap_or_default();
            assert_eq!(actual, expected, "{stem}");
            count += 1;
        }
        assert_eq!(count, 14);
    }

    #[test]
    fn both_spellings_of_a_status_become_one_and_others_pass() {
        for (given, status) in [
            (json!("no-answer"), json!("no_answer")),
            (json!("no_answer"), json!("no_answer")),
            (json!("cancelled"), json!("canceled")),
            (json!("canceled"), json!("canceled")),
            (json!("completed"), json!("completed")),
            (json!("on-hold"), json!("on-hold")),
            (json!(7), json!(7)),
            (json!(""), json!(null)),
        ] {
            assert_eq!(of_metadata(json!({ "callData": { "callStatus": given } }))["call"]["status"], status);
        }
    }

    #[test]
    fn both_names_of_the_numbers_are_the_same_two_things() {
        let early = of_metadata(json!({ "fromPhone": "+1", "toPhone": "+2" }));
        let late = of_metadata(json!({ "callData": { "fromNumber": "+1", "toNumber": "+2" } }));
        assert_eq!(early["call"], late["call"]);
        assert_eq!((&late["call"]["from"], &late["call"]["to"]), (&json!("+1"), &json!("+2")));
    }

    #[test]
    fn direction_and_channel_come_from_whoever_names_them() {
        let of = |conversation: &str, direction: &str| {
            let call = &of_metadata(
                json!({ "conversationType": conversation, "callData": { "callDirection": direction } }),
            )["call"];
            (call["channel"].clone(), call["direction"].clone())
        };
        assert_eq!(of("telephonyInbound", ""), (json!("telephony"), json!("inbound")));
        assert_eq!(of("", "telephony_outbound"), (json!("telephony"), json!("outbound")));
        assert_eq!(of("webcall", ""), (json!("web"), json!(null)));
        assert_eq!(of("whatsappOutbound", ""), (json!("whatsapp"), json!("outbound")));
        assert_eq!(of("Carrier Pigeon", "sideways"), (json!("Carrier Pigeon"), json!("sideways")));
    }

    #[test]
    fn a_line_without_its_fields_has_them_as_null() {
        let document = of_metadata(json!({ "transcript": ["hello", { "role": "user", "extra": 1 }] }));
        let said = json!([
            { "role": null, "content": "hello", "timestamp": null },
            { "role": "user", "content": null, "timestamp": null, "extra": 1 },
        ]);
        assert_eq!(document["transcript"], said);
    }

    #[test]
    fn the_payload_keeps_every_digit() {
        let body = r#"{"event":"a.b","n":12345678901234567890123,"m":1.10,"dup":1,"dup":2}"#;
        let text = serde_json::to_string(&Normalized::of(&event(body.as_bytes()))).unwrap();
        assert!(text.ends_with(&format!(r#""payload":{body}}}"#)), "{text}");
    }

    #[test]
    fn a_body_too_deep_to_be_taken_apart_is_known_by_its_envelope() {
        let body = format!(r#"{{"event":"a.b","x":{}1{}}}"#, "[".repeat(1000), "]".repeat(1000));
        let document = document(body.as_bytes());
        assert_eq!((&document["event"]["type"], &document["payload"]), (&json!("b"), &json!(null)));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let names =
            "metadata|callData|transcript|variables|analytics|dispositionMetrics|identifier|value|event|role|.{0,3}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "no-answer|telephonyInbound|_inbound|a\\.b|.{0,5}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(names, inner, 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    /// The keys of objects, to the depth that the shape is fixed.
    fn shape(document: &Value) -> Vec<(String, Vec<String>)> {
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect();
        let fixed = ["event", "agent", "call", "analytics"];
        fixed.iter().map(|part| ((*part).to_owned(), keys(&document[*part]))).collect()
    }

    proptest! {
        #[test]
        fn whatever_comes_in_the_document_has_its_shape(metadata in any_json(), id in any_json()) {
            let body = json!({ "event": "a.b", "id": id, "metadata": metadata }).to_string();
            let document = document(body.as_bytes());
            prop_assert_eq!(shape(&document), shape(&self::document(b"")));
            let keys: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
            prop_assert_eq!(keys, ["agent", "analytics", "call", "event", "payload", "transcript", "variables"]);
            for line in document["transcript"].as_array().unwrap() {
                prop_assert!(["role", "content", "timestamp"].iter().all(|key| line.get(*key).is_some()));
            }
            prop_assert!(document["variables"].is_object() && document["analytics"]["disposition"].is_object());
            prop_assert!(document["analytics"]["success"].is_object() && document["analytics"]["metrics"].is_array());
        }

        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(shape(&document(&body)), shape(&document(b"")));
        }
    }
}
