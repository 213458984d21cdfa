//! How long things are kept. Pure.

use std::time::Duration;

use super::index::Entry;
use crate::model::{DeliveryState, EventId, Timestamp};

/// The resolution of [`Timestamp`]: what ends now has ended.
const ONE_MILLISECOND: Duration = Duration::from_millis(1);

/// How long what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Events whose deliveries are all settled, counted from the last of them; unrouted events, from their receipt.
    pub delivered: Duration,
    /// Events with a dead letter, counted from its death; events in quarantine, from their receipt.
    pub dead_letters: Duration,
    /// For how long a second receipt of an event is recognised, counted from the first, also when the event itself is gone.
    pub deduplication: Duration,
}

impl Retention {
    /// Whether nothing needs an event any more.
    pub(super) fn is_expired(&self, event: EventId, entry: &Entry, now: Timestamp) -> bool {
        let received_at = event.timestamp();
        let mut kept_until = match entry.reading.envelope() {
            Some(_) => received_at.plus(self.delivered),
            None => received_at.plus(self.dead_letters),
        };
        for tracked in &entry.deliveries {
            kept_until = kept_until.max(match tracked.delivery.state {
                DeliveryState::Waiting { .. } => return false,
                DeliveryState::Delivered { at } | DeliveryState::Discarded { at } | DeliveryState::Expired { at } => {
                    at.plus(self.delivered)
                }
                DeliveryState::Dead { at, .. } => at.plus(self.dead_letters),
            });
        }
        kept_until <= now
    }

    /// Whether a second receipt of an event may pass for a new one.
    pub(super) fn is_forgotten(&self, first: EventId, now: Timestamp) -> bool {
        first.timestamp().plus(self.deduplication) <= now
    }

    /// Events received at this time or later can't have expired: a search needs to go no further.
    pub(super) fn received_before_to_expire(&self, now: Timestamp) -> Timestamp {
        now.minus(self.delivered.min(self.dead_letters)).plus(ONE_MILLISECOND)
    }

    /// Events received at this time or later can't be forgotten yet.
    pub(super) fn received_before_to_forget(&self, now: Timestamp) -> Timestamp {
        now.minus(self.deduplication).plus(ONE_MILLISECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{DeadReason, DedupKey, Delivery, Name, Reading},
        store::embedded::{index::Tracked, journal::Position},
    };

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const RETENTION: Retention = Retention {
        delivered: Duration::from_secs(7 * 86_400),
        dead_letters: Duration::from_secs(30 * 86_400),
        deduplication: DAY,
    };

    fn day(day: u64) -> Timestamp {
        Timestamp::from_millis(day * 86_400_000)
    }

    fn expires(states: &[DeliveryState], reading: Reading, now: Timestamp) -> bool {
        let deliveries = states.iter().map(|state| {
            let mut delivery = Delivery::new(Name::new("crm").unwrap(), day(0));
            delivery.state = *state;
            Tracked { delivery, latest: None, rendered: None }
        });
        let entry = Entry {
            position: Position { segment: 1, offset: 64 },
            size: 1,
            source: Name::new("atoms").unwrap(),
            reading,
            body_len: 0,
            dedup_key: DedupKey::from_bytes([0; 16]),
            deliveries: deliveries.collect(),
        };
        RETENTION.is_expired(EventId::lowest_at(day(0)), &entry, now)
    }

    fn read() -> Reading {
        Reading::of(br#"{"event":"a.b"}"#)
    }

    #[test]
    fn what_waits_is_kept_for_ever() {
        let states = [DeliveryState::Delivered { at: day(0) }, DeliveryState::Waiting { due: day(0) }];
        assert!(!expires(&states, read(), Timestamp::MAX));
    }

    #[test]
    fn delivered_events_are_kept_from_their_last_delivery_on() {
        let states = [DeliveryState::Delivered { at: day(1) }, DeliveryState::Delivered { at: day(3) }];
        assert!(!expires(&states, read(), day(9)));
        assert!(expires(&states, read(), day(10)));
    }

    #[test]
    fn what_was_retired_for_its_age_is_kept_like_what_was_delivered() {
        let states = [DeliveryState::Expired { at: day(3) }];
        assert!(!expires(&states, read(), day(9)));
        assert!(expires(&states, read(), day(10)));
    }

    #[test]
    fn dead_letters_and_quarantine_wait_longer_for_a_person() {
        let dead = DeliveryState::Dead { at: day(3), reason: DeadReason::Rejected };
        assert!(!expires(&[dead], read(), day(32)));
        assert!(expires(&[dead], read(), day(33)));
        let unreadable = || Reading::Quarantined("why".into());
        assert!(!expires(&[], unreadable(), day(29)));
        assert!(expires(&[], unreadable(), day(30)));
        assert!(expires(&[], read(), day(7)));
    }
}
