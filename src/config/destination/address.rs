//! `url`: where a destination is. The address may be a secret itself, as Slack's are.

use url::Url;

use super::guard;
use crate::{
    address::Policy,
    config::{
        field::Field,
        problem::Problem,
        reader::Reader,
        secret::{self, Given},
        template::{self, Known},
    },
    transform::Address,
};

pub(super) const EXAMPLE: &str = "\"https://crm.internal.example/api/calls\"";

/// The tokens in webhook addresses (Slack, Teams, Zapier) are longer than this; words are shorter.
const LEAST_TOKEN_LEN: usize = 20;

/// Reads the address of a destination. What comes from a secret is never a template: nobody could check it.
pub(super) fn read(field: &Field<'_>, known: &Known<'_>, policy: Policy, reader: &mut Reader<'_>) -> Option<Address> {
    let (address, is_secret) = match field.value().as_str() {
        Some(text) if template::is_template(text) => read_template(field, text, known, policy, reader)?,
        _ => {
            let Fixed { url, is_secret } = Fixed::read(field, policy, reader)?;
            (Address::fixed(url), is_secret)
        }
    };
    Some(if is_secret { address.hidden() } else { address })
}

/// A template, and whether its path is secret.
fn read_template(
    field: &Field<'_>,
    text: &str,
    known: &Known<'_>,
    policy: Policy,
    reader: &mut Reader<'_>,
) -> Option<(Address, bool)> {
    let holds_secret = holds_secret(text);
    if holds_secret {
        report_token(field, reader);
    } else {
        reader.reveal(field.span());
    }
    let address = Address::compile(text, known.vars).map_err(|flaw| template::report(field, &flaw, reader)).ok()?;
    guard::check(policy, &address.sample(), field.span(), reader);
    let names = address.names();
    known.check(field, &names, reader);
    Some((address, holds_secret || known.vars.secret_in(&names).is_some()))
}

/// An address that never changes.
#[derive(Debug)]
pub(in crate::config) struct Fixed {
    /// The address.
    pub(in crate::config) url: Url,
    /// Whether nobody may be shown more of it than the host.
    pub(super) is_secret: bool,
}

impl Fixed {
    pub(in crate::config) fn read(field: &Field<'_>, policy: Policy, reader: &mut Reader<'_>) -> Option<Self> {
        let given = secret::read_given(field, EXAMPLE, reader)?;
        let holds_secret = holds_secret(given.expose());
        let parsed = parse(given.expose());
        let is_harmless = !holds_secret && (parsed.is_ok() || !may_hold_password(given.expose()));
        if matches!(given, Given::Literal(_)) && is_harmless {
            reader.reveal(field.span());
        }
        match parsed {
            Ok(url) => {
                if holds_secret && !given.is_from_secret() {
                    report_token(field, reader);
                }
                guard::check(policy, &url, field.span(), reader);
                Some(Self { url, is_secret: holds_secret || given.is_from_secret() })
            }
            Err((flaw, help)) => {
                let message = format!("`{}` {flaw}", field.key());
                reader.report(Problem::error(field.span(), message).help(help));
                None
            }
        }
    }
}

fn report_token(field: &Field<'_>, reader: &mut Reader<'_>) {
    let message = "this address seems to hold a token: whoever sees the file can use it";
    let help = "put the address into the environment and write `url = { env = \"NAME\" }`";
    reader.report(Problem::warning(field.span(), message).help(help));
}

/// The address, or what is wrong with it and what to do.
fn parse(text: &str) -> Result<Url, (&'static str, &'static str)> {
    const HELP: &str = "write it whole, for example `\"https://crm.internal.example/api/calls\"`";
    let url = Url::parse(text).map_err(|_| ("is not an address", HELP))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(("has to begin with `https://` or `http://`", HELP));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let help = "take them out and write `auth = { basic = { user = \"…\", password = { env = \"NAME\" } } }`";
        return Err(("holds a user name or a password", help));
    }
    if url.fragment().is_some() {
        return Err(("holds a `#`, and what follows it is never sent", "leave it out, or write it as `%23`"));
    }
    Ok(url)
}

/// Whether some part of an address looks like a credential: a user or password before an `@`, or a long word that mixes
/// capitals, small letters and digits, as generated tokens do and paths, UUIDs and ids in hex don't.
fn holds_secret(address: &str) -> bool {
    let mut words = address.split(|c: char| !c.is_ascii_alphanumeric());
    address.contains('@') || words.any(is_token)
}

/// Whether something in a broken address may be a password: all that follows a colon and is neither `//` nor a port.
fn may_hold_password(address: &str) -> bool {
    let is_port =
        |rest: &str| rest.split('/').next().is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    address.replacen("://", "", 1).split(':').skip(1).any(|rest| !is_port(rest))
}

fn is_token(word: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
    word.len() >= LEAST_TOKEN_LEN
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_http_addresses_without_credentials_are_taken() {
        assert!(parse("https://crm.example/api?x=1").is_ok());
        for text in ["crm.example/api", "localhost:80/x", "ftp://crm.example", "https://u:p@crm.example", "http://x/#a"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_that_lost_its_at_sign_is_suspected() {
        assert!(may_hold_password("https://relay:hunter2crm.example/"));
        assert!(!may_hold_password("crm.example:8080/api"));
        assert!(!may_hold_password("htps://crm.example"));
    }

    #[test]
    fn tokens_are_told_from_ordinary_paths() {
        assert!(holds_secret("https://hooks.slack.com/services/T0AB/B0CD/xYz1xYz2xYz3xYz4xYz5"));
        assert!(holds_secret("https://user:pass@crm.example/"));
        assert!(!holds_secret("https://crm.internal.example/tenants/550e8400-e29b-41d4-a716-446655440000/calls"));
        assert!(!holds_secret("https://crm.example/68c1f0aa41d2b7e5903c11a4/PostCallNotifications"));
    }
}
