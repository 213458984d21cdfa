//! Room that is only there to be given up: without it, a relay on a full disk could not even start to deliver what would make
//! room again.
//!
//! A start needs a new journal segment and some pages of sled. So a file of zeros is kept beside the queue while there is
//! plenty of room, and removed at a start that finds too little.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::disk::{Disk, DiskFile};

const FILE: &str = "ballast";
/// More than a start and the settlements of the first deliveries take.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Written at a time, once a second: nobody waits long for the disk behind that.
static SLICE: [u8; 1024 * 1024] = [0; 1024 * 1024];

/// The file, as far as it is there.
pub(super) struct Ballast {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    bytes: u64,
    state: State,
}

enum State {
    Absent,
    Growing(Arc<dyn DiskFile>, u64),
    Whole,
}

impl Ballast {
    /// What is there of the ballast in `dir`. It is to be a quarter of `min_free_disk`, and 64 MiB at most.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn find(disk: Arc<dyn Disk>, dir: &Path, min_free_disk: u64) -> io::Result<Self> {
        let (path, bytes) = (dir.join(FILE), (min_free_disk / 4).min(MOST_BYTES));
        let found = match disk.open(&path) {
            Ok(file) => Some(file.size()?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut ballast = Self { disk, path, bytes, state: State::Absent };
        match found {
            Some(size) if size == bytes => ballast.state = State::Whole,
            // Cut short by a stop, or meant for another `min_free_disk`.
            Some(_) => ballast.remove()?,
            None => {}
        }
        Ok(ballast)
    }

    /// Gives the room up when `free` bytes are too few for a start. Returns whether it did.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn release_if_needed(&mut self, free: u64) -> io::Result<bool> {
        let needed = free < self.bytes && !matches!(self.state, State::Absent);
        if needed {
            self.remove()?;
        }
        Ok(needed)
    }

    /// Grows the file by a slice when `spare` bytes can be spared.
    ///
    /// # Errors
    /// The disk's; what there was of it is given up.
    pub(super) fn grow(&mut self, spare: u64) -> io::Result<()> {
        let grown = self.try_grow(spare);
        if grown.is_err() {
            self.remove()?;
        }
        grown
    }

    fn try_grow(&mut self, spare: u64) -> io::Result<()> {
        let (file, written) = match &self.state {
            State::Whole => return Ok(()),
            State::Absent if self.bytes == 0 || spare < self.bytes => return Ok(()),
            State::Absent => (self.disk.create(&self.path)?, 0),
            State::Growing(file, written) => (Arc::clone(file), *written),
        };
        let missing = self.bytes.saturating_sub(written);
        let slice = SLICE.get(..usize::try_from(missing).unwrap_or(usize::MAX)).unwrap_or(&SLICE);
        file.write_at(slice, written)?;
        let written = written + slice.len() as u64;
        self.state = State::Growing(Arc::clone(&file), written);
        if written >= self.bytes {
            file.sync()?;
            self.state = State::Whole;
        }
        Ok(())
    }

    fn remove(&mut self) -> io::Result<()> {
        self.state = State::Absent;
        self.disk.remove(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::disk::RealDisk;

    const MIB: u64 = 1024 * 1024;

    fn find(dir: &Path) -> Ballast {
        Ballast::find(Arc::new(RealDisk), dir, 10 * MIB).unwrap()
    }

    fn size(dir: &Path) -> Option<u64> {
        std::fs::metadata(dir.join(FILE)).ok().map(|file| file.len())
    }

    #[test]
    fn it_grows_slice_by_slice_to_a_quarter_of_the_watermark_and_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut ballast = find(dir.path());
        ballast.grow(100 * MIB).unwrap();
        assert_eq!(size(dir.path()), Some(MIB));
        for _ in 0..5 {
            ballast.grow(0).unwrap();
        }
        assert_eq!(size(dir.path()), Some(5 * MIB / 2));
        assert!(matches!(find(dir.path()).state, State::Whole));
    }

    #[test]
    fn it_is_given_up_when_a_start_finds_too_little_room_and_only_then() {
        let dir = tempfile::tempdir().unwrap();
        let mut ballast = find(dir.path());
        for _ in 0..3 {
            ballast.grow(100 * MIB).unwrap();
        }
        let mut found = find(dir.path());
        assert!(!found.release_if_needed(3 * MIB).unwrap());
        assert!(found.release_if_needed(2 * MIB).unwrap());
        assert_eq!(size(dir.path()), None);
        assert!(!found.release_if_needed(0).unwrap());
    }

    #[test]
    fn it_takes_no_room_that_can_not_be_spared() {
        let dir = tempfile::tempdir().unwrap();
        find(dir.path()).grow(2 * MIB).unwrap();
        assert_eq!(size(dir.path()), None);
    }

    #[test]
    fn half_a_ballast_is_started_anew() {
        let dir = tempfile::tempdir().unwrap();
        find(dir.path()).grow(100 * MIB).unwrap();
        assert!(matches!(find(dir.path()).state, State::Absent));
        assert_eq!(size(dir.path()), None);
    }
}
