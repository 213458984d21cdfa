//! The fronts of all lists of deliveries that wait, and where they are looked up: in the index.
//!
//! # Invariants
//!
//! 1. Whatever the index lists, some claim meets: the committer tells of its changes after it has made them
//!    ([`Fronts::note`]), and a look into the index begins and ends while nobody can tell of any.
//! 2. What is met here may be gone meanwhile. A claim asks the event's entry.

use std::{
    collections::HashMap,
    ops::{Bound, Range},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    front::{Front, Place},
    index::{Index, IndexError, Table, parse_timed_key, prefixed, timed_key, timed_prefix},
};
use crate::model::{Name, Timestamp};

/// The parts in which claims go through the lists, each with a front of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stretch {
    /// Of `Due`, what came in a short while ago.
    Live,
    /// Of `Due`, from the oldest on.
    Backlog,
    /// `Again`, from the first on.
    Again,
    /// Of `Again`, what is put off for longer than anything can be.
    AgainMisdated,
    /// `Replayed`, from the first on.
    Replayed,
    /// Of `Replayed`, what is put off for longer than anything can be.
    ReplayedMisdated,
}

impl Stretch {
    pub(super) const ALL: [Self; 6] =
        [Self::Live, Self::Backlog, Self::Again, Self::AgainMisdated, Self::Replayed, Self::ReplayedMisdated];
    /// Those that begin with the first of each list.
    pub(super) const FROM_THE_FIRST: [Self; 3] = [Self::Backlog, Self::Again, Self::Replayed];

    fn table(self) -> Table {
        match self {
            Self::Live | Self::Backlog => Table::Due,
            Self::Again | Self::AgainMisdated => Table::Again,
            Self::Replayed | Self::ReplayedMisdated => Table::Replayed,
        }
    }
}

/// A change of a list, which the index has made.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) table: Table,
    pub(super) destination: Name,
    pub(super) place: Place,
    pub(super) becomes: Becomes,
}

/// What a place becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Becomes {
    Taken,
    Free,
}

/// The fronts of all destinations.
#[derive(Default)]
pub(super) struct Fronts(Mutex<HashMap<Name, Arc<Mutex<OfDestination>>>>);

/// The fronts of one destination, by [`Stretch`].
#[derive(Default)]
struct OfDestination([Front; Stretch::ALL.len()]);

impl Fronts {
    /// The next place of a stretch, from `within.start` until before `within.end`, and behind `after` if that is given.
    ///
    /// # Errors
    /// The index's.
    pub(super) fn next(
        &self,
        index: &Index,
        destination: &Name,
        stretch: Stretch,
        within: &Range<Timestamp>,
        after: Option<Place>,
    ) -> Result<Option<Place>, IndexError> {
        let fronts = Arc::clone(lock(&self.0).entry(destination.clone()).or_default());
        let mut fronts = lock(&fronts);
        let Some(front) = fronts.0.get_mut(stretch as usize) else { return Ok(None) };
        front.next(within, after, |from, limit| look_up(index, stretch.table(), destination, from, limit))
    }

    /// Takes in what the index has changed.
    pub(super) fn note(&self, changes: &[Listed]) {
        for Listed { table, destination, place, becomes } in changes {
            let fronts = lock(&self.0).get(destination).map(Arc::clone);
            let Some(fronts) = fronts else { continue };
            let mut fronts = lock(&fronts);
            for (front, _) in fronts.0.iter_mut().zip(Stretch::ALL).filter(|(_, stretch)| stretch.table() == *table) {
                match becomes {
                    Becomes::Taken => front.add(*place),
                    Becomes::Free => front.remove(*place),
                }
            }
        }
    }
}

/// Up to `limit` places of a destination's list, from `from` on.
fn look_up(
    index: &Index,
    table: Table,
    destination: &Name,
    from: Bound<Place>,
    limit: usize,
) -> Result<Vec<Place>, IndexError> {
    let from = from.map(|place| timed_key(destination, place.due, place.event));
    let (_, end) = prefixed(timed_prefix(destination));
    let place = |key: &[u8]| parse_timed_key(key).map(|(_, due, event)| Place { due, event });
    let places = index.scan(table, (from, end)).map(|item| place(&item?.0).ok_or(IndexError::Unreadable));
    places.take(limit).collect()
}

/// Locks fronts. A claim that panicked has left them as they were before or after one of its steps.
fn lock<T>(fronts: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    fronts.lock().unwrap_or_else(PoisonError::into_inner)
}
