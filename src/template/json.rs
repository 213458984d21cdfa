//! Templates of JSON: a tree whose texts are templates. What comes out is valid JSON by construction.

use serde_json::{Number, Value as Json};

use super::{
    expression::Expression,
    flaw::{Flaw, RenderError},
    scan,
    scope::Scope,
    text::Template,
    value::{Room, is_omit, json_of},
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

    /// Its value; `None` when it is to be left out.
    fn render(&self, scope: &Scope, room: &mut Room) -> Result<Option<Json>, RenderError> {
        match self {
            Self::Value(expression) => {
                let value = expression.value(scope)?;
                let json = (!is_omit(&value)).then(|| json_of(&value, room)).transpose();
                json.map_err(|error| RenderError::of_value(&error, expression.source()))
            }
            Self::Text(template) => {
                let text = template.render(scope)?;
                room.take(text.len())?;
                Ok(Some(Json::String(text)))
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
        Ok(self.render_into(scope, &mut Room::new())?.unwrap_or_default())
    }

    fn render_into(&self, scope: &Scope, room: &mut Room) -> Result<Option<Json>, RenderError> {
        Ok(Some(match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Number(number) => Json::Number(number.clone()),
            Self::Leaf(leaf) => return leaf.render(scope, room),
            Self::Array(items) => {
                let items = items.iter().filter_map(|item| item.render_into(scope, room).transpose());
                Json::Array(items.collect::<Result<_, _>>()?)
            }
            Self::Object(entries) => {
                let entries = entries.iter().filter_map(|(key, value)| {
                    let value = value.render_into(scope, room).transpose()?;
                    Some(value.map(|value| (key.clone(), value)))
                });
                Json::Object(entries.collect::<Result<_, _>>()?)
            }
        }))
    }
}
