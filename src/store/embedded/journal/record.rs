//! What the journal says: one record for each thing that happened.
//!
//! A record is a kind byte, the length of its header, the header (postcard) and, where there is one, a body as it is. The
//! header can be read without the body. A change of these types is a change of the format: see [`super::segment`].

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    model::{Attempt, DedupKey, Delivery, Event, EventId, Name, NewDelivery, OriginalHeaders, Reading, Timestamp},
    store::Pause,
};

use super::Position;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// An event came in; or, when a mostly dead segment was dropped, one of its live events came along.
    Kept(Kept, Bytes),
    /// Something became of a delivery.
    Moved(Moved),
    /// Events are gone whose duplicates must still be recognised.
    Remembered(Vec<(EventId, DedupKey)>),
    /// People held a destination back, or let it go.
    Paused(Name, Option<Pause>),
}

/// An event, without its body, and its deliveries as they stood when this was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) id: EventId,
    pub(crate) source: Name,
    pub(crate) received_at: Timestamp,
    pub(crate) reading: Reading,
    pub(crate) headers: OriginalHeaders,
    pub(crate) dedup_key: DedupKey,
    /// With the attempts so far: none when the event came in, but for what was refused.
    pub(crate) deliveries: Vec<(Delivery, Vec<Attempt>)>,
}

/// A delivery's new state, and the attempt that led there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(crate) event: EventId,
    pub(crate) delivery: Delivery,
    pub(crate) attempt: Option<Attempt>,
    /// Where the attempt before that stands.
    pub(crate) previous: Option<Position>,
}

impl Kept {
    /// What is written of a new event.
    pub(crate) fn new(event: &Event, dedup_key: DedupKey, deliveries: &[NewDelivery]) -> Self {
        let begin = |new: &NewDelivery| {
            let (delivery, attempt) = new.begin(event.received_at);
            (delivery, attempt.into_iter().collect())
        };
        Self {
            id: event.id,
            source: event.source.clone(),
            received_at: event.received_at,
            reading: event.reading.clone(),
            headers: event.headers.clone(),
            dedup_key,
            deliveries: deliveries.iter().map(begin).collect(),
        }
    }

    /// The event, with its body.
    pub(crate) fn into_event(self, body: Bytes) -> Event {
        Event {
            id: self.id,
            source: self.source,
            received_at: self.received_at,
            reading: self.reading,
            headers: self.headers,
            body,
        }
    }
}

/// Kind bytes on disk.
mod kind {
    pub(super) const KEPT: u8 = 1;
    pub(super) const MOVED: u8 = 2;
    pub(super) const REMEMBERED: u8 = 3;
    pub(super) const PAUSED: u8 = 4;
}

/// Kind byte and length of the header.
const PREFIX: usize = 5;

impl Record {
    /// Appends the record's bytes to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Kept(kept, body) => {
                encode_header(out, kind::KEPT, kept);
                out.extend_from_slice(body);
            }
            Self::Moved(moved) => encode_header(out, kind::MOVED, moved),
            Self::Remembered(keys) => encode_header(out, kind::REMEMBERED, keys),
            Self::Paused(destination, pause) => encode_header(out, kind::PAUSED, &(destination, pause)),
        }
    }

    /// Reads a record from the payload of a frame.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes, though whole, are not a record of this format.
    pub(crate) fn decode(payload: &Bytes) -> Result<Self, DecodeError> {
        let (prefix, rest) = payload.split_first_chunk::<PREFIX>().ok_or(DecodeError)?;
        let [kind, length @ ..] = *prefix;
        let header_len = u32::from_le_bytes(length) as usize;
        let header = rest.get(..header_len).ok_or(DecodeError)?;
        match kind {
            kind::KEPT => Ok(Self::Kept(decode_header(header)?, payload.slice(PREFIX + header_len..))),
            kind::MOVED => Ok(Self::Moved(decode_header(header)?)),
            kind::REMEMBERED => Ok(Self::Remembered(decode_header(header)?)),
            kind::PAUSED => decode_header(header).map(|(destination, pause)| Self::Paused(destination, pause)),
            _ => Err(DecodeError),
        }
    }
}

fn encode_header(out: &mut Vec<u8>, kind: u8, header: &impl Serialize) {
    let start = out.len();
    out.push(kind);
    out.extend_from_slice(&[0; PREFIX - 1]);
    // Writing to memory fails for types that can't say their length; ours can.
    if let Err(error) = postcard::to_io(header, &mut *out) {
        debug_assert!(false, "a record must always encode: {error}");
    }
    let len = u32::try_from(out.len() - start - PREFIX).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start + 1..start + PREFIX) {
        field.copy_from_slice(&len.to_le_bytes());
    }
}

fn decode_header<'a, T: Deserialize<'a>>(header: &'a [u8]) -> Result<T, DecodeError> {
    postcard::from_bytes(header).map_err(|_| DecodeError)
}

/// A whole frame that holds no record we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of the journal can't be read")]
pub(crate) struct DecodeError;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Outcome, Verdict};

    fn reads_back(record: &Record) {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Record::decode(&Bytes::from(bytes)).as_ref(), Ok(record));
    }

    fn to(destination: &str) -> NewDelivery {
        NewDelivery::to(Name::new(destination).unwrap())
    }

    fn event(body: &'static [u8]) -> Event {
        let received_at = Timestamp::from_millis(1_790_000_000_000);
        Event {
            id: EventId::new(received_at, [7; 10]),
            source: Name::new("atoms").unwrap(),
            received_at,
            reading: Reading::of(body),
            headers: OriginalHeaders {
                content_type: Some(b"application/json".to_vec()),
                signature: Some(("x-signature".into(), b"ab\xff".to_vec())),
            },
            body: Bytes::from_static(body),
        }
    }

    #[test]
    fn every_kind_reads_back() {
        let event = event(br#"{"id":"1","event":"a.post-conversation","metadata":{"callId":"C"}}"#);
        let key = DedupKey::of(&event.source, &event.reading, &event.body);
        let kept = Kept::new(&event, key, &[to("crm"), to("slack")]);
        let (delivery, _) = kept.deliveries[0].clone();
        let attempt = Attempt {
            number: 1,
            started_at: event.received_at,
            took: Duration::from_millis(12),
            request: "POST https://crm.example/calls".into(),
            outcome: Outcome::Answered { status: 503, excerpt: "later".into() },
        };
        let delivery = delivery.after(Verdict::RetryAt(Timestamp::MAX), Some(&attempt), event.received_at).unwrap();
        let previous = Some(Position { segment: 1, offset: 64 });

        reads_back(&Record::Kept(kept, event.body.clone()));
        reads_back(&Record::Moved(Moved { event: event.id, delivery, attempt: Some(attempt), previous }));
        reads_back(&Record::Remembered(vec![(event.id, key)]));
        let pause = Pause { since: event.received_at, reason: "maintenance".into() };
        reads_back(&Record::Paused(Name::new("crm").unwrap(), Some(pause)));
        reads_back(&Record::Paused(Name::new("crm").unwrap(), None));
    }

    #[test]
    fn what_is_in_quarantine_reads_back_with_its_body() {
        let event = event(b"not json \xff");
        let key = DedupKey::of(&event.source, &event.reading, &event.body);
        reads_back(&Record::Kept(Kept::new(&event, key, &[]), event.body));
    }

    #[test]
    fn nonsense_is_an_error() {
        for bytes in [&b""[..], b"\x01", b"\x09\0\0\0\0", b"\x01\xff\xff\xff\xff", b"\x02\x01\0\0\0\xff"] {
            assert_eq!(Record::decode(&Bytes::from_static(bytes)), Err(DecodeError));
        }
    }
}
