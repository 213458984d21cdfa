//! `auth`: how the relay shows a destination who it is, by credentials or by a signature, or by one of each.

mod constant;
mod oauth2;
mod signing;

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};

pub(in crate::config) use self::{
    constant::{BASIC_KEYS, HEADER_KEYS},
    oauth2::KEYS as OAUTH2_KEYS,
    signing::{HMAC_KEYS, STANDARD_WEBHOOKS_KEYS},
};
use crate::{
    address::Policy,
    auth::Grant,
    config::{
        Source,
        field::Field,
        problem::{Problem, Span},
        reader::Reader,
        section::{Keys, Section},
        suggestion,
    },
    transform::Signer,
};

pub(in crate::config) const KEYS: Keys =
    Keys { known: &["bearer", "basic", "header", "oauth2", "hmac", "standard_webhooks"], later: &[] };

/// Of these there can be one. The others sign, and stand in [`signing::WAYS`].
const CREDENTIALS: &[&str] = &["bearer", "basic", "header", "oauth2"];

const SECRET_EXAMPLE: &str = "{ env = \"CRM_TOKEN\" }";

/// How a destination is told who calls.
#[derive(Debug, Default)]
pub(super) struct Auth {
    /// A header that is always the same, marked sensitive.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    /// How access tokens are got.
    pub(super) grant: Option<Grant>,
    /// What signs each request.
    pub(super) signer: Option<Signer>,
}

impl Auth {
    /// Reads `auth` of a destination, if it has one. `sources` are those of the file.
    pub(super) fn read(destination: &Section<'_>, policy: Policy, sources: &[Source], reader: &mut Reader<'_>) -> Self {
        let Some(section) = destination.given_table("auth", &KEYS, reader) else { return Self::default() };
        if section.fields().is_empty() {
            report_choice(KEYS.known, section.span(), reader);
        }
        let mut auth = Self { signer: signing::read(&section, reader), ..Self::default() };
        let Some(way) = only(CREDENTIALS, &section, reader) else { return auth };
        match way.key() {
            "bearer" => auth.header = constant::read_bearer(&way, reader),
            "basic" => auth.header = constant::read_basic(&section, reader),
            "header" => auth.header = constant::read_header(&section, sources, reader),
            _ => auth.grant = oauth2::read(&section, policy, reader),
        }
        auth
    }

    /// The fields of the token answer that templates can name; `None` when that is hard to say. `destination` is the section
    /// it was read from.
    pub(super) fn captured(&self, destination: &Section<'_>) -> Option<&[String]> {
        match &self.grant {
            Some(grant) => Some(&grant.capture),
            None => destination.field("auth").is_none().then_some(&[]),
        }
    }

    /// The names of the headers that it makes.
    pub(super) fn header_names(&self) -> Vec<HeaderName> {
        let constant = self.header.iter().map(|(name, _)| name.clone());
        let of_token = self.grant.iter().map(|_| AUTHORIZATION);
        constant.chain(of_token).chain(self.signer.iter().flat_map(Signer::headers)).collect()
    }
}

/// The one of `keys` that is there; nothing when none is, or several are.
fn only<'t>(keys: &[&str], auth: &Section<'t>, reader: &mut Reader<'_>) -> Option<Field<'t>> {
    let mut given = keys.iter().filter_map(|key| auth.field(key));
    let first = given.next()?;
    if given.next().is_some() {
        report_choice(keys, auth.span(), reader);
        return None;
    }
    Some(first)
}

fn report_choice(keys: &[&str], span: Span, reader: &mut Reader<'_>) {
    let message = format!("`auth` takes one of {}", suggestion::list(keys));
    let help = format!("write `auth = {{ bearer = {SECRET_EXAMPLE} }}`");
    reader.report(Problem::error(span, message).help(help));
}
