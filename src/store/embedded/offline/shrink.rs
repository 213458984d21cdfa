//! A smaller index with the same content: sled's files keep the size that they once had.
//!
//! It is copied rather than made anew from the journal, which may still hold events that are forgotten.

use std::{fs, io, path::Path};

use super::{OfflineError, Stopped};
use crate::store::embedded::{
    OpenError,
    recovery::{Recovered, recover},
};

impl Stopped {
    /// Replaces the index by a copy that takes as little space as it can.
    ///
    /// # Errors
    /// [`OfflineError`]; where there is no index then, the next start makes it anew.
    pub fn shrink_index(&self) -> Result<(), OfflineError> {
        let Recovered { index, totals, .. } = recover(&*self.disk, &self.dir, &self.segments, &self.boot_id)?;
        index.compact(|| false)?;
        self.witness(&index, &totals)
    }
}

/// Removes a folder, if it is there.
pub(super) fn remove_folder(path: &Path) -> Result<(), OpenError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(OpenError::io("remove", path, error)),
        _ => Ok(()),
    }
}
