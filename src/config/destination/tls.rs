//! `tls`: certificates that a destination needs beyond those of the system.
//!
//! `ca` replaces the system's authorities: who runs an authority of his own doesn't want any of a hundred others to be
//! able to vouch for this destination. Whoever needs both puts them into one file.

use crate::{
    auth::Authorities,
    config::{
        Tls,
        field::Field,
        identity,
        reader::Reader,
        section::{Keys, Section},
    },
};

pub(in crate::config) const KEYS: Keys = Keys { known: &["ca", "cert", "key"], later: &[] };

const CA_EXAMPLE: &str = "\"/etc/ssl/internal-ca.pem\"";

/// Reads `tls` of a destination or the like, if it has one.
pub(in crate::config) fn read(destination: &Section<'_>, reader: &mut Reader<'_>) -> Tls {
    let Some(section) = destination.given_table("tls", &KEYS, reader) else { return Tls::default() };
    let authorities = section.field("ca").and_then(|field| read_authorities(&field, reader));
    Tls { authorities, identity: identity::read(&section, reader) }
}

fn read_authorities(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Authorities> {
    let pem = identity::read_file(field, CA_EXAMPLE, reader)?;
    Authorities::from_pem(&pem).map_err(|flaw| identity::report(field, flaw, reader)).ok()
}
