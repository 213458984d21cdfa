//! `hmac` and `standard_webhooks`: signatures over what is sent.

use http::HeaderName;
use secrecy::{ExposeSecret, SecretString};

use super::{SECRET_EXAMPLE, only};
use crate::{
    config::{
        destination::headers,
        field::Field,
        problem::Problem,
        reader::Reader,
        secret,
        section::{Keys, Section},
    },
    transform::Signer,
};

pub(super) const WAYS: &[&str] = &["hmac", "standard_webhooks"];
pub(in crate::config) const HMAC_KEYS: Keys = Keys { known: &["secret", "header"], later: &[] };
pub(in crate::config) const STANDARD_WEBHOOKS_KEYS: Keys = Keys { known: &["keys"], later: &[] };

const HEADER_EXAMPLE: &str = "\"X-Signature\"";
const KEYS_EXAMPLE: &str = "[{ env = \"WEBHOOK_KEY\" }]";

/// That of Atoms, in lower case, as HTTP libraries keep it.
const DEFAULT_HEADER: HeaderName = HeaderName::from_static("x-signature");

/// Reads what signs in `auth`, if something does.
pub(super) fn read(auth: &Section<'_>, reader: &mut Reader<'_>) -> Option<Signer> {
    match only(WAYS, auth, reader)?.key() {
        "hmac" => read_hmac(auth, reader),
        _ => read_standard_webhooks(auth, reader),
    }
}

fn read_hmac(auth: &Section<'_>, reader: &mut Reader<'_>) -> Option<Signer> {
    let section = auth.given_table("hmac", &HMAC_KEYS, reader)?;
    let header = match section.field("header") {
        Some(field) => read_header(&field, reader),
        None => Some(DEFAULT_HEADER),
    };
    let field = section.required("secret", SECRET_EXAMPLE, reader)?;
    let secret = secret::read(&field, SECRET_EXAMPLE, reader)?;
    let signer = Signer::atoms(header?, secret.expose_secret());
    signer.map_err(|error| reader.report(Problem::error(field.span(), error.to_string()))).ok()
}

fn read_header(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<HeaderName> {
    let header = HeaderName::try_from(field.text(HEADER_EXAMPLE, reader)?).ok();
    // That of a source is none of the reserved ones here: our signature takes the place of Atoms'.
    let header = header.filter(|name| headers::reserved_for(name, &[]).is_none());
    if header.is_none() {
        reader.report(field.error("is not a header that could carry a signature", HEADER_EXAMPLE));
    }
    header
}

fn read_standard_webhooks(auth: &Section<'_>, reader: &mut Reader<'_>) -> Option<Signer> {
    let section = auth.given_table("standard_webhooks", &STANDARD_WEBHOOKS_KEYS, reader)?;
    let field = section.required("keys", KEYS_EXAMPLE, reader)?;
    let items = field.list(KEYS_EXAMPLE, reader)?;
    let keys: Vec<_> = items.iter().map(|item| secret::read(item, KEYS_EXAMPLE, reader)).collect();
    let keys: Vec<SecretString> = keys.into_iter().collect::<Option<_>>()?;
    let signer = Signer::standard_webhooks(keys.iter().map(ExposeSecret::expose_secret));
    signer.map_err(|error| reader.report(Problem::error(field.span(), error.to_string()))).ok()
}
