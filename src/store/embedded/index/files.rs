//! sled's files while they are in use, and the copy that takes their place when they have grown out of proportion.
//!
//! sled reuses what it has freed, and never gives it back: after a backlog its files stay as large as that was. So all that is
//! in them is copied into new ones beside, a slice at a time, while work goes on:
//!
//! ```text
//!            keys of sled ─────────────────────────────────────────▶
//!  old       ████████████████████████████████████████████████████████   read and written as always
//!  copy      ████████████████████┊ cursor                               gets all writes before the cursor, too
//! ```
//!
//! When the cursor is at the end, both are the same, and the folders change places. A crash leaves the old files, the new
//! ones, or, for the moment between two renames, none, and then the next start makes the index anew. What it leaves beside
//! them is removed by the next start ([`remove_copies`]).

use std::{
    fs, io,
    ops::Bound,
    path::{Path, PathBuf},
};

use super::{
    IndexError,
    opening::{LastHandle, open_when_let_go_of},
    pages::Pages,
};

/// The copy's folder, beside the index's.
const COPY_DIR: &str = "index.new";
/// The folder of the files that were copied, until it is removed.
const COPIED_DIR: &str = "index.old";
/// Keys of sled in a slice: some 100 kB, and a millisecond or two.
const SLICE: usize = 64;

/// How often sled is asked for what was just read or written. Its cache has 256 parts, and each looks for what it should let go
/// of only when it was asked for 64 things: by itself it would keep all nodes that were of use a few times, some 40 MB of them. A
/// node has some ten values.
const ASK_AGAIN: usize = 4;

/// A write to sled: a key, and its value or that it goes.
pub(super) type Write = (Vec<u8>, Option<Vec<u8>>);

/// Open files of sled.
pub(super) struct Files {
    pub(super) db: sled::Db,
    pub(super) pages: Pages,
    /// After the others, so that it is the last that goes.
    _last: LastHandle,
}

impl Files {
    /// Opens or creates those below `path`.
    pub(super) fn open(path: &Path) -> Result<Self, IndexError> {
        let db = open_when_let_go_of(path)?;
        Ok(Self { pages: Pages(db.clone()), _last: LastHandle(Some(db.clone())), db })
    }

    /// Makes all writes or none.
    pub(super) fn write(&self, writes: Vec<Write>) -> Result<(), IndexError> {
        let set: Vec<_> = writes.iter().filter(|(_, value)| value.is_some()).map(|(key, _)| key.clone()).collect();
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.db.apply_batch(batch)?;
        self.pass_on(&set)
    }

    /// Has sled's cache pass on from what was used to what comes next.
    fn pass_on<'a>(&self, keys: impl IntoIterator<Item = &'a Vec<u8>>) -> Result<(), IndexError> {
        for key in keys {
            for _ in 0..ASK_AGAIN {
                self.db.get(key)?;
            }
        }
        Ok(())
    }
}

/// A copy in the making.
pub(super) struct Copy {
    files: Files,
    copied: Copied,
}

/// How far a copy has come.
enum Copied {
    Nothing,
    /// Up to this key, itself included.
    UpTo(Vec<u8>),
    All,
}

impl Copy {
    /// An empty copy beside the index in `index`.
    pub(super) fn start(index: &Path) -> Result<Self, IndexError> {
        remove_copies(index).map_err(sled::Error::from)?;
        Ok(Self { files: Files::open(&beside(index, COPY_DIR))?, copied: Copied::Nothing })
    }

    /// Copies the next slice. Returns whether there was one.
    pub(super) fn advance(&mut self, from: &Files) -> Result<bool, IndexError> {
        let start = match &self.copied {
            Copied::Nothing => Bound::Unbounded,
            Copied::UpTo(cursor) => Bound::Excluded(cursor.clone()),
            Copied::All => return Ok(false),
        };
        let mut writes = Vec::with_capacity(SLICE);
        for item in from.db.range((start, Bound::<Vec<u8>>::Unbounded)).take(SLICE) {
            let (key, value) = item?;
            writes.push((key.to_vec(), Some(value.to_vec())));
        }
        from.pass_on(writes.iter().map(|(key, _)| key))?;
        let last = writes.last().map(|(key, _)| key.clone());
        self.files.write(writes)?;
        let is_more = last.is_some();
        self.copied = last.map_or(Copied::All, Copied::UpTo);
        Ok(is_more)
    }

    /// Takes in what was written to the files that are copied.
    pub(super) fn follow(&self, writes: &[Write]) -> Result<(), IndexError> {
        let is_copied = |key: &Vec<u8>| match &self.copied {
            Copied::Nothing => false,
            Copied::UpTo(cursor) => key <= cursor,
            Copied::All => true,
        };
        self.files.write(writes.iter().filter(|(key, _)| is_copied(key)).cloned().collect())
    }

    /// Hands all of it to the operating system and has it take the place of the index in `index`, whose files are still open.
    pub(super) fn take_place(self, index: &Path) -> Result<Files, IndexError> {
        self.files.db.flush()?;
        // sled goes on using the path under which it was opened, so it is opened anew under its new one.
        drop(self.files);
        let (copy, old) = (beside(index, COPY_DIR), beside(index, COPIED_DIR));
        fs::rename(index, &old).map_err(sled::Error::from)?;
        if let Err(error) = fs::rename(&copy, index) {
            fs::rename(&old, index).map_err(sled::Error::from)?;
            return Err(sled::Error::from(error).into());
        }
        Files::open(index)
    }
}

/// Removes what a copy has left beside the index in `index`.
///
/// # Errors
/// The disk's.
pub(in super::super) fn remove_copies(index: &Path) -> io::Result<()> {
    for name in [COPY_DIR, COPIED_DIR] {
        match fs::remove_dir_all(beside(index, name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn beside(index: &Path, name: &str) -> PathBuf {
    index.with_file_name(name)
}
