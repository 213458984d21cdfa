//! `cert` and `key`: a certificate by which the relay is known, and its private key.

use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::{environment::Environment, field::Field, problem::Problem, reader::Reader, secret, section::Section};
use crate::auth::{CertificateFlaw, Identity};

const CERT_EXAMPLE: &str = "\"/etc/atoms-relay/relay.pem\"";
const KEY_EXAMPLE: &str = "\"/etc/atoms-relay/relay.key\"";

/// Reads both, if one of them is there.
pub(super) fn read(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<Identity> {
    if section.field("cert").is_none() && section.field("key").is_none() {
        return None;
    }
    read_required(section, reader)
}

/// Reads both, which have to be there.
pub(super) fn read_required(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<Identity> {
    let cert = section.required("cert", CERT_EXAMPLE, reader);
    let key = section.required("key", KEY_EXAMPLE, reader);
    let chain = cert.as_ref().and_then(|field| read_file(field, CERT_EXAMPLE, reader));
    let secret = key.as_ref().and_then(|field| secret::read_at_path(field, KEY_EXAMPLE, reader));
    let (cert, key) = (cert?, key?);
    let identity = Identity::from_pem(&chain?, secret?.expose_secret().as_bytes());
    identity.map_err(|flaw| report(if flaw.is_of_key() { &key } else { &cert }, flaw, reader)).ok()
}

/// Reports what is wrong with the content of a file.
pub(super) fn report(field: &Field<'_>, flaw: CertificateFlaw, reader: &mut Reader<'_>) {
    reader.report(Problem::error(field.span(), format!("the file of `{}` {flaw}", field.key())).help(flaw.advice()));
}

/// The bytes of a file of certificates, which are no secret.
pub(super) fn read_file(field: &Field<'_>, example: &str, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let path = field.text(example, reader)?;
    let path = reader.resolve(path);
    let read = reader.certificate_file(&path);
    let report = |error| {
        let help = "the user that runs the relay has to be able to read it";
        Problem::error(field.span(), format!("the file {} can't be read: {error}", path.display())).help(help)
    };
    read.map_err(|error| reader.report(report(error))).ok()
}

/// Where a certificate and its key lie, for whoever looks whether they have been renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    cert: PathBuf,
    key: PathBuf,
}

impl IdentityFiles {
    /// Both paths; `None` when the key doesn't come from a file that can change: a process's variables and credentials stay.
    pub(super) fn of(section: &Section<'_>, reader: &Reader<'_>) -> Option<Self> {
        let (cert, key) = (section.field("cert")?, section.field("key")?);
        let key = key.value().as_str().or_else(|| key.value().as_table()?.get("file")?.get_ref().as_str())?;
        Some(Self { cert: reader.resolve(cert.value().as_str()?), key: reader.resolve(key) })
    }

    /// Reads both files.
    ///
    /// # Errors
    /// [`IdentityError`], for example when one of them is renewed already and the other isn't yet.
    pub fn read(&self, environment: &dyn Environment) -> Result<Identity, IdentityError> {
        let unreadable = |path: &PathBuf| {
            let path = path.clone();
            |source| IdentityError::Unreadable { path, source }
        };
        let cert = environment.certificate_file(&self.cert).map_err(unreadable(&self.cert))?;
        let key = environment.secret_file(&self.key).map_err(unreadable(&self.key))?;
        Identity::from_pem(&cert, key.content.expose_secret()).map_err(|flaw| {
            let path = if flaw.is_of_key() { &self.key } else { &self.cert };
            IdentityError::Flawed { path: path.clone(), flaw }
        })
    }
}

/// Why a certificate that may have been renewed can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// One of the files can't be read.
    #[error("the file {} can't be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// One of the files is no good.
    #[error("the file {} {flaw}: {}", path.display(), flaw.advice())]
    Flawed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        flaw: CertificateFlaw,
    },
}
