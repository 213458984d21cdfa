//! What every section needs while it is read: the environment, the folder, and a place for problems.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;

use super::{
    Environment, Fingerprint, SecretFile,
    document::{Document, touch},
    field::{Field, Origin},
    fingerprint::Inputs,
    problem::{Problem, Span},
    quoted,
    section::Section,
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
    /// What the section that is being read is made of.
    inputs: Inputs,
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
            inputs: Inputs::default(),
        }
    }

    /// Begins to read `section`, of which the next [`Self::fingerprint`] is.
    pub(super) fn begin(&mut self, section: &Section<'_>) {
        self.inputs = Inputs::of(section);
    }

    /// The fingerprint of what was read since the last [`Self::begin`].
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.inputs.fingerprint()
    }

    /// [`Environment::variable`].
    pub(super) fn variable(&mut self, name: &str) -> Option<OsString> {
        let value = self.environment.variable(name);
        self.inputs.add_variable(name, value.as_deref());
        value
    }

    /// [`Environment::secret_file`].
    pub(super) fn secret_file(&mut self, path: &Path) -> io::Result<SecretFile> {
        let file = self.environment.secret_file(path);
        self.inputs.add_file(path, file.as_ref().ok().map(|file| file.content.expose_secret()));
        file
    }

    /// [`Environment::certificate_file`].
    pub(super) fn certificate_file(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let content = self.environment.certificate_file(path);
        self.inputs.add_file(path, content.as_deref().ok());
        content
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

    /// Notes a problem, unless it stands where the file is damaged. What a preset lacks in two places is one problem.
    pub(super) fn report(&mut self, problem: Problem) {
        let is_consequence = problem.span().is_some_and(|span| self.damage.iter().any(|damage| touch(damage, span)));
        if !is_consequence && !self.problems.contains(&problem) {
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
