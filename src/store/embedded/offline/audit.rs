//! Whether an index agrees with the journal, and with itself.
//!
//! The journal's word is a second index, just made from it. What the index lacks although the journal has it may have been
//! forgotten when its time had come; only what still waits can't have been.

use std::collections::{BTreeMap, BTreeSet};

use super::{Discrepancy, Finding, export::read_item};
use crate::{
    model::{DedupKey, DeliveryState, EventId, Name},
    store::embedded::{
        draft::{call_of, listed},
        index::{
            EVERYTHING, Entry, Index, IndexError, Table, Tracked, call_key, decode, event_at_end, parse_timed_key,
            timed_key,
        },
        totals::{Counts, Totals},
    },
};

/// Examples of each discrepancy that are kept.
const EXAMPLES: usize = 5;

/// What a queue holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Events.
    pub events: u64,
    /// Events that no route wanted.
    pub unrouted: u64,
    /// Events that couldn't be read.
    pub quarantined: u64,
    /// Deliveries, for each destination.
    pub destinations: BTreeMap<Name, DeliveryCounts>,
    /// Destinations that people hold back.
    pub paused: Vec<Name>,
}

/// Deliveries by their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Not there yet.
    pub waiting: u64,
    /// There.
    pub delivered: u64,
    /// Dead letters.
    pub dead: u64,
    /// Dead letters that were thrown away.
    pub discarded: u64,
    /// Retired for their age.
    pub expired: u64,
}

impl DeliveryCounts {
    fn add(&mut self, state: DeliveryState) {
        match state {
            DeliveryState::Waiting { .. } => self.waiting += 1,
            DeliveryState::Delivered { .. } => self.delivered += 1,
            DeliveryState::Dead { .. } => self.dead += 1,
            DeliveryState::Discarded { .. } => self.discarded += 1,
            DeliveryState::Expired { .. } => self.expired += 1,
        }
    }
}

/// Counts what an index holds.
pub(super) fn contents(index: &Index) -> Result<Contents, IndexError> {
    let totals = Totals::load(index)?;
    let mut contents = Contents { paused: totals.pauses.into_keys().collect(), ..Contents::default() };
    let mut counted = Totals::default();
    for item in index.scan(Table::Event, EVERYTHING) {
        let (_, entry) = read_item(item)?;
        counted.add_event(&entry);
        for tracked in &entry.deliveries {
            let delivery = &tracked.delivery;
            contents.destinations.entry(delivery.destination.clone()).or_default().add(delivery.state);
        }
    }
    let Counts { events, unrouted, quarantined } = counted.counts;
    Ok(Contents { events, unrouted, quarantined, ..contents })
}

/// Compares `index` with the journal's word and with itself.
pub(super) fn audit(index: &Index, truth: &Index) -> Result<Vec<Finding>, IndexError> {
    let mut audit = Audit { index, truth, counted: Totals::default(), found: BTreeMap::new() };
    audit.events()?;
    audit.unknown_events()?;
    audit.timed_lists()?;
    audit.calls()?;
    audit.dedup_keys()?;
    audit.remembered()?;
    audit.numbers()?;
    Ok(audit.findings())
}

struct Audit<'a> {
    index: &'a Index,
    truth: &'a Index,
    counted: Totals,
    /// How often, and some examples.
    found: BTreeMap<Discrepancy, (u64, Vec<String>)>,
}

impl Audit<'_> {
    fn note(&mut self, what: Discrepancy, example: &impl ToString) {
        let (count, examples) = self.found.entry(what).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(example.to_string());
        }
    }

    fn note_unless(&mut self, holds: bool, what: Discrepancy, example: &impl ToString) {
        if !holds {
            self.note(what, example);
        }
    }

    fn events(&mut self) -> Result<(), IndexError> {
        for item in self.index.scan(Table::Event, EVERYTHING) {
            let (id, entry) = read_item(item)?;
            self.counted.add_event(&entry);
            entry.deliveries.iter().for_each(|tracked| self.counted.add_delivery(&tracked.delivery));
            match self.truth.entry(id)? {
                None => self.note(Discrepancy::LostEvent, &id),
                Some(truth) => self.note_unless(truth == entry, Discrepancy::OtherState, &id),
            }
            let is_listed = self.is_listed(id, &entry)?;
            self.note_unless(is_listed, Discrepancy::Unlisted, &id);
        }
        Ok(())
    }

    /// Whether every list by which an event is found has it.
    fn is_listed(&self, id: EventId, entry: &Entry) -> Result<bool, IndexError> {
        for Tracked { delivery, .. } in &entry.deliveries {
            if let Some((table, at)) = listed(id, delivery)
                && !self.index.contains(table, &timed_key(&delivery.destination, at, id))?
            {
                return Ok(false);
            }
        }
        if let Some(call) = call_of(entry)
            && !self.index.contains(Table::Call, &call_key(call, id))?
        {
            return Ok(false);
        }
        Ok(self.index.first_with(entry.dedup_key)?.is_some_and(|present| present >= id))
    }

    fn unknown_events(&mut self) -> Result<(), IndexError> {
        for item in self.truth.scan(Table::Event, EVERYTHING) {
            let (id, entry) = read_item(item)?;
            let waits = entry.deliveries.iter().any(|tracked| tracked.delivery.state.is_waiting());
            let is_known = !waits || self.index.entry(id)?.is_some();
            self.note_unless(is_known, Discrepancy::UnknownEvent, &id);
        }
        Ok(())
    }

    fn timed_lists(&mut self) -> Result<(), IndexError> {
        for table in [Table::Due, Table::Again, Table::Replayed, Table::Dead] {
            for item in self.index.scan(table, EVERYTHING) {
                let (destination, at, event) = parse_timed_key(&item?.0).ok_or(IndexError::Unreadable)?;
                let entry = self.index.entry(event)?;
                let tracked = entry.as_ref().and_then(|entry| entry.delivery(&destination));
                let is_so = tracked.and_then(|tracked| listed(event, &tracked.delivery)) == Some((table, at));
                self.note_unless(is_so, Discrepancy::Stray, &event);
            }
        }
        Ok(())
    }

    fn calls(&mut self) -> Result<(), IndexError> {
        for item in self.index.scan(Table::Call, EVERYTHING) {
            let (key, _) = item?;
            let event = event_at_end(&key).ok_or(IndexError::Unreadable)?;
            let entry = self.index.entry(event)?;
            let wanted = entry.as_ref().and_then(call_of).map(|call| call_key(call, event));
            self.note_unless(wanted.as_ref() == Some(&key), Discrepancy::Stray, &event);
        }
        Ok(())
    }

    fn dedup_keys(&mut self) -> Result<(), IndexError> {
        for item in self.index.scan(Table::Dedup, EVERYTHING) {
            let (key, value) = item?;
            let event: EventId = decode(&value)?;
            let key = key.try_into().map(DedupKey::from_bytes).map_err(|_| IndexError::Unreadable)?;
            let present = self.index.entry(event)?.map(|entry| entry.dedup_key);
            let is_so = present == Some(key) || self.index.remembered(event)? == Some(key);
            self.note_unless(is_so, Discrepancy::Stray, &event);
        }
        Ok(())
    }

    fn remembered(&mut self) -> Result<(), IndexError> {
        for item in self.index.scan(Table::Remembered, EVERYTHING) {
            let (key, value) = item?;
            let event = event_at_end(&key).ok_or(IndexError::Unreadable)?;
            let is_listed = self.index.first_with(decode(&value)?)?.is_some_and(|present| present >= event);
            self.note_unless(is_listed, Discrepancy::Unlisted, &event);
        }
        Ok(())
    }

    /// Numbers that are zero need not be there.
    fn numbers(&mut self) -> Result<(), IndexError> {
        let (stored, counted) = (Totals::load(self.index)?, std::mem::take(&mut self.counted));
        self.note_unless(stored.counts == counted.counts, Discrepancy::WrongNumber, &"events");
        let names: BTreeSet<_> = stored.destinations.keys().chain(counted.destinations.keys()).collect();
        for name in names {
            let of = |totals: &Totals| totals.destinations.get(name).copied().unwrap_or_default();
            self.note_unless(of(&stored) == of(&counted), Discrepancy::WrongNumber, name);
        }
        let segments: BTreeSet<_> = stored.segments.keys().chain(counted.segments.keys()).collect();
        for number in segments {
            let of = |totals: &Totals| totals.segments.get(number).copied().unwrap_or_default();
            self.note_unless(of(&stored) == of(&counted), Discrepancy::WrongNumber, &format_args!("segment {number}"));
        }
        Ok(())
    }

    fn findings(self) -> Vec<Finding> {
        let found = self.found.into_iter();
        found.map(|(what, (count, examples))| Finding::IndexWrong { what, count, examples }).collect()
    }
}
