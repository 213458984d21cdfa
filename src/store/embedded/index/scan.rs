//! Scans: what sled has and what changed since, as one sorted sequence.
//!
//! A scan goes in rounds. Each takes the next recent changes first and then the next items from sled, up to where both are
//! complete. In this order nothing is missed: what was written to sled in between is in both, and the recent change counts.
//! Others may write while a scan goes on: it sees each key as it was at some moment of its round.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

use super::{
    Index, IndexError, Item, Range, Table,
    changes::Change,
    recent::{Towards, is_empty},
};

/// What the first round takes: most scans want one item, or a few.
const FIRST_ROUND: usize = 16;
/// What later rounds take at most.
const MAX_ROUND: usize = 512;

/// A scan of a table that isn't scattered.
pub(super) struct Scan {
    index: Index,
    table: Table,
    towards: Towards,
    /// What is still to be looked at.
    rest: Option<Range>,
    round: usize,
    ready: VecDeque<Item>,
}

impl Scan {
    pub(super) fn new(index: Index, table: Table, range: Range, towards: Towards) -> Self {
        let rest = (!is_empty(&range)).then_some(range);
        Self { index, table, towards, rest, round: FIRST_ROUND, ready: VecDeque::new() }
    }

    /// Looks at the next stretch of the range.
    fn advance(&mut self, range: Range) -> Result<(), IndexError> {
        let recent = self.index.recent_of(self.table, &range, self.round, self.towards);
        let stored = self.index.files().pages.range(&[self.table as u8], &range, self.round, self.towards)?;
        let mut ends = Vec::new();
        if recent.len() >= self.round {
            ends.extend(self.farthest(recent.keys()));
        }
        if stored.len() >= self.round {
            ends.extend(stored.last().map(|(key, _)| key.clone()));
        }
        let end = match self.towards {
            Towards::End => ends.into_iter().min(),
            Towards::Start => ends.into_iter().max(),
        };
        let (within, rest) = self.split(range, end);
        self.rest = rest.filter(|rest| !is_empty(rest));
        self.round = MAX_ROUND.min(self.round * 4);
        self.take(merged(stored, recent), &within);
        Ok(())
    }

    /// The key of a round that the scan comes to last.
    fn farthest<'a>(&self, mut keys: impl DoubleEndedIterator<Item = &'a Vec<u8>>) -> Option<Vec<u8>> {
        match self.towards {
            Towards::End => keys.next_back().cloned(),
            Towards::Start => keys.next().cloned(),
        }
    }

    /// A range up to `end`, and what is left of it.
    fn split(&self, (from, to): Range, end: Option<Vec<u8>>) -> (Range, Option<Range>) {
        let Some(end) = end else { return ((from, to), None) };
        let (upto, after) = (Bound::Included(end.clone()), Bound::Excluded(end));
        match self.towards {
            Towards::End => ((from, upto), Some((after, to))),
            Towards::Start => ((upto, to), Some((from, after))),
        }
    }

    fn take(&mut self, items: BTreeMap<Vec<u8>, Vec<u8>>, within: &Range) {
        let items = items.into_iter().filter(|(key, _)| std::ops::RangeBounds::contains(within, key));
        match self.towards {
            Towards::End => self.ready.extend(items),
            Towards::Start => self.ready.extend(items.rev()),
        }
    }
}

impl Iterator for Scan {
    type Item = Result<Item, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            let range = self.rest.take()?;
            if let Err(error) = self.advance(range) {
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// What sled has after the recent changes.
pub(super) fn merged(
    stored: impl IntoIterator<Item = Item>,
    recent: BTreeMap<Vec<u8>, Change>,
) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut items: BTreeMap<_, _> = stored.into_iter().collect();
    for (key, change) in recent {
        match change {
            Change::New(value) | Change::Set(value) => drop(items.insert(key, value)),
            Change::Gone => drop(items.remove(&key)),
        }
    }
    items
}
