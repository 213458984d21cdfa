//! A smaller index with the same content: sled's files keep the size that they once had.
//!
//! It is copied rather than made anew from the journal, which may still hold events that are forgotten.

use std::{fs, io, path::Path};

use super::{OfflineError, Stopped};
use crate::store::embedded::{
    OpenError,
    index::Index,
    recovery::{INDEX_DIR, Recovered, recover},
};

/// The new index until it is complete.
const BESIDE_DIR: &str = "index.new";

impl Stopped {
    /// Replaces the index by a copy that takes as little space as it can.
    ///
    /// # Errors
    /// [`OfflineError`]; where there is no index then, the next start makes it anew.
    pub fn shrink_index(&self) -> Result<(), OfflineError> {
        let (path, beside) = (self.dir.join(INDEX_DIR), self.dir.join(BESIDE_DIR));
        remove_folder(&beside)?;
        let Recovered { index, totals, .. } = recover(&*self.disk, &self.dir, &self.segments, &self.boot_id)?;
        let copy = Index::open(&beside)?;
        index.copy_into(&copy)?;
        self.witness(&copy, &totals)?;
        drop((index, copy));
        remove_folder(&path)?;
        fs::rename(&beside, &path).map_err(|error| OpenError::io("move", &beside, error))?;
        Ok(())
    }
}

/// Removes a folder, if it is there.
pub(super) fn remove_folder(path: &Path) -> Result<(), OpenError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(OpenError::io("remove", path, error)),
        _ => Ok(()),
    }
}
