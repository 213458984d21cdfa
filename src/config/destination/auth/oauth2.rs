//! `oauth2`: client credentials, for which a token endpoint issues access tokens.

use std::time::Duration;

use url::{Host, Url};

use super::SECRET_EXAMPLE;
use crate::{
    address::Policy,
    auth::Grant,
    config::{
        destination::address::Fixed,
        field::Field,
        problem::Problem,
        reader::Reader,
        secret,
        section::{Keys, Section},
        units::{Bounds, DAY, MINUTE},
    },
};

pub(in crate::config) const KEYS: Keys = Keys {
    known: &["token_url", "client_id", "client_secret", "scope", "audience", "capture", "default_ttl"],
    later: &[],
};

const TOKEN_URL_EXAMPLE: &str = "\"https://login.example/oauth2/token\"";
const CAPTURE_EXAMPLE: &str = "[\"instance_url\"]";

/// Salesforce, which doesn't say how long a token is good, lets it go after two hours without use by default and after
/// fifteen minutes at the least.
const DEFAULT_TTL: Duration = MINUTE.saturating_mul(30);

const TTL: Bounds<Duration> = Bounds {
    least: Duration::from_secs(1),
    most: DAY,
    reason: "a token is fetched again when its time is over, and once a day is no effort",
    example: "\"30m\"",
};

/// Reads `oauth2` of `auth`; nothing when something is missing.
pub(super) fn read(auth: &Section<'_>, policy: Policy, reader: &mut Reader<'_>) -> Option<Grant> {
    let section = auth.given_table("oauth2", &KEYS, reader)?;
    let token_url =
        section.required("token_url", TOKEN_URL_EXAMPLE, reader).and_then(|url| read_url(&url, policy, reader));
    let client_id = section.required("client_id", "\"relay\"", reader).and_then(|id| read_text(&id, reader));
    let client_secret = section
        .required("client_secret", SECRET_EXAMPLE, reader)
        .and_then(|secret| secret::read(&secret, SECRET_EXAMPLE, reader));
    let [scope, audience] =
        ["scope", "audience"].map(|key| section.field(key).and_then(|text| read_text(&text, reader)));
    let capture = section.field("capture").and_then(|field| field.texts(CAPTURE_EXAMPLE, reader)).unwrap_or_default();
    let default_ttl = section.field("default_ttl").and_then(|field| field.duration(&TTL, reader));
    Some(Grant {
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scope,
        audience,
        capture: capture.into_iter().map(|(name, _)| name.to_owned()).collect(),
        default_ttl: default_ttl.unwrap_or(DEFAULT_TTL),
    })
}

/// A text that is no secret, although it may come from the same place as one.
fn read_text(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<String> {
    let given = secret::read_given(field, "\"relay\"", reader)?;
    if given.expose().is_empty() {
        reader.report(field.error("is empty", "\"relay\""));
        return None;
    }
    if !given.is_from_secret() {
        reader.reveal(field.span());
    }
    Some(given.expose().to_owned())
}

fn read_url(field: &Field<'_>, policy: Policy, reader: &mut Reader<'_>) -> Option<Url> {
    let Fixed { url, .. } = Fixed::read(field, policy, reader)?;
    if url.scheme() == "http" && !is_this_machine(&url) {
        let message = "the client's secret goes to this address as plain text, for everybody on the way to read";
        reader.report(Problem::warning(field.span(), message).help("write it with `https://`"));
    }
    Some(url)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
