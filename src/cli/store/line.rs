//! An event as a line of JSON: what `export` writes and `import` reads.
//!
//! `type`, `agent`, `call` and `quarantined` are there for whoever searches: on the way back they are read from the body
//! anew. The bytes of header values stand as the characters with the same numbers (ISO 8859-1), the body in base64. What is
//! wrong with a line is said without repeating any of it: it may be a phone number.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use crate::{
    cli::text::{harmless_json, hex},
    model::{
        Attempt, DeadReason, DedupKey, Delivery, DeliveryState, Event, EventId, Name, OriginalHeaders, Reading,
        Timestamp,
    },
    store::embedded::offline::Exported,
};

#[derive(Serialize, Deserialize)]
struct Line {
    id: EventId,
    source: Name,
    received_at: Timestamp,
    #[serde(rename = "type", skip_deserializing, skip_serializing_if = "Option::is_none")]
    event_type: Option<Arc<str>>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    agent: Option<Arc<str>>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    call: Option<Arc<str>>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    quarantined: Option<Arc<str>>,
    dedup: String,
    headers: HeadersLine,
    deliveries: Vec<DeliveryLine>,
    body: String,
}

#[derive(Serialize, Deserialize)]
struct HeadersLine {
    content_type: Option<String>,
    signature: Option<SignatureLine>,
}

#[derive(Serialize, Deserialize)]
struct SignatureLine {
    name: String,
    value: String,
}

#[derive(Serialize, Deserialize)]
struct DeliveryLine {
    destination: Name,
    state: StateName,
    /// Of a waiting one: when it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    /// Of any other: since when it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<Timestamp>,
    /// Of a dead one.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<DeadReason>,
    attempt_count: u32,
    since: Timestamp,
    retries: u32,
    round: u32,
    /// The body that was made for it, to be sent again as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_body: Option<String>,
    attempts: Vec<Attempt>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateName {
    Waiting,
    Delivered,
    Dead,
    Discarded,
    Expired,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    /// It isn't JSON, or was cut off.
    #[error("it is no whole JSON (column {0})")]
    NotJson(usize),
    /// It is JSON, but not what we write.
    #[error("something is missing or not what it has to be (before column {0})")]
    NotAnEvent(usize),
    /// The id has a time in it, and the rest says another.
    #[error("`received_at` isn't the time in `id`")]
    OtherTime,
    /// Not a deduplication key.
    #[error("`dedup` isn't 32 hex digits")]
    DedupKey,
    /// A header value holds characters that stand for no byte.
    #[error("a value in `headers` holds characters that no header can")]
    Header,
    /// Not base64.
    #[error("`body` or a `kept_body` isn't base64")]
    Body,
    /// A delivery's state lacks what belongs to it.
    #[error("the delivery to `{0}` lacks `due`, `settled_at` or `reason`")]
    State(Name),
    /// Two deliveries to one destination.
    #[error("there are two deliveries to `{0}`")]
    Twice(Name),
}

/// The line of an event, without its end.
///
/// # Errors
/// When it can't be written as JSON, which is a bug.
pub(super) fn write(event: Exported) -> serde_json::Result<String> {
    let Exported { event, dedup_key, deliveries, mut rendered } = event;
    let mut kept_body = |to: &Name| {
        let place = rendered.iter().position(|(name, _)| name == to)?;
        Some(STANDARD.encode(rendered.swap_remove(place).1))
    };
    let (envelope, quarantined) = match event.reading {
        Reading::Read(envelope) => (Some(envelope), None),
        Reading::Quarantined(reason) => (None, Some(reason)),
    };
    let line = Line {
        id: event.id,
        source: event.source,
        received_at: event.received_at,
        event_type: envelope.as_ref().map(|envelope| Arc::clone(&envelope.event_type)),
        agent: envelope.as_ref().and_then(|envelope| envelope.agent.clone()),
        call: envelope.and_then(|envelope| envelope.call),
        quarantined,
        dedup: hex(dedup_key.as_bytes()),
        headers: HeadersLine::of(&event.headers),
        deliveries: deliveries
            .into_iter()
            .map(|delivery| DeliveryLine {
                kept_body: kept_body(&delivery.0.destination),
                ..DeliveryLine::of(delivery)
            })
            .collect(),
        body: STANDARD.encode(&event.body),
    };
    serde_json::to_string(&line).map(|json| harmless_json(&json))
}

/// The event on a line.
///
/// # Errors
/// [`LineError`].
pub(super) fn read(line: &[u8]) -> Result<Exported, LineError> {
    let line: Line = serde_json::from_slice(line).map_err(|error| match error.classify() {
        Category::Data => LineError::NotAnEvent(error.column()),
        Category::Io | Category::Syntax | Category::Eof => LineError::NotJson(error.column()),
    })?;
    if line.id.timestamp() != line.received_at {
        return Err(LineError::OtherTime);
    }
    let body = Bytes::from(STANDARD.decode(&line.body).map_err(|_| LineError::Body)?);
    let event = Event {
        id: line.id,
        source: line.source,
        received_at: line.received_at,
        reading: Reading::of(&body),
        headers: line.headers.into_headers()?,
        body,
    };
    let rendered = rendered(&line.deliveries)?;
    Ok(Exported { event, dedup_key: dedup_key(&line.dedup)?, deliveries: deliveries(line.deliveries)?, rendered })
}

fn dedup_key(digits: &str) -> Result<DedupKey, LineError> {
    let is_hex = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u128::from_str_radix(digits, 16).ok().filter(|_| is_hex);
    number.map(|number| DedupKey::from_bytes(number.to_be_bytes())).ok_or(LineError::DedupKey)
}

fn rendered(lines: &[DeliveryLine]) -> Result<Vec<(Name, Bytes)>, LineError> {
    let bodies = lines.iter().filter_map(|line| Some((&line.destination, line.kept_body.as_ref()?)));
    let decoded = |(name, body): (&Name, &String)| {
        let body = STANDARD.decode(body).map_err(|_| LineError::Body)?;
        Ok((name.clone(), Bytes::from(body)))
    };
    bodies.map(decoded).collect()
}

fn deliveries(lines: Vec<DeliveryLine>) -> Result<Vec<(Delivery, Vec<Attempt>)>, LineError> {
    let mut deliveries: Vec<(Delivery, Vec<Attempt>)> = Vec::with_capacity(lines.len());
    for line in lines {
        if deliveries.iter().any(|(delivery, _)| delivery.destination == line.destination) {
            return Err(LineError::Twice(line.destination));
        }
        deliveries.push(line.into_delivery()?);
    }
    Ok(deliveries)
}

impl HeadersLine {
    fn of(headers: &OriginalHeaders) -> Self {
        let signature = headers.signature.as_ref();
        Self {
            content_type: headers.content_type.as_deref().map(text),
            signature: signature.map(|(name, value)| SignatureLine { name: name.clone(), value: text(value) }),
        }
    }

    fn into_headers(self) -> Result<OriginalHeaders, LineError> {
        let signature = self.signature.map(|SignatureLine { name, value }| Ok((name, bytes(&value)?)));
        Ok(OriginalHeaders {
            content_type: self.content_type.as_deref().map(bytes).transpose()?,
            signature: signature.transpose()?,
        })
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn bytes(text: &str) -> Result<Vec<u8>, LineError> {
    text.chars().map(|character| u8::try_from(character).map_err(|_| LineError::Header)).collect()
}

impl DeliveryLine {
    fn of((delivery, attempts): (Delivery, Vec<Attempt>)) -> Self {
        let Delivery { destination, state, attempts: attempt_count, since, retries, round } = delivery;
        let (state, due, settled_at, reason) = match state {
            DeliveryState::Waiting { due } => (StateName::Waiting, Some(due), None, None),
            DeliveryState::Delivered { at } => (StateName::Delivered, None, Some(at), None),
            DeliveryState::Dead { at, reason } => (StateName::Dead, None, Some(at), Some(reason)),
            DeliveryState::Discarded { at } => (StateName::Discarded, None, Some(at), None),
            DeliveryState::Expired { at } => (StateName::Expired, None, Some(at), None),
        };
        let kept_body = None;
        Self { destination, state, due, settled_at, reason, attempt_count, since, retries, round, kept_body, attempts }
    }

    fn into_delivery(self) -> Result<(Delivery, Vec<Attempt>), LineError> {
        let Self {
            destination, state, due, settled_at, reason, attempt_count, since, retries, round, attempts, ..
        } = self;
        let state = match (state, due, settled_at, reason) {
            (StateName::Waiting, Some(due), ..) => DeliveryState::Waiting { due },
            (StateName::Delivered, _, Some(at), _) => DeliveryState::Delivered { at },
            (StateName::Dead, _, Some(at), Some(reason)) => DeliveryState::Dead { at, reason },
            (StateName::Discarded, _, Some(at), _) => DeliveryState::Discarded { at },
            (StateName::Expired, _, Some(at), _) => DeliveryState::Expired { at },
            _ => return Err(LineError::State(destination)),
        };
        Ok((Delivery { destination, state, attempts: attempt_count, since, retries, round }, attempts))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Outcome;

    fn to(number: usize) -> Name {
        Name::new(&format!("to-{number}")).unwrap()
    }

    fn exported(body: &[u8], states: &[DeliveryState]) -> Exported {
        let received_at = Timestamp::from_millis(1_790_012_345_678);
        let (source, reading) = (Name::new("atoms").unwrap(), Reading::of(body));
        let attempt = Attempt {
            number: 1,
            started_at: received_at,
            took: Duration::from_millis(12),
            request: "POST https://crm.example".into(),
            outcome: Outcome::Answered { status: 503, excerpt: "later\u{9b}\u{202e}\n".into() },
        };
        let delivery = |(number, state): (usize, &DeliveryState)| {
            let mut delivery = Delivery::new(to(number), received_at);
            (delivery.state, delivery.attempts, delivery.retries, delivery.round) = (*state, 3, 2, 1);
            (delivery, vec![attempt.clone()])
        };
        Exported {
            dedup_key: DedupKey::of(&source, &reading, body),
            deliveries: states.iter().enumerate().map(delivery).collect(),
            rendered: (1..states.len())
                .map(|number| (to(number), Bytes::from(format!("body {number} \u{ff}"))))
                .collect(),
            event: Event {
                id: EventId::new(received_at, [7; 10]),
                source,
                received_at,
                reading,
                headers: OriginalHeaders {
                    content_type: Some(b"application/json".to_vec()),
                    signature: Some(("x-signature".into(), (0..=255).collect())),
                },
                body: Bytes::copy_from_slice(body),
            },
        }
    }

    #[test]
    fn every_event_reads_back_from_its_line() {
        let at = Timestamp::from_millis(1_790_012_399_999);
        let states = [
            DeliveryState::Waiting { due: at },
            DeliveryState::Delivered { at },
            DeliveryState::Dead { at, reason: DeadReason::GaveUp },
            DeliveryState::Discarded { at },
            DeliveryState::Expired { at },
        ];
        for body in [&br#"{"id":"1","event":"agent.b","metadata":{"callId":"C"}}"#[..], b"not json \xff", b""] {
            for states in [&states[..], &[]] {
                let event = exported(body, states);
                let line = write(event.clone()).unwrap();
                assert!(line.is_ascii() || !line.contains(|c: char| c.is_control()), "{line}");
                assert_eq!(read(line.as_bytes()), Ok(event), "{line}");
            }
        }
    }

    #[test]
    fn a_line_can_be_searched() {
        let line = write(exported(br#"{"event":"agent.b","metadata":{"callId":"C"}}"#, &[])).unwrap();
        assert!(line.contains(r#""type":"b","agent":"agent","call":"C","dedup":""#), "{line}");
        let line = write(exported(b"", &[])).unwrap();
        assert!(line.contains(r#""quarantined":"the body is empty""#), "{line}");
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong_and_repeats_nothing() {
        let waiting = DeliveryState::Waiting { due: Timestamp::EPOCH };
        let good = write(exported(b"{}", &[waiting, waiting])).unwrap();
        let wrong = |from: &str, to: &str| {
            assert!(good.contains(from), "{from} in {good}");
            read(good.replacen(from, to, 1).as_bytes()).unwrap_err()
        };
        assert!(matches!(read(&good.as_bytes()[..100]), Err(LineError::NotJson(_))));
        assert!(matches!(read(b"{\"id\":17}"), Err(LineError::NotAnEvent(_))));
        assert!(matches!(wrong("\"source\":\"atoms\"", "\"source\":\"+49 30 1234\""), LineError::NotAnEvent(_)));
        assert_eq!(wrong("\"received_at\":\"2026", "\"received_at\":\"2027"), LineError::OtherTime);
        assert_eq!(wrong("\"dedup\":\"", "\"dedup\":\"+"), LineError::DedupKey);
        assert_eq!(wrong("application/json", "application/jsön€"), LineError::Header);
        assert_eq!(wrong("\"body\":\"", "\"body\":\"*"), LineError::Body);
        assert_eq!(wrong("\"kept_body\":\"", "\"kept_body\":\"*"), LineError::Body);
        assert_eq!(wrong("\"due\"", "\"dew\""), LineError::State(Name::new("to-0").unwrap()));
        assert_eq!(wrong("to-1", "to-0"), LineError::Twice(Name::new("to-0").unwrap()));
    }
}
