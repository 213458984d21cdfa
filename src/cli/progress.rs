//! How far long work has come: a line on standard error that is written over again and again, for a person on a terminal.
//! Anywhere else nothing is shown: a log full of percentages helps nobody.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use super::text::span;

/// How often the line is written: often enough to look alive.
const EVERY: Duration = Duration::from_millis(100);
/// The bar's length, in characters: with all that stands behind it the line fits into 80.
const LENGTH: u64 = 24;
/// What is left is said when so much is known of the pace.
const ENOUGH: Duration = Duration::from_secs(2);

/// The line, from its first appearance until it is dropped.
pub(super) struct Progress {
    began: Instant,
    /// When it was written last; `None` when nobody watches.
    written: Option<Instant>,
}

impl Progress {
    /// Nothing is shown yet.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { began: now, written: io::stderr().is_terminal().then_some(now) }
    }

    /// Shows at once what goes on, where nobody can say how far it is.
    pub(super) fn announce(&self, words: &str) {
        if self.written.is_some() {
            write(words);
        }
    }

    /// Shows that `done` of `of` is done, with some words. Where nobody knows of how much, `of` is 0.
    pub(super) fn show(&mut self, done: u64, of: u64, words: impl FnOnce() -> String) {
        if self.written.is_some_and(|written| written.elapsed() >= EVERY) {
            self.written = Some(Instant::now());
            write(&line(done, of, self.began.elapsed(), &words()));
        }
    }
}

impl Drop for Progress {
    /// Takes the line away again.
    fn drop(&mut self) {
        if self.written.is_some() {
            write("");
        }
    }
}

fn line(done: u64, of: u64, took: Duration, words: &str) -> String {
    if of == 0 {
        return words.to_owned();
    }
    let done = done.min(of);
    let full = usize::try_from(done.saturating_mul(LENGTH) / of).unwrap_or_default();
    let bar = format!("{:<length$}", "=".repeat(full), length = usize::try_from(LENGTH).unwrap_or_default());
    let percent = u128::from(done) * 100 / u128::from(of);
    format!("[{bar}] {percent:>3} %  {words}{}", left(done, of, took))
}

/// How long the rest takes at this pace.
fn left(done: u64, of: u64, took: Duration) -> String {
    if done == 0 || done == of || took < ENOUGH {
        return String::new();
    }
    let millis = took.as_millis() * u128::from(of - done) / u128::from(done);
    format!(", {} left", span(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))))
}

/// To the start of the line, the text, and nothing behind it.
fn write(text: &str) {
    let _unheard = write!(io::stderr(), "\r{text}\u{1b}[K").and_then(|()| io::stderr().flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_a_bar_where_it_is_known_of_how_much() {
        let second = Duration::from_secs(1);
        assert_eq!(line(50, 100, second, "50 events"), "[============            ]  50 %  50 events");
        assert_eq!(line(100, 100, 60 * second, "all"), "[========================] 100 %  all");
        assert_eq!(line(7, 0, second, "7 events"), "7 events");
        assert_eq!(line(25, 100, 60 * second, "x"), "[======                  ]  25 %  x, 3m left");
    }
}
