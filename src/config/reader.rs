//! What every section needs while it is read: the environment, the folder, and a place for problems.

use std::path::{Path, PathBuf};

use super::{
    Environment,
    document::touch,
    problem::{Problem, Span},
};

/// The state of reading one file.
pub(super) struct Reader<'e> {
    environment: &'e dyn Environment,
    folder: &'e Path,
    damage: Vec<Span>,
    problems: Vec<Problem>,
    revealed: Vec<Span>,
}

impl<'e> Reader<'e> {
    /// Begins to read a file that lies in `folder`. `faults` are its known problems; nothing is reported about the stretches in
    /// `damage`.
    pub(super) fn new(
        environment: &'e dyn Environment,
        folder: &'e Path,
        (faults, damage): (Vec<Problem>, Vec<Span>),
    ) -> Self {
        Self { environment, folder, damage, problems: faults, revealed: Vec::new() }
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

    /// Notes a problem, unless it stands where the file is damaged.
    pub(super) fn report(&mut self, problem: Problem) {
        let is_consequence = problem.span().is_some_and(|span| self.damage.iter().any(|damage| touch(damage, span)));
        if !is_consequence {
            self.problems.push(problem);
        }
    }

    /// Notes that something is missing. In a damaged file it may be there, unread.
    pub(super) fn report_absence(&mut self, problem: Problem) {
        if self.damage.is_empty() {
            self.problems.push(problem);
        }
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
