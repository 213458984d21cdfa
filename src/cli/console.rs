//! Standard output, standard error and the person in front of them.
//!
//! What a command has to say goes to standard output, as JSON when asked for: one document for one thing, one line for
//! each item of a list. Questions and remarks go to standard error. When nobody reads any more (`| head`), the rest is
//! left unsaid without an error.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    ops::ControlFlow,
};

use serde::Serialize;

use super::{
    failure::{Exit, Failure},
    text::harmless_json,
};
use crate::config::Colour;

/// In which form a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Where a command says what it has to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Console {
    format: Format,
    colour: Colour,
}

impl Console {
    /// The console of this process.
    pub(super) fn new(format: Format, colour: Colour) -> Self {
        Self { format, colour }
    }

    /// In which form to answer.
    pub(super) fn format(self) -> Format {
        self.format
    }

    /// In which colours.
    pub(super) fn colour(self) -> Colour {
        self.colour
    }

    /// Shows one thing: as JSON, or in the given words.
    pub(super) fn show<T: Serialize>(self, thing: &T, words: impl FnOnce(&T, Colour) -> String) -> Result<(), Failure> {
        match self.format {
            Format::Json => say(&json(serde_json::to_string_pretty(thing))?),
            Format::Text => say(words(thing, self.colour).trim_end()),
        }
    }

    /// Shows a list: as a line of JSON for each item, or in the given words.
    pub(super) fn show_list<T: Serialize>(
        self,
        items: &[T],
        words: impl FnOnce(&[T], Colour) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => items.iter().try_for_each(|item| say(&json(serde_json::to_string(item))?)),
            Format::Text => say(words(items, self.colour).trim_end()),
        }
    }
}

fn json(written: serde_json::Result<String>) -> Result<String, Failure> {
    written.map(|json| harmless_json(&json)).map_err(|error| Failure::new(Exit::Software, error))
}

/// Says a line, or several, on standard output.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    tell_write(writeln!(io::stdout(), "{text}"))
}

/// Says a line, and whether anybody still reads: what has no end has to end when nobody does.
pub(super) fn say_on(text: &str) -> Result<ControlFlow<()>, Failure> {
    let written = writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush());
    let is_unread = written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    tell_write(written)?;
    Ok(if is_unread { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
}

/// Puts bytes on standard output as they are.
pub(super) fn put(bytes: &[u8]) -> Result<(), Failure> {
    tell_write(io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()))
}

/// Whether a person reads what goes to standard output.
pub(super) fn is_read_by_a_person() -> bool {
    io::stdout().is_terminal()
}

fn tell_write(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Io, format_args!("can't write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Makes a remark beside the answer, on standard error. That it can't be made is no reason to fail.
pub(super) fn remark(text: &str) {
    if !text.is_empty() {
        let _unheard = writeln!(io::stderr(), "{text}");
    }
}

/// Whether there is a person to ask.
pub(super) fn is_answered_by_a_person() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whether to go on. Anything but a yes is a no.
pub(super) fn confirm(question: &str) -> Result<bool, Failure> {
    let _unheard = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::new(Exit::Io, format_args!("can't read the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
