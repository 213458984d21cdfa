//! How a command fails: one text for people and one exit code for scripts (the numbers of sysexits.h).

use std::{fmt, process::ExitCode};

/// What kind of failure it is; the number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// The command line is wrong.
    Usage = 64,
    /// What was given to work on is wrong: a file, an id, a selection.
    Data = 65,
    /// Something that has to answer doesn't: the relay, its admin API, a receiver.
    Unavailable = 69,
    /// Our bug.
    Software = 70,
    /// Reading or writing failed.
    Io = 74,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    /// `None` when all has been said already.
    message: Option<String>,
}

impl Failure {
    /// A failure of the given kind; `message` says what happened and, where it helps, what to do.
    pub(super) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: Some(message.to_string()) }
    }

    /// A failure of which all has been said already.
    pub(super) fn told(exit: Exit) -> Self {
        Self { exit, message: None }
    }

    /// The kind.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// What is left to say.
    pub(super) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}
