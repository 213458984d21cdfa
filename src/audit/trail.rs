//! The trail of a running relay: opened once, added to, and listed from its end.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{Entry, FILE, Line, START, backwards::Backwards, hash_of};

/// For the relay's user only: it says who did what when.
const MODE: u32 = 0o600;

/// The audit trail of a queue.
pub struct Trail {
    path: PathBuf,
    file: File,
    end: Mutex<End>,
}

/// Where the next line goes.
struct End {
    /// The length of all whole lines, in bytes.
    offset: u64,
    /// The hash of the last line.
    hash: String,
    /// Whether there may be more in the file than whole lines: a write has failed.
    is_torn: bool,
}

/// Entries, newest first.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<u64>,
}

/// The trail can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the audit trail {} can't be {action}: {source}", path.display())]
pub struct TrailError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Trail {
    /// Opens the trail in `folder`, or begins one. What a crash left of a last line is cut off; also gives how many bytes
    /// that were.
    ///
    /// # Errors
    /// [`TrailError`] when the file can't be read, written or put on disk.
    pub fn open(folder: &Path) -> Result<(Self, u64), TrailError> {
        let path = folder.join(FILE);
        Self::try_open(folder, &path).map_err(|source| TrailError { action: "opened", path, source })
    }

    fn try_open(folder: &Path, path: &Path) -> io::Result<(Self, u64)> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
        let length = file.metadata()?.len();
        let whole = end_of_lines(&file, length)?;
        if whole < length {
            file.set_len(whole)?;
        }
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        let last = Backwards::from(&file, whole).next().transpose()?;
        let hash = last.map_or_else(|| START.to_owned(), |last| hash_of(&last.line));
        let end = Mutex::new(End { offset: whole, hash, is_torn: false });
        Ok((Self { path: path.to_owned(), file, end }, length - whole))
    }

    /// Adds an entry, and returns when it is on disk. This blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`TrailError`]; the entry isn't there then.
    pub fn append(&self, entry: Entry) -> Result<(), TrailError> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.write(&mut end, entry);
        end.is_torn = written.is_err();
        written.map_err(|source| self.error("written", source))
    }

    fn write(&self, end: &mut End, entry: Entry) -> io::Result<()> {
        if end.is_torn {
            self.file.set_len(end.offset)?;
        }
        let mut line = serde_json::to_vec(&Line { prev: end.hash.clone(), entry })?;
        let hash = hash_of(&line);
        line.push(b'\n');
        (&self.file).write_all(&line)?;
        self.file.sync_data()?;
        (end.offset, end.hash) = (end.offset + line.len() as u64, hash);
        Ok(())
    }

    /// Up to `limit` entries, newest first: those before `cursor`, which was the `next` of another page. This blocks. What
    /// is no entry is left out; [`super::verify()`] names it.
    ///
    /// # Errors
    /// [`TrailError`] when the file can't be read.
    pub fn list(&self, cursor: Option<u64>, limit: usize) -> Result<Listed, TrailError> {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).offset;
        let end = cursor.map_or(Ok(end), |cursor| end_of_lines(&self.file, cursor.min(end)));
        let listed = end.and_then(|end| self.list_before(end, limit));
        listed.map_err(|source| self.error("read", source))
    }

    fn list_before(&self, end: u64, limit: usize) -> io::Result<Listed> {
        let (mut entries, mut start) = (Vec::new(), end);
        for found in Backwards::from(&self.file, end).take(limit) {
            let found = found?;
            start = found.start;
            entries.extend(serde_json::from_slice::<Line>(&found.line).ok().map(|line| line.entry));
        }
        Ok(Listed { entries, next: (start > 0).then_some(start) })
    }

    fn error(&self, action: &'static str, source: io::Error) -> TrailError {
        TrailError { action, path: self.path.clone(), source }
    }
}

/// Where the last whole line among the first `length` bytes ends.
fn end_of_lines(file: &File, length: u64) -> io::Result<u64> {
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last == [b'\n'] {
        return Ok(length);
    }
    let torn = Backwards::from(file, length).next().transpose()?;
    Ok(torn.map_or(0, |torn| torn.start))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::{audit::verify, model::Timestamp};

    fn entry(number: u64) -> Entry {
        Entry {
            at: Timestamp::from_millis(number),
            who: Some("ada".into()),
            via: "127.0.0.1".into(),
            what: "pause".into(),
            target: Some("crm".into()),
            detail: None,
            result: "done".into(),
        }
    }

    fn open(folder: &Path) -> Trail {
        let (trail, cut_off) = Trail::open(folder).unwrap();
        assert_eq!(cut_off, 0);
        trail
    }

    fn numbers(listed: &Listed) -> Vec<u64> {
        listed.entries.iter().map(|entry| entry.at.as_millis()).collect()
    }

    #[test]
    fn entries_are_listed_newest_first_page_by_page_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(open(folder.path()).list(None, 10).unwrap(), Listed { entries: Vec::new(), next: None });
        for number in 1..=5 {
            open(folder.path()).append(entry(number)).unwrap();
        }
        let trail = open(folder.path());
        let first = trail.list(None, 2).unwrap();
        assert_eq!(numbers(&first), [5, 4]);
        trail.append(entry(6)).unwrap();
        let second = trail.list(first.next, 2).unwrap();
        assert_eq!(numbers(&second), [3, 2]);
        let last = trail.list(second.next, 2).unwrap();
        assert_eq!((numbers(&last), last.next), (vec![1], None));
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
    }

    #[test]
    fn a_cursor_that_is_none_harms_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let trail = open(folder.path());
        trail.append(entry(1)).unwrap();
        trail.append(entry(2)).unwrap();
        assert_eq!(numbers(&trail.list(Some(u64::MAX), 9).unwrap()), [2, 1]);
        let middle = trail.list(None, 1).unwrap().next.unwrap() + 7;
        assert_eq!(numbers(&trail.list(Some(middle), 9).unwrap()), [1]);
        assert_eq!(numbers(&trail.list(Some(3), 9).unwrap()), Vec::<u64>::new());
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_the_chain_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        open(folder.path()).append(entry(1)).unwrap();
        open(folder.path()).append(entry(2)).unwrap();
        let whole = fs::read(&path).unwrap();
        let second = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for length in (second + 1..whole.len()).step_by(13) {
            fs::write(&path, &whole[..length]).unwrap();
            let (trail, cut_off) = Trail::open(folder.path()).unwrap();
            assert_eq!(cut_off, (length - second) as u64);
            trail.append(entry(3)).unwrap();
            assert_eq!(numbers(&trail.list(None, 9).unwrap()), [3, 1]);
            assert!(verify(&path).unwrap().flaws.is_empty());
        }
    }

    #[test]
    fn an_entry_that_could_not_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut trail = open(folder.path());
        trail.append(entry(1)).unwrap();
        let writable = std::mem::replace(&mut trail.file, File::open(&path).unwrap());
        let refused = trail.append(entry(2)).unwrap_err().to_string();
        assert!(refused.contains("audit.jsonl can't be written: "), "{refused}");
        // As far as a full disk took it.
        (&writable).write_all(b"{\"prev\":").unwrap();
        trail.file = writable;
        trail.append(entry(3)).unwrap();
        assert_eq!(numbers(&trail.list(None, 9).unwrap()), [3, 1]);
        assert!(verify(&path).unwrap().flaws.is_empty());
    }
}
