//! What a batch of journal records changes in the index.
//!
//! The same code runs for what happens now and for what is replayed at start, so that a rebuilt index is the index. Later
//! records of a batch see what earlier ones changed.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    front::Place,
    fronts::{Becomes, Listed},
    index::{Changes, Entry, Index, IndexError, Table, Tracked, call_key, encode, meta, timed_key},
    journal::{Bodies, Extent, Kept, Moved, Position, Record, Routed},
    totals::Totals,
};
use crate::{
    model::{Attempt, DedupKey, Delivery, DeliveryId, DeliveryState, EventId, Name, Timestamp},
    store::Pause,
};

/// Changes that are being put together.
pub(super) struct Draft<'a> {
    index: &'a Index,
    totals: &'a Mutex<Totals>,
    changes: Changes,
    /// Entries as they will be; `None` for those that will be gone.
    entries: HashMap<EventId, Option<Entry>>,
    /// What was found or set under a deduplication key: every accept asks twice.
    dedup: HashMap<DedupKey, Option<EventId>>,
    destinations: BTreeSet<Name>,
    segments: BTreeSet<u64>,
    /// Destinations that have something new to do.
    woken: BTreeSet<Name>,
    /// What changes in the lists of deliveries that wait.
    listed: Vec<Listed>,
}

/// What a draft changed for those who claim.
pub(super) struct News {
    /// Destinations that have something new to do.
    pub(super) woken: BTreeSet<Name>,
    /// What changed in the lists of deliveries that wait, in order.
    pub(super) listed: Vec<Listed>,
}

impl<'a> Draft<'a> {
    /// An empty draft over `index` and its numbers.
    pub(super) fn new(index: &'a Index, totals: &'a Mutex<Totals>) -> Self {
        Self {
            index,
            totals,
            changes: Changes::default(),
            entries: HashMap::new(),
            dedup: HashMap::new(),
            destinations: BTreeSet::new(),
            segments: BTreeSet::new(),
            woken: BTreeSet::new(),
            listed: Vec::new(),
        }
    }

    /// An event's entry, as it will be.
    pub(super) fn entry(&self, event: EventId) -> Result<Option<Entry>, IndexError> {
        match self.entries.get(&event) {
            Some(entry) => Ok(entry.clone()),
            None => self.index.entry(event),
        }
    }

    /// Takes it from the caller that the index has never heard of an event: looking that up costs as much as writing it down.
    pub(super) fn note_absent(&mut self, event: EventId) {
        self.entries.insert(event, None);
    }

    /// The event that was first received under a deduplication key, as it will be.
    pub(super) fn first_with(&mut self, key: DedupKey) -> Result<Option<EventId>, IndexError> {
        if let Some(known) = self.dedup.get(&key) {
            return Ok(*known);
        }
        let found = self.index.first_with(key)?;
        self.dedup.insert(key, found);
        Ok(found)
    }

    /// Takes in what a record at `extent` says.
    pub(super) fn record(&mut self, extent: Extent, record: &Record) -> Result<(), IndexError> {
        match record {
            Record::Kept(kept, bodies) => self.keep(extent, kept, bodies),
            Record::Moved(moved) => self.move_delivery(extent.position, moved),
            Record::Remembered(keys) => keys.iter().try_for_each(|(event, key)| self.remember(*event, *key)),
            Record::Paused(destination, pause) => {
                self.pause(destination, pause.as_ref());
                Ok(())
            }
            Record::Rendered(id, body) => self.render(extent.position, id, body.len()),
            Record::Routed(routed) => self.route(extent.position, routed),
        }
    }

    fn keep(&mut self, extent: Extent, kept: &Kept, bodies: &Bodies) -> Result<(), IndexError> {
        if let Some(old) = self.entry(kept.id)? {
            self.drop_keys(kept.id, &old);
        }
        let tracked = |(delivery, attempts): &(Delivery, Vec<_>)| {
            let mut rendered = bodies.rendered.iter().filter(|(name, _)| *name == delivery.destination);
            Tracked {
                delivery: delivery.clone(),
                latest: (!attempts.is_empty()).then_some(extent.position),
                rendered: rendered.next().map(|(_, body)| (extent.position, len(body.len()))),
            }
        };
        let entry = Entry {
            position: extent.position,
            size: extent.size,
            source: kept.source.clone(),
            reading: kept.reading.clone(),
            body_len: len(bodies.event.len()),
            dedup_key: kept.dedup_key,
            deliveries: kept.deliveries.iter().map(tracked).collect(),
        };
        self.add_keys(kept.id, &entry)?;
        self.entries.insert(kept.id, Some(entry));
        Ok(())
    }

    fn move_delivery(&mut self, position: Position, moved: &Moved) -> Result<(), IndexError> {
        let Some(mut entry) = self.entry(moved.event)? else { return Ok(()) };
        let Some(tracked) = entry.delivery_mut(&moved.delivery.destination) else { return Ok(()) };
        self.drop_delivery(moved.event, &tracked.delivery);
        self.add_delivery(moved.event, &moved.delivery);
        tracked.delivery.clone_from(&moved.delivery);
        if moved.attempt.is_some() {
            tracked.latest = Some(position);
        }
        self.entries.insert(moved.event, Some(entry));
        Ok(())
    }

    fn render(&mut self, position: Position, id: &DeliveryId, body_len: usize) -> Result<(), IndexError> {
        let Some(mut entry) = self.entry(id.event)? else { return Ok(()) };
        let before = entry.rendered_len();
        let Some(tracked) = entry.delivery_mut(&id.destination) else { return Ok(()) };
        tracked.rendered = Some((position, len(body_len)));
        let size = (entry.size + entry.rendered_len()).saturating_sub(before);
        self.segments.insert(entry.position.segment);
        lock(self.totals).resize_event(&entry, size);
        entry.size = size;
        self.entries.insert(id.event, Some(entry));
        Ok(())
    }

    fn route(&mut self, position: Position, routed: &Routed) -> Result<(), IndexError> {
        let Some(before) = self.entry(routed.event)? else { return Ok(()) };
        let is_new = |destination: &Name| before.delivery(destination).is_none();
        let new = routed.deliveries.iter().filter(|(delivery, _)| is_new(&delivery.destination));
        let tracked = |(delivery, attempt): &(Delivery, Option<Attempt>)| Tracked {
            delivery: delivery.clone(),
            latest: attempt.is_some().then_some(position),
            rendered: None,
        };
        let mut entry = Entry { reading: routed.reading.clone(), ..before.clone() };
        entry.deliveries.extend(new.map(tracked));
        self.drop_keys(routed.event, &before);
        self.add_keys(routed.event, &entry)?;
        self.entries.insert(routed.event, Some(entry));
        Ok(())
    }

    /// Forgets an event, but not that it was there.
    pub(super) fn purge(&mut self, event: EventId) -> Result<(), IndexError> {
        let Some(entry) = self.entry(event)? else { return Ok(()) };
        self.drop_keys(event, &entry);
        self.entries.insert(event, None);
        self.remember(event, entry.dedup_key)
    }

    fn remember(&mut self, event: EventId, key: DedupKey) -> Result<(), IndexError> {
        self.take_key(event, key)?;
        self.changes.insert(Table::Remembered, event.as_bytes(), encode(&key));
        Ok(())
    }

    /// Forgets that an event was ever there: the same one would be taken for a new one.
    pub(super) fn forget(&mut self, event: EventId, key: DedupKey) -> Result<(), IndexError> {
        if self.first_with(key)? == Some(event) {
            self.dedup.insert(key, None);
            self.changes.remove(Table::Dedup, key.as_bytes());
        }
        self.changes.remove(Table::Remembered, event.as_bytes());
        Ok(())
    }

    /// Makes `event` the one that duplicates are told of, unless it is already, or a newer one is: after the deduplication period the same
    /// event counts as new, while the old one may still be here.
    fn take_key(&mut self, event: EventId, key: DedupKey) -> Result<(), IndexError> {
        match self.first_with(key)? {
            Some(present) if present >= event => return Ok(()),
            Some(_) => self.changes.insert(Table::Dedup, key.as_bytes(), encode(&event)),
            None => self.changes.insert_new(Table::Dedup, key.as_bytes(), encode(&event)),
        }
        self.dedup.insert(key, Some(event));
        Ok(())
    }

    fn pause(&mut self, destination: &Name, pause: Option<&Pause>) {
        let key = [meta::PAUSE, destination.as_str().as_bytes()].concat();
        let mut totals = lock(self.totals);
        if let Some(pause) = pause {
            self.changes.insert(Table::Meta, &key, encode(pause));
            totals.pauses.insert(destination.clone(), pause.clone());
        } else {
            self.changes.remove(Table::Meta, &key);
            totals.pauses.remove(destination);
        }
        self.woken.insert(destination.clone());
    }

    /// Forgets the numbers of a segment that is being removed.
    pub(super) fn drop_segment(&mut self, number: u64) {
        lock(self.totals).segments.remove(&number);
        self.segments.insert(number);
    }

    fn add_keys(&mut self, event: EventId, entry: &Entry) -> Result<(), IndexError> {
        if let Some(call) = call_of(entry) {
            self.changes.insert_new(Table::Call, &call_key(call, event), Vec::new());
        }
        self.take_key(event, entry.dedup_key)?;
        self.segments.insert(entry.position.segment);
        lock(self.totals).add_event(entry);
        entry.deliveries.iter().for_each(|tracked| self.add_delivery(event, &tracked.delivery));
        Ok(())
    }

    fn drop_keys(&mut self, event: EventId, entry: &Entry) {
        if let Some(call) = call_of(entry) {
            self.changes.remove(Table::Call, &call_key(call, event));
        }
        self.segments.insert(entry.position.segment);
        lock(self.totals).drop_event(entry);
        entry.deliveries.iter().for_each(|tracked| self.drop_delivery(event, &tracked.delivery));
    }

    fn add_delivery(&mut self, event: EventId, delivery: &Delivery) {
        lock(self.totals).add_delivery(delivery);
        self.destinations.insert(delivery.destination.clone());
        if let Some((table, at)) = listed(event, delivery) {
            self.changes.insert_new(table, &timed_key(&delivery.destination, at, event), Vec::new());
            self.list(table, &delivery.destination, Place { due: at, event }, Becomes::Taken);
        }
        if delivery.state.is_waiting() {
            self.woken.insert(delivery.destination.clone());
        }
    }

    fn drop_delivery(&mut self, event: EventId, delivery: &Delivery) {
        lock(self.totals).drop_delivery(delivery);
        self.destinations.insert(delivery.destination.clone());
        if let Some((table, at)) = listed(event, delivery) {
            self.changes.remove(table, &timed_key(&delivery.destination, at, event));
            self.list(table, &delivery.destination, Place { due: at, event }, Becomes::Free);
        }
    }

    fn list(&mut self, table: Table, destination: &Name, place: Place, becomes: Becomes) {
        self.listed.push(Listed { table, destination: destination.clone(), place, becomes });
    }

    /// Makes the changes; the index is complete up to `applied` then.
    ///
    /// # Errors
    /// The index's; nothing was changed in it then, but the numbers in memory are wrong.
    pub(super) fn apply(mut self, applied: Position) -> Result<News, IndexError> {
        for (event, entry) in &self.entries {
            match entry {
                Some(entry) => self.changes.insert(Table::Event, event.as_bytes(), encode(entry)),
                None => self.changes.remove(Table::Event, event.as_bytes()),
            }
        }
        self.store_totals();
        self.changes.insert(Table::Meta, meta::APPLIED, encode(&applied));
        self.index.apply(self.changes)?;
        Ok(News { woken: self.woken, listed: self.listed })
    }

    /// Wakes whoever waits for a destination although nothing of it changed on disk.
    pub(super) fn wake(&mut self, destination: &Name) {
        self.woken.insert(destination.clone());
    }

    /// The destinations that have something new to do, of a draft without changes.
    pub(super) fn into_woken(self) -> BTreeSet<Name> {
        self.woken
    }

    fn store_totals(&mut self) {
        let totals = lock(self.totals);
        self.changes.insert(Table::Meta, meta::COUNTS, encode(&totals.counts));
        for name in &self.destinations {
            let numbers = totals.destinations.get(name).copied().unwrap_or_default();
            self.changes.insert(Table::Meta, &[meta::DESTINATION, name.as_str().as_bytes()].concat(), encode(&numbers));
        }
        for number in &self.segments {
            match totals.segments.get(number) {
                Some(live) => self.changes.insert(Table::Segment, &number.to_be_bytes(), encode(live)),
                None => self.changes.remove(Table::Segment, &number.to_be_bytes()),
            }
        }
    }
}

/// Where a delivery is listed, and under which time.
pub(super) fn listed(event: EventId, delivery: &Delivery) -> Option<(Table, Timestamp)> {
    match delivery.state {
        DeliveryState::Waiting { due } if delivery.since != event.timestamp() => Some((Table::Replayed, due)),
        DeliveryState::Waiting { due } if delivery.retries == 0 && due == event.timestamp() => Some((Table::Due, due)),
        DeliveryState::Waiting { due } => Some((Table::Again, due)),
        DeliveryState::Dead { at, .. } => Some((Table::Dead, at)),
        DeliveryState::Delivered { .. } | DeliveryState::Discarded { .. } | DeliveryState::Expired { .. } => None,
    }
}

/// A length as the index keeps it. No body is as long as a u32 can count.
fn len(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The call that an event belongs to.
pub(super) fn call_of(entry: &Entry) -> Option<&str> {
    entry.reading.envelope().and_then(|envelope| envelope.call.as_deref())
}

/// Locks the numbers. They are plain data, so a panic elsewhere can't leave them half changed in a way that matters more
/// than the panic itself.
pub(super) fn lock(totals: &Mutex<Totals>) -> MutexGuard<'_, Totals> {
    totals.lock().unwrap_or_else(PoisonError::into_inner)
}
