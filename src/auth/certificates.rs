//! Certificates for TLS beyond those of the system: whose signature a destination's certificate has to carry, and by which
//! certificate the relay is known there (mTLS).
//!
//! What is wrong with a file is said when the config is read: a handshake that fails at night says much less. Whether a
//! certificate is still valid isn't judged here, for it may be renewed before it is needed.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    Error, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use secrecy::{ExposeSecret, SecretString};

use super::validity::{self, Validity};

/// The only authorities whose certificates are believed. At least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// The authorities in a PEM file.
    ///
    /// # Errors
    /// [`CertificateFlaw`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateFlaw> {
        let certificates = certificates(pem)?;
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store.add(certificate.clone()).map_err(|_| CertificateFlaw::Damaged)?;
        }
        Ok(Self(certificates))
    }

    /// Their certificates, as DER.
    pub fn as_der(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// A certificate with its private key, by which the relay is known. Its `Debug` shows neither.
#[derive(Clone)]
pub struct Identity {
    pem: SecretString,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// The certificate in one PEM file, with those that lead from it to an authority behind it, and its key in another.
    ///
    /// # Errors
    /// [`CertificateFlaw`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, CertificateFlaw> {
        let chain = certificates(certificate)?;
        let key = private_key(key)?;
        match CertifiedKey::from_der(chain.clone(), key.clone_key(), &aws_lc_rs::default_provider()) {
            Ok(certified) => Ok(Self { pem: in_pem(&chain, &key), certified: Arc::new(certified) }),
            Err(Error::InconsistentKeys(_)) => Err(CertificateFlaw::OtherKey),
            Err(Error::InvalidCertificate(_)) => Err(CertificateFlaw::Damaged),
            Err(_) => Err(CertificateFlaw::UnknownKey),
        }
    }

    /// Certificates and key, as PEM.
    #[must_use]
    pub fn pem(&self) -> &SecretString {
        &self.pem
    }

    /// The same, as TLS uses it.
    #[must_use]
    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// From when until when the certificate is valid; `None` where that can't be read.
    #[must_use]
    pub fn validity(&self) -> Option<Validity> {
        validity::of(self.certified.end_entity_cert().ok()?)
    }
}

/// The same certificates and the same key.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.pem.expose_secret() == other.pem.expose_secret()
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateFlaw> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) if contains(pem, "PRIVATE KEY-----") => Err(CertificateFlaw::KeyOnly),
        Ok(_) => Err(CertificateFlaw::NoCertificate),
        Err(_) => Err(CertificateFlaw::Damaged),
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateFlaw> {
    // PKCS #8 says so in its label, OpenSSL's older form in a header.
    if contains(pem, "ENCRYPTED") {
        return Err(CertificateFlaw::Passphrase);
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| CertificateFlaw::NoKey)
}

fn contains(pem: &[u8], words: &str) -> bool {
    pem.windows(words.len()).any(|window| window == words.as_bytes())
}

fn in_pem(chain: &[CertificateDer<'_>], key: &PrivateKeyDer<'_>) -> SecretString {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let block =
        |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let chain: String = chain.iter().map(|certificate| block("CERTIFICATE", certificate)).collect();
    SecretString::from(chain + &block(label, key.secret_der()))
}

/// What is wrong with a file of certificates or with a key. [`Self::advice`] says what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFlaw {
    /// There is nothing of that sort in it.
    #[error("holds no certificate")]
    NoCertificate,
    /// The files may have been mixed up.
    #[error("holds a private key and no certificate")]
    KeyOnly,
    /// It is cut off, or was changed.
    #[error("holds a certificate that is damaged")]
    Damaged,
    /// There is nothing of that sort in it.
    #[error("holds no private key")]
    NoKey,
    /// Nobody would be there to type the passphrase.
    #[error("holds a private key that is protected by a passphrase")]
    Passphrase,
    /// Neither RSA, nor EC, nor Ed25519, or too short.
    #[error("holds a private key of a kind that TLS can't use")]
    UnknownKey,
    /// Key and certificate are no pair.
    #[error("holds a private key that belongs to another certificate")]
    OtherKey,
}

impl CertificateFlaw {
    /// What to do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NoCertificate => {
                "PEM has `-----BEGIN CERTIFICATE-----` in it; `openssl x509 -inform der -in FILE` makes it of DER"
            }
            Self::KeyOnly => "give the file with `-----BEGIN CERTIFICATE-----` in it",
            Self::Damaged => "`openssl x509 -noout -text -in FILE` shows what is readable; copy it again",
            Self::NoKey => {
                "PEM has `-----BEGIN PRIVATE KEY-----` in it; `openssl pkey -inform der -in FILE` makes it of DER"
            }
            Self::Passphrase => {
                "`openssl pkey -in FILE -out NEW` writes it without; let nobody but the relay read that"
            }
            Self::UnknownKey => "take RSA with 2048 bits or more, ECDSA or Ed25519",
            Self::OtherKey => "give the key with which the certificate was requested",
        }
    }

    /// Whether it is the key that is wrong, and not the certificate.
    #[must_use]
    pub const fn is_of_key(self) -> bool {
        matches!(self, Self::NoKey | Self::Passphrase | Self::UnknownKey | Self::OtherKey)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
    use secrecy::ExposeSecret;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    /// A certificate and its key.
    fn pair() -> (String, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["crm.example".to_owned()]).unwrap();
        (pem("CERTIFICATE", cert.der()), pem("PRIVATE KEY", signing_key.serialized_der()))
    }

    fn identity(certificate: &str, key: &str) -> Result<Identity, CertificateFlaw> {
        Identity::from_pem(certificate.as_bytes(), key.as_bytes())
    }

    #[test]
    fn a_file_of_authorities_may_hold_several_and_words_around_them() {
        let file = format!("# ours\n{}\nand theirs\n{}", pair().0, pair().0);
        assert_eq!(Authorities::from_pem(file.as_bytes()).unwrap().as_der().count(), 2);
    }

    #[test]
    fn a_certificate_and_its_key_are_an_identity_that_shows_nothing() {
        let (certificate, key) = pair();
        let identity = identity(&certificate, &key).unwrap();
        assert_eq!(identity.pem().expose_secret(), certificate + &key);
        assert_eq!(format!("{identity:?}"), "Identity");
    }

    #[test]
    fn certificate_and_key_may_stand_in_one_file() {
        let (certificate, key) = pair();
        let both = format!("{key}{certificate}");
        assert_eq!(identity(&both, &both).unwrap().pem().expose_secret(), certificate + &key);
    }

    #[test]
    fn whatever_is_wrong_with_a_file_has_its_name() {
        let (certificate, key) = pair();
        let der = STANDARD.decode(certificate.lines().nth(1).unwrap()).unwrap();
        let cut = pem("CERTIFICATE", &der[..der.len() / 2]);
        let encrypted = pem("ENCRYPTED PRIVATE KEY", b"whatever");
        let another = pem("PRIVATE KEY", KeyPair::generate().unwrap().serialized_der());
        for (file, flaw) in [
            ("", CertificateFlaw::NoCertificate),
            ("not PEM", CertificateFlaw::NoCertificate),
            (&*key, CertificateFlaw::KeyOnly),
            (&*cut, CertificateFlaw::Damaged),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n", CertificateFlaw::Damaged),
        ] {
            assert_eq!(Authorities::from_pem(file.as_bytes()), Err(flaw), "{file}");
            assert_eq!(identity(file, &key).unwrap_err(), flaw, "{file}");
        }
        for (file, flaw) in [
            ("", CertificateFlaw::NoKey),
            (&*certificate, CertificateFlaw::NoKey),
            (&*encrypted, CertificateFlaw::Passphrase),
            (&*pem("PRIVATE KEY", b"whatever"), CertificateFlaw::UnknownKey),
            (&*another, CertificateFlaw::OtherKey),
        ] {
            assert_eq!(identity(&certificate, file).unwrap_err(), flaw, "{file}");
            assert!(flaw.is_of_key());
        }
    }
}
