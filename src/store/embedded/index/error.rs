//! Why the index can't be used, and when only a new one helps.

use std::io;

/// Why the index didn't answer. It can be rebuilt from the journal.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum IndexError {
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
    pub(in super::super) fn is_damage(&self) -> bool {
        match self {
            Self::Sled(sled::Error::Io(error)) => error.kind() == io::ErrorKind::UnexpectedEof,
            Self::Sled(_) | Self::Panicked | Self::Unreadable => true,
        }
    }
}
