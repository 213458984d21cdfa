//! What was found damaged since the start, for people to see. Nothing is decided by it but one thing: an event that can't be
//! read holds up no other of its call.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::recovery::Report;
use crate::{model::EventId, store};

/// Events that are noted by their ids at most: a damaged disk may lose any number of them. More aren't counted.
const MAX_EVENTS: usize = 10_000;

/// What was found.
#[derive(Default)]
pub(super) struct Damage(Mutex<Found>);

#[derive(Default)]
struct Found {
    places: u64,
    bytes: u64,
    events: BTreeSet<EventId>,
}

impl Damage {
    /// What a start has found.
    pub(super) fn found_by(report: &Report) -> Self {
        let found = Found { places: report.damaged_places, bytes: report.damaged_bytes, ..Found::default() };
        Self(Mutex::new(found))
    }

    /// Notes an event that the index knows and the journal can't give.
    pub(super) fn note_event(&self, event: EventId) {
        let mut found = self.lock();
        if found.events.len() < MAX_EVENTS && found.events.insert(event) {
            tracing::error!(
                "event {event} can't be read from the journal: it stays where it is, and its segment is kept"
            );
        }
    }

    /// Whether an event was noted.
    pub(super) fn holds(&self, event: EventId) -> bool {
        self.lock().events.contains(&event)
    }

    /// The numbers.
    pub(super) fn numbers(&self) -> store::Damage {
        let found = self.lock();
        store::Damage { places: found.places, bytes: found.bytes, events: found.events.len() as u64 }
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
