//! sled: where things stand, so that they can be found. Derived from the journal, and thrown away when in doubt.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `Event` | event id | [`Entry`]: journal position, what it says of itself, its deliveries |
//! | `Due` | destination, 0, due ms, event id; of deliveries that stand where they began | |
//! | `Again` | the same, of those that were tried, put off or replayed | |
//! | `Dead` | destination, 0, ms of death, event id | |
//! | `Call` | length of call id, call id, event id | |
//! | `Dedup` | deduplication key | event id |
//! | `Remembered` | id of an event that is gone | its deduplication key |
//! | `Segment` | segment number | live events and their bytes |
//! | `Meta` | see [`meta`] | journal position up to which all this is complete; counters; pauses |
//!
//! All tables lie in one tree of sled, each key behind the number of its table, so that a batch changes all of them or none.
//! Integers are big-endian, so that keys sort like what they mean. Values are small and hold no body: sled would put a large
//! one into a file that it never syncs. One thread writes ([`super::committer`]).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    ops::Bound,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::journal::Position;
use crate::{
    model::{DedupKey, Delivery, EventId, Name, Reading, Timestamp},
    store::EventSummary,
};

/// Memory that sled may use for its pages. Its real use is up to 3.7 times this (measured), and the whole relay is to stay
/// within 64 MiB.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// How often sled writes its log by itself. What it hasn't written when the process dies is replayed from the journal.
const FLUSH_EVERY_MS: u64 = 500;
/// How long sled's threads may hold the lock of an index that nobody uses any more. They need milliseconds; on a machine
/// without a free processor, more.
const LET_GO_WITHIN: Duration = Duration::from_secs(10);
/// How often to look whether they did.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// The layout of what is in here: another one is made anew. Raise it with each change of a table, an [`Entry`], or what else
/// is encoded here.
pub(super) const INDEX_FORMAT: u32 = 2;

/// Keys of the `Meta` table.
pub(super) mod meta {
    /// The [`super::Position`] after the last journal record that the index knows of.
    pub(in super::super) const APPLIED: &[u8] = b"applied";
    /// [`super::INDEX_FORMAT`] of whoever made the index.
    pub(in super::super) const FORMAT: &[u8] = b"format";
    /// [`super::super::totals::Counts`] over all events.
    pub(in super::super) const COUNTS: &[u8] = b"counts";
    /// Followed by a destination's name: its counters.
    pub(in super::super) const DESTINATION: &[u8] = b"destination:";
    /// Followed by a destination's name: the pause that people put on it.
    pub(in super::super) const PAUSE: &[u8] = b"pause:";
}

/// What the index keeps of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Where the journal has it.
    pub(super) position: Position,
    /// Bytes it takes there, and what was rendered of it anywhere.
    pub(super) size: u64,
    pub(super) source: Name,
    pub(super) reading: Reading,
    pub(super) body_len: u32,
    pub(super) dedup_key: DedupKey,
    pub(super) deliveries: Vec<Tracked>,
}

/// A delivery, and where the journal has what belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Tracked {
    pub(super) delivery: Delivery,
    /// Its latest attempt.
    pub(super) latest: Option<Position>,
    /// The body that was made for it, and how long that is.
    pub(super) rendered: Option<(Position, u32)>,
}

impl Entry {
    /// The delivery to a destination.
    pub(super) fn delivery(&self, destination: &Name) -> Option<&Tracked> {
        self.deliveries.iter().find(|tracked| tracked.delivery.destination == *destination)
    }

    /// The same, to be changed.
    pub(super) fn delivery_mut(&mut self, destination: &Name) -> Option<&mut Tracked> {
        self.deliveries.iter_mut().find(|tracked| tracked.delivery.destination == *destination)
    }

    /// Bytes of all bodies that were made for its deliveries.
    pub(super) fn rendered_len(&self) -> u64 {
        self.deliveries.iter().filter_map(|tracked| tracked.rendered).map(|(_, len)| u64::from(len)).sum()
    }

    /// What people are shown in lists.
    pub(super) fn summary(self, id: EventId) -> EventSummary {
        EventSummary {
            id,
            source: self.source,
            reading: self.reading,
            body_len: self.body_len,
            deliveries: self.deliveries.into_iter().map(|tracked| tracked.delivery).collect(),
        }
    }
}

/// The open index.
#[derive(Clone)]
pub(super) struct Index {
    db: sled::Db,
    path: PathBuf,
    /// After the others, so that it is the last that goes.
    _last: Arc<LastHandle>,
}

/// Lets go of sled last of all. sled panics when it is let go of on a disk that fails. What it could not write then is in the
/// journal, or was synced before, and the next start finds out.
struct LastHandle(Option<sled::Db>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        let db = self.0.take();
        if panic::catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            tracing::warn!("the index could not write its last bytes; what they said is in the journal");
        }
    }
}

/// The tables. The number starts the keys in sled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Event = 1,
    Due = 2,
    Dead = 3,
    Call = 4,
    Dedup = 5,
    Remembered = 6,
    Segment = 7,
    Meta = 8,
    Again = 9,
}

impl Table {
    fn key(self, key: &[u8]) -> Vec<u8> {
        [&[self as u8], key].concat()
    }
}

/// Writes to any tables, to be made together.
#[derive(Default)]
pub(super) struct Changes(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Changes {
    /// Sets a key.
    pub(super) fn insert(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.0.insert(table.key(key), Some(value));
    }

    /// Removes a key.
    pub(super) fn remove(&mut self, table: Table, key: &[u8]) {
        self.0.insert(table.key(key), None);
    }
}

/// From where to where a table is scanned.
pub(super) type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Key and value.
pub(super) type Item = (Vec<u8>, Vec<u8>);

/// All keys.
pub(super) const EVERYTHING: Range = (Bound::Unbounded, Bound::Unbounded);

/// The keys that start with `prefix`.
pub(super) fn prefixed(prefix: Vec<u8>) -> Range {
    let end = prefix.iter().rposition(|byte| *byte != u8::MAX).and_then(|place| {
        let mut end = prefix.get(..=place)?.to_vec();
        *end.last_mut()? += 1;
        Some(end)
    });
    (Bound::Included(prefix), end.map_or(Bound::Unbounded, Bound::Excluded))
}

impl Index {
    /// Opens or creates the index below `path`.
    ///
    /// # Errors
    /// sled's. It may also panic on damage: callers guard against that.
    pub(super) fn open(path: &Path) -> Result<Self, IndexError> {
        let db = open_when_let_go_of(path)?;
        let last = Arc::new(LastHandle(Some(db.clone())));
        Ok(Self { db, path: path.to_owned(), _last: last })
    }

    /// Makes all changes or none.
    ///
    /// # Errors
    /// sled's.
    pub(super) fn apply(&self, changes: Changes) -> Result<(), IndexError> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes.0 {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        Ok(self.db.apply_batch(batch)?)
    }

    /// The items of a table, in the order of their keys.
    pub(super) fn scan(&self, table: Table, range: Range) -> impl Iterator<Item = Result<Item, IndexError>> + use<> {
        self.db.range(within(table, range)).map(read_item)
    }

    /// The items of a table, from the last key to the first.
    pub(super) fn scan_back(
        &self,
        table: Table,
        range: Range,
    ) -> impl Iterator<Item = Result<Item, IndexError>> + use<> {
        self.db.range(within(table, range)).rev().map(read_item)
    }

    /// Whether a key is there.
    ///
    /// # Errors
    /// sled's.
    pub(super) fn contains(&self, table: Table, key: &[u8]) -> Result<bool, IndexError> {
        Ok(self.db.contains_key(table.key(key))?)
    }

    /// The layout that it was made in; `None` when it holds nothing.
    ///
    /// # Errors
    /// As [`Index::get`].
    pub(super) fn format(&self) -> Result<Option<u32>, IndexError> {
        match self.get(Table::Meta, meta::FORMAT)? {
            // The first layout had no mark, and a tree of sled for each table.
            None if self.db.tree_names().iter().any(|name| name.as_ref() == b"meta") => Ok(Some(1)),
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
        self.db.get(table.key(key))?.map(|value| decode(&value)).transpose()
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

    /// Writes everything into `other`, which is empty.
    ///
    /// # Errors
    /// sled's; a part may have been written.
    pub(super) fn copy_into(&self, other: &Self) -> Result<(), IndexError> {
        for item in &*self.db {
            let (key, value) = item?;
            other.db.insert(key, value)?;
        }
        Ok(())
    }

    /// Hands what is in memory to the operating system. Not an fsync: sled has none.
    ///
    /// # Errors
    /// sled's.
    pub(super) fn flush(&self) -> Result<(), IndexError> {
        self.db.flush()?;
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
        self.db.size_on_disk().unwrap_or_default()
    }
}

/// Opens sled, and waits for its threads in this process to let go of the same index: they hold its lock for some moments
/// after the last handle is gone. Other processes are kept out by the queue's own lock.
fn open_when_let_go_of(path: &Path) -> Result<sled::Db, sled::Error> {
    let config = sled::Config::new()
        .path(path)
        .mode(sled::Mode::LowSpace)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(Some(FLUSH_EVERY_MS));
    let deadline = Instant::now() + LET_GO_WITHIN;
    loop {
        match config.open() {
            Err(error) if is_locked(&error) && Instant::now() < deadline => thread::sleep(LOOK_AGAIN_AFTER),
            opened => return opened,
        }
    }
}

/// sled wraps what the system said in an error of its own; only the text is left.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// Syncs all files below a folder, and the folder. What sled removes in the meantime needs no sync.
fn sync_folder(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folder(&entry.path())?;
        } else {
            match File::open(entry.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => file?.sync_all()?,
            }
        }
    }
    File::open(folder)?.sync_all()
}

/// The keys in sled of a range of a table.
fn within(table: Table, (from, to): Range) -> Range {
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

fn read_item(item: sled::Result<(sled::IVec, sled::IVec)>) -> Result<Item, IndexError> {
    let (key, value) = item?;
    Ok((key.get(1..).unwrap_or_default().to_vec(), value.to_vec()))
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

/// Keys of `Due`, `Again` and `Dead`: a destination's events by time.
pub(super) fn timed_key(destination: &Name, at: Timestamp, event: EventId) -> Vec<u8> {
    [timed_prefix(destination).as_slice(), &at.as_millis().to_be_bytes(), event.as_bytes()].concat()
}

/// What the [`timed_key`]s of a destination start with. Names hold no zero byte, so no name's keys are among another's.
pub(super) fn timed_prefix(destination: &Name) -> Vec<u8> {
    [destination.as_str().as_bytes(), &[0]].concat()
}

/// Reads a [`timed_key`].
pub(super) fn parse_timed_key(key: &[u8]) -> Option<(Name, Timestamp, EventId)> {
    let (rest, event) = key.split_last_chunk::<16>()?;
    let (rest, at) = rest.split_last_chunk::<8>()?;
    let name = std::str::from_utf8(rest.strip_suffix(&[0])?).ok()?;
    let at = Timestamp::from_millis(u64::from_be_bytes(*at));
    Some((Name::new(name).ok()?, at, EventId::from_bytes(*event)))
}

/// Keys of `call`. The length comes first because a call id may hold any character.
pub(super) fn call_key(call: &str, event: EventId) -> Vec<u8> {
    [call_prefix(call).as_slice(), event.as_bytes()].concat()
}

/// What the [`call_key`]s of a call start with.
pub(super) fn call_prefix(call: &str) -> Vec<u8> {
    let len = u16::try_from(call.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes(), call.as_bytes()].concat()
}

/// The event id that ends a key.
pub(super) fn event_at_end(key: &[u8]) -> Option<EventId> {
    key.split_last_chunk::<16>().map(|(_, id)| EventId::from_bytes(*id))
}

/// Why the index didn't answer. It can be rebuilt from the journal.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    /// sled said so.
    #[error("sled: {0}")]
    Sled(#[from] sled::Error),
    /// sled panicked, as it does on most damage (19 of 20 flipped bits).
    #[error("sled panicked on what is on the disk")]
    Panicked,
    /// A value isn't what we write.
    #[error("a value in the index can't be read")]
    Unreadable,
}

impl IndexError {
    /// Whether the index is to blame, rather than a disk that is full or fails: then only a new one helps.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Sled(sled::Error::Io(error)) => error.kind() == io::ErrorKind::UnexpectedEof,
            Self::Sled(_) | Self::Panicked | Self::Unreadable => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn timed_keys_sort_by_time_and_read_back() {
        let event = EventId::from_bytes([9; 16]);
        let (early, late) = (Timestamp::from_millis(255), Timestamp::from_millis(256));
        assert!(timed_key(&name("crm"), early, event) < timed_key(&name("crm"), late, event));
        assert_eq!(parse_timed_key(&timed_key(&name("crm"), late, event)), Some((name("crm"), late, event)));
    }

    #[test]
    fn one_name_never_finds_the_keys_of_another() {
        let event = EventId::from_bytes([0; 16]);
        let longer = timed_key(&name("crm-eu"), Timestamp::EPOCH, event);
        assert!(!longer.starts_with(&timed_prefix(&name("crm"))));
        assert!(!call_key("CALL-12", event).starts_with(&call_prefix("CALL-1")));
    }

    #[test]
    fn changes_to_several_trees_are_made_together() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        let mut changes = Changes::default();
        changes.insert(Table::Dedup, &[1; 16], encode(&EventId::from_bytes([2; 16])));
        changes.insert(Table::Due, b"gone", Vec::new());
        changes.remove(Table::Due, b"gone");
        index.apply(changes).unwrap();
        assert_eq!(index.first_with(DedupKey::from_bytes([1; 16])).unwrap(), Some(EventId::from_bytes([2; 16])));
        assert_eq!(index.scan(Table::Due, EVERYTHING).count(), 0);
    }
}
