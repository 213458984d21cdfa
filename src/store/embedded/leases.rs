//! Who holds which delivery, and which deliveries wait for one that is held. In memory only: one process owns the store, and a
//! claim ends with it.
//!
//! A lease goes from *held* to gone (settled, released) or, when its time has passed, to another holder. While its
//! settlement is being written it can't be taken over, however late it is.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::turns::Turns;
use crate::{
    model::{DeliveryId, EventId, Name, Timestamp},
    store::ClaimToken,
};

/// All leases of a store.
#[derive(Default)]
pub(super) struct Leases(Mutex<Table>);

/// The leases, locked.
#[derive(Default)]
pub(super) struct Table {
    by_destination: HashMap<Name, Held>,
    last_token: u64,
}

/// What is known of one destination's deliveries.
#[derive(Default)]
struct Held {
    leases: HashMap<EventId, Lease>,
    /// What was found to wait for another, and for which.
    blocked: HashMap<EventId, EventId>,
    turns: Turns,
}

struct Lease {
    token: ClaimToken,
    until: Timestamp,
    settling: bool,
}

impl Leases {
    /// Locks all leases: for as long as a claim looks for free deliveries.
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Whether nobody holds the delivery at `now`.
    pub(super) fn is_free(&self, destination: &Name, event: EventId, now: Timestamp) -> bool {
        let lease = self.by_destination.get(destination).and_then(|held| held.leases.get(&event));
        lease.is_none_or(|lease| lease.until <= now && !lease.settling)
    }

    /// Gives the delivery to a new holder until `until`.
    pub(super) fn grant(&mut self, destination: &Name, event: EventId, until: Timestamp) -> ClaimToken {
        self.last_token += 1;
        let token = ClaimToken(self.last_token);
        let lease = Lease { token, until, settling: false };
        let held = self.by_destination.entry(destination.clone()).or_default();
        held.blocked.remove(&event);
        held.leases.insert(event, lease);
        token
    }

    /// Notes that a delivery can't be claimed before the one of `earlier` is settled.
    pub(super) fn block(&mut self, destination: &Name, event: EventId, earlier: EventId) {
        self.by_destination.entry(destination.clone()).or_default().blocked.insert(event, earlier);
    }

    /// Whether a delivery was found to wait for another that somebody holds at `now`.
    pub(super) fn is_blocked(&self, destination: &Name, event: EventId, now: Timestamp) -> bool {
        let earlier = self.by_destination.get(destination).and_then(|held| held.blocked.get(&event));
        earlier.is_some_and(|earlier| !self.is_free(destination, *earlier, now))
    }

    /// Whose turn it is among a destination's deliveries.
    pub(super) fn turns(&mut self, destination: &Name) -> &mut Turns {
        &mut self.by_destination.entry(destination.clone()).or_default().turns
    }

    /// Whether the holder of `token` holds the delivery and hasn't begun to settle it.
    pub(super) fn is_held_by(&self, id: &DeliveryId, token: ClaimToken) -> bool {
        let lease = self.by_destination.get(&id.destination).and_then(|held| held.leases.get(&id.event));
        lease.is_some_and(|lease| lease.token == token && !lease.settling)
    }

    /// Marks a delivery as being settled by the holder of `token`; `false` when it is not the holder's (any more).
    pub(super) fn begin_settling(&mut self, id: &DeliveryId, token: ClaimToken) -> bool {
        let lease = self.by_destination.get_mut(&id.destination).and_then(|held| held.leases.get_mut(&id.event));
        let held = lease.filter(|lease| lease.token == token && !lease.settling);
        held.map(|lease| lease.settling = true).is_some()
    }

    /// Ends a lease.
    pub(super) fn end(&mut self, id: &DeliveryId) {
        if let Some(held) = self.by_destination.get_mut(&id.destination) {
            held.leases.remove(&id.event);
        }
    }

    /// How many deliveries of a destination are held.
    pub(super) fn held(&self, destination: &Name) -> usize {
        self.by_destination.get(destination).map_or(0, |held| held.leases.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000);
    const END: Timestamp = Timestamp::from_millis(2_000);

    fn id() -> DeliveryId {
        DeliveryId { event: EventId::from_bytes([1; 16]), destination: Name::new("crm").unwrap() }
    }

    #[test]
    fn a_held_delivery_is_free_again_when_its_lease_has_passed() {
        let (id, mut table) = (id(), Table::default());
        table.grant(&id.destination, id.event, END);
        assert!(!table.is_free(&id.destination, id.event, START));
        assert!(table.is_free(&id.destination, id.event, END));
    }

    #[test]
    fn only_the_present_holder_can_settle_and_only_once() {
        let (id, mut table) = (id(), Table::default());
        let late = table.grant(&id.destination, id.event, END);
        let present = table.grant(&id.destination, id.event, Timestamp::MAX);
        assert!(!table.begin_settling(&id, late));
        assert!(table.begin_settling(&id, present));
        assert!(!table.begin_settling(&id, present));
    }

    #[test]
    fn what_waits_for_another_is_blocked_for_as_long_as_that_is_held() {
        let (first, mut table) = (id(), Table::default());
        let later = EventId::from_bytes([2; 16]);
        table.grant(&first.destination, first.event, END);
        table.block(&first.destination, later, first.event);
        assert!(table.is_blocked(&first.destination, later, START));
        assert!(!table.is_blocked(&first.destination, later, END));
        table.end(&first);
        assert!(!table.is_blocked(&first.destination, later, START));
    }

    #[test]
    fn what_is_being_settled_cannot_be_taken_over() {
        let (id, mut table) = (id(), Table::default());
        let token = table.grant(&id.destination, id.event, END);
        assert!(table.begin_settling(&id, token));
        assert!(!table.is_free(&id.destination, id.event, END));
        table.end(&id);
        assert!(table.is_free(&id.destination, id.event, START));
        assert_eq!(table.held(&id.destination), 0);
    }
}
