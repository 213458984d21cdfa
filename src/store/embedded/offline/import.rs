//! Putting events into a stopped queue, as they stood where they come from.
//!
//! What is there already is left alone, whatever the import says of it: the queue's own word is the newer one. That holds
//! for events that are gone, too, for as long as they are remembered.

use std::{io, sync::Mutex};

use super::{Exported, OfflineError, Stopped};
use crate::store::embedded::{
    draft::{Draft, lock},
    index::Index,
    journal::{Journal, Record},
    options::SEGMENT_BYTES,
    recovery::{Recovered, recover},
    totals::Totals,
};

/// An import that is under way. It is over with [`Import::finish`]; without it the next start makes good what is missing.
pub struct Import {
    stopped: Stopped,
    index: Index,
    totals: Mutex<Totals>,
    journal: Journal,
}

/// What became of an event that was to be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is in the queue, durably.
    Added,
    /// The queue has it, or had it: nothing was changed.
    AlreadyThere,
    /// It is larger than any event may be.
    TooLarge,
}

impl Stopped {
    /// Begins an import.
    ///
    /// # Errors
    /// [`OfflineError`].
    pub fn import(self) -> Result<Import, OfflineError> {
        let Recovered { index, totals, .. } = recover(&*self.disk, &self.dir, &self.segments, &self.boot_id)?;
        let journal = Journal::start(self.segments.clone(), SEGMENT_BYTES, self.clock.now())?;
        Ok(Import { stopped: self, index, totals: Mutex::new(totals), journal })
    }
}

impl Import {
    /// Adds events, with one sync for all of them. Returns what became of each, in order.
    ///
    /// # Errors
    /// [`OfflineError`]; some of them may have been added. To import them again changes nothing about those.
    pub fn add(&mut self, events: Vec<Exported>) -> Result<Vec<Imported>, OfflineError> {
        let mut draft = Draft::new(&self.index, &self.totals);
        let mut imported = Vec::with_capacity(events.len());
        for event in events {
            let is_known = draft.entry(event.event.id)?.is_some() || self.index.remembered(event.event.id)?.is_some();
            if is_known {
                imported.push(Imported::AlreadyThere);
                continue;
            }
            let (kept, bodies) = event.into_kept();
            let record = Record::Kept(kept, bodies);
            match self.journal.append(&record, self.stopped.clock.now()) {
                Ok(extent) => {
                    draft.record(extent, &record)?;
                    imported.push(Imported::Added);
                }
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => imported.push(Imported::TooLarge),
                Err(error) => return Err(error.into()),
            }
        }
        self.journal.sync()?;
        draft.apply(self.journal.end())?;
        Ok(imported)
    }

    /// Leaves the queue such that the next start has nothing to make good.
    ///
    /// # Errors
    /// [`OfflineError`]; what was added is durable all the same.
    pub fn finish(mut self) -> Result<(), OfflineError> {
        self.journal.close()?;
        Draft::new(&self.index, &self.totals).apply(self.journal.end())?;
        let totals = lock(&self.totals).clone();
        self.stopped.witness(&self.index, &totals)
    }
}
