//! What an expression or a template can see.

use std::{collections::BTreeMap, fmt};

use minijinja::{Value, value::Serde};
use serde::Serialize;

use crate::model::Normalized;

/// Names and their values. Cheap to clone.
#[derive(Clone, Default)]
pub struct Scope(BTreeMap<&'static str, Value>);

impl Scope {
    /// The parts of a document under their names: what conditions of routes see, and the beginning of what templates see.
    #[must_use]
    pub fn of_document(document: &Normalized) -> Self {
        Self::default()
            .with("event", &document.event)
            .with("agent", &document.agent)
            .with("call", &document.call)
            .with("transcript", &document.transcript)
            .with("variables", &document.variables)
            .with("analytics", &document.analytics)
            .with("payload", document.payload.value())
    }

    /// This scope and `name`, which stands for `value`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &impl Serialize) -> Self {
        self.0.insert(name, Value::from(Serde(value)));
        self
    }

    /// This scope and `name` with texts that come from the people who run the relay, not from an event: an address takes
    /// them as they are.
    #[must_use]
    pub fn with_trusted<'a>(mut self, name: &'static str, texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let texts = texts.into_iter().map(|(key, text)| (key, Value::from_safe_string(text.to_owned())));
        self.0.insert(name, Value::from_pairs(texts));
        self
    }

    /// As the engine wants it.
    pub(super) fn root(&self) -> Value {
        Value::from_pairs(self.0.iter().map(|(name, value)| (*name, value.clone())))
    }
}

/// Names only: values hold what people said.
impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
