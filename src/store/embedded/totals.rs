//! Numbers that must not cost a scan: kept up to date with every change and stored beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::index::{EVERYTHING, Entry, Index, IndexError, Table, decode, meta, prefixed};
use crate::{
    model::{Delivery, DeliveryState, Name},
    store::Pause,
};

/// All numbers, and the few things that are small enough to be kept in memory beside them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) counts: Counts,
    pub(super) destinations: BTreeMap<Name, Numbers>,
    pub(super) segments: BTreeMap<u64, Live>,
    pub(super) pauses: BTreeMap<Name, Pause>,
}

/// Numbers over all events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) unrouted: u64,
    pub(super) quarantined: u64,
}

/// Numbers of one destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbers {
    pub(super) waiting: u64,
    pub(super) dead: u64,
    pub(super) expired: u64,
}

/// What of a segment is still needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Live {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl Totals {
    /// The numbers that an index stores.
    ///
    /// # Errors
    /// The index's.
    pub(super) fn load(index: &Index) -> Result<Self, IndexError> {
        let counts = index.get(Table::Meta, meta::COUNTS)?.unwrap_or_default();
        let mut totals = Self { counts, ..Self::default() };
        for item in index.scan(Table::Segment, EVERYTHING) {
            let (key, value) = item?;
            let number = key.try_into().map(u64::from_be_bytes).map_err(|_| IndexError::Unreadable)?;
            totals.segments.insert(number, decode(&value)?);
        }
        totals.destinations = named(index, meta::DESTINATION)?;
        totals.pauses = named(index, meta::PAUSE)?;
        Ok(totals)
    }

    /// Counts an event in.
    pub(super) fn add_event(&mut self, entry: &Entry) {
        let live = self.segments.entry(entry.position.segment).or_default();
        live.events += 1;
        live.bytes += entry.size;
        self.counts.events += 1;
        self.counts.unrouted += u64::from(is_unrouted(entry));
        self.counts.quarantined += u64::from(is_quarantined(entry));
    }

    /// Counts an event out.
    pub(super) fn drop_event(&mut self, entry: &Entry) {
        let live = self.segments.entry(entry.position.segment).or_default();
        live.events = live.events.saturating_sub(1);
        live.bytes = live.bytes.saturating_sub(entry.size);
        self.counts.events = self.counts.events.saturating_sub(1);
        self.counts.unrouted = self.counts.unrouted.saturating_sub(is_unrouted(entry).into());
        self.counts.quarantined = self.counts.quarantined.saturating_sub(is_quarantined(entry).into());
    }

    /// Counts an event with `size` bytes from now on.
    pub(super) fn resize_event(&mut self, entry: &Entry, size: u64) {
        let live = self.segments.entry(entry.position.segment).or_default();
        live.bytes = live.bytes.saturating_sub(entry.size) + size;
    }

    /// Counts a delivery in, in its present state.
    pub(super) fn add_delivery(&mut self, delivery: &Delivery) {
        let numbers = self.destinations.entry(delivery.destination.clone()).or_default();
        match delivery.state {
            DeliveryState::Waiting { .. } => numbers.waiting += 1,
            DeliveryState::Dead { .. } => numbers.dead += 1,
            DeliveryState::Expired { .. } => numbers.expired += 1,
            DeliveryState::Delivered { .. } | DeliveryState::Discarded { .. } => {}
        }
    }

    /// Counts a delivery out, in its present state.
    pub(super) fn drop_delivery(&mut self, delivery: &Delivery) {
        let numbers = self.destinations.entry(delivery.destination.clone()).or_default();
        match delivery.state {
            DeliveryState::Waiting { .. } => numbers.waiting = numbers.waiting.saturating_sub(1),
            DeliveryState::Dead { .. } => numbers.dead = numbers.dead.saturating_sub(1),
            DeliveryState::Expired { .. } => numbers.expired = numbers.expired.saturating_sub(1),
            DeliveryState::Delivered { .. } | DeliveryState::Discarded { .. } => {}
        }
    }

    /// Bytes of all events that are still needed.
    pub(super) fn live_bytes(&self) -> u64 {
        self.segments.values().map(|live| live.bytes).sum()
    }

    /// Deliveries that wait, for all destinations.
    pub(super) fn waiting(&self) -> u64 {
        self.destinations.values().map(|numbers| numbers.waiting).sum()
    }
}

fn is_quarantined(entry: &Entry) -> bool {
    entry.reading.envelope().is_none()
}

fn is_unrouted(entry: &Entry) -> bool {
    !is_quarantined(entry) && entry.deliveries.is_empty()
}

fn named<T: serde::de::DeserializeOwned>(index: &Index, prefix: &[u8]) -> Result<BTreeMap<Name, T>, IndexError> {
    let mut found = BTreeMap::new();
    for item in index.scan(Table::Meta, prefixed(prefix.to_vec())) {
        let (key, value) = item?;
        let name = key.get(prefix.len()..).and_then(|name| std::str::from_utf8(name).ok());
        let name = name.and_then(|name| Name::new(name).ok()).ok_or(IndexError::Unreadable)?;
        found.insert(name, decode(&value)?);
    }
    Ok(found)
}
