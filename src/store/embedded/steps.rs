//! What the committer makes of what is asked for single deliveries: their next states, as records of the batch.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    committer::{Batch, CommitError, Committer, Durability},
    index::Entry,
    journal::{Moved, Record, Routed},
};
use crate::{
    model::{Delivery, DeliveryId, DeliveryState, EventId, Timestamp, Verdict},
    store::{ClaimToken, Replayed, Rerouted, Rerouting, Settled, Settlement, StoreError},
};

/// Bytes that the bodies made for an event's deliveries may take. When the event is carried along, they stand with it in one
/// record of 96 MiB at most, with its own body of 32 MiB at most and its attempts.
const MAX_RENDERED: u64 = 32 * 1024 * 1024;

impl Committer {
    /// See [`crate::store::Store::settle`].
    pub(super) fn settle(
        &mut self,
        settlement: Settlement,
        batch: &mut Batch<'_>,
        now: Timestamp,
    ) -> Result<Settled, CommitError> {
        let Settlement { id, token, verdict, attempt } = settlement;
        if !self.leases.lock().begin_settling(&id, token) {
            return Ok(Settled::LeaseLost);
        }
        batch.settled.push(id.clone());
        let entry = batch.draft.entry(id.event)?;
        let Some(tracked) = entry.as_ref().and_then(|entry| entry.delivery(&id.destination)) else {
            return Ok(Settled::LeaseLost);
        };
        if verdict == Verdict::Release && attempt.is_none() {
            batch.draft.wake(&id.destination);
            return Ok(Settled::Recorded);
        }
        let Ok(delivery) = tracked.delivery.after(verdict, attempt.as_ref(), now) else {
            return Ok(Settled::LeaseLost);
        };
        // A lost "done" or "try again" is made good by one more attempt; a lost "dead" would bring back what people were
        // told is over.
        let durability = if delivery.state.is_dead() { Durability::Synced } else { Durability::Written };
        let moved = Moved { event: id.event, delivery, attempt, previous: tracked.latest };
        self.write(&Record::Moved(moved), batch, durability)?;
        Ok(Settled::Recorded)
    }

    /// See [`crate::store::Store::keep_body`].
    pub(super) fn keep_body(
        &mut self,
        id: &DeliveryId,
        token: ClaimToken,
        body: Bytes,
        batch: &mut Batch<'_>,
    ) -> Result<Result<Settled, StoreError>, CommitError> {
        let is_held = self.leases.lock().is_held_by(id, token);
        let Some(entry) = batch.draft.entry(id.event)?.filter(|_| is_held) else { return Ok(Ok(Settled::LeaseLost)) };
        if entry.rendered_len() + body.len() as u64 > MAX_RENDERED {
            let limit = format!("the bodies that are kept for an event take at most {MAX_RENDERED} bytes");
            return Ok(Err(StoreError::TooLarge(Arc::from(limit))));
        }
        self.write(&Record::Rendered(id.clone(), body), batch, Durability::Synced)?;
        Ok(Ok(Settled::Recorded))
    }

    /// Has a delivery wait until just after `earlier`, an earlier event of its call, is due: until then nobody has to look
    /// at it. What has changed meanwhile is left as it is.
    pub(super) fn put_behind(
        &mut self,
        id: &DeliveryId,
        earlier: EventId,
        batch: &mut Batch<'_>,
    ) -> Result<(), CommitError> {
        let head = batch.draft.entry(earlier)?;
        let head = head.as_ref().and_then(|entry| entry.delivery(&id.destination));
        let entry = batch.draft.entry(id.event)?;
        let tracked = entry.as_ref().and_then(|entry| entry.delivery(&id.destination));
        let (Some(head), Some(tracked)) = (head, tracked) else { return Ok(()) };
        let (DeliveryState::Waiting { due: first }, DeliveryState::Waiting { due }) =
            (head.delivery.state, tracked.delivery.state)
        else {
            return Ok(());
        };
        if due > first {
            return Ok(());
        }
        let mut delivery = tracked.delivery.clone();
        delivery.state = DeliveryState::Waiting { due: just_after(first) };
        self.write(&untried(id, delivery), batch, Durability::Written)
    }

    /// See [`crate::store::Store::replay`].
    pub(super) fn replay(
        &mut self,
        id: &DeliveryId,
        batch: &mut Batch<'_>,
        now: Timestamp,
    ) -> Result<Replayed, CommitError> {
        let entry = batch.draft.entry(id.event)?;
        let Some((entry, tracked)) = entry.as_ref().and_then(|entry| Some((entry, entry.delivery(&id.destination)?)))
        else {
            return Ok(Replayed::Unknown);
        };
        self.write(&untried(id, tracked.delivery.replayed(now)), batch, Durability::Synced)?;
        if let DeliveryState::Waiting { due } = tracked.delivery.state
            && due > now
        {
            self.bring_forward(id, entry, due, batch, now)?;
        }
        Ok(Replayed::Due)
    }

    /// Brings forward what was put behind a delivery that would have been due at `due` and is due now.
    fn bring_forward(
        &mut self,
        id: &DeliveryId,
        entry: &Entry,
        due: Timestamp,
        batch: &mut Batch<'_>,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let behind = DeliveryState::Waiting { due: just_after(due) };
        for later in self.reader.later_of_call(entry, id.event)? {
            let entry = batch.draft.entry(later)?;
            let tracked = entry.as_ref().and_then(|entry| entry.delivery(&id.destination));
            let Some(tracked) = tracked.filter(|tracked| tracked.delivery.state == behind) else { continue };
            let mut delivery = tracked.delivery.clone();
            delivery.state = DeliveryState::Waiting { due: just_after(now) };
            let id = DeliveryId { event: later, destination: id.destination.clone() };
            self.write(&untried(&id, delivery), batch, Durability::Written)?;
        }
        Ok(())
    }

    /// See [`crate::store::Store::reroute`].
    pub(super) fn reroute(
        &mut self,
        asked: &Rerouting,
        batch: &mut Batch<'_>,
        now: Timestamp,
    ) -> Result<Rerouted, CommitError> {
        let Some(entry) = batch.draft.entry(asked.event)? else { return Ok(Rerouted::Unknown) };
        let is_news = entry.reading.envelope().is_none() && asked.reading.envelope().is_some();
        let reading = if is_news { asked.reading.clone() } else { entry.reading.clone() };
        let new = asked.deliveries.iter().filter(|new| entry.delivery(&new.destination).is_none());
        let deliveries: Vec<_> = new.map(|new| new.begin(now)).collect();
        let created = deliveries.len();
        if is_news || created > 0 {
            let routed = Routed { event: asked.event, reading, deliveries };
            self.write(&Record::Routed(routed), batch, Durability::Synced)?;
        }
        Ok(Rerouted::Created(created))
    }

    /// See [`crate::store::Store::discard`]: how many that is of this one.
    pub(super) fn discard(
        &mut self,
        id: &DeliveryId,
        batch: &mut Batch<'_>,
        now: Timestamp,
    ) -> Result<usize, CommitError> {
        let entry = batch.draft.entry(id.event)?;
        let found = entry.as_ref().and_then(|entry| entry.delivery(&id.destination));
        let Some(tracked) = found.filter(|tracked| tracked.delivery.state.is_dead()) else { return Ok(0) };
        let mut delivery = tracked.delivery.clone();
        delivery.state = DeliveryState::Discarded { at: now };
        self.write(&untried(id, delivery), batch, Durability::Synced)?;
        Ok(1)
    }
}

/// A step of a delivery that no attempt led to.
fn untried(id: &DeliveryId, delivery: Delivery) -> Record {
    Record::Moved(Moved { event: id.event, delivery, attempt: None, previous: None })
}

/// When a delivery is due that waits for one that is due at `due`.
fn just_after(due: Timestamp) -> Timestamp {
    due.plus(Duration::from_millis(1))
}
