//! Shelves: where the tables lie whose keys come in no order.
//!
//! Deduplication keys are hashes, and call ids are anybody's. In one sorted table each new one would change another page, so that a
//! million of them would mean a million pages read and written. So they are put down in the order in which they come, on
//! shelves of some thousand keys, each sorted by itself; and a filter in memory says of most shelves that a key isn't there,
//! which is also the usual answer to "is this a duplicate?".
//!
//! A filter is a Bloom filter of eight parts; the key's hash says which. sled has them too, a value for each part:
//!
//! ```text
//! sled's key     Filter u8 │ table u8 │ shelf u32 │ part u8         sled's value    keys u32 │ bits
//! ```
//!
//! 16 bits a key and 6 probes: one lookup in a thousand goes to a shelf in vain. A million events take 2 MB a table.
//!
//! A shelf is written once, when it is full. Until then its keys are in memory ([`super::desk`]).

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{
    IndexError, Item, Table,
    changes::{Change, Changes},
    desk::{Desk, Put},
    files::Write,
    pages::{Pages, as_update},
    table,
};

/// Keys on a shelf, about.
const MAX_KEYS: usize = 8 * 1024;
const PARTS: usize = 8;
/// Of one part: 16 bits for each of its keys.
const PART_BYTES: usize = 2 * MAX_KEYS / PARTS;
const PROBES: u32 = 6;

/// The number of a shelf.
pub(super) type Shelf = u32;

/// What is known of the scattered tables without asking sled.
pub(super) struct Shelves {
    filters: Filters,
    desks: BTreeMap<Table, Desk>,
}

/// The filters of all shelves.
#[derive(Default, Clone)]
struct Filters(BTreeMap<(Table, Shelf), Filter>);

/// What becomes of the shelves with a write to sled.
pub(super) struct Update<'a> {
    filters: Filters,
    desks: Vec<(Table, OnDesk<'a>, Range<u64>)>,
}

/// What becomes of a desk; its notes have these numbers then.
enum OnDesk<'a> {
    Put(Vec<Put<'a>>),
    Cleared,
}

#[derive(Clone)]
struct Filter([Part; PARTS]);

/// Shared until it changes, so that a copy of all filters costs little.
type Part = Arc<Bits>;

#[derive(Clone)]
struct Bits {
    /// Keys that are there now. A bit stays when its key goes.
    keys: u32,
    bits: Box<[u8]>,
}

/// Where the keys of a scattered table lie on a shelf.
pub(super) fn space(table: Table, shelf: Shelf) -> Vec<u8> {
    [&[table as u8][..], &shelf.to_be_bytes()].concat()
}

/// What of a scattered table's key its lookups know: all of a deduplication key; of a call's key, the call. `None` where a
/// table isn't scattered, or the key is too short.
pub(super) fn stem(table: Table, key: &[u8]) -> Option<&[u8]> {
    match table {
        Table::Dedup => (!key.is_empty()).then_some(key),
        Table::Call => {
            let (len, _) = key.split_first_chunk()?;
            key.get(..len.len() + usize::from(u16::from_be_bytes(*len)))
        }
        _ => None,
    }
}

impl Table {
    const SCATTERED: [Self; 2] = [Self::Call, Self::Dedup];

    /// Whether its keys lie on shelves.
    pub(super) fn is_scattered(self) -> bool {
        Self::SCATTERED.contains(&self)
    }
}

impl Shelves {
    /// Reads the filters and the notes that sled has.
    pub(super) fn load(db: &sled::Db) -> Result<Self, IndexError> {
        let desks = Table::SCATTERED.into_iter().map(|table| Ok((table, Desk::load(db, table)?)));
        Ok(Self { filters: Filters::load(db)?, desks: desks.collect::<Result<_, IndexError>>()? })
    }

    /// All shelves of a table, oldest first.
    pub(super) fn of(&self, table: Table) -> Vec<Shelf> {
        self.filters.of(table).map(|(number, _)| number).collect()
    }

    /// The shelves that may have keys with this stem, newest first.
    pub(super) fn with(&self, table: Table, stem: &[u8]) -> Vec<Shelf> {
        let hash = Hash::of(stem);
        let shelves = self.filters.of(table).rev();
        shelves.filter(|(_, filter)| filter.part(hash).may_have(hash)).map(|(number, _)| number).collect()
    }

    /// The value of a key that is on no shelf yet.
    pub(super) fn on_desk(&self, table: Table, key: &[u8]) -> Option<&[u8]> {
        self.desks.get(&table)?.get(key)
    }

    /// What is on no shelf yet of a range of a table.
    pub(super) fn on_desk_within(&self, table: Table, range: &table::Range) -> Vec<Item> {
        self.desks.get(&table).map(|desk| desk.range(range)).unwrap_or_default()
    }

    /// Keys of a table.
    pub(super) fn keys(&self, table: Table) -> u64 {
        let on_desk = self.desks.get(&table).map_or(0, Desk::len) as u64;
        self.filters.of(table).map(|(_, filter)| u64::from(filter.keys())).sum::<u64>() + on_desk
    }

    /// Adds to `writes` what makes the changes of all scattered tables. When they are written, [`Shelves::take`] it.
    ///
    /// # Errors
    /// sled's.
    pub(super) fn update<'a>(
        &self,
        pages: &Pages,
        changes: &'a Changes,
        writes: &mut Vec<Write>,
    ) -> Result<Update<'a>, IndexError> {
        let mut update = Update { filters: self.filters.clone(), desks: Vec::new() };
        let mut has_put_up = false;
        for (table, desk) in &self.desks {
            let puts = self.remove_changed(*table, pages, changes, &mut update.filters, writes)?;
            // One shelf with each write, to bound its memory: all desks fill at the same pace.
            let (becomes, notes) = if desk.len() + puts.len() < MAX_KEYS || has_put_up {
                let notes = desk.note(*table, &puts, writes);
                (OnDesk::Put(puts), notes)
            } else {
                has_put_up = true;
                update.filters.put_up(*table, pages, &desk.after(&puts), writes)?;
                (OnDesk::Cleared, desk.clear_notes(*table, writes))
            };
            update.desks.push((*table, becomes, notes));
        }
        update.filters.write(&self.filters, writes);
        Ok(update)
    }

    /// Takes from the shelves what has changed of a table. Returns what has to be put on its desk.
    fn remove_changed<'a>(
        &self,
        table: Table,
        pages: &Pages,
        changes: &'a Changes,
        filters: &mut Filters,
        writes: &mut Vec<Write>,
    ) -> Result<Vec<Put<'a>>, IndexError> {
        let mut puts = Vec::new();
        let mut gone: BTreeMap<Shelf, Vec<Put<'_>>> = BTreeMap::new();
        for (key, change) in changes.of(table) {
            let may_be_known = !matches!(change, Change::New(_));
            let is_on_desk = may_be_known && self.on_desk(table, key).is_some();
            if may_be_known && !is_on_desk {
                for number in self.having(pages, table, key)? {
                    filters.remove(table, number, stem(table, key).unwrap_or(key));
                    gone.entry(number).or_default().push((key, None));
                }
            }
            if is_on_desk || change.value().is_some() {
                puts.push(as_update((key, change)));
            }
        }
        gone.into_iter().try_for_each(|(number, keys)| pages.update(&space(table, number), keys, writes))?;
        Ok(puts)
    }

    /// The shelves that have a key.
    fn having(&self, pages: &Pages, table: Table, key: &[u8]) -> Result<Vec<Shelf>, IndexError> {
        let mut having = Vec::new();
        for number in self.with(table, stem(table, key).unwrap_or(key)) {
            if pages.get(&space(table, number), key)?.is_some() {
                having.push(number);
            }
        }
        Ok(having)
    }

    /// Makes an update that sled has.
    pub(super) fn take(&mut self, Update { filters, desks }: Update<'_>) {
        self.filters = filters;
        for (table, becomes, notes) in desks {
            let desk = self.desks.entry(table).or_default();
            match becomes {
                OnDesk::Put(puts) => desk.take(puts, notes),
                OnDesk::Cleared => desk.clear(notes),
            }
        }
    }
}

impl Filters {
    fn load(db: &sled::Db) -> Result<Self, IndexError> {
        let mut filters = Self::default();
        for item in db.scan_prefix([Table::Filter as u8]) {
            let (key, value) = item?;
            filters.put(&key, &value).ok_or(IndexError::Unreadable)?;
        }
        Ok(filters)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let [_, table, s0, s1, s2, s3, part] = *<&[u8; 7]>::try_from(key).ok()?;
        let table = Table::SCATTERED.into_iter().find(|known| *known as u8 == table)?;
        let (keys, bits) = value.split_first_chunk()?;
        let filter = self.0.entry((table, Shelf::from_be_bytes([s0, s1, s2, s3]))).or_default();
        let place = filter.0.get_mut(usize::from(part)).filter(|_| bits.len() == PART_BYTES)?;
        *place = Arc::new(Bits { keys: u32::from_le_bytes(*keys), bits: bits.into() });
        Some(())
    }

    /// The shelves of a table, oldest first.
    fn of(&self, table: Table) -> impl DoubleEndedIterator<Item = (Shelf, &Filter)> {
        self.0.range((table, Shelf::MIN)..=(table, Shelf::MAX)).map(|((_, number), filter)| (*number, filter))
    }

    /// Puts up shelves that hold `items`.
    fn put_up(
        &mut self,
        table: Table,
        pages: &Pages,
        items: &BTreeMap<&[u8], &[u8]>,
        writes: &mut Vec<Write>,
    ) -> Result<(), IndexError> {
        let mut rest = items.iter().map(|(key, value)| (*key, Some(*value))).peekable();
        let each = items.len().div_ceil((items.len() / MAX_KEYS).max(1));
        while rest.peek().is_some() {
            let number = self.of(table).next_back().map_or(0, |(newest, _)| newest.saturating_add(1));
            let of_shelf: Vec<Put<'_>> = rest.by_ref().take(each).collect();
            let filter = self.0.entry((table, number)).or_default();
            for (key, _) in &of_shelf {
                filter.add(stem(table, key).unwrap_or(key));
            }
            pages.update(&space(table, number), of_shelf, writes)?;
        }
        Ok(())
    }

    /// Notes that a shelf has one key less. The filter of an empty shelf goes, unless it is the newest: numbers aren't given twice.
    fn remove(&mut self, table: Table, number: Shelf, stem: &[u8]) {
        let Some(filter) = self.0.get_mut(&(table, number)) else { return };
        let part = filter.part_mut(Hash::of(stem));
        part.keys = part.keys.saturating_sub(1);
        if filter.keys() == 0 && self.of(table).next_back().is_some_and(|(newest, _)| newest != number) {
            self.0.remove(&(table, number));
        }
    }

    /// Adds to `writes` what differs from `before`.
    fn write(&self, before: &Self, writes: &mut Vec<Write>) {
        for (at, filter) in &self.0 {
            let old = before.0.get(at);
            for (place, part) in (0_u8..).zip(&filter.0) {
                let is_known =
                    old.and_then(|old| old.0.get(usize::from(place))).is_some_and(|old| Arc::ptr_eq(old, part));
                if !is_known {
                    let value = [&part.keys.to_le_bytes(), &*part.bits].concat();
                    writes.push((part_key(*at, place), Some(value)));
                }
            }
        }
        for at in before.0.keys().filter(|at| !self.0.contains_key(at)) {
            writes.extend((0_u8..).take(PARTS).map(|place| (part_key(*at, place), None)));
        }
    }
}

fn part_key((table, shelf): (Table, Shelf), part: u8) -> Vec<u8> {
    [&[Table::Filter as u8, table as u8][..], &shelf.to_be_bytes(), &[part]].concat()
}

impl Default for Filter {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Arc::new(Bits { keys: 0, bits: vec![0; PART_BYTES].into() })))
    }
}

impl Filter {
    /// Notes that the shelf has a key with this stem.
    fn add(&mut self, stem: &[u8]) {
        let hash = Hash::of(stem);
        let part = self.part_mut(hash);
        part.keys += 1;
        for bit in bits_of(hash) {
            if let Some(byte) = part.bits.get_mut(bit / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    /// Keys that are there now.
    fn keys(&self) -> u32 {
        self.0.iter().map(|part| part.keys).sum()
    }

    fn part(&self, hash: Hash) -> &Bits {
        let [first, ..] = &self.0;
        self.0.get(hash.part()).unwrap_or(first)
    }

    fn part_mut(&mut self, hash: Hash) -> &mut Bits {
        let place = hash.part();
        let [first, rest @ ..] = &mut self.0;
        Arc::make_mut(place.checked_sub(1).and_then(|place| rest.get_mut(place)).unwrap_or(first))
    }
}

impl Bits {
    fn may_have(&self, hash: Hash) -> bool {
        bits_of(hash).all(|bit| self.bits.get(bit / 8).is_some_and(|byte| byte & (1 << (bit % 8)) != 0))
    }
}

/// The places of a key's bits in its part. The step is odd, so that it meets different ones.
fn bits_of(Hash(low, high): Hash) -> impl Iterator<Item = usize> {
    let step = (low >> 3) | 1;
    (0..PROBES).map(move |probe| high.wrapping_add(probe.wrapping_mul(step)) as usize % (8 * PART_BYTES))
}

/// The hash of a stem, in two halves.
#[derive(Clone, Copy)]
struct Hash(u32, u32);

impl Hash {
    /// It is on disk, so it stays as it is: CRC-32C, spread over 64 bits as `SplitMix64` does it.
    fn of(stem: &[u8]) -> Self {
        let mut hash = u64::from(crc32c::crc32c(stem)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [l0, l1, l2, l3, h0, h1, h2, h3] = (hash ^ (hash >> 31)).to_le_bytes();
        Self(u32::from_le_bytes([l0, l1, l2, l3]), u32::from_le_bytes([h0, h1, h2, h3]))
    }

    fn part(self) -> usize {
        self.0 as usize % PARTS
    }
}
