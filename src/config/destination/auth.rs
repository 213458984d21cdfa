//! `auth`: how the relay shows a destination who it is. It ends as one `Authorization` header.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{
    field::Field,
    problem::Problem,
    reader::Reader,
    secret,
    section::{Keys, Section},
    suggestion,
};

pub(in crate::config) const KEYS: Keys = Keys { known: &["bearer", "basic"], later: &[] };
pub(in crate::config) const BASIC_KEYS: Keys = Keys { known: &["user", "password"], later: &[] };

const SECRET_EXAMPLE: &str = "{ env = \"CRM_TOKEN\" }";

/// Reads `auth` of a destination, if it has one, into its headers.
pub(super) fn read(destination: &Section<'_>, headers: &mut HeaderMap, reader: &mut Reader<'_>) {
    let Some(field) = destination.field("auth") else { return };
    let section = destination.table("auth", &KEYS, reader);
    let (bearer, basic) = (section.field("bearer"), section.field("basic"));
    let value = match (bearer, basic) {
        (Some(token), None) => read_bearer(&token, reader),
        (None, Some(_)) => read_basic(&section.table("basic", &BASIC_KEYS, reader), reader),
        (None, None) if !section.fields().is_empty() || !field.value().is_table() => None, // Reported already.
        _ => {
            let message = format!("`auth` takes one of {}", suggestion::list(KEYS.known));
            let help = format!("write `auth = {{ bearer = {SECRET_EXAMPLE} }}`");
            reader.report(Problem::error(field.span(), message).help(help));
            None
        }
    };
    if headers.contains_key(AUTHORIZATION) {
        let message = "`auth` makes an `Authorization` header, and `headers` has one, too";
        reader.report(Problem::error(field.span(), message).help("leave one of them out"));
    } else if let Some(value) = value {
        headers.insert(AUTHORIZATION, value);
    }
}

fn read_bearer(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<HeaderValue> {
    let token = secret::read(field, SECRET_EXAMPLE, reader)?;
    let value = sensitive(&SecretString::from(format!("Bearer {}", token.expose_secret())));
    if value.is_none() {
        let message = "this token holds a character that a header can't carry, perhaps a line break";
        reader.report(Problem::error(field.span(), message));
    }
    value
}

/// RFC 7617: the base64 of `user:password`, in which the first colon ends the user.
fn read_basic(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<HeaderValue> {
    let user = section.required("user", "\"relay\"", reader).and_then(|user| read_user(&user, reader));
    let password = section
        .required("password", "{ env = \"CRM_PASSWORD\" }", reader)
        .and_then(|password| secret::read(&password, "{ env = \"CRM_PASSWORD\" }", reader));
    let pair = SecretString::from(format!("{}:{}", user?, password?.expose_secret()));
    let encoded = SecretString::from(format!("Basic {}", STANDARD.encode(pair.expose_secret())));
    sensitive(&encoded)
}

fn read_user<'t>(field: &Field<'t>, reader: &mut Reader<'_>) -> Option<&'t str> {
    let user = field.text("\"relay\"", reader)?;
    if user.contains(':') {
        reader.report(field.error("can't hold a `:`", "\"relay\""));
        return None;
    }
    Some(user)
}

fn sensitive(text: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}
