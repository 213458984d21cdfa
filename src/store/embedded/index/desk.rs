//! The desk: what of a scattered table is on no shelf yet, in memory.
//!
//! sled has notes of it, in the order in which it came, for the next start to read. When there is enough for a shelf, that is
//! written and the notes go.
//!
//! ```text
//! sled's key     Note u8 │ table u8 │ number u64         sled's value    items as of a page: key ‖ 1 ‖ value, or key for one that is gone
//! ```

use std::{collections::BTreeMap, ops::Range};

use super::{
    IndexError, Item, Table,
    files::Write,
    pages::{Borrowed, PAGE_BYTES, items, push_item},
    recent::is_empty,
    table,
};

/// Notes that a desk has at most: four times as many as fill a shelf, and more than that only where keys go as they come.
const MAX_NOTES: u64 = 1024;
/// Starts the value of a key that is there.
const IS_THERE: u8 = 1;

/// A key of a table, and its value or that it is gone.
pub(super) type Put<'a> = (&'a [u8], Option<&'a [u8]>);

/// The desk of one table.
#[derive(Default)]
pub(super) struct Desk {
    items: BTreeMap<Box<[u8]>, Box<[u8]>>,
    /// The numbers of the notes in sled.
    notes: Range<u64>,
}

impl Desk {
    /// The desk as sled has noted it.
    ///
    /// # Errors
    /// sled's, or that a note is missing or can't be read.
    pub(super) fn load(db: &sled::Db, of: Table) -> Result<Self, IndexError> {
        let mut desk = Self::default();
        for item in db.scan_prefix([Table::Note as u8, of as u8]) {
            let (key, value) = item?;
            let number = key.split_last_chunk().map(|(_, number)| u64::from_be_bytes(*number));
            let number = number.ok_or(IndexError::Unreadable)?;
            if desk.notes.is_empty() {
                desk.notes = number..number;
            }
            if value.is_empty() || number != desk.notes.end {
                return Err(IndexError::Unreadable);
            }
            desk.notes.end = number + 1;
            for put in items(&value).map(read) {
                desk.put(put?);
            }
        }
        Ok(desk)
    }

    fn put(&mut self, (key, value): Put<'_>) {
        match value {
            Some(value) => drop(self.items.insert(key.into(), value.into())),
            None => drop(self.items.remove(key)),
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.items.get(key).map(|value| &**value)
    }

    /// Keys on it.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// What lies on it of a range.
    pub(super) fn range(&self, range: &table::Range) -> Vec<Item> {
        if is_empty(range) {
            return Vec::new();
        }
        let bounds = (range.0.as_ref().map(Vec::as_slice), range.1.as_ref().map(Vec::as_slice));
        self.items.range::<[u8], _>(bounds).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    /// All of it after `puts`.
    pub(super) fn after<'a>(&'a self, puts: &[Put<'a>]) -> BTreeMap<&'a [u8], &'a [u8]> {
        let mut all: BTreeMap<&[u8], &[u8]> = self.items.iter().map(|(key, value)| (&**key, &**value)).collect();
        for (key, value) in puts {
            match value {
                Some(value) => drop(all.insert(key, value)),
                None => drop(all.remove(key)),
            }
        }
        all
    }

    /// Adds notes of `puts` to `writes`, or notes of all that is there then in the place of too many. Returns their numbers.
    pub(super) fn note(&self, of: Table, puts: &[Put<'_>], writes: &mut Vec<Write>) -> Range<u64> {
        let end = self.notes.end;
        if end - self.notes.start < MAX_NOTES {
            return self.notes.start..write_notes(of, end, puts, writes);
        }
        let all: Vec<Put<'_>> = self.after(puts).into_iter().map(|(key, value)| (key, Some(value))).collect();
        self.clear_notes(of, writes);
        end..write_notes(of, end, &all, writes)
    }

    /// Adds to `writes` that there are no notes any more. Returns the numbers of those that come next.
    pub(super) fn clear_notes(&self, of: Table, writes: &mut Vec<Write>) -> Range<u64> {
        writes.extend(self.notes.clone().map(|number| (note_key(of, number), None)));
        self.notes.end..self.notes.end
    }

    /// Takes what was put, now that sled has notes of it.
    pub(super) fn take(&mut self, puts: Vec<Put<'_>>, notes: Range<u64>) {
        for put in puts {
            self.put(put);
        }
        self.notes = notes;
    }

    /// Lets go of everything, now that it is on a shelf.
    pub(super) fn clear(&mut self, notes: Range<u64>) {
        *self = Self { items: BTreeMap::new(), notes };
    }
}

/// Adds notes of `puts` to `writes`, with numbers from `number` on. Returns the number that comes next.
fn write_notes(of: Table, mut number: u64, puts: &[Put<'_>], writes: &mut Vec<Write>) -> u64 {
    for put in chunks(puts) {
        writes.push((note_key(of, number), Some(note_of(put))));
        number += 1;
    }
    number
}

/// Stretches of about the length of a page: sled would put a value that is much longer into a file that it never syncs.
fn chunks<'a, 'b>(puts: &'a [Put<'b>]) -> impl Iterator<Item = &'a [Put<'b>]> {
    let mut rest = puts;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let len = rest.iter().take_while(|(key, value)| {
            let fits = bytes < PAGE_BYTES;
            bytes += key.len() + value.map_or(0, <[u8]>::len);
            fits
        });
        let (chunk, after) = rest.split_at_checked(len.count()).filter(|(chunk, _)| !chunk.is_empty())?;
        rest = after;
        Some(chunk)
    })
}

fn note_of(puts: &[Put<'_>]) -> Vec<u8> {
    let mut note = Vec::with_capacity(PAGE_BYTES);
    for (key, value) in puts {
        let value = value.map(|value| [&[IS_THERE], value].concat()).unwrap_or_default();
        push_item(&mut note, (key, &value));
    }
    note
}

fn read(item: Result<Borrowed<'_>, IndexError>) -> Result<Put<'_>, IndexError> {
    match item? {
        (key, []) => Ok((key, None)),
        (key, [IS_THERE, value @ ..]) => Ok((key, Some(value))),
        _ => Err(IndexError::Unreadable),
    }
}

fn note_key(of: Table, number: u64) -> Vec<u8> {
    [&[Table::Note as u8, of as u8][..], &number.to_be_bytes()].concat()
}
