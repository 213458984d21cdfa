//! One process at a time: an advisory lock on a file in the queue's folder, which names its holder.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
};

/// The lock, held for as long as this lives. The kernel lets go of it when the process ends, however it ends.
pub(super) struct Lock {
    _file: File,
}

/// Why the lock wasn't had.
#[derive(Debug, thiserror::Error)]
pub(super) enum LockError {
    /// Another process has it: this one, if it wrote who it is.
    #[error("another process holds it")]
    Held(Option<u32>),
    /// The file can't be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Lock {
    /// Takes the lock of the queue in `dir`, without waiting.
    ///
    /// # Errors
    /// [`LockError`].
    pub(super) fn take(dir: &Path) -> Result<Self, LockError> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join("lock"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let refused = Lock::take(dir.path()).err();
        assert!(matches!(refused, Some(LockError::Held(Some(pid))) if pid == std::process::id()));
        drop(first);
        assert!(Lock::take(dir.path()).is_ok());
    }
}
