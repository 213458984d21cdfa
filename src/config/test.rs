//! `[[test]]`: what has to become of an event. References to sources and destinations are checked here, whether the event's
//! file is there by whoever runs the test.
//!
//! An expectation may quote a secret by mistake, so but for names, paths and methods nothing of it is revealed.

use std::path::PathBuf;

use http::{HeaderName, Method};
use serde_json::{Map, Value};
use toml::de::DeValue;

use super::{
    destination::{read_body, read_method, read_number},
    entries,
    field::Field,
    problem::Problem,
    reader::Reader,
    route::read_reference,
    section::{Keys, Section},
};
use crate::{model::Name, transform::Body};

pub(super) const KEYS: Keys = Keys { known: &["name", "event", "source", "expect"], later: &[] };

pub(super) const EXPECTATION_KEYS: Keys =
    Keys { known: &["body", "json", "text", "url", "method", "headers"], later: &[] };

const EVENT_EXAMPLE: &str = "\"events/no-answer.json\"";
const EXPECT_EXAMPLE: &str = "{ crm = { json = { status = \"no_answer\" } } }";
const JSON_EXAMPLE: &str = "{ status = \"no_answer\" }";
const HEADERS_EXAMPLE: &str = "{ X-Team = \"voice\" }";

/// A text that stands for JSON's null, which TOML doesn't have; the same as in templates.
const NULL: &str = "{{ none }}";

/// What has to become of an event.
#[derive(Debug, Clone)]
pub struct Test {
    /// What people call it.
    pub name: String,
    /// The file with the event's body.
    pub event: PathBuf,
    /// The source that it comes from.
    pub source: Name,
    /// All destinations that get it, and what is expected of each request.
    pub expect: Vec<(Name, Expectation)>,
}

/// What is expected of a request, as people may see it. What is absent may be anything.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// How the body is made: raw or normalized.
    pub body: Option<Body>,
    /// What has to be in a JSON body, besides other fields of its objects.
    pub json: Option<Value>,
    /// The body as a whole.
    pub text: Option<String>,
    /// The address.
    pub url: Option<String>,
    /// The method.
    pub method: Option<Method>,
    /// Headers that have to be there.
    pub headers: Vec<(HeaderName, String)>,
}

/// Reads all tests of the file.
pub(super) fn read_all(root: &Section<'_>, reader: &mut Reader<'_>) -> Vec<Test> {
    let mut tests = Vec::new();
    for (number, field) in (1..).zip(items(root, reader)) {
        let title = format!("[[test]] number {number}");
        if let Some(section) = Section::of(title, &field, &KEYS, reader) {
            tests.extend(read_one(number, &section, root, reader));
        }
    }
    tests
}

fn items<'t>(root: &Section<'t>, reader: &mut Reader<'_>) -> Vec<Field<'t>> {
    let Some(field) = root.field("test") else { return Vec::new() };
    let items = field.items();
    if items.is_none() {
        let message = "there can be several tests, so each has its header in double brackets";
        reader.report(Problem::error(field.span(), message).help("write `[[test]]`"));
    }
    items.unwrap_or_default()
}

fn read_one(number: usize, section: &Section<'_>, root: &Section<'_>, reader: &mut Reader<'_>) -> Option<Test> {
    let name = section.field("name").and_then(|field| field.text("\"nobody answered\"", reader));
    let event = section.required("event", EVENT_EXAMPLE, reader);
    let event = event.and_then(|field| field.text(EVENT_EXAMPLE, reader)).map(|path| reader.resolve(path));
    let source = read_source(section, root, reader);
    let expect = section.required("expect", EXPECT_EXAMPLE, reader);
    let expect = expect.and_then(|field| read_expect(&field, root, reader));
    let name = name.map_or_else(|| format!("test {number}"), str::to_owned);
    Some(Test { name, event: event?, source: source?, expect: expect? })
}

fn read_source(section: &Section<'_>, root: &Section<'_>, reader: &mut Reader<'_>) -> Option<Name> {
    let sources = entries::names("source", root);
    let known: Vec<&str> = sources.iter().map(Field::key).collect();
    let Some(field) = section.field("source") else {
        return match known.as_slice() {
            [only] => Name::new(only).ok(),
            [] => None,
            [first, ..] => {
                let message = format!("{} has no `source`, and the file has several", section.title());
                reader.report_absence(
                    Problem::error(section.span(), message).help(format!("write `source = \"{first}\"`")),
                );
                None
            }
        };
    };
    let name = field.text("\"atoms\"", reader)?;
    read_reference(name, field.span(), "source", &known, reader)
}

fn read_expect(field: &Field<'_>, root: &Section<'_>, reader: &mut Reader<'_>) -> Option<Vec<(Name, Expectation)>> {
    let section = match Section::with_free_keys("`expect`".to_owned(), field) {
        Ok(section) => section,
        Err(message) => {
            reader.report(Problem::error(field.span(), message).help(format!("write `expect = {EXPECT_EXAMPLE}`")));
            return None;
        }
    };
    let destinations = entries::names("destination", root);
    let known: Vec<&str> = destinations.iter().map(Field::key).collect();
    let read = |entry: &Field<'_>| {
        let title = format!("`{}` of `expect`", entry.key());
        let expectation =
            Section::of(title, entry, &EXPECTATION_KEYS, reader).map(|section| read_expectation(&section, reader));
        Some((read_reference(entry.key(), entry.key_span(), "destination", &known, reader)?, expectation?))
    };
    Some(section.fields().iter().filter_map(read).collect())
}

fn read_expectation(section: &Section<'_>, reader: &mut Reader<'_>) -> Expectation {
    Expectation {
        body: section.field("body").and_then(|field| read_body(&field, reader)),
        json: section.field("json").and_then(|field| read_json(&field, reader)),
        text: section.field("text").and_then(|field| read_text(&field, "\"Call CALL-1 has ended\"", reader)),
        url: section.field("url").and_then(|field| read_text(&field, "\"https://crm.example/calls/1\"", reader)),
        method: section.field("method").and_then(|field| read_method(&field, reader)),
        headers: section.field("headers").map(|field| read_headers(&field, reader)).unwrap_or_default(),
    }
}

/// A text of one or more lines that nobody is shown.
fn read_text(field: &Field<'_>, example: &str, reader: &mut Reader<'_>) -> Option<String> {
    let text = field.value().as_str();
    if text.is_none() {
        reader.report(field.wrong_type("a text in quotes", example));
    }
    text.map(str::to_owned)
}

fn read_json(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Value> {
    if !matches!(field.value(), DeValue::Table(_) | DeValue::Array(_)) {
        reader.report(field.wrong_type("a table or a list", JSON_EXAMPLE));
        return None;
    }
    value(field, reader)
}

fn value(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Value> {
    match field.value() {
        DeValue::String(text) if text == NULL => Some(Value::Null),
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Integer(_) | DeValue::Float(_) => read_number(field, reader).map(Value::Number),
        DeValue::Boolean(value) => Some(Value::Bool(*value)),
        DeValue::Datetime(date) => Some(Value::String(date.to_string())),
        DeValue::Array(_) => {
            let items = field.items().unwrap_or_default();
            items.iter().map(|item| value(item, reader)).collect::<Option<_>>().map(Value::Array)
        }
        DeValue::Table(_) => {
            let section = Section::with_free_keys(format!("`{}`", field.key()), field).ok()?;
            let entry = |entry: &Field<'_>| Some((entry.key().to_owned(), value(entry, reader)?));
            section.fields().iter().map(entry).collect::<Option<Map<_, _>>>().map(Value::Object)
        }
    }
}

fn read_headers(field: &Field<'_>, reader: &mut Reader<'_>) -> Vec<(HeaderName, String)> {
    match Section::with_free_keys("`headers`".to_owned(), field) {
        Ok(section) => section.fields().iter().filter_map(|entry| read_header(entry, reader)).collect(),
        Err(message) => {
            reader.report(Problem::error(field.span(), message).help(format!("write `headers = {HEADERS_EXAMPLE}`")));
            Vec::new()
        }
    }
}

fn read_header(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<(HeaderName, String)> {
    let name = field.key().parse();
    if name.is_err() {
        let message = format!("`{}` can't be the name of a header", field.key());
        reader.report(Problem::error(field.key_span(), message).help(format!("write `headers = {HEADERS_EXAMPLE}`")));
    }
    let value = read_text(field, "\"voice\"", reader);
    Some((name.ok()?, value?))
}
