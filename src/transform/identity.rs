//! By which ids a destination and its tracing recognise an attempt. All are derived, none is stored.

use crate::model::{DeliveryId, Sampling, SpanId, TraceId};

/// What must take effect once. A delivered event that people send again (`round` from 1) is meant to take effect again,
/// so each round has its own key.
pub(super) fn idempotency_key(id: &DeliveryId, round: u32) -> String {
    if round == 0 { id.to_string() } else { format!("{id}.r{round}") }
}

/// The W3C `traceparent`: all deliveries of an event meet in one trace, and the span belongs to the attempt. The last byte
/// says whether we record it.
pub(super) fn traceparent(id: &DeliveryId, attempt: u32, sampling: Sampling) -> String {
    let (trace, span) = (TraceId::from(id.event), SpanId::of_attempt(id, attempt));
    let flags = u8::from(sampling.takes(id.event));
    format!("00-{trace}-{span}-{flags:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventId, Name, Timestamp};

    fn id(destination: &str) -> DeliveryId {
        let event = EventId::new(Timestamp::from_millis(1_790_012_345_678), [0xab; 10]);
        DeliveryId { event, destination: Name::new(destination).unwrap() }
    }

    #[test]
    fn a_traceparent_is_the_events_id_and_a_span_per_attempt() {
        let traceparent = |destination, attempt| traceparent(&id(destination), attempt, Sampling::ALL);
        let (first, second) = (traceparent("crm", 1), traceparent("crm", 2));
        let parts: Vec<&str> = first.split('-').collect();
        assert_eq!(parts[0], "00");
        assert_eq!(parts[1], id("crm").event.to_string().replace('-', ""));
        assert_eq!(parts[2].len(), 16);
        assert_eq!(parts[3], "01");
        assert_ne!(first, second);
        assert_ne!(first, traceparent("slack", 1));
        assert_eq!(first, traceparent("crm", 1));
    }

    #[test]
    fn what_is_not_recorded_says_so() {
        let none = Sampling::of_ratio(0.0).unwrap();
        assert!(traceparent(&id("crm"), 1, none).ends_with("-00"));
    }
}
