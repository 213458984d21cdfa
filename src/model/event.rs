//! An event, and what makes two receipts the same one.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{EventId, Name, NewDelivery, Reading, Timestamp};

/// The source of what the relay has to say itself: its alerts. No source of a config has this name.
pub const OWN_SOURCE: &str = "atoms-relay";

/// One verified request: what came in, untouched, and what we know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Our id.
    pub id: EventId,
    /// The source whose secret signed it.
    pub source: Name,
    /// When its body had been read whole.
    pub received_at: Timestamp,
    /// What it says of itself, or why it can't be read.
    pub reading: Reading,
    /// The headers that belong to the body.
    pub headers: OriginalHeaders,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl Event {
    /// Whether the relay has made it itself: it is an alert then.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.source.as_str() == OWN_SOURCE
    }
}

/// The headers that a raw delivery repeats: without them the body could be neither understood nor verified again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalHeaders {
    /// `Content-Type`, as received.
    pub content_type: Option<Vec<u8>>,
    /// The signature header's name (lower case, as HTTP libraries keep it) and its value, as received.
    pub signature: Option<(String, Vec<u8>)>,
}

/// An event on its way into the store, with the deliveries that are to be made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The event.
    pub event: Event,
    /// Its deduplication key.
    pub dedup_key: DedupKey,
    /// Where it goes; empty for unrouted events and those in quarantine. Each destination stands here once.
    pub deliveries: Vec<NewDelivery>,
}

impl NewEvent {
    /// What the relay itself has to say to these destinations, in JSON, made at the time of its `id`. There is no other like it.
    #[must_use]
    pub fn own(id: EventId, body: Bytes, to: Vec<Name>) -> Self {
        let headers = OriginalHeaders { content_type: Some(b"application/json".to_vec()), signature: None };
        let (source, received_at, reading) = (Name::own(), id.timestamp(), Reading::of(&body));
        let event = Event { id, source, received_at, reading, headers, body };
        let deliveries = to.into_iter().map(NewDelivery::to).collect();
        Self { event, dedup_key: DedupKey::from_bytes(*id.as_bytes()), deliveries }
    }
}

/// What two receipts of the same event share: a digest over the source and the envelope's `id`, or over the source and
/// the whole body where there is no id.
///
/// 128 bits of SHA-256: only authentic bodies get this far, so nobody can search for a collision, and by accident one
/// is not to be expected within 10^15 events.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DedupKey([u8; 16]);

impl DedupKey {
    /// The key of what `source` sent.
    #[must_use]
    pub fn of(source: &Name, reading: &Reading, body: &[u8]) -> Self {
        let id = reading.envelope().and_then(|envelope| envelope.id.as_deref());
        let (kind, identity) = match id {
            Some(id) => (b"\0id\0".as_slice(), id.as_bytes()),
            None => (b"\0body\0".as_slice(), body),
        };
        let digest = Sha256::new().chain_update(source.as_str()).chain_update(kind).chain_update(identity).finalize();
        let (key, _) = digest.as_slice().split_first_chunk().unwrap_or((&[0; 16], &[]));
        Self(*key)
    }

    /// A key from its bytes, as the store keeps it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Debug for DedupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: &str, body: &str) -> DedupKey {
        DedupKey::of(&Name::new(source).unwrap(), &Reading::of(body.as_bytes()), body.as_bytes())
    }

    #[test]
    fn the_same_id_from_the_same_source_is_the_same_event() {
        let (first, other_spacing) = (r#"{"id":"1","event":"a.b"}"#, r#"{ "event":"a.b", "id":"1" }"#);
        assert_eq!(key("atoms", first), key("atoms", other_spacing));
        assert_ne!(key("atoms", first), key("atoms-eu", first));
        assert_ne!(key("atoms", first), key("atoms", r#"{"id":"2","event":"a.b"}"#));
    }

    #[test]
    fn without_an_id_the_whole_body_counts() {
        assert_eq!(key("atoms", r#"{"event":"a.b"}"#), key("atoms", r#"{"event":"a.b"}"#));
        assert_ne!(key("atoms", r#"{"event":"a.b"}"#), key("atoms", r#"{"event":"a.b" }"#));
        assert_ne!(key("atoms", ""), key("atoms", "not json"));
    }

    #[test]
    fn an_id_is_never_taken_for_a_body() {
        assert_ne!(key("atoms", r#"{"id":"x","event":"a.b"}"#), key("atoms", "x"));
    }
}
