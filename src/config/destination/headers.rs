//! `headers`: what a destination wants to see besides the body.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::{Source, field::Field, problem::Problem, reader::Reader, secret, section::Section};

const EXAMPLE: &str = "{ X-Team = \"voice\" }";

/// Headers that the relay sets itself (DESIGN 4.3), or that belong to the connection.
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

/// Words in the names of headers that carry credentials.
const CREDENTIAL_WORDS: &[&str] = &["auth", "cookie", "key", "password", "secret", "token"];

/// Reads the headers of a destination. Credentials among them are marked sensitive. No value is revealed: a header by any
/// name may carry a credential.
pub(super) fn read(field: Option<Field<'_>>, sources: &[Source], reader: &mut Reader<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(field) = field else { return headers };
    match Section::with_free_keys("`headers`".to_owned(), &field) {
        Ok(section) => {
            for entry in section.fields() {
                read_header(&entry, sources, &mut headers, reader);
            }
        }
        Err(message) => {
            let help = format!("write `headers = {EXAMPLE}`");
            reader.report(Problem::error(field.span(), message).help(help));
        }
    }
    headers
}

fn read_header(field: &Field<'_>, sources: &[Source], headers: &mut HeaderMap, reader: &mut Reader<'_>) {
    let Some(name) = read_name(field, sources, reader) else { return };
    let Some(value) = read_value(field, reader) else { return };
    if headers.contains_key(&name) {
        let message = format!("the header `{name}` is there twice; upper and lower case are the same");
        reader.report(Problem::error(field.key_span(), message).help("leave one of them out"));
        return;
    }
    headers.insert(name, value);
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
    let is_credential = given.is_from_secret() || names_a_credential(field.key());
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

fn names_a_credential(header: &str) -> bool {
    let header = header.to_lowercase();
    CREDENTIAL_WORDS.iter().any(|word| header.contains(word))
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

    #[test]
    fn credentials_are_known_by_their_headers() {
        assert!(names_a_credential("X-Api-Key") && names_a_credential("Authorization"));
        assert!(!names_a_credential("X-Team"));
    }
}
