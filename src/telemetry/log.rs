//! The only set-up of logging: text on standard error, one line for each thing that happened.
//!
//! A line never holds a body, a secret or a phone number: rooms log ids, sizes and reasons. What other crates have to say
//! is shown from `warn` on, so that `debug` is about the relay.

use std::{io, str::FromStr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    filter::Targets,
    fmt::{self, format::Writer, time::FormatTime},
    prelude::*,
};

use crate::clock::Clock;

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

/// Who adds the time to a line.
#[derive(Debug, Clone)]
pub enum Stamps {
    /// We do.
    From(Clock),
    /// The journal does, which reads our standard error.
    Journal,
}

/// Whether lines may hold colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// They go to a file or a pipe.
    Plain,
    /// They go to a terminal.
    Ansi,
}

/// Starts logging for the whole process. Only the first call does.
pub fn start(level: Level, stamps: Stamps, paint: Paint) {
    let others = level.0.min(LevelFilter::WARN);
    let targets = Targets::new().with_default(others).with_target("atoms_relay", level.0);
    let lines =
        fmt::layer().with_writer(io::stderr).with_ansi(paint == Paint::Ansi).with_target(false).with_timer(stamps);
    // A second start would only change where lines go: the first stays.
    let _started_before = tracing_subscriber::registry().with(lines.with_filter(targets)).try_init();
}

impl FormatTime for Stamps {
    fn format_time(&self, line: &mut Writer<'_>) -> std::fmt::Result {
        match self {
            Self::From(clock) => write!(line, "{}", clock.now()),
            Self::Journal => Ok(()),
        }
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
}
