//! Credentials that are always the same: `bearer`, `basic` and `header`. Each ends as one header.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};

use super::SECRET_EXAMPLE;
use crate::config::{
    Source,
    destination::headers,
    field::Field,
    problem::Problem,
    reader::Reader,
    secret,
    section::{Keys, Section},
};

pub(in crate::config) const BASIC_KEYS: Keys = Keys { known: &["user", "password"], later: &[] };
pub(in crate::config) const HEADER_KEYS: Keys = Keys { known: &["name", "value"], later: &[] };

const PASSWORD_EXAMPLE: &str = "{ env = \"CRM_PASSWORD\" }";

/// RFC 6750 2.1.
pub(super) fn read_bearer(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<(HeaderName, HeaderValue)> {
    let token = secret::read(field, SECRET_EXAMPLE, reader)?;
    let value = SecretString::from(format!("Bearer {}", token.expose_secret()));
    Some((AUTHORIZATION, sensitive(&value, field, reader)?))
}

/// RFC 7617: the base64 of `user:password`, in which the first colon ends the user.
pub(super) fn read_basic(auth: &Section<'_>, reader: &mut Reader<'_>) -> Option<(HeaderName, HeaderValue)> {
    let section = auth.given_table("basic", &BASIC_KEYS, reader)?;
    let user = section.required("user", "\"relay\"", reader).and_then(|user| read_user(&user, reader));
    let field = section.required("password", PASSWORD_EXAMPLE, reader)?;
    let password = secret::read(&field, PASSWORD_EXAMPLE, reader);
    let pair = SecretString::from(format!("{}:{}", user?, password?.expose_secret()));
    let value = SecretString::from(format!("Basic {}", STANDARD.encode(pair.expose_secret())));
    Some((AUTHORIZATION, sensitive(&value, &field, reader)?))
}

/// A header of the destination's own, such as `X-Api-Key`.
pub(super) fn read_header(
    auth: &Section<'_>,
    sources: &[Source],
    reader: &mut Reader<'_>,
) -> Option<(HeaderName, HeaderValue)> {
    let section = auth.given_table("header", &HEADER_KEYS, reader)?;
    let name = section.required("name", "\"X-Api-Key\"", reader).and_then(|field| read_name(&field, sources, reader));
    let field = section.required("value", SECRET_EXAMPLE, reader)?;
    let value = secret::read(&field, SECRET_EXAMPLE, reader);
    Some((name?, sensitive(&value?, &field, reader)?))
}

fn read_name(field: &Field<'_>, sources: &[Source], reader: &mut Reader<'_>) -> Option<HeaderName> {
    let text = field.text("\"X-Api-Key\"", reader)?;
    let Ok(name) = HeaderName::try_from(text) else {
        reader.report(field.error("is not the name of a header", "\"X-Api-Key\""));
        return None;
    };
    if let Some(reason) = headers::reserved_for(&name, sources) {
        reader.report(field.error(format!("names a header that can't be set here: {reason}"), "\"X-Api-Key\""));
        return None;
    }
    Some(name)
}

fn read_user<'t>(field: &Field<'t>, reader: &mut Reader<'_>) -> Option<&'t str> {
    let user = field.text("\"relay\"", reader)?;
    if user.contains(':') {
        reader.report(field.error("can't hold a `:`", "\"relay\""));
        return None;
    }
    Some(user)
}

fn sensitive(text: &SecretString, field: &Field<'_>, reader: &mut Reader<'_>) -> Option<HeaderValue> {
    let Ok(mut value) = HeaderValue::from_str(text.expose_secret()) else {
        let message = "this secret holds a character that a header can't carry, perhaps a line break";
        reader.report(Problem::error(field.span(), message));
        return None;
    };
    value.set_sensitive(true);
    Some(value)
}
