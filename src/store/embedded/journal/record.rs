//! What the journal says: one record for each thing that happened.
//!
//! A record is a kind byte, the length of its header, the header (postcard) and, where there are any, bodies as they are. The
//! header can be read without the bodies. A change of these types is a change of the format, see [`super::segment`], and
//! what a header of an old kind holds never changes: what has changed gets a new kind.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        Attempt, DedupKey, Delivery, DeliveryId, Event, EventId, Name, NewDelivery, OriginalHeaders, Reading, Timestamp,
    },
    store::Pause,
};

use super::Position;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// An event came in; or, when a mostly dead segment was dropped, one of its live events came along.
    Kept(Kept, Bodies),
    /// Something became of a delivery.
    Moved(Moved),
    /// Events are gone whose duplicates must still be recognised.
    Remembered(Vec<(EventId, DedupKey)>),
    /// People held a destination back, or let it go.
    Paused(Name, Option<Pause>),
    /// A body was made for a delivery, to be sent again as it is.
    Rendered(DeliveryId, Bytes),
    /// An event that is kept can be read now, or goes to more destinations.
    Routed(Routed),
}

/// The bytes that belong to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bodies {
    /// Its own body.
    pub(crate) event: Bytes,
    /// What was made for its deliveries, to be sent again as it is: nothing yet when the event came in.
    pub(crate) rendered: Vec<(Name, Bytes)>,
}

impl From<Bytes> for Bodies {
    fn from(event: Bytes) -> Self {
        Self { event, rendered: Vec::new() }
    }
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

/// What an event says of itself as it is read now, and its new deliveries, with the attempt that a refusal counts as.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Routed {
    pub(crate) event: EventId,
    pub(crate) reading: Reading,
    pub(crate) deliveries: Vec<(Delivery, Option<Attempt>)>,
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
    /// A pause without an end: format 1. Only read.
    pub(super) const PAUSED_FOR_GOOD: u8 = 4;
    pub(super) const PAUSED: u8 = 5;
    pub(super) const RENDERED: u8 = 6;
    /// An event that comes along with what was rendered of it.
    pub(super) const KEPT_WITH_RENDERED: u8 = 7;
    pub(super) const ROUTED: u8 = 8;
}

/// A pause of format 1.
#[derive(Deserialize)]
struct PauseForGood {
    since: Timestamp,
    reason: String,
}

/// Kind byte and length of the header.
const PREFIX: usize = 5;

impl Record {
    /// Appends the record's bytes to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Kept(kept, bodies) => encode_kept(out, kept, bodies),
            Self::Moved(moved) => encode_header(out, kind::MOVED, moved),
            Self::Remembered(keys) => encode_header(out, kind::REMEMBERED, keys),
            Self::Paused(destination, pause) => encode_header(out, kind::PAUSED, &(destination, pause)),
            Self::Rendered(DeliveryId { event, destination }, body) => {
                encode_header(out, kind::RENDERED, &(event, destination));
                out.extend_from_slice(body);
            }
            Self::Routed(routed) => encode_header(out, kind::ROUTED, routed),
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
        let rest = || payload.slice(PREFIX + header_len..);
        match kind {
            kind::KEPT => Ok(Self::Kept(decode_header(header)?, rest().into())),
            kind::KEPT_WITH_RENDERED => decode_with_rendered(header, rest()),
            kind::MOVED => Ok(Self::Moved(decode_header(header)?)),
            kind::REMEMBERED => Ok(Self::Remembered(decode_header(header)?)),
            kind::PAUSED => decode_header(header).map(|(destination, pause)| Self::Paused(destination, pause)),
            kind::PAUSED_FOR_GOOD => {
                let (destination, pause) = decode_header::<(_, Option<PauseForGood>)>(header)?;
                let pause = pause.map(|PauseForGood { since, reason }| Pause { since, until: None, reason });
                Ok(Self::Paused(destination, pause))
            }
            kind::RENDERED => {
                let (event, destination) = decode_header(header)?;
                Ok(Self::Rendered(DeliveryId { event, destination }, rest()))
            }
            kind::ROUTED => Ok(Self::Routed(decode_header(header)?)),
            _ => Err(DecodeError),
        }
    }
}

fn encode_kept(out: &mut Vec<u8>, kept: &Kept, bodies: &Bodies) {
    if bodies.rendered.is_empty() {
        encode_header(out, kind::KEPT, kept);
        return out.extend_from_slice(&bodies.event);
    }
    // No body is as long as a u32 can count: a frame holds less.
    let len = |body: &Bytes| u32::try_from(body.len()).unwrap_or(u32::MAX);
    let lengths: Vec<(&Name, u32)> = bodies.rendered.iter().map(|(name, body)| (name, len(body))).collect();
    encode_header(out, kind::KEPT_WITH_RENDERED, &(kept, lengths));
    out.extend_from_slice(&bodies.event);
    bodies.rendered.iter().for_each(|(_, body)| out.extend_from_slice(body));
}

/// Reads an event whose own body is followed by the rendered ones, in the order of their lengths.
fn decode_with_rendered(header: &[u8], mut event: Bytes) -> Result<Record, DecodeError> {
    let (kept, lengths): (Kept, Vec<(Name, u32)>) = decode_header(header)?;
    let mut rendered = Vec::with_capacity(lengths.len());
    for (name, len) in lengths.into_iter().rev() {
        let start = event.len().checked_sub(len as usize).ok_or(DecodeError)?;
        rendered.push((name, event.split_off(start)));
    }
    rendered.reverse();
    Ok(Record::Kept(kept, Bodies { event, rendered }))
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
    use crate::model::{Class, Outcome, Verdict};

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

        reads_back(&Record::Kept(kept.clone(), event.body.clone().into()));
        let made = |destination: &str, body: &'static [u8]| (to(destination).destination, Bytes::from_static(body));
        let rendered = vec![made("crm", b"{}"), made("slack", b""), made("api", b"\xff")];
        reads_back(&Record::Kept(kept, Bodies { event: event.body.clone(), rendered }));
        let id = DeliveryId { event: event.id, destination: to("crm").destination };
        reads_back(&Record::Rendered(id, Bytes::from_static(b"{}")));
        let begun = |to: NewDelivery| to.begin(event.received_at);
        let refused = NewDelivery { refused: Some("no such field".into()), ..to("slack") };
        let deliveries = vec![begun(to("crm")), begun(refused)];
        reads_back(&Record::Routed(Routed { event: event.id, reading: event.reading.clone(), deliveries }));
        let judged = Attempt { outcome: attempt.outcome.clone().judged(Some(Class::Throttled)), ..attempt.clone() };
        for attempt in [attempt, judged] {
            let delivery = delivery.clone();
            reads_back(&Record::Moved(Moved { event: event.id, delivery, attempt: Some(attempt), previous }));
        }
        reads_back(&Record::Remembered(vec![(event.id, key)]));
        let pause = Pause { since: event.received_at, until: Some(Timestamp::MAX), reason: "maintenance".into() };
        reads_back(&Record::Paused(Name::new("crm").unwrap(), Some(pause)));
        reads_back(&Record::Paused(Name::new("crm").unwrap(), None));
    }

    #[test]
    fn what_is_in_quarantine_reads_back_with_its_body() {
        let event = event(b"not json \xff");
        let key = DedupKey::of(&event.source, &event.reading, &event.body);
        reads_back(&Record::Kept(Kept::new(&event, key, &[]), event.body.into()));
    }

    #[test]
    fn a_pause_of_the_first_format_has_no_end() {
        let mut bytes = Vec::new();
        let (since, reason) = (Timestamp::from_millis(1), "maintenance".to_owned());
        let destination = to("crm").destination;
        encode_header(&mut bytes, kind::PAUSED_FOR_GOOD, &(&destination, Some((since, &reason))));
        let pause = Pause { since, until: None, reason };
        assert_eq!(Record::decode(&Bytes::from(bytes)), Ok(Record::Paused(destination, Some(pause))));
    }

    #[test]
    fn nonsense_is_an_error() {
        for bytes in [
            &b""[..],
            b"\x01",
            b"\x09\0\0\0\0",
            b"\x08\0\0\0\0",
            b"\x07\0\0\0\0",
            b"\x01\xff\xff\xff\xff",
            b"\x02\x01\0\0\0\xff",
        ] {
            assert_eq!(Record::decode(&Bytes::from_static(bytes)), Err(DecodeError));
        }
    }
}
