//! Changes to the index that belong together, and what two changes of one key come to.

use std::collections::BTreeMap;

use super::Table;

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It is set, and sled has never heard of it: taking it back leaves no trace.
    New(Vec<u8>),
    /// It is set, whatever sled has.
    Set(Vec<u8>),
    /// It is removed, whatever sled has.
    Gone,
}

impl Change {
    /// What the key has after this; `None` when it isn't there.
    pub(super) fn value(&self) -> Option<&Vec<u8>> {
        match self {
            Self::New(value) | Self::Set(value) => Some(value),
            Self::Gone => None,
        }
    }

    /// The same, taken out.
    pub(super) fn into_value(self) -> Option<Vec<u8>> {
        match self {
            Self::New(value) | Self::Set(value) => Some(value),
            Self::Gone => None,
        }
    }

    /// This change and then `next`; `None` when it is as if nothing had been.
    fn then(self, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::New(_), Self::Gone) => None,
            (Self::New(_), Self::New(value) | Self::Set(value)) => Some(Self::New(value)),
            (Self::Set(_) | Self::Gone, Self::New(value)) => Some(Self::Set(value)),
            (Self::Set(_) | Self::Gone, next) => Some(next),
        }
    }
}

/// Writes to any tables, to be made together.
#[derive(Debug, Default)]
pub(in super::super) struct Changes(pub(super) BTreeMap<Vec<u8>, Change>);

impl Changes {
    /// Sets a key.
    pub(in super::super) fn insert(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.add(table.key(key), Change::Set(value));
    }

    /// Sets a key that isn't there: when it goes again soon, like the place in the queue of a delivery that is made at once, it
    /// was in memory only.
    pub(in super::super) fn insert_new(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.add(table.key(key), Change::New(value));
    }

    /// Removes a key.
    pub(in super::super) fn remove(&mut self, table: Table, key: &[u8]) {
        self.add(table.key(key), Change::Gone);
    }

    /// The changes of one table, by key.
    pub(super) fn of(&self, table: Table) -> impl Iterator<Item = (&[u8], &Change)> {
        let range = vec![table as u8]..vec![table as u8 + 1];
        self.0.range(range).map(|(key, change)| (key.get(1..).unwrap_or_default(), change))
    }

    /// Adds what comes after all that is here.
    pub(super) fn add(&mut self, key: Vec<u8>, change: Change) {
        let combined = match self.0.remove(&key) {
            Some(earlier) => earlier.then(change),
            None => Some(change),
        };
        if let Some(change) = combined {
            self.0.insert(key, change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(changes: impl IntoIterator<Item = Change>) -> Option<Change> {
        let mut all = Changes::default();
        changes.into_iter().for_each(|change| all.add(b"key".to_vec(), change));
        all.0.remove(b"key".as_slice())
    }

    #[test]
    fn what_came_and_went_leaves_no_trace_unless_sled_may_know_of_it() {
        let value = || vec![1];
        assert_eq!(after([Change::New(value()), Change::Gone]), None);
        assert_eq!(after([Change::New(value()), Change::Set(vec![2]), Change::Gone]), None);
        assert_eq!(after([Change::Set(value()), Change::Gone]), Some(Change::Gone));
        assert_eq!(after([Change::Gone, Change::New(value()), Change::Gone]), Some(Change::Gone));
    }

    #[test]
    fn the_last_value_counts() {
        assert_eq!(after([Change::New(vec![1]), Change::Set(vec![2])]), Some(Change::New(vec![2])));
        assert_eq!(after([Change::Gone, Change::New(vec![1])]), Some(Change::Set(vec![1])));
        assert_eq!(after([Change::Set(vec![1]), Change::Set(vec![2])]), Some(Change::Set(vec![2])));
    }
}
