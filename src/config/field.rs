//! One key and its value: the value's type is checked here, its meaning by whoever asks for it.
//!
//! Reading a value as something that is no secret also says that people may be shown it; see [`Reader::reveal`].

use std::num::NonZeroUsize;

use toml::{
    Spanned,
    de::{DeString, DeValue},
};

use super::{
    problem::{Problem, Span},
    reader::Reader,
};

/// A key of the file with its value, or an item of a list under its key.
#[derive(Debug, Clone)]
pub(super) struct Field<'t> {
    key: &'t str,
    key_span: Span,
    value: &'t DeValue<'t>,
    span: Span,
    origin: Origin,
}

/// Which text a table or a value stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The file.
    File,
    /// A preset that the file names at this place: what is said of its values is said of that place.
    Preset(Span),
}

impl Origin {
    /// Where the file has what its text has at `span`.
    fn place(&self, span: Span) -> Span {
        match self {
            Self::File => span,
            Self::Preset(named) => named.clone(),
        }
    }
}

impl<'t> Field<'t> {
    /// The field of an entry of a table from `origin`.
    pub(super) fn new(key: &'t Spanned<DeString<'t>>, value: &'t Spanned<DeValue<'t>>, origin: Origin) -> Self {
        let (key_span, span) = (origin.place(key.span()), origin.place(value.span()));
        Self { key: key.get_ref(), key_span, value: value.get_ref(), span, origin }
    }

    /// Which text it stands in.
    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// The key.
    pub(super) fn key(&self) -> &'t str {
        self.key
    }

    /// Where the key stands.
    pub(super) fn key_span(&self) -> Span {
        self.key_span.clone()
    }

    /// Where the value stands.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The value as parsed.
    pub(super) fn value(&self) -> &'t DeValue<'t> {
        self.value
    }

    /// What sort of value it is, in people's words.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    /// An error of this value: `message` follows the key's name, `example` is a value that would do.
    pub(super) fn error(&self, message: impl AsRef<str>, example: &str) -> Problem {
        let help = format!("write `{} = {example}`", self.key);
        Problem::error(self.span(), format!("`{}` {}", self.key, message.as_ref())).help(help)
    }

    /// The error that the value isn't `expected`.
    pub(super) fn wrong_type(&self, expected: &str, example: &str) -> Problem {
        self.error(format!("has to be {expected}, not {}", self.kind()), example)
    }

    /// The value as a text that is no secret.
    pub(super) fn text(&self, example: &str, reader: &mut Reader<'_>) -> Option<&'t str> {
        reader.reveal(self.span());
        let Some(text) = self.value.as_str() else {
            reader.report(self.wrong_type("a text in quotes", example));
            return None;
        };
        self.check_printable(example, reader);
        Some(text)
    }

    /// Texts are shown to people, and some become part of paths and requests: control characters are a trap everywhere.
    fn check_printable(&self, example: &str, reader: &mut Reader<'_>) {
        if self.value.as_str().is_some_and(|text| text.contains(char::is_control)) {
            reader.report(self.error("holds a control character, such as a line break", example));
        }
    }

    /// The value as a number of things of which there is at least one and at most `most`.
    pub(super) fn count(&self, most: usize, example: &str, reader: &mut Reader<'_>) -> Option<NonZeroUsize> {
        reader.reveal(self.span());
        let number = self.value.as_integer().and_then(|integer| integer.as_str().parse().ok());
        let count = number.filter(|number: &NonZeroUsize| number.get() <= most);
        if count.is_none() {
            reader.report(self.error(format!("has to be a whole number from 1 to {most}"), example));
        }
        count
    }

    /// The items, if the value is a list.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        let DeValue::Array(items) = self.value else { return None };
        Some(items.iter().map(|item| self.item(item)).collect())
    }

    /// The items of what has to be a list.
    pub(super) fn list(&self, example: &str, reader: &mut Reader<'_>) -> Option<Vec<Self>> {
        let items = self.items();
        if items.is_none() {
            reader.report(self.wrong_type("a list", example));
        }
        items
    }

    fn item(&self, item: &'t Spanned<DeValue<'t>>) -> Self {
        let span = self.origin.place(item.span());
        Self { key: self.key, key_span: self.key_span(), value: item.get_ref(), span, origin: self.origin() }
    }

    /// The texts of a list that holds no secrets. Items that are no texts are reported and left out.
    pub(super) fn texts(&self, example: &str, reader: &mut Reader<'_>) -> Option<Vec<(&'t str, Span)>> {
        reader.reveal(self.span());
        let items = self.list(example, reader)?;
        for item in items.iter().filter(|item| !item.value.is_str()) {
            reader.report(item.wrong_type("a list of texts", example));
        }
        for item in &items {
            item.check_printable(example, reader);
        }
        Some(items.iter().filter_map(|item| Some((item.value.as_str()?, item.span()))).collect())
    }
}
