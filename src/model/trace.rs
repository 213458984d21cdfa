//! By which ids tracing recognises an event, its receipt and its attempts, and which events it is told of.
//!
//! All of it is derived from the event's id, so nothing has to be kept: whoever derives it days later, for another attempt,
//! meets the same trace.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{DeliveryId, EventId};

/// The trace of an event and all its deliveries: the event's own 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(u128);

impl From<EventId> for TraceId {
    fn from(event: EventId) -> Self {
        Self(u128::from_be_bytes(*event.as_bytes()))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A step in a trace: 64 bits of SHA-256, never all zero, which W3C trace context forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(u64);

impl SpanId {
    /// The receipt of an event.
    #[must_use]
    pub fn of_receipt(event: EventId) -> Self {
        Self::of(Sha256::new().chain_update(event.as_bytes()))
    }

    /// An attempt, counted from 1 over all rounds.
    #[must_use]
    pub fn of_attempt(id: &DeliveryId, attempt: u32) -> Self {
        let event = Sha256::new().chain_update(id.event.as_bytes());
        Self::of(event.chain_update(id.destination.as_str()).chain_update(attempt.to_be_bytes()))
    }

    fn of(digest: Sha256) -> Self {
        Self(digest.finalize().first_chunk().map_or(1, |bytes| u64::from_be_bytes(*bytes)).max(1))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Which traces are recorded.
///
/// It goes by the last 56 bits of a trace, as W3C trace context level 2 and OpenTelemetry's consistent sampling do: a
/// destination that samples by the same rule picks the same traces. In an event's id they are random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Traces whose bits are below this aren't.
    rejected_below: u64,
}

/// How many values 56 bits have.
const ALL_TRACES: u64 = 1 << 56;

impl Sampling {
    /// All of them.
    pub const ALL: Self = Self { rejected_below: 0 };

    /// This part of them, from 0 to 1; `None` for what is no part.
    #[must_use]
    pub fn of_ratio(ratio: f64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "from 0 to 2^56, which is exact"
        )]
        let rejected_below = ((1.0 - ratio) * ALL_TRACES as f64) as u64;
        (0.0..=1.0).contains(&ratio).then_some(Self { rejected_below })
    }

    /// Whether the trace of `event` is.
    #[must_use]
    pub fn takes(self, event: EventId) -> bool {
        let TraceId(trace) = event.into();
        trace % u128::from(ALL_TRACES) >= u128::from(self.rejected_below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, Timestamp};

    fn event(number: u64) -> EventId {
        let dice = Sha256::digest(number.to_be_bytes());
        EventId::new(Timestamp::from_millis(1_790_012_345_678), *dice.first_chunk().unwrap())
    }

    #[test]
    fn each_step_of_a_trace_has_an_id_of_its_own() {
        let delivery = |destination| DeliveryId { event: event(1), destination: Name::new(destination).unwrap() };
        let first = SpanId::of_attempt(&delivery("crm"), 1);
        assert_eq!(first, SpanId::of_attempt(&delivery("crm"), 1));
        assert_ne!(first, SpanId::of_attempt(&delivery("crm"), 2));
        assert_ne!(first, SpanId::of_attempt(&delivery("slack"), 1));
        assert_ne!(first, SpanId::of_receipt(event(1)));
        assert_eq!(TraceId::from(event(1)).to_string(), event(1).to_string().replace('-', ""));
    }

    #[test]
    fn a_ratio_takes_about_its_part_of_the_traces() {
        for (ratio, least, most) in [(0.0, 0, 0), (0.25, 200, 300), (1.0, 1000, 1000)] {
            let sampling = Sampling::of_ratio(ratio).unwrap();
            let taken = (0..1000).filter(|number| sampling.takes(event(*number))).count();
            assert!((least..=most).contains(&taken), "{taken} of 1000 with {ratio}");
        }
    }

    #[test]
    fn what_a_low_ratio_takes_a_higher_one_takes_as_well() {
        let (few, many) = (Sampling::of_ratio(0.1).unwrap(), Sampling::of_ratio(0.5).unwrap());
        assert!((0..1000).map(event).filter(|event| few.takes(*event)).all(|event| many.takes(event)));
    }

    #[test]
    fn only_a_part_is_a_ratio() {
        for ratio in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Sampling::of_ratio(ratio), None, "{ratio}");
        }
        assert_eq!(Sampling::of_ratio(1.0), Some(Sampling::ALL));
    }
}
