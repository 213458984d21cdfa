//! Why a store can't be opened, in words for the people who then have to do something.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{index::IndexError, journal, lock::LockError};

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error("{} is in use by another relay{}: stop that one first, or choose another queue.path", path.display(), process(*holder))]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The other process, if it said who it is.
        holder: Option<u32>,
    },
    /// A newer version (or a much older one) wrote it.
    #[error("{} is in format {format}, this version reads formats 1 to {}: nothing was touched; use the version that wrote it", file.display(), journal::FORMAT)]
    Foreign {
        /// The file.
        file: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The disk.
    #[error("can't {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A segment of the journal couldn't be read.
    #[error("journal segment {segment} can't be read: {source}")]
    Segment {
        /// Its number.
        segment: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A new index couldn't be made.
    #[error("a new index can't be made: {0}")]
    Index(String),
    /// The checkpoint couldn't be written.
    #[error("{}: {reason}", path.display())]
    Housekeeping {
        /// The folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

fn process(holder: Option<u32>) -> String {
    holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl OpenError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(super) fn segment(segment: u64, source: io::Error) -> Self {
        Self::Segment { segment, source }
    }

    pub(super) fn lock(path: &Path, error: LockError) -> Self {
        match error {
            LockError::Held(holder) => Self::Locked { path: path.to_owned(), holder },
            LockError::Io(source) => Self::io("lock", path, source),
        }
    }
}

impl From<IndexError> for OpenError {
    fn from(error: IndexError) -> Self {
        Self::Index(error.to_string())
    }
}
