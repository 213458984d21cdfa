//! Conditions: `when` of routes and of outcome rules.

use std::{fmt, sync::Arc};

use minijinja::{Value, value::ValueKind};

use super::{
    engine::ENGINE,
    flaw::{Flaw, RenderError},
    scan,
    scope::Scope,
    vocabulary,
};

/// A compiled expression. Two are the same when their sources are.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    compiled: Arc<minijinja::Expression<'static, 'static>>,
}

impl Expression {
    /// Compiles `source`.
    ///
    /// # Errors
    /// [`Flaw`] when it isn't an expression.
    pub fn compile(source: &str) -> Result<Self, Flaw> {
        if source.trim_start().starts_with("{{") {
            let message = "an expression stands for itself: write it without `{{` and `}}`".to_owned();
            return Err(Flaw { message, range: Some(0..source.len()), remedy: None });
        }
        // minijinja 3.1 overlooks what follows a comparison and an illegal character: `a == 'x' && false` is true. Within
        // parentheses it doesn't. Alone first, for messages about what people wrote, and so that `a) or (b` isn't taken.
        ENGINE.compile_expression_owned(source.to_owned()).map_err(|error| flaw(&error, source, 0))?;
        let enclosed = ENGINE.compile_expression_owned(format!("({source})"));
        let compiled = Arc::new(enclosed.map_err(|error| flaw(&error, source, 1))?);
        vocabulary::check(source, 0)?;
        Ok(Self { source: source.into(), compiled })
    }

    /// Whether it is true.
    ///
    /// # Errors
    /// [`RenderError`] when it can't be decided: a name is undefined, or the value is neither true nor false.
    pub fn holds(&self, scope: &Scope) -> Result<bool, RenderError> {
        let truth = self.value(scope).and_then(|value| match value.kind() {
            ValueKind::Bool => Ok(value.is_true()),
            kind => Err(RenderError::no_boolean(&self.source, kind)),
        });
        truth.map_err(|error| self.culprit(scope).unwrap_or(error))
    }

    /// The type of what it comes to, in a word, where that is neither true nor false; `None` also where it comes to nothing.
    #[must_use]
    pub fn other_type(&self, scope: &Scope) -> Option<String> {
        let kind = self.value(scope).ok()?.kind();
        (kind != ValueKind::Bool).then(|| kind.to_string())
    }

    /// What is wrong with the first part that can't be decided, where there are several: they tell more than the whole.
    fn culprit(&self, scope: &Scope) -> Option<RenderError> {
        let parts = self.operands()?;
        parts.iter().filter(|_| parts.len() > 1).find_map(|part| part.holds(scope).err())
    }

    /// The operands of the outermost `and`s; `None` when they can't be told.
    fn operands(&self) -> Option<Vec<Self>> {
        scan::operands(&self.source).into_iter().map(|part| Self::compile(part).ok()).collect()
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that it uses, each with its parts as far as they are written out (`call.id`), sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.compiled.undeclared_variables(true).into_iter().collect();
        names.sort_unstable();
        names
    }

    /// What it is made of: the operands of its outermost `and`s, each with what it came to. One part where there are none.
    #[must_use]
    pub fn parts(&self, scope: &Scope) -> Vec<Part> {
        let parts = self.operands().unwrap_or_else(|| vec![self.clone()]);
        parts.into_iter().map(|part| Part { value: part.holds(scope), source: part.source }).collect()
    }

    /// What it comes to.
    pub(super) fn value(&self, scope: &Scope) -> Result<Value, RenderError> {
        let value = self.compiled.eval(scope.root()).map_err(|error| RenderError::of(&error))?;
        if value.is_undefined() { Err(RenderError::undefined(&self.source)) } else { Ok(value) }
    }
}

/// Why `source` can't be compiled: an operator of another language tells more than what the engine stumbles over behind it.
fn flaw(error: &minijinja::Error, source: &str, shift: usize) -> Flaw {
    let foreign = scan::foreign_operator(source).map(|(range, word)| Flaw::foreign(source, range, word));
    foreign.unwrap_or_else(|| Flaw::of(error, source, shift))
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.source)
    }
}

/// A part of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// As it was written.
    pub source: Arc<str>,
    /// Whether it is true, or why that can't be said.
    pub value: Result<bool, RenderError>,
}
