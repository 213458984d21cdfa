//! Templates of JSON: a tree whose texts are templates. What comes out is valid JSON by construction.

use serde_json::{Number, Value as Json};

use super::{
    expression::Expression,
    flaw::{Flaw, RenderError},
    scan,
    scope::Scope,
    text::Template,
    value::{Room, json_of},
};

/// JSON with texts to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonTemplate {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text to fill in.
    Leaf(Leaf),
    /// A list.
    Array(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

/// A text in JSON: when it is exactly one `{{ … }}`, it becomes the value in there, of whatever type; else a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// Exactly one `{{ … }}`.
    Value(Expression),
    /// Anything else.
    Text(Template),
}

impl Leaf {
    /// Compiles `source`.
    ///
    /// # Errors
    /// [`Flaw`] when it isn't a template.
    pub fn compile(source: &str) -> Result<Self, Flaw> {
        // The text template says what is wrong, with places that fit `source`.
        let template = Template::compile(source)?;
        let value = scan::only_value(source).and_then(|inner| Expression::compile(inner).ok());
        Ok(value.map_or(Self::Text(template), Self::Value))
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Value(expression) => expression.names(),
            Self::Text(template) => template.names(),
        }
    }

    fn render(&self, scope: &Scope, room: &mut Room) -> Result<Json, RenderError> {
        match self {
            Self::Value(expression) => json_of(&expression.value(scope)?, room)
                .map_err(|error| RenderError::of_value(&error, expression.source())),
            Self::Text(template) => {
                let text = template.render(scope)?;
                room.take(text.len())?;
                Ok(Json::String(text))
            }
        }
    }
}

impl JsonTemplate {
    /// The names that its texts use, each with its parts as far as they are written out (`call.id`).
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => Vec::new(),
            Self::Leaf(leaf) => leaf.names(),
            Self::Array(items) => items.iter().flat_map(Self::names).collect(),
            Self::Object(entries) => entries.iter().flat_map(|(_, value)| value.names()).collect(),
        }
    }

    /// The JSON for what `scope` holds, at most 2 MiB.
    ///
    /// # Errors
    /// [`RenderError`] when a name is undefined, a value isn't what a filter takes, or the bounds are exceeded.
    pub fn render(&self, scope: &Scope) -> Result<Json, RenderError> {
        self.render_into(scope, &mut Room::new())
    }

    fn render_into(&self, scope: &Scope, room: &mut Room) -> Result<Json, RenderError> {
        match self {
            Self::Null => Ok(Json::Null),
            Self::Bool(value) => Ok(Json::Bool(*value)),
            Self::Number(number) => Ok(Json::Number(number.clone())),
            Self::Leaf(leaf) => leaf.render(scope, room),
            Self::Array(items) => {
                items.iter().map(|item| item.render_into(scope, room)).collect::<Result<_, _>>().map(Json::Array)
            }
            Self::Object(entries) => {
                let entry = |(key, value): &(String, Self)| Ok((key.clone(), value.render_into(scope, room)?));
                entries.iter().map(entry).collect::<Result<_, _>>().map(Json::Object)
            }
        }
    }
}
