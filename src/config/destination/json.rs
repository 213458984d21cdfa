//! `json`: a TOML table as the template of a JSON body.
//!
//! TOML has no null: `"{{ none }}"` makes one. JSON has no dates: they become texts.

use serde_json::Number;
use toml::de::DeValue;

use crate::{
    config::{
        field::Field,
        problem::Problem,
        reader::Reader,
        secret,
        section::Section,
        template::{self, Known},
    },
    template::{JsonTemplate, Leaf},
};

/// A literal under a name such as `key` is a credential from this length on; a shorter one may be anything's key.
const LEAST_CREDENTIAL_LEN: usize = 20;

/// Reads a value and all below it; nothing when something is wrong with it.
pub(super) fn read(field: &Field<'_>, known: &Known<'_>, reader: &mut Reader<'_>) -> Option<JsonTemplate> {
    match field.value() {
        DeValue::String(text) => read_leaf(field, text, known, reader),
        DeValue::Integer(_) | DeValue::Float(_) => read_number(field, reader).map(JsonTemplate::Number),
        DeValue::Boolean(value) => {
            reader.reveal(field.span());
            Some(JsonTemplate::Bool(*value))
        }
        DeValue::Datetime(date) => {
            reader.reveal(field.span());
            Leaf::compile(&date.to_string()).ok().map(JsonTemplate::Leaf)
        }
        DeValue::Array(_) => read_array(field, known, reader),
        DeValue::Table(_) => read_object(field, known, reader),
    }
}

fn read_leaf(field: &Field<'_>, text: &str, known: &Known<'_>, reader: &mut Reader<'_>) -> Option<JsonTemplate> {
    if is_credential(field.key(), text) {
        secret::report_literal(field, reader);
    } else {
        reader.reveal(field.span());
    }
    let leaf = Leaf::compile(text).map_err(|flaw| template::report(field, &flaw, reader)).ok()?;
    let json = JsonTemplate::Leaf(leaf);
    known.check(field, &json.names(), reader);
    Some(json)
}

/// Words of a message have spaces between them.
fn is_credential(key: &str, text: &str) -> bool {
    let is_word = text.len() >= LEAST_CREDENTIAL_LEN && !text.contains(char::is_whitespace);
    secret::is_named_by(key) && is_word && !template::is_template(text)
}

/// The value as a number that JSON can hold.
pub(in crate::config) fn read_number(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Number> {
    reader.reveal(field.span());
    let number = match field.value() {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Number::from),
        DeValue::Float(float) => float.as_str().parse().ok().and_then(Number::from_f64),
        _ => None,
    };
    if number.is_none() {
        let help = "a number without end is none in JSON; one that is too large can be written as a text";
        reader.report(Problem::error(field.span(), "JSON can't hold this number").help(help));
    }
    number
}

fn read_array(field: &Field<'_>, known: &Known<'_>, reader: &mut Reader<'_>) -> Option<JsonTemplate> {
    let items = field.items().unwrap_or_default();
    let items: Vec<_> = items.iter().map(|item| read(item, known, reader)).collect();
    items.into_iter().collect::<Option<_>>().map(JsonTemplate::Array)
}

fn read_object(field: &Field<'_>, known: &Known<'_>, reader: &mut Reader<'_>) -> Option<JsonTemplate> {
    let section = Section::with_free_keys(format!("`{}`", field.key()), field).ok()?;
    let read_entry = |entry: &Field<'_>| Some((entry.key().to_owned(), read(entry, known, reader)?));
    let entries: Vec<_> = section.fields().iter().map(read_entry).collect();
    entries.into_iter().collect::<Option<_>>().map(JsonTemplate::Object)
}
