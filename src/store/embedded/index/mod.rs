//! sled: where things stand, so that they can be found. Derived from the journal, and thrown away when in doubt.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `Event` | event id | [`Entry`]: journal position, what it says of itself, its deliveries |
//! | `Due` | destination, 0, due ms, event id; of deliveries that stand where they began | |
//! | `Again` | the same, of those that were tried or put off | |
//! | `Replayed` | the same, of those that have begun anew or later than their event | |
//! | `Dead` | destination, 0, ms of death, event id | |
//! | `Call` | length of call id, call id, event id | |
//! | `Dedup` | deduplication key | event id |
//! | `Remembered` | id of an event that is gone | its deduplication key |
//! | `Segment` | segment number | live events and their bytes |
//! | `Meta` | see [`meta`] | journal position up to which all this is complete; counters; pauses |
//! | `Filter`, `Note` | see [`shelves`] and [`desk`] | |
//!
//! Integers are big-endian, so that keys sort like what they mean. Values are small and hold no body.
//!
//! ```text
//!  apply ──▶ recent changes ── when there are enough of them ──▶ sled: pages of many items each
//!              (in memory)                                        │
//!                  └───────────────▶ get, scan ◀──────────────────┘
//! ```
//!
//! # Invariants
//!
//! 1. What was applied is seen at once, by whoever reads: [`recent`] comes before sled.
//! 2. sled holds the index as it was at the end of some batch: all recent changes are written in one batch of sled's, and
//!    `applied` and the numbers with them. What it lacks is in the journal behind `applied`.
//! 3. One thread applies ([`super::committer`]); a write to sled keeps it waiting, and readers only for as long as sled itself
//!    makes them.

mod changes;
mod compaction;
mod desk;
mod entry;
mod error;
mod files;
mod keys;
mod opening;
mod pages;
mod recent;
mod scan;
mod shelves;
mod table;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, atomic::AtomicU64},
};

use serde::{Serialize, de::DeserializeOwned};

use self::{
    changes::Change,
    files::{Copy, Files},
    opening::sync_folder,
    pages::as_update,
    recent::{Recent, Towards},
    scan::Scan,
    shelves::Shelves,
    table::within,
};
use crate::model::{DedupKey, EventId};

pub(super) use changes::Changes;
pub(super) use entry::{Entry, Tracked};
pub(super) use error::IndexError;
pub(super) use files::remove_copies;
pub(super) use keys::{call_key, call_prefix, event_at_end, parse_timed_key, timed_key, timed_prefix};
pub(super) use table::{EVERYTHING, Item, Items, Range, Table, meta, prefixed};

/// The layout of what is in here: another one is made anew. Raise it with each change of a table, an [`Entry`], or what else
/// is encoded here.
pub(super) const INDEX_FORMAT: u32 = 4;

/// The open index.
#[derive(Clone)]
pub(super) struct Index {
    /// Held by whoever uses them, for no longer than it takes to read or write something: they may be replaced.
    files: Arc<RwLock<Files>>,
    recent: Arc<Recent>,
    shelves: Arc<RwLock<Shelves>>,
    writer: Arc<Mutex<Writer>>,
    path: PathBuf,
    /// Bytes that the files had when they had just been made small; 0 when nobody knows.
    smallest: Arc<AtomicU64>,
}

/// What is held by whoever changes anything.
#[derive(Default)]
struct Writer {
    /// Takes the files' place when it is complete.
    copy: Option<Copy>,
}

impl Index {
    /// Opens or creates the index below `path`.
    ///
    /// # Errors
    /// sled's. It may also panic on damage: callers guard against that.
    pub(super) fn open(path: &Path) -> Result<Self, IndexError> {
        let files = Files::open(path)?;
        Ok(Self {
            recent: Arc::default(),
            shelves: Arc::new(RwLock::new(Shelves::load(&files.db)?)),
            files: Arc::new(RwLock::new(files)),
            writer: Arc::default(),
            path: path.to_owned(),
            smallest: Arc::default(),
        })
    }

    /// Makes all changes or none. Everybody sees them from now on; sled has them when there are enough of them, or after
    /// [`Index::flush`].
    ///
    /// # Errors
    /// sled's.
    pub(super) fn apply(&self, changes: Changes) -> Result<(), IndexError> {
        let mut writer = self.writer();
        let is_due = self.recent.absorb(changes);
        if is_due { self.write_recent(&mut writer) } else { Ok(()) }
    }

    /// Writes all recent changes to sled, in one batch.
    fn write_recent(&self, writer: &mut Writer) -> Result<(), IndexError> {
        let mut batch = Vec::new();
        {
            let (files, held) = (self.files(), self.recent.read());
            let update = self.shelves().update(&files.pages, &held.changes, &mut batch)?;
            for table in Table::SORTED {
                files.pages.update(&[table as u8], held.changes.of(table).map(as_update), &mut batch)?;
            }
            writer.copy_too(&batch);
            files.write(batch)?;
            // Readers look at the recent changes first, then at what is known of the shelves, then at sled; so these are let go
            // of in that order.
            self.shelves.write().unwrap_or_else(PoisonError::into_inner).take(update);
        }
        self.recent.clear();
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> RwLockReadGuard<'_, Files> {
        self.files.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelves(&self) -> RwLockReadGuard<'_, Shelves> {
        self.shelves.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The items of a table, in the order of their keys. Of calls a range is within one call; the whole of a scattered table is
    /// only for those who work alone with the index: it comes without an order.
    pub(super) fn scan(&self, table: Table, range: Range) -> Items {
        self.towards(table, range, Towards::End)
    }

    /// The items of a table, from the last key to the first.
    pub(super) fn scan_back(&self, table: Table, range: Range) -> Items {
        self.towards(table, range, Towards::Start)
    }

    fn towards(&self, table: Table, range: Range, towards: Towards) -> Items {
        if !table.is_scattered() {
            return Box::new(Scan::new(self.clone(), table, range, towards));
        }
        let of_one_stem = match &range.0 {
            Bound::Included(key) | Bound::Excluded(key) => shelves::stem(table, key),
            Bound::Unbounded => None,
        };
        let Some(stem) = of_one_stem else { return self.of_shelves(table) };
        match self.of_stem(table, stem, &range) {
            Err(error) => Box::new(std::iter::once(Err(error))),
            Ok(items) if towards == Towards::Start => Box::new(items.into_iter().rev().map(Ok)),
            Ok(items) => Box::new(items.into_iter().map(Ok)),
        }
    }

    /// The items of a scattered table in a range of one stem.
    fn of_stem(&self, table: Table, stem: &[u8], range: &Range) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, IndexError> {
        let recent = self.recent_of(table, range, usize::MAX, Towards::End);
        let (mut stored, shelves) = {
            let known = self.shelves();
            (known.on_desk_within(table, range), known.with(table, stem))
        };
        for shelf in shelves {
            stored.extend(self.files().pages.range(&shelves::space(table, shelf), range, usize::MAX, Towards::End)?);
        }
        Ok(scan::merged(stored, recent))
    }

    /// All items of a scattered table, shelf after shelf.
    fn of_shelves(&self, table: Table) -> Items {
        if let Err(error) = self.flush() {
            return Box::new(std::iter::once(Err(error)));
        }
        let pages = self.files().pages.clone();
        let (on_desk, shelves) = {
            let known = self.shelves();
            (known.on_desk_within(table, &EVERYTHING), known.of(table))
        };
        let on_shelves = shelves.into_iter().flat_map(move |shelf| pages.all(&shelves::space(table, shelf)));
        Box::new(on_desk.into_iter().map(Ok).chain(on_shelves))
    }

    /// Recent changes of a range of a table.
    fn recent_of(&self, table: Table, range: &Range, limit: usize, towards: Towards) -> BTreeMap<Vec<u8>, Change> {
        let found = self.recent.range(within(table, range.clone()), limit, towards);
        found.into_iter().map(|(key, change)| (key.get(1..).unwrap_or_default().to_vec(), change)).collect()
    }

    /// The value of a key.
    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        if let Some(change) = self.recent.get(&table.key(key)) {
            return Ok(change.into_value());
        }
        let Some(stem) = shelves::stem(table, key).filter(|_| table.is_scattered()) else {
            return self.files().pages.get(&[table as u8], key);
        };
        let shelves = {
            let known = self.shelves();
            if let Some(value) = known.on_desk(table, key) {
                return Ok(Some(value.to_vec()));
            }
            known.with(table, stem)
        };
        for shelf in shelves {
            if let Some(value) = self.files().pages.get(&shelves::space(table, shelf), key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Whether a key is there.
    ///
    /// # Errors
    /// sled's.
    pub(super) fn contains(&self, table: Table, key: &[u8]) -> Result<bool, IndexError> {
        Ok(self.value(table, key)?.is_some())
    }

    /// The layout that it was made in; `None` when it holds nothing.
    ///
    /// # Errors
    /// As [`Index::get`].
    pub(super) fn format(&self) -> Result<Option<u32>, IndexError> {
        match self.get(Table::Meta, meta::FORMAT)? {
            // The first layout had no mark, and a tree of sled for each table.
            None if self.files().db.tree_names().iter().any(|name| name.as_ref() == b"meta") => Ok(Some(1)),
            format => Ok(format),
        }
    }

    /// Marks it as laid out in the present way.
    ///
    /// # Errors
    /// sled's.
    pub(super) fn set_format(&self) -> Result<(), IndexError> {
        let mut changes = Changes::default();
        changes.insert(Table::Meta, meta::FORMAT, encode(&INDEX_FORMAT));
        self.apply(changes)
    }

    /// A value of ours; `None` when the key isn't there.
    ///
    /// # Errors
    /// sled's, or that the value can't be read.
    pub(super) fn get<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, IndexError> {
        self.value(table, key)?.map(|value| decode(&value)).transpose()
    }

    /// An event's entry.
    ///
    /// # Errors
    /// As [`Index::get`].
    pub(super) fn entry(&self, event: EventId) -> Result<Option<Entry>, IndexError> {
        self.get(Table::Event, event.as_bytes())
    }

    /// The event that was first received under a deduplication key.
    ///
    /// # Errors
    /// As [`Index::get`].
    pub(super) fn first_with(&self, key: DedupKey) -> Result<Option<EventId>, IndexError> {
        self.get(Table::Dedup, key.as_bytes())
    }

    /// The deduplication key of an event that is gone.
    ///
    /// # Errors
    /// As [`Index::get`].
    pub(super) fn remembered(&self, event: EventId) -> Result<Option<DedupKey>, IndexError> {
        self.get(Table::Remembered, event.as_bytes())
    }

    /// Hands what is in memory to the operating system. Not an fsync: sled has none.
    ///
    /// # Errors
    /// sled's.
    pub(super) fn flush(&self) -> Result<(), IndexError> {
        self.write_recent(&mut self.writer())?;
        self.files().db.flush()?;
        Ok(())
    }

    /// Makes all that it knows durable: the index of a store that was closed is believed also after a power cut.
    ///
    /// # Errors
    /// sled's, or the disk's.
    pub(super) fn persist(&self) -> Result<(), IndexError> {
        self.flush()?;
        sync_folder(&self.path).map_err(|error| IndexError::Sled(error.into()))
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.files().db.size_on_disk().unwrap_or_default()
    }
}

/// The value that stands for `value`.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    // Writing to memory fails for types that can't say their length; ours can.
    postcard::to_stdvec(value).unwrap_or_default()
}

/// The value behind bytes of ours.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, IndexError> {
    postcard::from_bytes(bytes).map_err(|_| IndexError::Unreadable)
}
