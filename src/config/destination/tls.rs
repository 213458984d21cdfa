//! `tls`: certificates that a destination needs beyond those of the system.
//!
//! `ca` replaces the system's authorities: who runs an authority of his own doesn't want any of a hundred others to be
//! able to vouch for this destination. Whoever needs both puts them into one file.

use secrecy::ExposeSecret;

use crate::{
    auth::{Authorities, CertificateFlaw, Identity},
    config::{
        Tls,
        field::Field,
        problem::Problem,
        reader::Reader,
        secret,
        section::{Keys, Section},
    },
};

pub(in crate::config) const KEYS: Keys = Keys { known: &["ca", "cert", "key"], later: &[] };

const CA_EXAMPLE: &str = "\"/etc/ssl/internal-ca.pem\"";
const CERT_EXAMPLE: &str = "\"/etc/atoms-relay/relay.pem\"";
const KEY_EXAMPLE: &str = "\"/etc/atoms-relay/relay.key\"";

/// Reads `tls` of a destination, if it has one.
pub(super) fn read(destination: &Section<'_>, reader: &mut Reader<'_>) -> Tls {
    let Some(section) = destination.given_table("tls", &KEYS, reader) else { return Tls::default() };
    let authorities = section.field("ca").and_then(|field| read_authorities(&field, reader));
    Tls { authorities, identity: read_identity(&section, reader) }
}

fn read_authorities(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Authorities> {
    let pem = read_file(field, CA_EXAMPLE, reader)?;
    Authorities::from_pem(&pem).map_err(|flaw| report(field, flaw, reader)).ok()
}

fn read_identity(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<Identity> {
    if section.field("cert").is_none() && section.field("key").is_none() {
        return None;
    }
    let cert = section.required("cert", CERT_EXAMPLE, reader);
    let key = section.required("key", KEY_EXAMPLE, reader);
    let chain = cert.as_ref().and_then(|field| read_file(field, CERT_EXAMPLE, reader));
    let secret = key.as_ref().and_then(|field| secret::read_at_path(field, KEY_EXAMPLE, reader));
    let (cert, key) = (cert?, key?);
    let identity = Identity::from_pem(&chain?, secret?.expose_secret().as_bytes());
    identity.map_err(|flaw| report(if flaw.is_of_key() { &key } else { &cert }, flaw, reader)).ok()
}

fn report(field: &Field<'_>, flaw: CertificateFlaw, reader: &mut Reader<'_>) {
    reader.report(Problem::error(field.span(), format!("the file of `{}` {flaw}", field.key())).help(flaw.advice()));
}

/// The bytes of a file of certificates, which are no secret.
fn read_file(field: &Field<'_>, example: &str, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let path = field.text(example, reader)?;
    let path = reader.resolve(path);
    let read = reader.certificate_file(&path);
    let report = |error| {
        let help = "the user that runs the relay has to be able to read it";
        Problem::error(field.span(), format!("the file {} can't be read: {error}", path.display())).help(help)
    };
    read.map_err(|error| reader.report(report(error))).ok()
}
