//! Templates of texts: bodies, header values, addresses.

use std::{fmt, io, sync::Arc};

use minijinja::Environment;

use super::{
    engine::{ENGINE, MAX_OUTPUT, TEXT, URL},
    flaw::{Flaw, Refusal, RenderError},
    scan,
    scope::Scope,
    vocabulary,
};

/// A compiled template of a text. Two are the same when their sources and kinds are.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    kind: &'static str,
    /// The engine, with this template as its only one; `None` when the text has nothing to fill in.
    engine: Option<Arc<Environment<'static>>>,
}

impl Template {
    /// Compiles a template whose values are written as they are.
    ///
    /// # Errors
    /// [`Flaw`] when it isn't a template.
    pub fn compile(source: &str) -> Result<Self, Flaw> {
        Self::of_kind(source, TEXT)
    }

    /// Compiles a template of an address. Each value is percent-encoded, so that it stays in its path segment or query
    /// value; only texts from [`Scope::with_trusted`] are written as they are.
    ///
    /// # Errors
    /// [`Flaw`] when it isn't a template.
    pub fn compile_url(source: &str) -> Result<Self, Flaw> {
        Self::of_kind(source, URL)
    }

    fn of_kind(source: &str, kind: &'static str) -> Result<Self, Flaw> {
        let mut template = Self { source: source.into(), kind, engine: None };
        if scan::has_markup(source) {
            let mut engine = ENGINE.clone();
            engine.add_template_owned(kind, source.to_owned()).map_err(|error| flaw(&error, source))?;
            template.engine = Some(Arc::new(engine));
            scan::code_in(source)
                .into_iter()
                .try_for_each(|code| vocabulary::check(source.get(code.clone()).unwrap_or_default(), code.start))?;
        }
        Ok(template)
    }

    /// The text, when it is always the same.
    #[must_use]
    pub fn constant(&self) -> Option<&str> {
        self.engine.is_none().then_some(&*self.source)
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that it uses, each with its parts as far as they are written out (`call.id`), sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let template = self.engine.as_ref().and_then(|engine| engine.get_template(self.kind).ok());
        let mut names: Vec<String> = template.into_iter().flat_map(|all| all.undeclared_variables(true)).collect();
        names.sort_unstable();
        names
    }

    /// The text for what `scope` holds, at most 2 MiB.
    ///
    /// # Errors
    /// [`RenderError`] when a name is undefined, a value isn't what a filter takes, or the bounds are exceeded.
    pub fn render(&self, scope: &Scope) -> Result<String, RenderError> {
        let Some(engine) = &self.engine else { return Ok(self.source.to_string()) };
        let mut text = Bounded(Vec::new());
        let template = engine.get_template(self.kind).map_err(|error| RenderError::of(&error))?;
        template.render_captured_to(scope.root(), &mut text).map_err(|error| RenderError::of(&error))?;
        let text = String::from_utf8_lossy(&text.0).into_owned();
        if self.kind == URL && has_dot_segment(&text) {
            return Err(Refusal::DotSegment.into());
        }
        Ok(text)
    }
}

/// Whether an address has a path segment that steps up or stays, which whoever reads it would resolve. Percent-encoding
/// doesn't help: `%2e` is a dot there too (WHATWG URL, "double-dot URL path segment").
fn has_dot_segment(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\']).any(|segment| matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | ".."))
}

/// Why `source` can't be compiled: an operator of another language tells more than what the engine stumbles over behind it.
fn flaw(error: &minijinja::Error, source: &str) -> Flaw {
    let foreign = scan::code_in(source).into_iter().find_map(|code| {
        let (range, word) = scan::foreign_operator(source.get(code.clone())?)?;
        Some(Flaw::foreign(source, code.start + range.start..code.start + range.end, word))
    });
    foreign.unwrap_or_else(|| Flaw::of(error, source, 0))
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.kind) == (&other.source, other.kind)
    }
}

impl Eq for Template {}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.source)
    }
}

/// Takes [`MAX_OUTPUT`] bytes and no more.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::Error::other(Refusal::TooLong));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
