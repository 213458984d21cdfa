//! The log: one line on standard error, or one entry in the system's journal, for each thing that happened.
//!
//! A line never holds a body, a secret or a phone number: rooms log ids, sizes and reasons. What other crates have to say
//! is shown from `warn` on, so that `debug` is about the relay. At `info` a healthy event has no line at all.

use std::{io, panic, str::FromStr};

use rustix::fs::fstat;
use tracing::level_filters::LevelFilter;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{self, format::Writer, time::FormatTime},
    prelude::*,
};

use crate::clock::Clock;

/// What the names of the journal's fields begin with, apart from the journal's own: `ATOMS_RELAY_DESTINATION=crm`.
const JOURNAL_PREFIX: &str = "ATOMS_RELAY";

/// What an entry of the journal is found by with `journalctl -t`.
const IDENTIFIER: &str = "atoms-relay";

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(LevelFilter);

impl Level {
    /// Nothing.
    pub const OFF: Self = Self(LevelFilter::OFF);
    /// What people want to know of a running relay.
    pub const INFO: Self = Self(LevelFilter::INFO);
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        Ok(Self(match text {
            "off" => LevelFilter::OFF,
            "error" => LevelFilter::ERROR,
            "warn" => LevelFilter::WARN,
            "info" => LevelFilter::INFO,
            "debug" => LevelFilter::DEBUG,
            "trace" => LevelFilter::TRACE,
            _ => return Err(UnknownLevel),
        }))
    }
}

/// The text is no level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log level is off, error, warn, info, debug or trace")]
pub struct UnknownLevel;

/// Who reads the log, and so in which form it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A person at a terminal: text.
    Person(Paint),
    /// The system's journal: its own protocol, with a priority, and a field for each detail.
    Journal,
    /// A program behind a pipe or a file: JSON, an object on each line.
    Program,
}

impl Reader {
    /// Who reads a standard error that is no terminal. `journal_stream` is what systemd says of the journal's stream in the
    /// variable `JOURNAL_STREAM`; the variable alone proves nothing, for children inherit it.
    #[must_use]
    pub fn beyond_stderr(journal_stream: Option<&str>) -> Self {
        let is_journal = fstat(io::stderr())
            .is_ok_and(|stderr| journal_stream == Some(&*format!("{}:{}", stderr.st_dev, stderr.st_ino)));
        if is_journal { Self::Journal } else { Self::Program }
    }
}

/// Whether lines may hold colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Nobody wants them.
    Plain,
    /// The terminal shows them.
    Ansi,
}

/// Starts logging for the whole process. Only the first call does.
pub fn start(level: Level, reader: Reader, clock: Clock) {
    let others = level.0.min(LevelFilter::WARN);
    let targets = Targets::new().with_default(others).with_target("atoms_relay", level.0);
    let started = tracing_subscriber::registry().with(layer(reader, clock).with_filter(targets)).try_init();
    if started.is_ok() && matches!(reader, Reader::Journal | Reader::Program) {
        log_panics();
    }
}

fn layer(reader: Reader, clock: Clock) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = fmt::layer().with_writer(io::stderr).with_target(false).with_ansi(false);
    match reader {
        Reader::Person(paint) => lines.with_ansi(paint == Paint::Ansi).with_timer(Stamps(clock)).boxed(),
        Reader::Program => lines.json().flatten_event(true).with_timer(Stamps(clock)).boxed(),
        // It reads our standard error as well, and stamps the lines.
        Reader::Journal => journal().unwrap_or_else(|_| lines.without_time().boxed()),
    }
}

fn journal() -> io::Result<Box<dyn Layer<Registry> + Send + Sync>> {
    let priorities =
        PriorityMappings { info: Priority::Informational, debug: Priority::Debug, ..PriorityMappings::new() };
    let journal = tracing_journald::layer()?
        .with_priority_mappings(priorities)
        .with_field_prefix(Some(JOURNAL_PREFIX.to_owned()))
        .with_syslog_identifier(IDENTIFIER.to_owned());
    Ok(journal.boxed())
}

/// Panics are told in the form of the log: a program that reads JSON stumbles over anything else.
fn log_panics() {
    panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}

/// Adds the time to lines.
struct Stamps(Clock);

impl FormatTime for Stamps {
    fn format_time(&self, line: &mut Writer<'_>) -> std::fmt::Result {
        write!(line, "{}", self.0.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_words() {
        assert_eq!("info".parse(), Ok(Level::INFO));
        assert_eq!("off".parse(), Ok(Level::OFF));
        assert_eq!("INFO+".parse::<Level>(), Err(UnknownLevel));
    }

    #[test]
    fn the_journal_reads_only_the_stream_that_it_names() {
        let stderr = fstat(io::stderr()).unwrap();
        let named = format!("{}:{}", stderr.st_dev, stderr.st_ino);
        assert_eq!(Reader::beyond_stderr(Some(&named)), Reader::Journal);
        let inherited = format!("{}:{}", stderr.st_dev, stderr.st_ino + 1);
        assert_eq!(Reader::beyond_stderr(Some(&inherited)), Reader::Program);
        assert_eq!(Reader::beyond_stderr(None), Reader::Program);
    }
}
