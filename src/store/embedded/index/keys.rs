//! The keys that hold more than one thing.

use crate::model::{EventId, Name, Timestamp};

/// Keys of `Due`, `Again`, `Replayed` and `Dead`: a destination's events by time.
pub(in super::super) fn timed_key(destination: &Name, at: Timestamp, event: EventId) -> Vec<u8> {
    [timed_prefix(destination).as_slice(), &at.as_millis().to_be_bytes(), event.as_bytes()].concat()
}

/// What the [`timed_key`]s of a destination start with. Names hold no zero byte, so no name's keys are among another's.
pub(in super::super) fn timed_prefix(destination: &Name) -> Vec<u8> {
    [destination.as_str().as_bytes(), &[0]].concat()
}

/// Reads a [`timed_key`].
pub(in super::super) fn parse_timed_key(key: &[u8]) -> Option<(Name, Timestamp, EventId)> {
    let (rest, event) = key.split_last_chunk::<16>()?;
    let (rest, at) = rest.split_last_chunk::<8>()?;
    let name = std::str::from_utf8(rest.strip_suffix(&[0])?).ok()?;
    let at = Timestamp::from_millis(u64::from_be_bytes(*at));
    Some((Name::new(name).ok()?, at, EventId::from_bytes(*event)))
}

/// Keys of `call`. The length comes first because a call id may hold any character.
pub(in super::super) fn call_key(call: &str, event: EventId) -> Vec<u8> {
    [call_prefix(call).as_slice(), event.as_bytes()].concat()
}

/// What the [`call_key`]s of a call start with.
pub(in super::super) fn call_prefix(call: &str) -> Vec<u8> {
    let len = u16::try_from(call.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes(), call.as_bytes()].concat()
}

/// The event id that ends a key.
pub(in super::super) fn event_at_end(key: &[u8]) -> Option<EventId> {
    key.split_last_chunk::<16>().map(|(_, id)| EventId::from_bytes(*id))
}
