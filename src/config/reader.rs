//! What every section needs while it is read: the environment, the folder, and a place for problems.

use std::path::{Path, PathBuf};

use super::{
    Environment,
    document::{Document, touch},
    field::{Field, Origin},
    problem::{Problem, Span},
    quoted,
};

/// The state of reading one file.
pub(super) struct Reader<'e> {
    text: &'e str,
    environment: &'e dyn Environment,
    folder: &'e Path,
    damage: &'e [Span],
    has_gaps: bool,
    problems: Vec<Problem>,
    revealed: Vec<Span>,
}

impl<'e> Reader<'e> {
    /// Begins to read `document`, made from `text`, which lies in `folder`, with the problems it has as TOML.
    pub(super) fn new(
        text: &'e str,
        document: &'e Document<'_>,
        folder: &'e Path,
        environment: &'e dyn Environment,
    ) -> Self {
        Self {
            text,
            environment,
            folder,
            damage: document.damage(),
            has_gaps: document.has_gaps(),
            problems: document.faults().to_vec(),
            revealed: Vec::new(),
        }
    }

    /// Where secrets come from.
    pub(super) fn environment(&self) -> &'e dyn Environment {
        self.environment
    }

    /// A path of the file. Relative ones start at the file's folder, so that they mean the same whatever folder the relay
    /// was started in.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Where in the file the bytes `range` of a text stand; for a text of a preset, where that is named.
    pub(super) fn place(&self, field: &Field<'_>, range: &Span) -> Span {
        if field.origin() != Origin::File {
            return field.span();
        }
        let (start, quoted) = (field.span().start, self.text.get(field.span()).unwrap_or_default());
        let place = quoted::place(quoted, range);
        start + place.start..start + place.end
    }

    /// Notes a problem, unless it stands where the file is damaged.
    pub(super) fn report(&mut self, problem: Problem) {
        let is_consequence = problem.span().is_some_and(|span| self.damage.iter().any(|damage| touch(damage, span)));
        if !is_consequence {
            self.problems.push(problem);
        }
    }

    /// Notes that something is missing, unless it may be where the parser has skipped some of the file.
    pub(super) fn report_absence(&mut self, problem: Problem) {
        if !self.has_gaps {
            self.report(problem);
        }
    }

    /// Whether some of the file is not TOML: what seems to be a key there may be anything.
    pub(super) fn is_broken(&self) -> bool {
        !self.damage.is_empty()
    }

    /// Says that the value at `span` is no secret: people may be shown it. All other values are masked.
    pub(super) fn reveal(&mut self, span: Span) {
        self.revealed.push(span);
    }

    /// All problems, and the spans that may be shown.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Span>) {
        (self.problems, self.revealed)
    }
}
