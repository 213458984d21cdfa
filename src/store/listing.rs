//! Lists of events and dead letters: what is asked for, what a page holds, and where the next one starts.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::{DeadReason, Delivery, DeliveryId, EventId, Name, Reading, Timestamp};

/// Where in a list to go on, and how far.
#[derive(Debug, Clone, Copy)]
pub struct Page<C> {
    /// The last item of the page before; `None` starts at the beginning.
    pub after: Option<C>,
    /// At most this many items.
    pub limit: usize,
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Listing<T, C> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; `None` when this is the last. A page may hold fewer items than asked for, even none,
    /// and still have a next one: a search looks at a bounded number of events at a time.
    pub next: Option<C>,
}

/// Which events to list; an absent field matches all.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Its agent.
    pub agent: Option<String>,
    /// Its type.
    pub event_type: Option<String>,
    /// Its call.
    pub call: Option<String>,
    /// Its source.
    pub source: Option<String>,
    /// Where it stands.
    pub state: Option<EventState>,
    /// Not received before this.
    pub since: Option<Timestamp>,
    /// Received before this.
    pub until: Option<Timestamp>,
}

/// Where an event stands, over all its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// Some delivery still waits.
    Waiting,
    /// None waits, and one at least is a dead letter.
    Dead,
    /// None waits, none is dead, and one at least was retired for its age.
    Expired,
    /// None waits, is dead or was retired.
    Delivered,
    /// No route wanted it.
    Unrouted,
    /// It couldn't be read.
    Quarantined,
}

/// An event without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSummary {
    /// Its id; the time of receipt is in it.
    pub id: EventId,
    /// Who sent it.
    pub source: Name,
    /// What it says of itself, or why it can't be read.
    pub reading: Reading,
    /// Bytes of its body.
    pub body_len: u32,
    /// Its deliveries.
    pub deliveries: Vec<Delivery>,
}

impl EventSummary {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> EventState {
        if self.reading.envelope().is_none() {
            return EventState::Quarantined;
        }
        if self.deliveries.is_empty() {
            return EventState::Unrouted;
        }
        if self.deliveries.iter().any(|delivery| delivery.state.is_waiting()) {
            return EventState::Waiting;
        }
        if self.deliveries.iter().any(|delivery| delivery.state.is_dead()) {
            return EventState::Dead;
        }
        if self.deliveries.iter().any(|delivery| delivery.state.is_expired()) {
            return EventState::Expired;
        }
        EventState::Delivered
    }
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which.
    pub id: DeliveryId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: DeadReason,
    /// The event.
    pub event: EventSummary,
}

/// Where a dead letter stands in the list of all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadCursor(pub(crate) Bytes);

impl fmt::Display for DeadCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for DeadCursor {
    type Err = ParseCursorError;

    /// Reads what [`fmt::Display`] wrote. Any even number of hex digits is taken: a store looks up what it is given and
    /// trusts none of it.
    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() || text.is_empty() {
            return Err(ParseCursorError);
        }
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4) | digit(*low)?);
        pairs.iter().map(byte).collect::<Option<Bytes>>().map(Self).ok_or(ParseCursorError)
    }
}

/// The text is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: take it from the `next` of the page before")]
pub struct ParseCursorError;

impl EventFilter {
    /// Whether an event is one of those asked for.
    #[must_use]
    pub fn matches(&self, event: &EventSummary) -> bool {
        let envelope = event.reading.envelope();
        let says =
            |wanted: &Option<String>, has: Option<&str>| wanted.as_deref().is_none_or(|wanted| has == Some(wanted));
        says(&self.agent, envelope.and_then(|envelope| envelope.agent.as_deref()))
            && says(&self.event_type, envelope.map(|envelope| &*envelope.event_type))
            && says(&self.call, envelope.and_then(|envelope| envelope.call.as_deref()))
            && says(&self.source, Some(event.source.as_str()))
            && self.state.is_none_or(|state| event.state() == state)
            && self.since.is_none_or(|since| event.id.timestamp() >= since)
            && self.until.is_none_or(|until| event.id.timestamp() < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let cursor = DeadCursor(Bytes::from_static(&[0, 0x9f, 0xff]));
        assert_eq!(cursor.to_string(), "009fff");
        assert_eq!("009fff".parse(), Ok(cursor));
        for wrong in ["", "0", "0g", "é"] {
            assert_eq!(wrong.parse::<DeadCursor>(), Err(ParseCursorError), "{wrong}");
        }
    }
}
