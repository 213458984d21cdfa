//! By which ids a destination and its tracing recognise an attempt. All are derived, none is stored.

use sha2::{Digest, Sha256};

use crate::model::DeliveryId;

/// What must take effect once. A delivered event that people send again (`round` from 1) is meant to take effect again,
/// so each round has its own key.
pub(super) fn idempotency_key(id: &DeliveryId, round: u32) -> String {
    if round == 0 { id.to_string() } else { format!("{id}.r{round}") }
}

/// The W3C `traceparent`: the trace is the event's own 16 bytes, so that all its deliveries meet in one trace; the span
/// belongs to the attempt. The last byte says `sampled`.
pub(super) fn traceparent(id: &DeliveryId, attempt: u32) -> String {
    let trace = u128::from_be_bytes(*id.event.as_bytes());
    format!("00-{trace:032x}-{:016x}-01", span(id, attempt))
}

/// 64 bits of SHA-256, never all zero, which the standard forbids.
fn span(id: &DeliveryId, attempt: u32) -> u64 {
    let digest = Sha256::new()
        .chain_update(id.event.as_bytes())
        .chain_update(id.destination.as_str())
        .chain_update(attempt.to_be_bytes())
        .finalize();
    digest.first_chunk().map_or(1, |bytes| u64::from_be_bytes(*bytes)).max(1)
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
        let (first, second) = (traceparent(&id("crm"), 1), traceparent(&id("crm"), 2));
        let parts: Vec<&str> = first.split('-').collect();
        assert_eq!(parts[0], "00");
        assert_eq!(parts[1], id("crm").event.to_string().replace('-', ""));
        assert_eq!(parts[2].len(), 16);
        assert_eq!(parts[3], "01");
        assert_ne!(first, second);
        assert_ne!(first, traceparent(&id("slack"), 1));
        assert_eq!(first, traceparent(&id("crm"), 1));
    }
}
