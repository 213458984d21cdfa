//! The tables of the index, and ranges of their keys.

use std::ops::Bound;

use super::IndexError;

/// Keys of the `Meta` table.
pub(in super::super) mod meta {
    /// The [`Position`](crate::store::embedded::journal::Position) after the last journal record that the index knows of.
    pub(in crate::store::embedded) const APPLIED: &[u8] = b"applied";
    /// [`crate::store::embedded::index::INDEX_FORMAT`] of whoever made the index.
    pub(in crate::store::embedded) const FORMAT: &[u8] = b"format";
    /// [`crate::store::embedded::totals::Counts`] over all events.
    pub(in crate::store::embedded) const COUNTS: &[u8] = b"counts";
    /// Followed by a destination's name: its counters.
    pub(in crate::store::embedded) const DESTINATION: &[u8] = b"destination:";
    /// Followed by a destination's name: the pause that people put on it.
    pub(in crate::store::embedded) const PAUSE: &[u8] = b"pause:";
}

/// The tables. The number starts the keys in sled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Table {
    Event = 1,
    Due = 2,
    Dead = 3,
    Call = 4,
    Dedup = 5,
    Remembered = 6,
    Segment = 7,
    Meta = 8,
    Again = 9,
    Filter = 10,
    Replayed = 11,
    Note = 12,
}

impl Table {
    /// Those whose keys come in some order.
    pub(super) const SORTED: [Self; 8] =
        [Self::Event, Self::Due, Self::Dead, Self::Remembered, Self::Segment, Self::Meta, Self::Again, Self::Replayed];

    /// The key in sled of a key of the table.
    pub(super) fn key(self, key: &[u8]) -> Vec<u8> {
        [&[self as u8], key].concat()
    }
}

/// From where to where a table is scanned.
pub(in super::super) type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Key and value.
pub(in super::super) type Item = (Vec<u8>, Vec<u8>);

/// What a scan gives.
pub(in super::super) type Items = Box<dyn Iterator<Item = Result<Item, IndexError>> + Send>;

/// All keys.
pub(in super::super) const EVERYTHING: Range = (Bound::Unbounded, Bound::Unbounded);

/// The keys that start with `prefix`.
pub(in super::super) fn prefixed(prefix: Vec<u8>) -> Range {
    let end = prefix.iter().rposition(|byte| *byte != u8::MAX).and_then(|place| {
        let mut end = prefix.get(..=place)?.to_vec();
        *end.last_mut()? += 1;
        Some(end)
    });
    (Bound::Included(prefix), end.map_or(Bound::Unbounded, Bound::Excluded))
}

/// The keys in sled of a range of a table.
pub(super) fn within(table: Table, (from, to): Range) -> Range {
    let from = match from {
        Bound::Unbounded => Bound::Included(table.key(&[])),
        bound => bound.map(|key| table.key(&key)),
    };
    let to = match to {
        Bound::Unbounded => Bound::Excluded(vec![table as u8 + 1]),
        bound => bound.map(|key| table.key(&key)),
    };
    (from, to)
}
