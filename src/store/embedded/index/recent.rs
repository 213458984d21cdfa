//! What changed since the index was last written to sled: in memory, in front of sled, for everybody who reads.
//!
//! The journal has all of it, so nothing is lost with the process: the next start replays it. In return sled is written in
//! large batches, in the order of its keys; an event that changes several times in between is written once; and what
//! came and went in between, not at all. The next write is due when there are enough of them: that bounds the memory, and the
//! time that a start takes to replay.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use super::{
    Range,
    changes::{Change, Changes},
};

/// Bytes that may be in memory: the changes of some 200 events. sled holds about ten times as much while it writes them, and
/// the committer waits for that; larger batches save little time.
const MAX_BYTES: usize = 128 * 1024;
/// What the map itself takes for an entry, about.
const OVERHEAD: usize = 96;

/// The changes, by their keys in sled.
#[derive(Default)]
pub(super) struct Recent(RwLock<Held>);

/// The changes and their measures.
#[derive(Default)]
pub(super) struct Held {
    pub(super) changes: Changes,
    bytes: usize,
}

impl Recent {
    /// Takes changes in. Returns whether it is time to write all of them to sled.
    pub(super) fn absorb(&self, changes: Changes) -> bool {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, change) in changes.0 {
            held.bytes += OVERHEAD + key.len() + change.value().map_or(0, Vec::len);
            held.changes.add(key, change);
        }
        held.bytes >= MAX_BYTES
    }

    /// The changes, while nobody adds to them.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the changes: sled has them now.
    pub(super) fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Held::default();
    }

    /// What became of a key, if anything.
    pub(super) fn get(&self, key: &[u8]) -> Option<Change> {
        self.read().changes.0.get(key).cloned()
    }

    /// Up to `limit` changes of a range, the nearest first as `towards` goes.
    pub(super) fn range(&self, range: Range, limit: usize, towards: Towards) -> BTreeMap<Vec<u8>, Change> {
        if is_empty(&range) {
            return BTreeMap::new();
        }
        let held = self.read();
        let found = held.changes.0.range(range).map(|(key, change)| (key.clone(), change.clone()));
        match towards {
            Towards::End => found.take(limit).collect(),
            Towards::Start => found.rev().take(limit).collect(),
        }
    }
}

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Towards {
    /// From the first key on.
    End,
    /// From the last key back.
    Start,
}

/// Whether a range has no keys. The standard library's maps panic when they are asked for such a range.
pub(super) fn is_empty((from, to): &Range) -> bool {
    match (from, to) {
        (Bound::Excluded(from), Bound::Excluded(to)) => from >= to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from > to,
        _ => false,
    }
}
