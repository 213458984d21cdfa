//! When sled's files are larger than they need to be, and how they become small: see [`super::files`].

use std::{
    sync::{PoisonError, atomic::Ordering},
    thread,
    time::Instant,
};

use super::{
    Index, IndexError, Table, Writer,
    files::{Copy, Write, remove_copies},
};

/// What an event with a delivery takes in sled's files, about: a million of them take 0.5 GB.
pub(super) const BYTES_PER_EVENT: u64 = 500;
/// What the memory of an event takes that is gone: its id, its deduplication key, and both the other way round.
const BYTES_PER_MEMORY: u64 = 120;

impl Index {
    /// Has sled's files replaced by as small ones as hold the same, slice by slice: whoever changes anything meanwhile waits
    /// for some milliseconds at most, until at the end all wait while the new files are opened. Gives up when `is_over`
    /// says so.
    ///
    /// # Errors
    /// sled's, or the disk's. Unless the very end failed, all is as it was.
    pub(in super::super) fn compact(&self, is_over: impl Fn() -> bool) -> Result<(), IndexError> {
        self.writer().copy = Some(Copy::start(&self.path)?);
        let copied = self.copy_all(is_over);
        if let Ok(true) = copied {
            self.replace_files()?;
            self.smallest.store(self.bytes(), Ordering::Relaxed);
        }
        self.writer().copy = None;
        remove_copies(&self.path).map_err(sled::Error::from)?;
        copied.map(drop)
    }

    /// Returns whether all is copied.
    pub(super) fn copy_all(&self, is_over: impl Fn() -> bool) -> Result<bool, IndexError> {
        while !is_over() {
            let began = Instant::now();
            let mut writer = self.writer();
            let Some(copy) = &mut writer.copy else { return Ok(false) };
            if !copy.advance(&self.files())? {
                return Ok(true);
            }
            drop(writer);
            // Locks go to whoever is quicker, and this thread has only just let go of it: the committer would wait for long.
            thread::sleep(began.elapsed());
        }
        Ok(false)
    }

    pub(super) fn replace_files(&self) -> Result<(), IndexError> {
        let mut writer = self.writer();
        self.write_recent(&mut writer)?;
        let Some(copy) = writer.copy.take() else { return Ok(()) };
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        *files = copy.take_place(&self.path)?;
        Ok(())
    }

    /// Whether its files are far larger than what they hold, from `floor` bytes on. What they hold isn't known, so it is
    /// reckoned by the deduplication keys, of which each event has one, also when it is gone.
    pub(in super::super) fn is_bloated(&self, events: u64, floor: u64) -> bool {
        let gone = self.shelves().keys(Table::Dedup).saturating_sub(events);
        let worth = events * BYTES_PER_EVENT + gone * BYTES_PER_MEMORY;
        let bytes = self.bytes();
        bytes > floor && bytes > 3 * worth && bytes > 2 * self.smallest.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// Has the copy take in what was written. What goes wrong with it harms nobody: there will be another one.
    pub(super) fn copy_too(&mut self, writes: &[Write]) {
        if let Some(Err(error)) = self.copy.as_ref().map(|copy| copy.follow(writes)) {
            tracing::warn!("the index can't be made smaller, which is tried again: {error}");
            self.copy = None;
        }
    }
}
