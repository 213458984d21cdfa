//! What an expression or a template can see.

use std::{collections::BTreeMap, fmt, sync::Arc};

use minijinja::{
    Value,
    value::{Enumerator, Object, Serde},
};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::model::{Analytics, Normalized};

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
            .with_value("variables", open(&document.variables))
            .with_value("analytics", analytics(&document.analytics))
            .with("payload", document.payload.value())
    }

    /// This scope and `name`, which stands for `value`.
    #[must_use]
    pub fn with(self, name: &'static str, value: &impl Serialize) -> Self {
        self.with_value(name, Value::from(Serde(value)))
    }

    fn with_value(mut self, name: &'static str, value: Value) -> Self {
        self.0.insert(name, value);
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

fn analytics(analytics: &Analytics) -> Value {
    Value::from_pairs([
        ("summary", Value::from(Serde(&analytics.summary))),
        ("disposition", open(&analytics.disposition)),
        ("success", open(&analytics.success)),
        ("metrics", Value::from(Serde(&analytics.metrics))),
    ])
}

fn open(map: &Map<String, Json>) -> Value {
    Value::from_object(Open(map.iter().map(|(key, value)| (key.as_str().into(), Value::from(Serde(value)))).collect()))
}

/// A map whose keys are the agent's affair: one agent has a metric that another doesn't, so what isn't there is null and no
/// mistake.
#[derive(Debug)]
struct Open(BTreeMap<Arc<str>, Value>);

impl Object for Open {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(key.as_str().and_then(|key| self.0.get(key)).cloned().unwrap_or(Value::from(())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(|key| Value::from(Arc::clone(key))).collect())
    }
}

/// Names only: values hold what people said.
impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
