//! What can be wrong with a configuration, said to a person: where, what, and what to write instead.
//!
//! A [`Problem`] never holds a secret's value, and the text that [`Problems`] keeps for showing has its secrets masked
//! already. How a problem looks on a terminal is in `render`.

use std::{fmt, ops::Range};

/// A stretch of the file, in bytes.
pub(super) type Span = Range<usize>;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The relay can't start.
    Error,
    /// The relay starts; a person ought to look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong, or looks wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    severity: Severity,
    message: String,
    help: Option<String>,
    span: Option<Span>,
    related: Option<(Span, String)>,
}

impl Problem {
    /// An error at `span`.
    pub(super) fn error(span: Span, message: impl AsRef<str>) -> Self {
        Self::new(Severity::Error, Some(span), message.as_ref())
    }

    /// A warning at `span`.
    pub(super) fn warning(span: Span, message: impl AsRef<str>) -> Self {
        Self::new(Severity::Warning, Some(span), message.as_ref())
    }

    /// An error of the file as a whole.
    pub(super) fn error_of_file(message: impl AsRef<str>) -> Self {
        Self::new(Severity::Error, None, message.as_ref())
    }

    /// A warning about the file as a whole.
    pub(super) fn warning_of_file(message: impl AsRef<str>) -> Self {
        Self::new(Severity::Warning, None, message.as_ref())
    }

    fn new(severity: Severity, span: Option<Span>, message: &str) -> Self {
        Self { severity, message: printable(message), help: None, span, related: None }
    }

    /// The same, with what to write instead.
    pub(super) fn help(mut self, text: impl AsRef<str>) -> Self {
        self.help = Some(printable(text.as_ref()));
        self
    }

    /// The same, with another place that a person has to see.
    pub(super) fn related(mut self, span: Span, label: impl AsRef<str>) -> Self {
        self.related = Some((span, printable(label.as_ref())));
        self
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong; one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write or do instead; one line.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Where it is; `None` when it concerns the file as a whole.
    pub(super) fn span(&self) -> Option<&Span> {
        self.span.as_ref()
    }

    /// The other place to look at, and what is there.
    pub(super) fn other_place(&self) -> Option<(&Span, &str)> {
        self.related.as_ref().map(|(span, label)| (span, label.as_str()))
    }
}

/// Keys of a file may hold control characters (`"\u001b"`), which must not reach a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Where in the file: line and column, both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// All problems of one file, in the order in which they stand there.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Problems {
    file_name: String,
    masked_text: String,
    all: Vec<Problem>,
}

impl Problems {
    /// The problems of the file `file_name`. `masked_text` is its text with each secret replaced by as many bytes of
    /// something else.
    pub(super) fn new(file_name: &str, masked_text: String, mut all: Vec<Problem>) -> Self {
        all.sort_by_key(|problem| problem.span().map_or(usize::MAX, |span| span.start));
        Self { file_name: printable(file_name), masked_text, all }
    }

    /// The file's name, as it was given.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    pub(super) fn masked_text(&self) -> &str {
        &self.masked_text
    }

    /// The problems, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.all.iter()
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many problems are this bad.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|problem| problem.severity == severity).count()
    }

    /// Where a problem of this file begins; `None` when it concerns the file as a whole.
    #[must_use]
    pub fn position(&self, problem: &Problem) -> Option<Position> {
        let before = self.masked_text.get(..problem.span()?.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..)?.chars().count() + 1;
        Some(Position { line: before.matches('\n').count() + 1, column })
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    /// As on a terminal without colours.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(super::Colour::Plain))
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.all).finish()
    }
}
