//! The journal: append-only files that hold the truth.
//!
//! # Invariants
//!
//! 1. What [`Journal::sync`] returned `Ok` for is on the disk: bytes, length, and the names of the files.
//! 2. Written bytes are never written over. A segment ends where its process stopped; the next process starts a new one.
//! 3. Segments are removed from the oldest on, never from the middle, so what is there is one stretch of history.
//! 4. What is read at start was synced before, whoever wrote it.
//! 5. After a failed write or sync the journal refuses everything: nobody knows what is on the disk then.
//!
//! It knows nothing of what its records mean: that is [`super::index`]'s part.

mod frame;
mod record;
mod segment;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::disk::{Disk, DiskFile};
use crate::model::Timestamp;

pub(crate) use record::{Bodies, Kept, Moved, Record, Routed};
use segment::Header;
pub(crate) use segment::{FORMAT, Step, Walk};

/// How far ahead of the records a segment is filled with zeros. Overwriting zeros needs no change of the file's size, which
/// halves the time of a sync; 1 MiB is about 180 events, so the filling itself costs each of them some microseconds.
static ZEROS: [u8; 1024 * 1024] = [0; 1024 * 1024];
/// Records wait in memory for the write of their batch; beyond this much they are written at once, to bound the memory.
const MAX_PENDING: usize = 4 * 1024 * 1024;
/// Open files that readers keep. A backlog may have more segments than the process may open files.
const MAX_OPEN: usize = 64;

/// A place in the journal: where a frame starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The segment's number, from 1.
    pub(crate) segment: u64,
    /// Bytes from the start of its file.
    pub(crate) offset: u64,
}

impl Position {
    /// Before everything.
    pub(crate) const START: Self = Self { segment: 0, offset: 0 };
}

/// A record's place and the bytes it takes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where.
    pub(crate) position: Position,
    /// How many bytes, all included.
    pub(crate) size: u64,
}

/// The one writer of the journal.
pub(crate) struct Journal {
    segments: Arc<Segments>,
    segment_bytes: u64,
    active: Active,
    broken: bool,
}

/// The segment that is being written.
struct Active {
    number: u64,
    created: Timestamp,
    file: Arc<dyn DiskFile>,
    /// Up to here bytes were handed to the disk.
    written: u64,
    /// Up to here the file is filled, with records or zeros.
    filled: u64,
    /// Encoded frames that follow `written`.
    pending: Vec<u8>,
}

impl Journal {
    /// Starts the segment after all that `segments` knows. Segments are about `segment_bytes` long.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn start(segments: Arc<Segments>, segment_bytes: u64, now: Timestamp) -> io::Result<Self> {
        let number = segments.last().map_or(1, |last| last + 1);
        let active = Active::create(&segments, number, now)?;
        Ok(Self { segments, segment_bytes, active, broken: false })
    }

    /// Adds a record to the batch. It is on the disk after the next [`Journal::sync`].
    ///
    /// # Errors
    /// The disk's, and [`io::ErrorKind::FileTooLarge`] when the record is larger than any may be; the journal isn't broken by
    /// that one.
    pub(crate) fn append(&mut self, record: &Record, now: Timestamp) -> io::Result<Extent> {
        if self.active.end() >= self.segment_bytes {
            self.roll(now)?;
        }
        let position = self.active.end_position();
        let Some(len) = frame::encode(&mut self.active.pending, position, |out| record.encode(out)) else {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the record is too large for the journal"));
        };
        if self.active.pending.len() > MAX_PENDING {
            self.write()?;
        }
        Ok(Extent { position, size: frame::size(len) as u64 })
    }

    /// Hands the batch to the operating system: a crash of the process can't lose it any more.
    ///
    /// # Errors
    /// The disk's; the journal is broken then.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        self.guarded(|journal| journal.active.write())
    }

    /// Makes the batch durable: a crash of the machine can't lose it any more.
    ///
    /// # Errors
    /// The disk's; the journal is broken then.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.guarded(|journal| {
            journal.active.write()?;
            journal.active.file.sync()
        })
    }

    /// Where the next record will stand.
    pub(crate) fn end(&self) -> Position {
        self.active.end_position()
    }

    /// Ends the active segment: nothing is appended after this.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.sync()?;
        self.guarded(|journal| journal.active.seal())
    }

    /// Ends the active segment when it has records and is older than `age`, so that it can be removed one day.
    ///
    /// # Errors
    /// The disk's; the journal is broken then.
    pub(crate) fn roll_if_older(&mut self, age: Duration, now: Timestamp) -> io::Result<()> {
        let has_records = self.active.end() > segment::FIRST_FRAME;
        if has_records && self.active.created.plus(age) <= now { self.roll(now) } else { Ok(()) }
    }

    fn roll(&mut self, now: Timestamp) -> io::Result<()> {
        self.guarded(|journal| {
            journal.active.write()?;
            journal.active.seal()?;
            journal.segments.note_end(journal.active.end_position());
            journal.active = Active::create(&journal.segments, journal.active.number + 1, now)?;
            Ok(())
        })
    }

    fn guarded(&mut self, act: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write to the journal failed"));
        }
        let result = act(self);
        self.broken = result.is_err();
        result
    }
}

impl Active {
    fn create(segments: &Segments, number: u64, now: Timestamp) -> io::Result<Self> {
        let path = segments.dir.join(segment::file_name(number));
        let file = segments.disk.create(&path)?;
        file.write_at(&segment::header(number, now, segments.known_end(number - 1)), 0)?;
        file.sync()?;
        segments.disk.sync_dir(&segments.dir)?;
        segments.add(number, Arc::clone(&file));
        let written = segment::FIRST_FRAME;
        Ok(Self { number, created: now, file, written, filled: written, pending: Vec::new() })
    }

    fn end(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    fn end_position(&self) -> Position {
        Position { segment: self.number, offset: self.end() }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.file.write_at(&self.pending, self.written)?;
        self.written = self.end();
        self.pending.clear();
        if self.written > self.filled {
            self.file.write_at(&ZEROS, self.written)?;
            self.filled = self.written + ZEROS.len() as u64;
        }
        Ok(())
    }

    /// Gives the zeros at the end back and makes the rest durable.
    fn seal(&mut self) -> io::Result<()> {
        self.file.set_size(self.written)?;
        self.filled = self.written;
        self.file.sync()
    }
}

/// The segments on disk, for everybody who reads.
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    files: Mutex<BTreeMap<u64, Option<Arc<dyn DiskFile>>>>,
    /// Where the records of a segment are known to end, as far as they are.
    ends: Mutex<BTreeMap<u64, u64>>,
}

/// A segment in a format that this version doesn't know. Nothing may be written beside it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// The segment's file.
    pub(crate) file: String,
    /// Its format.
    pub(crate) format: u32,
}

impl Segments {
    /// The segments below `dir`, which is created when it is missing.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> io::Result<Result<Arc<Self>, Foreign>> {
        disk.create_dir_all(dir)?;
        let (mut files, mut ends) = (BTreeMap::new(), BTreeMap::new());
        for name in disk.list(dir)? {
            let Some(number) = segment::number(&name) else { continue };
            let file = disk.open(&dir.join(&name))?;
            match segment::read_header(&*file, number)? {
                Header::Foreign(format) => return Ok(Err(Foreign { file: name, format })),
                Header::Readable { end_before } => drop(ends.insert(number.saturating_sub(1), end_before)),
                Header::Damaged => {}
            }
            files.insert(number, None);
        }
        let segments = Self { disk, dir: dir.to_owned(), files: Mutex::new(files), ends: Mutex::new(ends) };
        segments.sync_tail()?;
        Ok(Ok(Arc::new(segments)))
    }

    /// Makes durable what the last process may have written without a sync before it died. From now on its records count: a
    /// duplicate of an event that is only in the system's memory must not be told that the event is on disk. Where the last
    /// process died of a failed sync, this one succeeds and still says nothing; so the disk is asked what it has.
    fn sync_tail(&self) -> io::Result<()> {
        if let Some(file) = self.last().and_then(|last| self.file(last).transpose()) {
            let file = file?;
            file.sync()?;
            file.drop_cache()?;
        }
        self.disk.sync_dir(&self.dir)
    }

    /// Whether the journal reaches as far as `position`.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn holds(&self, position: Position) -> io::Result<bool> {
        let Some(file) = self.file(position.segment)? else { return Ok(position == Position::START) };
        Ok(position.offset <= file.size()?)
    }

    /// The numbers of all segments, oldest first.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.lock().keys().copied().collect()
    }

    /// The newest segment.
    pub(crate) fn last(&self) -> Option<u64> {
        self.lock().keys().next_back().copied()
    }

    /// Bytes of all segments.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        let numbers = self.numbers();
        numbers.into_iter().filter_map(|number| self.file(number).transpose()).map(|file| file?.size()).sum()
    }

    /// The record at `position`; `None` when its segment is gone or the bytes there are no valid record.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn read(&self, position: Position) -> io::Result<Option<Record>> {
        let Some(file) = self.file(position.segment)? else { return Ok(None) };
        Ok(segment::read_frame(&*file, position)?.map(|(record, _)| record))
    }

    /// A walk through a segment from a frame on; `None` when there is no such segment.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn walk(&self, start: Position) -> io::Result<Option<Walk>> {
        let known_end = self.known_end(start.segment);
        Ok(self.file(start.segment)?.map(|file| Walk::new(file, start, known_end)))
    }

    /// Notes that the records of a segment go on up to `end` at least.
    pub(crate) fn note_end(&self, end: Position) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let known = ends.entry(end.segment).or_default();
        *known = end.offset.max(*known);
    }

    /// Up to where there are records in a segment, or were once; 0 when nobody knows.
    fn known_end(&self, number: u64) -> u64 {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.get(&number).copied().unwrap_or_default()
    }

    /// Whether a segment's header is damaged or was never finished.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn has_damaged_header(&self, number: u64) -> io::Result<bool> {
        let Some(file) = self.file(number)? else { return Ok(false) };
        Ok(segment::read_header(&*file, number)? == segment::Header::Damaged)
    }

    /// Bytes that an unfinished write left behind the last record of a segment, which ends at `end`.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn unfinished(&self, end: Position) -> io::Result<u64> {
        self.file(end.segment)?.map_or(Ok(0), |file| segment::unfinished(&*file, end.offset))
    }

    /// Bytes of a segment's file.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn size(&self, number: u64) -> io::Result<u64> {
        self.file(number)?.map_or(Ok(0), |file| file.size())
    }

    /// Removes a segment for good.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn remove(&self, number: u64) -> io::Result<()> {
        self.lock().remove(&number);
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        self.disk.remove(&self.dir.join(segment::file_name(number)))?;
        self.disk.sync_dir(&self.dir)
    }

    fn add(&self, number: u64, file: Arc<dyn DiskFile>) {
        self.lock().insert(number, Some(file));
    }

    fn file(&self, number: u64) -> io::Result<Option<Arc<dyn DiskFile>>> {
        let mut files = self.lock();
        let Some(slot) = files.get(&number) else { return Ok(None) };
        if let Some(file) = slot {
            return Ok(Some(Arc::clone(file)));
        }
        let file = self.disk.open(&self.dir.join(segment::file_name(number)))?;
        close_one_of_too_many(&mut files);
        files.insert(number, Some(Arc::clone(&file)));
        Ok(Some(file))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Option<Arc<dyn DiskFile>>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Readers work through a backlog from old to new, so the oldest open file is the one that is needed least.
fn close_one_of_too_many(files: &mut BTreeMap<u64, Option<Arc<dyn DiskFile>>>) {
    if files.values().flatten().count() >= MAX_OPEN
        && let Some(oldest) = files.values_mut().find(|file| file.is_some())
    {
        *oldest = None;
    }
}
