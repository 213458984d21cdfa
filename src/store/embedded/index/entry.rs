//! What the index keeps of an event.

use serde::{Deserialize, Serialize};

use crate::{
    model::{DedupKey, Delivery, EventId, Name, Reading},
    store::{EventSummary, embedded::journal::Position},
};

/// What the index keeps of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Entry {
    /// Where the journal has it.
    pub(in super::super) position: Position,
    /// Bytes it takes there, and what was rendered of it anywhere.
    pub(in super::super) size: u64,
    pub(in super::super) source: Name,
    pub(in super::super) reading: Reading,
    pub(in super::super) body_len: u32,
    pub(in super::super) dedup_key: DedupKey,
    pub(in super::super) deliveries: Vec<Tracked>,
}

/// A delivery, and where the journal has what belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Tracked {
    pub(in super::super) delivery: Delivery,
    /// Its latest attempt.
    pub(in super::super) latest: Option<Position>,
    /// The body that was made for it, and how long that is.
    pub(in super::super) rendered: Option<(Position, u32)>,
}

impl Entry {
    /// The delivery to a destination.
    pub(in super::super) fn delivery(&self, destination: &Name) -> Option<&Tracked> {
        self.deliveries.iter().find(|tracked| tracked.delivery.destination == *destination)
    }

    /// The same, to be changed.
    pub(in super::super) fn delivery_mut(&mut self, destination: &Name) -> Option<&mut Tracked> {
        self.deliveries.iter_mut().find(|tracked| tracked.delivery.destination == *destination)
    }

    /// Bytes of all bodies that were made for its deliveries.
    pub(in super::super) fn rendered_len(&self) -> u64 {
        self.deliveries.iter().filter_map(|tracked| tracked.rendered).map(|(_, len)| u64::from(len)).sum()
    }

    /// What people are shown in lists.
    pub(in super::super) fn summary(self, id: EventId) -> EventSummary {
        EventSummary {
            id,
            source: self.source,
            reading: self.reading,
            body_len: self.body_len,
            deliveries: self.deliveries.into_iter().map(|tracked| tracked.delivery).collect(),
        }
    }
}
