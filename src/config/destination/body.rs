//! `body`, `json`, `text`, `content_type`, `resend`: what a destination gets as a body; `alert`: what it gets as the body of an
//! alert.

use http::HeaderValue;
use toml::de::DeValue;

use super::json;
use crate::{
    config::{
        field::Field,
        problem::Problem,
        reader::Reader,
        section::Section,
        suggestion,
        template::{self, Known},
    },
    template::Template,
    transform::{Body, Resend},
};

/// The keys that say what a body is. Each destination has one of them at most.
const KINDS: &[&str] = &["body", "json", "text"];

/// The bodies without a template.
const BODIES: &[&str] = &["raw", "normalized"];

const RESENDS: &[&str] = &["anew", "same"];

const JSON_EXAMPLE: &str = "{ text = \"Call {{ call.id }} has ended\" }";
const TEXT_EXAMPLE: &str = "\"Call {{ call.id }} has ended\"";
const ALERT_EXAMPLE: &str = "{ text = \"{{ payload.text }}\" }";
const CONTENT_TYPE_EXAMPLE: &str = "\"application/json\"";

/// All that the file says of a body.
#[derive(Debug, Default)]
pub(super) struct BodyKeys {
    pub(super) body: Body,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) resend: Resend,
    pub(super) alert: Body,
}

/// Reads them.
pub(super) fn read(section: &Section<'_>, known: &Known<'_>, reader: &mut Reader<'_>) -> BodyKeys {
    check_one_kind(section, reader);
    let json = section.field("json").and_then(|field| read_json(&field, known, reader));
    let text = section.field("text").and_then(|field| read_text(&field, known, reader));
    let named = section.field("body").and_then(|field| read_body(&field, reader));
    let body = json.or(text).or(named).unwrap_or_default();
    let content_type = section.field("content_type").and_then(|field| read_content_type(&field, section, reader));
    let alert = section.field("alert").and_then(|field| read_alert(&field, known, reader)).unwrap_or_default();
    let resend = section.field("resend").and_then(|field| read_resend(&field, [&body, &alert], known, reader));
    BodyKeys { body, content_type, resend: resend.unwrap_or_default(), alert }
}

fn check_one_kind(section: &Section<'_>, reader: &mut Reader<'_>) {
    let fields: Vec<Field<'_>> = section.fields().into_iter().filter(|field| KINDS.contains(&field.key())).collect();
    let Some((first, others)) = fields.split_first() else { return };
    for other in others {
        let message = format!("`{}` says what the body is, and so does `{}`", other.key(), first.key());
        let problem = Problem::error(other.key_span(), message).help("leave one of them out");
        reader.report(problem.related(first.key_span(), "the other one"));
    }
}

/// The value as the name of a body without a template.
pub(in crate::config) fn read_body(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Body> {
    match one_of(field, BODIES, reader)? {
        "normalized" => Some(Body::Normalized),
        _ => Some(Body::Raw),
    }
}

fn read_json(field: &Field<'_>, known: &Known<'_>, reader: &mut Reader<'_>) -> Option<Body> {
    if !matches!(field.value(), DeValue::Table(_) | DeValue::Array(_)) {
        reader.reveal(field.span());
        reader.report(field.wrong_type("a table or a list", JSON_EXAMPLE));
        return None;
    }
    json::read(field, known, reader).map(Body::Json)
}

/// The value as a template: a text makes a text, anything else makes JSON.
fn read_alert(field: &Field<'_>, known: &Known<'_>, reader: &mut Reader<'_>) -> Option<Body> {
    match field.value() {
        DeValue::Table(_) | DeValue::Array(_) => json::read(field, known, reader).map(Body::Json),
        DeValue::String(_) => read_text(field, known, reader),
        _ => {
            reader.reveal(field.span());
            reader.report(field.wrong_type("a table, a list or a text", ALERT_EXAMPLE));
            None
        }
    }
}

fn read_text(field: &Field<'_>, known: &Known<'_>, reader: &mut Reader<'_>) -> Option<Body> {
    reader.reveal(field.span());
    let Some(text) = field.value().as_str() else {
        reader.report(field.wrong_type("a text in quotes", TEXT_EXAMPLE));
        return None;
    };
    let template = Template::compile(text).map_err(|flaw| template::report(field, &flaw, reader)).ok()?;
    known.check(field, &template.names(), reader);
    Some(Body::Text(template))
}

fn read_content_type(field: &Field<'_>, section: &Section<'_>, reader: &mut Reader<'_>) -> Option<HeaderValue> {
    let text = field.text(CONTENT_TYPE_EXAMPLE, reader)?;
    let is_raw = section.field("body").is_some_and(|body| body.value().as_str() == Some("raw"));
    if is_raw || !KINDS.iter().any(|kind| section.field(kind).is_some()) {
        let problem = Problem::error(field.span(), "a raw body keeps the `Content-Type` it came with");
        reader.report(problem.help("leave `content_type` out, or make a body with `json` or `text`"));
        return None;
    }
    let value = HeaderValue::from_str(text).ok().filter(|_| text.contains('/'));
    if value.is_none() {
        reader.report(field.error("is no media type", CONTENT_TYPE_EXAMPLE));
    }
    value
}

fn read_resend(field: &Field<'_>, bodies: [&Body; 2], known: &Known<'_>, reader: &mut Reader<'_>) -> Option<Resend> {
    if one_of(field, RESENDS, reader)? == "anew" {
        return Some(Resend::Anew);
    }
    if let Some(name) = known.vars.secret_in(&bodies.map(Body::names).concat()) {
        let message = format!("`resend = \"same\"` keeps the body on disk, and with it the secret `vars.{name}`");
        let help = "send the secret in a header, which is made anew each time, or leave `resend` out";
        reader.report(Problem::error(field.span(), message).help(help));
    }
    Some(Resend::Same)
}

/// The value, if it is one of these words.
fn one_of(field: &Field<'_>, words: &[&'static str], reader: &mut Reader<'_>) -> Option<&'static str> {
    reader.reveal(field.span());
    let given = field.value().as_str().unwrap_or_default();
    let word = words.iter().find(|word| **word == given).copied();
    if word.is_none() {
        let meant = suggestion::nearest(given, words.iter().copied()).or(words.first().copied()).unwrap_or_default();
        let message = format!("has to be one of {}", suggestion::list(words));
        reader.report(field.error(message, &format!("\"{meant}\"")));
    }
    word
}
