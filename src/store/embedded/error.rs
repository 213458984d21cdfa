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
    #[error("can't {action} {}: {source}{}", path.display(), remedy(source))]
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

/// What to do about it, where the system's words don't say.
fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            ": the queue belongs to the relay's user, so run this as that user, or give the folder to this one with chown"
        }
        io::ErrorKind::ReadOnlyFilesystem => ": the relay has to write there, choose another queue.path",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => ": queue.path has to be a folder",
        _ => "",
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_used_says_what_to_do() {
        let told =
            |kind: io::ErrorKind| OpenError::Io { action: "lock", path: "/var/lib/relay".into(), source: kind.into() };
        for (kind, remedy) in [
            (io::ErrorKind::PermissionDenied, "run this as that user"),
            (io::ErrorKind::ReadOnlyFilesystem, "choose another queue.path"),
            (io::ErrorKind::AlreadyExists, "has to be a folder"),
        ] {
            let told = told(kind).to_string();
            assert!(told.starts_with("can't lock /var/lib/relay: ") && told.contains(remedy), "{told}");
        }
    }
}
