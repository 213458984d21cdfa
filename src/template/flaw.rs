//! What can be wrong with a template: when it is read, and when it is run.
//!
//! Both are for people. Neither shows what an event holds: a message names what stands in the template, never a value. The
//! engine's own messages may quote values, so only those are passed on that quote the template.

use std::{fmt, ops::Range, sync::Arc};

use minijinja::{Error, ErrorKind, value::ValueKind};

/// Why a text is no expression or template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// What is wrong, in lower case.
    pub message: String,
    /// Where in the text, in bytes, where that is known.
    pub range: Option<Range<usize>>,
    /// What to write instead, where that is known.
    pub remedy: Option<Remedy>,
}

/// What could stand in the place of a flaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// This.
    Write(&'static str),
    /// The one of these that looks like it.
    OneOf(&'static [&'static str]),
}

impl Flaw {
    /// The operator of another language at `range`, for which this one has a word.
    pub(super) fn foreign(source: &str, range: Range<usize>, word: &'static str) -> Self {
        let message = format!("there is no operator `{}`", source.get(range.clone()).unwrap_or_default());
        Self { message, range: Some(range), remedy: Some(Remedy::Write(word)) }
    }

    /// What the engine says of `source`, whose place in the compiled text is `shift` bytes behind its start.
    pub(super) fn of(error: &Error, source: &str, shift: usize) -> Self {
        let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let place = |offset: usize| offset.saturating_sub(shift).min(source.len());
        let range = error.range().map(|range| place(range.start)..place(range.end));
        Self { message, range: range.filter(|range| source.get(range.clone()).is_some()), remedy: None }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Flaw {}

/// Why an expression or a template came to nothing for an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(Arc<str>);

impl RenderError {
    /// What the engine says of a run.
    pub(super) fn of(error: &Error) -> Self {
        if let Some(refusal) = refusal_in(error) {
            return refusal.into();
        }
        match (error.kind(), error.detail()) {
            (ErrorKind::WriteFailure, _) => Refusal::TooLong.into(), // Nothing else stops us writing.
            (ErrorKind::OutOfFuel, _) => Self("it takes more work than an event is worth".into()),
            (ErrorKind::UndefinedError, Some(detail)) => Self(detail.into()),
            (kind, _) => Self::in_words(place_in(error), &kind.to_string()),
        }
    }

    /// That the expression `source` comes to nothing at all.
    pub(super) fn undefined(source: &str) -> Self {
        Self(format!("`{}` is undefined", source.trim()).into())
    }

    /// That the condition `source` comes to something of `kind`.
    pub(super) fn no_boolean(source: &str, kind: ValueKind) -> Self {
        Self(format!("`{source}` is neither true nor false but a value of type {kind}").into())
    }

    /// What is wrong with the value that the expression `source` comes to.
    pub(super) fn of_value(error: &Error, source: &str) -> Self {
        let what = refusal_in(error).map_or_else(|| error.kind().to_string(), |refusal| refusal.to_string());
        Self::in_words(Some(source.trim()), &what)
    }

    fn in_words(place: Option<&str>, what: &str) -> Self {
        Self(place.map_or_else(|| what.into(), |place| format!("`{place}`: {what}").into()))
    }
}

impl From<Refusal> for RenderError {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.to_string().into())
    }
}

/// The part of the template where it went wrong.
fn place_in(error: &Error) -> Option<&str> {
    error.template_source()?.get(error.range()?)
}

fn refusal_in(error: &Error) -> Option<Refusal> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return Some(*refusal);
        }
        cause = error.source();
    }
    None
}

/// What we refuse in a run, in words that quote nothing of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// More than [`super::engine::MAX_OUTPUT`].
    #[error("the result is longer than {} MiB", super::engine::MAX_OUTPUT >> 20)]
    TooLong,
    /// A value that JSON can't hold.
    #[error("the result can't be written as JSON")]
    NoJson,
    /// `omit` in a text, or inside a value.
    #[error("`omit` can only be the whole of a text in `json`")]
    Omitted,
    /// A filter got something that it isn't made for.
    #[error("`{0}` takes {1}")]
    Argument(&'static str, &'static str),
    /// An address that would lead elsewhere than its template says.
    #[error("a part of the address would be `.` or `..`")]
    DotSegment,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(ErrorKind::InvalidOperation, "refused").with_source(refusal)
    }
}
