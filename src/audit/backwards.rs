//! Reads the lines of a file from its end, so that the newest page of a long one costs no more than that of a short one.

use std::{fs::File, io, os::unix::fs::FileExt};

/// Bytes in one read: some dozens of entries.
const CHUNK: u64 = 16 * 1024;

/// The lines that end before an offset, last one first.
pub(super) struct Backwards<'f> {
    file: &'f File,
    /// What hasn't been read yet ends here.
    unread: u64,
    /// What has been read and not given yet; it begins at `unread`.
    read: Vec<u8>,
}

/// A line without its break, and where it begins.
pub(super) struct Found {
    pub(super) line: Vec<u8>,
    pub(super) start: u64,
}

impl<'f> Backwards<'f> {
    /// The whole lines of the first `end` bytes of `file`; a line break stands at their end.
    pub(super) fn from(file: &'f File, end: u64) -> Self {
        Self { file, unread: end, read: Vec::new() }
    }

    fn try_next(&mut self) -> io::Result<Option<Found>> {
        if self.read.is_empty() && self.unread == 0 {
            return Ok(None);
        }
        loop {
            let text = self.read.strip_suffix(b"\n").unwrap_or(&self.read);
            let at = text.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
            match at {
                Some(at) => return Ok(Some(self.take_from(at))),
                None if self.unread == 0 => return Ok(Some(self.take_from(0))),
                None => self.read_more()?,
            }
        }
    }

    fn take_from(&mut self, at: usize) -> Found {
        let mut line = self.read.split_off(at);
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Found { line, start: self.unread + at as u64 }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let length = CHUNK.min(self.unread);
        let start = self.unread - length;
        let mut chunk = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut chunk, start)?;
        chunk.append(&mut self.read);
        (self.read, self.unread) = (chunk, start);
        Ok(())
    }
}

impl Iterator for Backwards<'_> {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        self.try_next().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_lines_are_those_that_a_reader_from_the_start_finds(
            lengths in prop::collection::vec(prop_oneof![0_usize..10, 16_000_usize..17_000, Just(40_000)], 0..8),
        ) {
            let lines: Vec<Vec<u8>> = lengths.iter().zip(b'a'..).map(|(length, byte)| vec![byte; *length]).collect();
            let mut file = tempfile::tempfile().unwrap();
            for line in &lines {
                file.write_all(line).unwrap();
                file.write_all(b"\n").unwrap();
            }
            let end = file.metadata().unwrap().len();
            let mut found: Vec<Found> = Backwards::from(&file, end).map(Result::unwrap).collect();
            found.reverse();
            let mut start = 0;
            for (found, line) in found.iter().zip(&lines) {
                prop_assert_eq!((&found.line, found.start), (line, start));
                start += line.len() as u64 + 1;
            }
            prop_assert_eq!(found.len(), lines.len());
        }
    }
}
