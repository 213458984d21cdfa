//! The witness: a small file that says what the index must know at least.
//!
//! sled opens a truncated file as if it were empty and loses its last records in silence, so it can't vouch for itself.
//! This file is written after sled has handed its data to the operating system, and replaced whole: written beside, synced,
//! renamed, directory synced.
//!
//! ```text
//! offset 0          8        12       16
//!        ┌──────────┬────────┬────────┬──────────────────────┐
//!        │ ATOMSCHK │ format │ crc-32c│ Checkpoint (postcard)│
//!        └──────────┴────────┴────────┴──────────────────────┘
//! ```

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{disk::Disk, journal::Position, totals::Counts};

/// Its name in the queue's folder.
pub(super) const FILE: &str = "checkpoint";
const FILE_BESIDE: &str = "checkpoint.new";
const MAGIC: [u8; 8] = *b"ATOMSCHK";
const FORMAT: u32 = 1;
const HEAD: usize = 16;
/// A checkpoint has about 80 bytes.
const MAX_LEN: usize = 4096;

/// What was true when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The index was complete up to here, and had been handed to the operating system.
    pub(super) applied: Position,
    /// The boot of the machine during which that was.
    pub(super) boot_id: String,
    /// The numbers of a store that was closed in good order; `None` while it is in use.
    pub(super) closed: Option<(Counts, u64)>,
}

/// What an index says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claimed {
    /// Up to where it is complete.
    pub(super) applied: Position,
    /// Its number of events, and of deliveries that wait.
    pub(super) numbers: (Counts, u64),
}

/// Why an index isn't believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Doubt {
    /// It is laid out in another way than this version's.
    #[error("the index is another version's")]
    OtherFormat,
    /// It holds nothing.
    #[error("there is no index")]
    Absent,
    /// Nothing vouches for it.
    #[error("the checkpoint is missing or damaged")]
    NoCheckpoint,
    /// What sled wrote last may not have reached the disk.
    #[error("the machine went down without closing the store")]
    MachineWentDown,
    /// It knows less than it did.
    #[error("the index has lost what it knew")]
    LostRecords,
    /// It knows what the journal doesn't.
    #[error("the index is ahead of the journal")]
    AheadOfJournal,
    /// Its numbers aren't those it was closed with.
    #[error("the index was changed after the store was closed")]
    OtherNumbers,
}

/// Whether an index can be used as it is, from what it claims, what the checkpoint witnesses and where the journal ends.
///
/// # Errors
/// [`Doubt`]: it has to be rebuilt.
pub(super) fn trust(
    claimed: Option<&Claimed>,
    checkpoint: Option<&Checkpoint>,
    boot_id: &str,
    journal_holds: impl FnOnce(Position) -> bool,
) -> Result<Position, Doubt> {
    let claimed = claimed.ok_or(Doubt::Absent)?;
    let checkpoint = checkpoint.ok_or(Doubt::NoCheckpoint)?;
    if checkpoint.closed.is_none() && checkpoint.boot_id != boot_id {
        return Err(Doubt::MachineWentDown);
    }
    if claimed.applied < checkpoint.applied {
        return Err(Doubt::LostRecords);
    }
    if !journal_holds(claimed.applied) {
        return Err(Doubt::AheadOfJournal);
    }
    let unchanged =
        checkpoint.closed.is_none_or(|numbers| claimed.applied == checkpoint.applied && claimed.numbers == numbers);
    if unchanged { Ok(claimed.applied) } else { Err(Doubt::OtherNumbers) }
}

/// The place of the checkpoint, for those who find out that it was wrong.
pub(super) struct Witness {
    /// The file system.
    pub(super) disk: Arc<dyn Disk>,
    /// The folder of the queue.
    pub(super) dir: PathBuf,
}

impl Witness {
    /// Takes the checkpoint away: nothing vouches for the index any more, so the next start makes it anew.
    ///
    /// # Errors
    /// The disk's; the checkpoint may still be there.
    pub(super) fn withdraw(&self) -> io::Result<()> {
        match self.disk.remove(&self.dir.join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.disk.sync_dir(&self.dir),
        }
    }
}

impl Checkpoint {
    /// The checkpoint below `dir`; `None` when there is none that can be believed.
    ///
    /// # Errors
    /// The disk's, except that the file isn't there.
    pub(super) fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Option<Self>> {
        let file = match disk.open(&dir.join(FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; MAX_LEN];
        let len = file.read_at(&mut bytes, 0)?;
        bytes.truncate(len);
        Ok(Self::decode(&bytes))
    }

    /// Replaces the checkpoint below `dir`.
    ///
    /// # Errors
    /// The disk's; the old one may still be there.
    pub(super) fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let beside = dir.join(FILE_BESIDE);
        match disk.remove(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.create(&beside)?;
        file.write_at(&self.encode(), 0)?;
        file.sync()?;
        disk.rename(&beside, &dir.join(FILE))?;
        disk.sync_dir(dir)
    }

    fn encode(&self) -> Vec<u8> {
        let content = super::index::encode(self);
        let crc = crc32c::crc32c(&content).to_le_bytes();
        [&MAGIC[..], &FORMAT.to_le_bytes(), &crc, &content].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, content) = bytes.split_first_chunk::<HEAD>()?;
        let expected = [&MAGIC[..], &FORMAT.to_le_bytes(), &crc32c::crc32c(content).to_le_bytes()].concat();
        if head.as_slice() == expected { super::index::decode(content).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::disk::RealDisk;

    const NUMBERS: (Counts, u64) = (Counts { events: 3, unrouted: 1, quarantined: 0 }, 2);

    fn at(offset: u64) -> Position {
        Position { segment: 2, offset }
    }

    fn checkpoint(closed: Option<(Counts, u64)>) -> Checkpoint {
        Checkpoint { applied: at(100), boot_id: "this boot".into(), closed }
    }

    fn judge(claimed: Option<Position>, checkpoint: Option<&Checkpoint>, boot_id: &str) -> Result<Position, Doubt> {
        let claimed = claimed.map(|applied| Claimed { applied, numbers: NUMBERS });
        trust(claimed.as_ref(), checkpoint, boot_id, |position| position <= at(500))
    }

    #[test]
    fn after_a_crash_of_the_process_the_index_goes_on_from_where_it_is() {
        assert_eq!(judge(Some(at(100)), Some(&checkpoint(None)), "this boot"), Ok(at(100)));
        assert_eq!(judge(Some(at(300)), Some(&checkpoint(None)), "this boot"), Ok(at(300)));
    }

    #[test]
    fn after_a_crash_of_the_machine_it_is_rebuilt_unless_it_was_closed_before() {
        assert_eq!(judge(Some(at(100)), Some(&checkpoint(None)), "next boot"), Err(Doubt::MachineWentDown));
        assert_eq!(judge(Some(at(100)), Some(&checkpoint(Some(NUMBERS))), "next boot"), Ok(at(100)));
    }

    #[test]
    fn an_index_that_contradicts_its_witness_is_rebuilt() {
        assert_eq!(judge(None, Some(&checkpoint(None)), "this boot"), Err(Doubt::Absent));
        assert_eq!(judge(Some(at(100)), None, "this boot"), Err(Doubt::NoCheckpoint));
        assert_eq!(judge(Some(at(99)), Some(&checkpoint(None)), "this boot"), Err(Doubt::LostRecords));
        assert_eq!(judge(Some(at(501)), Some(&checkpoint(None)), "this boot"), Err(Doubt::AheadOfJournal));
        let other = (Counts { events: 4, ..NUMBERS.0 }, NUMBERS.1);
        assert_eq!(judge(Some(at(100)), Some(&checkpoint(Some(other))), "this boot"), Err(Doubt::OtherNumbers));
        assert_eq!(judge(Some(at(101)), Some(&checkpoint(Some(NUMBERS))), "this boot"), Err(Doubt::OtherNumbers));
    }

    #[test]
    fn a_checkpoint_reads_back_and_a_damaged_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let written = checkpoint(Some(NUMBERS));
        assert_eq!(Checkpoint::read(&RealDisk, dir.path()).unwrap(), None);
        written.write(&RealDisk, dir.path()).unwrap();
        written.write(&RealDisk, dir.path()).unwrap();
        assert_eq!(Checkpoint::read(&RealDisk, dir.path()).unwrap(), Some(written.clone()));

        let whole = written.encode();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Checkpoint::decode(&damaged), None, "bit {bit}");
        }
    }
}
