//! Follows the chain of a trail from its start. It changes nothing, and works on the file of a running relay too.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use super::{Line, START, hash_of};

/// What a walk along the trail found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Lines.
    pub entries: u64,
    /// The hash of the last one. Who notes it elsewhere can tell later whether the file has been cut off.
    pub head: String,
    /// Where it isn't as it was written.
    pub flaws: Vec<Flaw>,
}

/// A place where a trail isn't as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// This line, counted from 1, doesn't follow the one before it: that one was changed, or lines were put in or taken out.
    Broken {
        /// Its number.
        line: u64,
    },
    /// This line is no entry.
    Unreadable {
        /// Its number.
        line: u64,
    },
    /// The last line has no end: a crash left it so, or it is being written at this moment.
    Torn,
}

/// Follows the chain of the trail in the file at `path`.
///
/// # Errors
/// What the system says when the file can't be read.
pub fn verify(path: &Path) -> io::Result<Verification> {
    let mut found = Verification { entries: 0, head: START.to_owned(), flaws: Vec::new() };
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        match line.strip_suffix(b"\n") {
            Some(whole) => found.follow(whole),
            None => found.flaws.push(Flaw::Torn),
        }
        line.clear();
    }
    Ok(found)
}

impl Verification {
    fn follow(&mut self, line: &[u8]) {
        self.entries += 1;
        let number = self.entries;
        match serde_json::from_slice::<Line>(line) {
            Ok(read) if read.prev == self.head => {}
            Ok(_) => self.flaws.push(Flaw::Broken { line: number }),
            Err(_) => self.flaws.push(Flaw::Unreadable { line: number }),
        }
        self.head = hash_of(line);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        audit::{Entry, FILE, Trail},
        model::Timestamp,
    };

    /// A trail of five entries, and its text.
    fn trail() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let (trail, _) = Trail::open(folder.path()).unwrap();
        for number in 0..5 {
            let (who, via, what) = (None, "unix uid 1000".to_owned(), "discard".to_owned());
            let (at, result) = (Timestamp::from_millis(number), format!("done: {number}"));
            trail.append(Entry { at, who, via, what, target: None, detail: None, result }).unwrap();
        }
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        (folder, text)
    }

    fn flaws_of(text: &str) -> Vec<Flaw> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, text).unwrap();
        verify(&path).unwrap().flaws
    }

    #[test]
    fn a_trail_as_it_was_written_has_no_flaw() {
        let (folder, text) = trail();
        let found = verify(&folder.path().join(FILE)).unwrap();
        let head = hash_of(text.lines().last().unwrap().as_bytes());
        assert_eq!(found, Verification { entries: 5, head, flaws: Vec::new() });
    }

    #[test]
    fn whatever_is_done_to_a_line_shows_in_the_next() {
        let (_folder, text) = trail();
        let lines: Vec<&str> = text.lines().collect();
        let joined = |lines: &[&str]| lines.join("\n") + "\n";
        assert_eq!(flaws_of(&text.replace("done: 1", "done: 9")), [Flaw::Broken { line: 3 }]);
        assert_eq!(flaws_of(&joined(&[&lines[..2], &lines[3..]].concat())), [Flaw::Broken { line: 3 }]);
        assert_eq!(flaws_of(&joined(&lines[1..])), [Flaw::Broken { line: 1 }]);
        let inserted = joined(&[&lines[..2], &lines[1..]].concat());
        assert_eq!(flaws_of(&inserted), [Flaw::Broken { line: 3 }]);
        let unreadable = [Flaw::Unreadable { line: 2 }, Flaw::Broken { line: 3 }];
        assert_eq!(flaws_of(&text.replacen("done: 1", "\"", 1)), unreadable);
        assert_eq!(flaws_of(text.trim_end()), [Flaw::Torn]);
    }

    #[test]
    fn each_line_can_be_changed_without_hiding_it_but_the_last() {
        let (_folder, text) = trail();
        for number in 0..4 {
            let changed = text.replace(&format!("done: {number}"), "done: 7");
            assert_eq!(flaws_of(&changed), [Flaw::Broken { line: number + 2 }]);
        }
    }
}
