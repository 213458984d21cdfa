//! What is told of a step in a trace.

use std::{borrow::Cow, sync::Arc, time::Duration};

use crate::{
    model::{DeliveryId, EventId, FailureKind, Name, SpanId, Timestamp, TraceId},
    telemetry::{RefusalReason, metrics::Word},
};

/// A step that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// An authentic request came in.
    Received(Received),
    /// A delivery was attempted.
    Attempted(Attempted),
}

/// An authentic request, from its head to the answer of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The event that it would be, or is.
    pub event: EventId,
    /// Who sent it.
    pub source: Name,
    /// What it says it is; `None` when it can't be read.
    pub event_type: Option<Arc<str>>,
    /// Bytes of its body.
    pub body_len: usize,
    /// When its head had been read.
    pub began_at: Timestamp,
    /// When its body had been read and its signature was found right.
    pub verified_at: Timestamp,
    /// From its head to the end.
    pub took: Duration,
    /// What became of it.
    pub reception: Reception,
}

/// What became of an authentic request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// It is on disk.
    Accepted,
    /// It is on disk, but can't be read.
    Quarantined,
    /// It was on disk already, as this event, whose trace it belongs to.
    Duplicate(EventId),
    /// It isn't on disk.
    Refused(RefusalReason),
}

/// An attempt, and what followed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The attempt's number, from 1.
    pub number: u32,
    /// When it began.
    pub began_at: Timestamp,
    /// From the request to the end of its answer.
    pub took: Duration,
    /// The answer's status, or at which step there was none.
    pub met: Result<u16, FailureKind>,
    /// What became of the delivery.
    pub became: Became,
}

/// What became of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// The destination has it.
    Delivered,
    /// It will be tried again.
    Retried,
    /// It was given up.
    Dead,
    /// It was retired for its age.
    Expired,
    /// It keeps its place: the attempt says nothing of it.
    Released,
    /// The lease had passed, so the attempt doesn't count and is made again.
    LeaseLost,
}

impl Span {
    /// The trace that it belongs to.
    pub(super) fn trace(&self) -> TraceId {
        match self {
            Self::Received(Received { reception: Reception::Duplicate(first), .. }) => (*first).into(),
            Self::Received(received) => received.event.into(),
            Self::Attempted(attempted) => attempted.delivery.event.into(),
        }
    }

    /// Its own id.
    pub(super) fn id(&self) -> SpanId {
        match self {
            Self::Received(received) => SpanId::of_receipt(received.event),
            Self::Attempted(attempted) => SpanId::of_attempt(&attempted.delivery, attempted.number),
        }
    }

    /// The step that led to it; none to the first receipt of an event.
    pub(super) fn parent(&self) -> Option<SpanId> {
        match self {
            Self::Received(Received { reception: Reception::Duplicate(first), .. }) => Some(SpanId::of_receipt(*first)),
            Self::Received(_) => None,
            Self::Attempted(attempted) => Some(SpanId::of_receipt(attempted.delivery.event)),
        }
    }

    /// When it began, and how long it took.
    pub(super) fn time(&self) -> (Timestamp, Duration) {
        match self {
            Self::Received(received) => (received.began_at, received.took),
            Self::Attempted(attempted) => (attempted.began_at, attempted.took),
        }
    }
}

impl Reception {
    pub(super) fn word(self) -> Cow<'static, str> {
        match self {
            Self::Accepted => "accepted".into(),
            Self::Quarantined => "quarantined".into(),
            Self::Duplicate(_) => "duplicate".into(),
            Self::Refused(reason) => reason.word(),
        }
    }
}

impl Became {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::Expired => "expired",
            Self::Released => "released",
            Self::LeaseLost => "lease_lost",
        }
    }
}
