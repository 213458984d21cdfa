//! What routing has to know of a body, read without building a whole JSON value.
//!
//! Reading never refuses. A body that says neither what it is nor whom it is about becomes [`Reading::Quarantined`]
//! with the reason; unknown fields, unknown event types and odd values elsewhere pass. The bytes stay as they came:
//! nothing here is ever written back into a body.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The longest agent id, event type, call id or event id we take, in bytes. Atoms' own have 15 to 25; these texts
/// stand in store keys, so a text without end must not get in.
const MAX_FIELD: usize = 256;

/// What the envelope of a body says about itself. Every field may be absent, except that an [`Envelope`] always knows
/// its event type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// `metadata.eventType`, or what follows the dot in `event`; for example `post-conversation`.
    pub event_type: Arc<str>,
    /// `metadata.agentId`, or what stands before the dot in `event`.
    pub agent: Option<Arc<str>>,
    /// `metadata.callId`, which joins the events of a call.
    pub call: Option<Arc<str>>,
    /// `id`: Atoms' name for this delivery of its, by which duplicates are recognised.
    pub id: Option<Arc<str>>,
}

/// How reading a body went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// It says what it is.
    Read(Envelope),
    /// It is authentic but can't be read; the text says why, in words for people.
    Quarantined(Arc<str>),
}

impl Reading {
    /// Reads `body` as far as routing needs.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        if body.is_empty() {
            return Self::quarantined("the body is empty");
        }
        match serde_json::from_slice::<Wire<'_>>(body) {
            Ok(wire) => wire.read(),
            Err(error) => Self::quarantined(&format!("not an event in JSON: {error}")),
        }
    }

    /// The envelope, unless the body is in quarantine.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        match self {
            Self::Read(envelope) => Some(envelope),
            Self::Quarantined(_) => None,
        }
    }

    fn quarantined(reason: &str) -> Self {
        Self::Quarantined(Arc::from(reason))
    }
}

/// The envelope on the wire. serde skips what is not named here without keeping it.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    event: Text<'a>,
    #[serde(borrow, default)]
    metadata: Option<WireMetadata<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata<'a> {
    #[serde(borrow, default)]
    agent_id: Text<'a>,
    #[serde(borrow, default)]
    event_type: Text<'a>,
    #[serde(borrow, default)]
    call_id: Text<'a>,
}

impl Wire<'_> {
    fn read(&self) -> Reading {
        let metadata = self.metadata.as_ref();
        let (agent_before_dot, type_after_dot) = match self.event.get().and_then(|event| event.split_once('.')) {
            Some((agent, event_type)) => (Some(agent), Some(event_type)),
            None => (None, None),
        };
        let event_type = metadata.and_then(|m| m.event_type.get()).or(type_after_dot);
        let agent = metadata.and_then(|m| m.agent_id.get()).or(agent_before_dot);
        let call = metadata.and_then(|m| m.call_id.get());

        let Some(event_type) = event_type.filter(|text| !text.is_empty()) else {
            return Reading::quarantined("it names no event type, neither in `metadata.eventType` nor in `event`");
        };
        let fields = [("event type", Some(event_type)), ("agent id", agent), ("call id", call), ("id", self.id.get())];
        if let Some((field, _)) = fields.iter().find(|(_, text)| text.is_some_and(|text| text.len() > MAX_FIELD)) {
            return Reading::quarantined(&format!("its {field} is longer than {MAX_FIELD} bytes"));
        }
        Reading::Read(Envelope {
            event_type: Arc::from(event_type),
            agent: agent.and_then(present),
            call: call.and_then(present),
            id: self.id.get().and_then(present),
        })
    }
}

fn present(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| Arc::from(text))
}

/// A text, or nothing where another type of value stands: an odd value in one field must not hide the others.
#[derive(Default)]
struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Envelope {
        match Reading::of(body.as_bytes()) {
            Reading::Read(envelope) => envelope,
            Reading::Quarantined(reason) => panic!("in quarantine: {reason}"),
        }
    }

    fn reason(body: &[u8]) -> String {
        match Reading::of(body) {
            Reading::Read(envelope) => panic!("read as {envelope:?}"),
            Reading::Quarantined(reason) => reason.to_string(),
        }
    }

    #[test]
    fn reads_the_four_fields_and_skips_the_rest() {
        let envelope = read(
            r#"{"new":[1,{"deep":null}],"id":"e1","metadata":{"agentId":"a1","eventType":"post-conversation",
               "callId":"CALL-1","transcript":[{"content":"\ud83d\ude00"}]}}"#,
        );
        assert_eq!(&*envelope.event_type, "post-conversation");
        assert_eq!(envelope.agent.as_deref(), Some("a1"));
        assert_eq!(envelope.call.as_deref(), Some("CALL-1"));
        assert_eq!(envelope.id.as_deref(), Some("e1"));
    }

    #[test]
    fn takes_agent_and_type_from_the_event_field_when_there_is_no_metadata() {
        let envelope = read(r#"{"id":"e1","event":"a1.post-conversation"}"#);
        assert_eq!((envelope.agent.as_deref(), &*envelope.event_type), (Some("a1"), "post-conversation"));
    }

    #[test]
    fn an_odd_value_in_one_field_does_not_hide_the_others() {
        let envelope = read(r#"{"id":{"a":[1]},"event":7,"metadata":{"agentId":null,"eventType":"x","callId":[]}}"#);
        assert_eq!(envelope, Envelope { event_type: "x".into(), agent: None, call: None, id: None });
    }

    #[test]
    fn quarantine_says_why() {
        assert_eq!(reason(b""), "the body is empty");
        assert!(reason(b"a=b").starts_with("not an event in JSON: "));
        assert!(reason(br#"{"id":"1"} trailing"#).contains("trailing"));
        assert!(reason(br#"{"id":"1"}"#).contains("no event type"));
        let long = format!(r#"{{"event":"a.b","metadata":{{"callId":"{}"}}}}"#, "x".repeat(MAX_FIELD + 1));
        assert_eq!(reason(long.as_bytes()), "its call id is longer than 256 bytes");
    }

    #[test]
    fn nesting_without_end_is_harmless() {
        let deep = format!(r#"{{"event":"a.b","x":{}1{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(&*read(&deep).event_type, "b");
    }
}
