//! `auth`: how the relay shows a destination who it is.

mod constant;
mod oauth2;

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};

pub(in crate::config) use self::{
    constant::{BASIC_KEYS, HEADER_KEYS},
    oauth2::KEYS as OAUTH2_KEYS,
};
use crate::{
    address::Policy,
    auth::Grant,
    config::{
        Source,
        problem::Problem,
        reader::Reader,
        section::{Keys, Section},
        suggestion,
    },
};

pub(in crate::config) const KEYS: Keys = Keys { known: &["bearer", "basic", "header", "oauth2"], later: &[] };

const SECRET_EXAMPLE: &str = "{ env = \"CRM_TOKEN\" }";

/// How a destination is told who calls.
#[derive(Debug, Default)]
pub(super) struct Auth {
    /// A header that is always the same, marked sensitive.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    /// How access tokens are got.
    pub(super) grant: Option<Grant>,
}

impl Auth {
    /// Reads `auth` of a destination, if it has one. `sources` are those of the file.
    pub(super) fn read(destination: &Section<'_>, policy: Policy, sources: &[Source], reader: &mut Reader<'_>) -> Self {
        let Some(field) = destination.field("auth") else { return Self::default() };
        let section = destination.table("auth", &KEYS, reader);
        let given: Vec<_> = KEYS.known.iter().filter_map(|key| section.field(key)).collect();
        let [way] = given.as_slice() else {
            let is_reported = given.is_empty() && (!section.fields().is_empty() || !field.value().is_table());
            if !is_reported {
                let message = format!("`auth` takes one of {}", suggestion::list(KEYS.known));
                let help = format!("write `auth = {{ bearer = {SECRET_EXAMPLE} }}`");
                reader.report(Problem::error(field.span(), message).help(help));
            }
            return Self::default();
        };
        match way.key() {
            "bearer" => Self::constant(constant::read_bearer(way, reader)),
            "basic" => Self::constant(constant::read_basic(&section, reader)),
            "header" => Self::constant(constant::read_header(&section, sources, reader)),
            _ => Self { grant: oauth2::read(&section, policy, reader), header: None },
        }
    }

    fn constant(header: Option<(HeaderName, HeaderValue)>) -> Self {
        Self { header, grant: None }
    }

    /// The fields of the token answer that templates can name; `None` when that is hard to say. `destination` is the section
    /// it was read from.
    pub(super) fn captured(&self, destination: &Section<'_>) -> Option<&[String]> {
        match &self.grant {
            Some(grant) => Some(&grant.capture),
            None => destination.field("auth").is_none().then_some(&[]),
        }
    }

    /// The name of the header that it makes.
    pub(super) fn header_name(&self) -> Option<&HeaderName> {
        let of_token = self.grant.as_ref().map(|_| &AUTHORIZATION);
        self.header.as_ref().map(|(name, _)| name).or(of_token)
    }
}
