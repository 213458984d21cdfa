//! Taking events out of a stopped queue, one after another: never more than one in memory.

use std::{ops::Bound, sync::Arc};

use bytes::Bytes;

use super::{OfflineError, Stopped};
use crate::{
    model::{Attempt, DedupKey, Delivery, Event, EventId, Name},
    store::{
        EventFilter, Pause,
        embedded::{
            damage::Damage,
            index::{Entry, IndexError, Item, Table, decode, event_at_end},
            journal::{Bodies, Kept},
            reader::Reader,
            recovery::{Recovered, recover},
        },
    },
};

/// An event with all that is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The event.
    pub event: Event,
    /// What its duplicates are recognised by.
    pub dedup_key: DedupKey,
    /// Its deliveries, each with its attempts, oldest first. Of very many attempts only the latest are kept.
    pub deliveries: Vec<(Delivery, Vec<Attempt>)>,
    /// Bodies that were made for some of them, to be sent again as they are, by destination.
    pub rendered: Vec<(Name, Bytes)>,
}

/// How an export went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exports {
    /// Events that were handed out.
    pub events: u64,
    /// Events that the index knows but the journal can't give any more.
    pub unreadable: Vec<EventId>,
    /// Destinations that people hold back. This isn't part of any event.
    pub pauses: Vec<(Name, Pause)>,
}

impl Exported {
    fn of(mut kept: Kept, bodies: Bodies) -> Self {
        let (dedup_key, deliveries) = (kept.dedup_key, std::mem::take(&mut kept.deliveries));
        Self { event: kept.into_event(bodies.event), dedup_key, deliveries, rendered: bodies.rendered }
    }

    /// What is written of it.
    pub(super) fn into_kept(self) -> (Kept, Bodies) {
        let Self { event, dedup_key, deliveries, rendered } = self;
        let Event { id, source, received_at, reading, headers, body } = event;
        (Kept { id, source, received_at, reading, headers, dedup_key, deliveries }, Bodies { event: body, rendered })
    }
}

impl Stopped {
    /// Hands the events that `filter` matches to `take`, oldest first, until it fails.
    ///
    /// # Errors
    /// Those of `take`, and [`OfflineError`].
    pub fn export<E: From<OfflineError>>(
        &self,
        filter: &EventFilter,
        mut take: impl FnMut(Exported) -> Result<(), E>,
    ) -> Result<Exports, E> {
        let reader = self.reader()?;
        let pauses = super::lock(&reader.totals).pauses.clone();
        let mut exports = Exports { pauses: pauses.into_iter().collect(), ..Exports::default() };
        let start = filter.since.map_or(EventId::from_bytes([0; 16]), EventId::lowest_at);
        for item in reader.index.scan(Table::Event, (Bound::Included(start.as_bytes().to_vec()), Bound::Unbounded)) {
            let (id, entry) = read_item(item).map_err(OfflineError::from)?;
            if filter.until.is_some_and(|until| id.timestamp() >= until) {
                break;
            }
            if !filter.matches(&entry.clone().summary(id)) {
                continue;
            }
            match reader.kept(&entry).map_err(OfflineError::from)? {
                Some((kept, bodies)) => {
                    take(Exported::of(kept, bodies))?;
                    exports.events += 1;
                }
                None => exports.unreadable.push(id),
            }
        }
        Ok(exports)
    }

    /// The queue as the next start would find it.
    fn reader(&self) -> Result<Reader, OfflineError> {
        let Recovered { index, totals, report } = recover(&*self.disk, &self.dir, &self.segments, &self.boot_id)?;
        if report.replayed > 0 {
            self.witness(&index, &totals)?;
        }
        Ok(Reader {
            index,
            segments: Arc::clone(&self.segments),
            totals: Arc::new(totals.into()),
            leases: Arc::default(),
            fronts: Arc::default(),
            damage: Arc::new(Damage::found_by(&report)),
            _lock: Arc::clone(&self.lock),
        })
    }
}

/// Reads an item of the index's table of events.
pub(super) fn read_item(item: Result<Item, IndexError>) -> Result<(EventId, Entry), IndexError> {
    let (key, value) = item?;
    let id = event_at_end(&key).ok_or(IndexError::Unreadable)?;
    Ok((id, decode(&value)?))
}
