//! A segment: one file of the journal.
//!
//! ```text
//! offset 0          8        12        20           28           36       40                64
//!        ┌──────────┬────────┬─────────┬────────────┬────────────┬────────┬─────────────────┬────────┬───────
//!        │ ATOMSREL │ format │ segment │ created ms │ end before │ crc-32c│ zeros           │ frame  │ frame …
//!        └──────────┴────────┴─────────┴────────────┴────────────┴────────┴─────────────────┴────────┴───────
//! ```
//!
//! Integers are little-endian; the checksum covers what stands before it, in every format to come, so that a damaged format
//! is told from a foreign one. "End before" is where the records of the segment before this one end (0: not known): without
//! that, records that are gone from a segment's end would be missed by nobody. A process appends only to segments that it
//! created, so a torn tail is never written over and stays what it is: evidence.

use std::{io, sync::Arc};

use bytes::Bytes;

use super::{
    Position,
    frame::{self, Head},
    record::Record,
};
use crate::{model::Timestamp, store::embedded::disk::DiskFile};

/// The format that this version writes; it reads this one and all before. Raise it when [`Record`] or the layout changes.
/// Formats 2 and 3 added kinds of records, and 3 an outcome of attempts; what was there before is as it was.
pub(crate) const FORMAT: u32 = 3;
/// Bytes of the header.
const HEADER: usize = 64;
/// Where the first frame starts.
pub(super) const FIRST_FRAME: u64 = HEADER as u64;

const MAGIC: [u8; 8] = *b"ATOMSREL";
const CRC_AT: usize = 36;
/// How much is read at a time in the search for the next frame after damage.
const SEARCH_WINDOW: usize = 64 * 1024;
/// Damage may claim any length; before more than this is set aside for a payload, the file has to be that long.
const BELIEVED: usize = 64 * 1024;

/// The name of a segment's file. Names sort like numbers.
pub(super) fn file_name(segment: u64) -> String {
    format!("{segment:020}.journal")
}

/// The number of the segment whose file has this name.
pub(super) fn number(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(".journal")?;
    if digits.len() == 20 { digits.parse().ok() } else { None }
}

/// The bytes at the start of a new segment. `end_before` is where the records of the one before it end; 0 when nobody knows.
pub(super) fn header(segment: u64, created: Timestamp, end_before: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let fields = MAGIC
        .into_iter()
        .chain(FORMAT.to_le_bytes())
        .chain(segment.to_le_bytes())
        .chain(created.as_millis().to_le_bytes())
        .chain(end_before.to_le_bytes());
    header.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    let (covered, rest) = header.split_at_mut(CRC_AT);
    let crc = crc32c::crc32c(covered).to_le_bytes();
    rest.iter_mut().zip(crc).for_each(|(to, from)| *to = from);
    header
}

/// What the start of a segment's file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// This version wrote it, or an earlier one.
    Readable {
        /// Where the records of the segment before it end; 0 when nobody knows.
        end_before: u64,
    },
    /// A later version wrote it, in this format.
    Foreign(u32),
    /// It is damaged or was never finished. Frames vouch for themselves, so what follows can be read all the same.
    Damaged,
}

/// Reads a segment's header.
///
/// # Errors
/// The disk's.
pub(super) fn read_header(file: &dyn DiskFile, segment: u64) -> io::Result<Header> {
    let mut bytes = [0; HEADER];
    let read = file.read_at(&mut bytes, 0)?;
    let [m0, m1, m2, m3, m4, m5, m6, m7, f0, f1, f2, f3, ..] = bytes;
    let format = u32::from_le_bytes([f0, f1, f2, f3]);
    if read < bytes.len() || [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
        return Ok(Header::Damaged);
    }
    let (covered, rest) = bytes.split_at(CRC_AT);
    if !rest.starts_with(&crc32c::crc32c(covered).to_le_bytes()) {
        return Ok(Header::Damaged);
    }
    if !(1..=FORMAT).contains(&format) {
        return Ok(Header::Foreign(format));
    }
    let is_numbered = covered.get(12..20) == Some(&segment.to_le_bytes());
    let end_before = covered.last_chunk().map(|end| u64::from_le_bytes(*end)).unwrap_or_default();
    Ok(if is_numbered { Header::Readable { end_before } } else { Header::Damaged })
}

/// Bytes from `end` to the last one that isn't zero: what a write that was never finished left behind.
///
/// # Errors
/// The disk's.
pub(super) fn unfinished(file: &dyn DiskFile, end: u64) -> io::Result<u64> {
    let (mut window, mut offset, mut last) = (vec![0; SEARCH_WINDOW], end, end);
    loop {
        let read = file.read_at(&mut window, offset)?;
        let written = window.get(..read).unwrap_or_default().iter().rposition(|byte| *byte != 0);
        last = written.map_or(last, |place| offset + place as u64 + 1);
        if read < window.len() {
            return Ok(last - end);
        }
        offset += read as u64;
    }
}

/// What a walk through a segment meets next.
#[derive(Debug)]
pub(crate) enum Step {
    /// A record.
    Record {
        /// Where its frame starts.
        position: Position,
        /// Bytes that its frame takes.
        size: u64,
        /// The record.
        record: Box<Record>,
    },
    /// These bytes are no valid record, but valid ones follow, or once did.
    Damage {
        /// Where the damage starts.
        from: Position,
        /// How many bytes.
        bytes: u64,
    },
    /// No valid record follows.
    End {
        /// Where the next record would have stood.
        at: Position,
    },
}

/// Walks through a segment's frames, over damage.
pub(crate) struct Walk {
    file: Arc<dyn DiskFile>,
    at: Position,
    /// Up to here there were records once.
    known_end: u64,
}

impl Walk {
    /// A walk through the segment in `file`, starting at a frame; up to `known_end` there were records once.
    pub(crate) fn new(file: Arc<dyn DiskFile>, start: Position, known_end: u64) -> Self {
        let at = Position { offset: start.offset.max(FIRST_FRAME), ..start };
        Self { file, at, known_end }
    }

    /// Where the next step looks.
    pub(crate) fn at(&self) -> Position {
        self.at
    }

    /// The next thing there.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        if let Some((record, size)) = read_frame(&*self.file, self.at)? {
            let position = self.at;
            self.at.offset += size;
            return Ok(Step::Record { position, size, record: Box::new(record) });
        }
        let from = self.at;
        let next = self.next_valid_frame()?.map_or(self.known_end, |found| found.offset);
        if next <= from.offset {
            return Ok(Step::End { at: from });
        }
        self.at.offset = next;
        Ok(Step::Damage { from, bytes: next - from.offset })
    }

    fn next_valid_frame(&self) -> io::Result<Option<Position>> {
        let mut window = vec![0; SEARCH_WINDOW];
        let mut offset = self.at.offset + frame::ALIGN as u64;
        loop {
            let read = self.file.read_at(&mut window, offset)?;
            let places = window.get(..read).unwrap_or_default().chunks_exact(frame::ALIGN);
            for (place, bytes) in (0_u64..).zip(places) {
                let here = Position { offset: offset + place * frame::ALIGN as u64, ..self.at };
                if bytes.starts_with(&frame::MARK) && read_frame(&*self.file, here)?.is_some() {
                    return Ok(Some(here));
                }
            }
            if read < window.len() {
                return Ok(None);
            }
            offset += read as u64;
        }
    }
}

/// The record whose frame starts at `position`, and the bytes of the frame; `None` when there is no valid one.
///
/// # Errors
/// The disk's.
pub(super) fn read_frame(file: &dyn DiskFile, position: Position) -> io::Result<Option<(Record, u64)>> {
    let mut head = [0; frame::HEAD];
    if file.read_at(&mut head, position.offset)? < head.len() {
        return Ok(None);
    }
    let Head::Frame { len, crc } = frame::head(&head) else { return Ok(None) };
    let payload_at = position.offset + frame::HEAD as u64;
    if len > BELIEVED && file.size()? < payload_at + len as u64 {
        return Ok(None);
    }
    let mut payload = vec![0; len];
    if file.read_at(&mut payload, payload_at)? < len || !frame::is_valid(position, &payload, crc) {
        return Ok(None);
    }
    let record = Record::decode(&Bytes::from(payload));
    Ok(record.ok().map(|record| (record, frame::size(len) as u64)))
}
