//! Everything that reads: single events, lists, numbers. Claims are in [`super::queue`].
//!
//! Reads run beside the committer and see its finished batches only. They block on the disk, so callers keep them off the
//! threads that serve requests.

use std::{
    io,
    ops::Bound,
    sync::{Arc, Mutex},
};

use bytes::Bytes;

use super::{
    damage::Damage,
    draft::lock,
    fronts::Fronts,
    index::{
        Entry, Index, IndexError, Item, Table, Tracked, call_prefix, event_at_end, parse_timed_key, prefixed,
        timed_prefix,
    },
    journal::{Bodies, Kept, Position, Record, Segments},
    leases::Leases,
    lock::Lock,
    totals::Totals,
};
use crate::{
    model::{Attempt, DeliveryState, Event, EventId, Name},
    store::{DeadCursor, DeadLetter, DestinationStats, EventFilter, EventSummary, Listing, Page, Stats, StoredEvent},
};

/// Attempts of one delivery that are shown and carried along at most: the latest ones.
const MAX_ATTEMPTS: usize = 50;
/// Events that one page looks at, at most, however few match: a search in a million events must not hold a thread for
/// seconds.
const MAX_LOOKED_AT: usize = 20_000;

/// Reads from index and journal.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) index: Index,
    pub(super) segments: Arc<Segments>,
    pub(super) totals: Arc<Mutex<Totals>>,
    pub(super) leases: Arc<Leases>,
    pub(super) fronts: Arc<Fronts>,
    pub(super) damage: Arc<Damage>,
    /// Whoever can reach the files keeps the store locked. Last, so that it is let go of last.
    pub(super) _lock: Arc<Lock>,
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The journal's files.
    #[error("the journal can't be read: {0}")]
    Journal(#[from] io::Error),
    /// sled.
    #[error("the index can't be read: {0}")]
    Index(#[from] IndexError),
}

impl Reader {
    /// See [`crate::store::Store::event`].
    pub(super) fn event(&self, id: EventId) -> Result<Option<StoredEvent>, ReadError> {
        let Some(entry) = self.index.entry(id)? else { return Ok(None) };
        let Some((mut kept, bodies)) = self.kept(&entry)? else {
            self.damage.note_event(id);
            return Ok(None);
        };
        let deliveries = std::mem::take(&mut kept.deliveries);
        Ok(Some(StoredEvent { event: kept.into_event(bodies.event), deliveries }))
    }

    /// An event as it would have to be written now: its deliveries as they stand, with their latest attempts, and what was
    /// rendered for them.
    pub(super) fn kept(&self, entry: &Entry) -> Result<Option<(Kept, Bodies)>, ReadError> {
        let Some(Record::Kept(mut kept, mut bodies)) = self.segments.read(entry.position)? else { return Ok(None) };
        kept.reading.clone_from(&entry.reading);
        (kept.deliveries, bodies.rendered) = (Vec::new(), Vec::new());
        for tracked in &entry.deliveries {
            let destination = &tracked.delivery.destination;
            kept.deliveries.push((tracked.delivery.clone(), self.attempts(destination, tracked.latest)?));
            bodies.rendered.extend(self.rendered(tracked)?.map(|body| (destination.clone(), body)));
        }
        Ok(Some((kept, bodies)))
    }

    /// The body that was made for a delivery; `None` when there is none, or none that can be read.
    pub(super) fn rendered(&self, tracked: &Tracked) -> Result<Option<Bytes>, ReadError> {
        let Some((position, _)) = tracked.rendered else { return Ok(None) };
        Ok(match self.segments.read(position)? {
            Some(Record::Rendered(_, body)) => Some(body),
            Some(Record::Kept(_, bodies)) => {
                let mut rendered = bodies.rendered.into_iter();
                rendered.find(|(name, _)| *name == tracked.delivery.destination).map(|(_, body)| body)
            }
            _ => None,
        })
    }

    /// The attempts of a delivery from the latest one back, in the order in which they were made.
    fn attempts(&self, destination: &Name, latest: Option<Position>) -> Result<Vec<Attempt>, ReadError> {
        let mut newest_first = Vec::new();
        let mut next = latest;
        while let Some(position) = next.filter(|_| newest_first.len() < MAX_ATTEMPTS) {
            next = match self.segments.read(position)? {
                Some(Record::Moved(moved)) => {
                    newest_first.extend(moved.attempt);
                    moved.previous
                }
                Some(Record::Kept(kept, _)) => {
                    let mut deliveries = kept.deliveries.into_iter();
                    let carried = deliveries.find(|(delivery, _)| delivery.destination == *destination);
                    newest_first.extend(carried.into_iter().flat_map(|(_, attempts)| attempts.into_iter().rev()));
                    None
                }
                Some(Record::Routed(routed)) => {
                    let mut deliveries = routed.deliveries.into_iter();
                    let begun = deliveries.find(|(delivery, _)| delivery.destination == *destination);
                    newest_first.extend(begun.and_then(|(_, attempt)| attempt));
                    None
                }
                Some(Record::Remembered(_) | Record::Paused(..) | Record::Rendered(..)) | None => None,
            };
        }
        newest_first.truncate(MAX_ATTEMPTS);
        newest_first.reverse();
        Ok(newest_first)
    }

    /// The event of an entry, as it is read now; `None` when its record can't be.
    pub(super) fn event_of(&self, entry: &Entry) -> Result<Option<Event>, ReadError> {
        Ok(match self.segments.read(entry.position)? {
            Some(Record::Kept(kept, bodies)) => {
                Some(Event { reading: entry.reading.clone(), ..kept.into_event(bodies.event) })
            }
            _ => None,
        })
    }

    /// See [`crate::store::Store::events`].
    pub(super) fn events(
        &self,
        filter: &EventFilter,
        page: Page<EventId>,
    ) -> Result<Listing<EventSummary, EventId>, ReadError> {
        let mut listing = Listing { items: Vec::new(), next: None };
        for (looked_at, id) in self.newest_first(filter, page.after).enumerate() {
            let id = id?;
            if filter.since.is_some_and(|since| id.timestamp() < since) {
                return Ok(Listing { next: None, ..listing });
            }
            if listing.items.len() >= page.limit || looked_at >= MAX_LOOKED_AT {
                return Ok(listing);
            }
            listing.next = Some(id);
            let summary = self.index.entry(id)?.map(|entry| entry.summary(id));
            listing.items.extend(summary.filter(|summary| filter.matches(summary)));
        }
        Ok(Listing { next: None, ..listing })
    }

    /// Ids of the events that may match, from the first after the cursor on.
    fn newest_first(
        &self,
        filter: &EventFilter,
        after: Option<EventId>,
    ) -> Box<dyn Iterator<Item = Result<EventId, ReadError>> + '_> {
        let from_until = filter.until.map(EventId::lowest_at);
        let end = after.into_iter().chain(from_until).min();
        let read = |item: Result<Item, IndexError>| Ok(event_at_end(&item?.0).unwrap_or(EventId::from_bytes([0; 16])));
        if let Some(call) = &filter.call {
            let keys = self.index.scan_back(Table::Call, prefixed(call_prefix(call))).map(read);
            return Box::new(keys.filter(move |id| id.as_ref().map_or(true, |id| end.is_none_or(|end| *id < end))));
        }
        let end = end.map_or(Bound::Unbounded, |end| Bound::Excluded(end.as_bytes().to_vec()));
        Box::new(self.index.scan_back(Table::Event, (Bound::Unbounded, end)).map(read))
    }

    /// See [`crate::store::Store::dead_letters`].
    pub(super) fn dead_letters(
        &self,
        destination: Option<&Name>,
        page: Page<DeadCursor>,
    ) -> Result<Listing<DeadLetter, DeadCursor>, ReadError> {
        let prefix = destination.map(timed_prefix).unwrap_or_default();
        let start = match page.after {
            Some(DeadCursor(after)) => Bound::Excluded(after.to_vec()),
            None => Bound::Included(prefix.clone()),
        };
        let mut listing = Listing { items: Vec::new(), next: None };
        for item in self.index.scan(Table::Dead, (start, Bound::Unbounded)) {
            let (key, _) = item?;
            if !key.starts_with(&prefix) {
                break;
            }
            if listing.items.len() >= page.limit {
                return Ok(listing);
            }
            listing.next = Some(DeadCursor(Bytes::copy_from_slice(&key)));
            listing.items.extend(self.dead_letter(&key)?);
        }
        Ok(Listing { next: None, ..listing })
    }

    fn dead_letter(&self, key: &[u8]) -> Result<Option<DeadLetter>, ReadError> {
        let Some((destination, _, id)) = parse_timed_key(key) else { return Ok(None) };
        let Some(entry) = self.index.entry(id)? else { return Ok(None) };
        let state = entry.delivery(&destination).map(|tracked| tracked.delivery.state);
        let Some(DeliveryState::Dead { at, reason }) = state else { return Ok(None) };
        let id = crate::model::DeliveryId { event: id, destination };
        let event = entry.summary(id.event);
        Ok(Some(DeadLetter { id, at, reason, event }))
    }

    /// See [`crate::store::Store::stats`].
    pub(super) fn stats(&self) -> Stats {
        let totals = lock(&self.totals).clone();
        let destinations = totals.destinations.iter().map(|(name, numbers)| DestinationStats {
            destination: name.clone(),
            waiting: numbers.waiting,
            in_flight: u64::try_from(self.leases.lock().held(name)).unwrap_or(u64::MAX),
            dead: numbers.dead,
            expired: numbers.expired,
            oldest: self.oldest(name),
        });
        Stats {
            events: totals.counts.events,
            unrouted: totals.counts.unrouted,
            quarantined: totals.counts.quarantined,
            disk_bytes: self.disk_bytes(),
            disk_free: None,
            disk_full_in: None,
            damage: self.damage.numbers(),
            destinations: destinations.collect(),
        }
    }

    /// Bytes of the journal and the index on disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.segments.bytes().unwrap_or_default() + self.index.bytes()
    }
}
