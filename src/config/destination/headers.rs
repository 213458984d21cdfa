//! `headers`: what a destination wants to see besides the body.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    config::{
        Source,
        field::Field,
        problem::Problem,
        reader::Reader,
        secret,
        section::Section,
        template::{self, Known},
    },
    template::Template,
    transform::HeaderTemplate,
};

const EXAMPLE: &str = "{ X-Team = \"voice\" }";

/// Headers that the relay sets itself, or that belong to the connection.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// All headers that begin so are the relay's.
const RESERVED_PREFIX: &str = "x-relay-";

/// The headers of a destination. Credentials among them are marked sensitive.
#[derive(Debug, Default)]
pub(super) struct Headers {
    /// Those that never change.
    pub(super) fixed: HeaderMap,
    /// Those with parts from the event.
    pub(super) templates: Vec<HeaderTemplate>,
}

impl Headers {
    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &HeaderName) -> bool {
        self.fixed.contains_key(name) || self.templates.iter().any(|template| template.name == name)
    }
}

/// Reads the headers of a destination. But for templates no value is revealed: a header by any name may carry a credential.
pub(super) fn read(
    destination: &Section<'_>,
    sources: &[Source],
    known: &Known<'_>,
    reader: &mut Reader<'_>,
) -> Headers {
    let mut headers = Headers::default();
    for entry in destination.free_table("headers", EXAMPLE, reader) {
        read_header(&entry, sources, known, &mut headers, reader);
    }
    headers
}

/// Reads headers that don't depend on an event, of a section that is about none.
pub(in crate::config) fn read_constant(section: &Section<'_>, reader: &mut Reader<'_>) -> HeaderMap {
    let entries = section.free_table("headers", EXAMPLE, reader);
    let read = |field: &Field<'_>| Some((read_name(field, &[], reader)?, read_value(field, reader)?));
    entries.iter().filter_map(read).collect()
}

fn read_header(
    field: &Field<'_>,
    sources: &[Source],
    known: &Known<'_>,
    headers: &mut Headers,
    reader: &mut Reader<'_>,
) {
    let Some(name) = read_name(field, sources, reader) else { return };
    if headers.has(&name) {
        let message = format!("the header `{name}` is there twice; upper and lower case are the same");
        reader.report(Problem::error(field.key_span(), message).help("leave one of them out"));
        return;
    }
    match field.value().as_str().filter(|text| template::is_template(text)) {
        Some(text) => headers.templates.extend(read_template(field, name, text, known, reader)),
        None => headers.fixed.extend(read_value(field, reader).map(|value| (name, value))),
    }
}

/// A value that shows a secret is one itself. What comes with credentials may be.
fn read_template(
    field: &Field<'_>,
    name: HeaderName,
    text: &str,
    known: &Known<'_>,
    reader: &mut Reader<'_>,
) -> Option<HeaderTemplate> {
    if !secret::is_named_by(field.key()) {
        reader.reveal(field.span());
    }
    let value = Template::compile(text).map_err(|flaw| template::report(field, &flaw, reader)).ok()?;
    let names = value.names();
    known.check(field, &names, reader);
    let is_sensitive = secret::is_named_by(field.key())
        || known.vars.secret_in(&names).is_some()
        || names.iter().any(|name| name.starts_with("auth"));
    Some(HeaderTemplate { name, value, is_sensitive })
}

fn read_name(field: &Field<'_>, sources: &[Source], reader: &mut Reader<'_>) -> Option<HeaderName> {
    let Ok(name) = HeaderName::try_from(field.key()) else {
        let message = format!("no header can be called `{}`", field.key());
        reader.report(Problem::error(field.key_span(), message).help(format!("write `headers = {EXAMPLE}`")));
        return None;
    };
    let Some(reason) = reserved_for(&name, sources) else { return Some(name) };
    let message = format!("the header `{}` can't be set here: {reason}", field.key());
    reader.report(Problem::error(field.key_span(), message).help("leave it out, or choose another name"));
    None
}

/// Why a header isn't free.
pub(super) fn reserved_for(name: &HeaderName, sources: &[Source]) -> Option<&'static str> {
    if RESERVED.contains(&name.as_str()) || name.as_str().starts_with(RESERVED_PREFIX) {
        return Some("the relay sets it");
    }
    let is_signature = sources.iter().any(|source| source.verifier.header() == name);
    is_signature.then_some("events carry their signature in it, and keep it")
}

fn read_value(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<HeaderValue> {
    let given = secret::read_given(field, "\"voice\"", reader)?;
    let is_credential = given.is_from_secret() || secret::is_named_by(field.key());
    if is_credential && !given.is_from_secret() {
        secret::report_literal(field, reader);
    }
    let Ok(mut value) = HeaderValue::from_str(given.expose()) else {
        let message = format!("the value of `{}` holds a character that a header can't carry", field.key());
        reader.report(Problem::error(field.span(), message).help("headers take visible ASCII characters and spaces"));
        return None;
    };
    value.set_sensitive(is_credential);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relays_own_headers_are_not_free() {
        for name in ["host", "idempotency-key", "x-relay-attempt", "traceparent"] {
            assert!(reserved_for(&HeaderName::from_static(name), &[]).is_some(), "{name}");
        }
        assert_eq!(reserved_for(&HeaderName::from_static("x-team"), &[]), None);
    }
}
