//! Is this really from its source?
//!
//! Atoms signs the raw body: `X-Signature` is the hex of HMAC-SHA256 with the webhook's secret, taken as text. A source
//! may hold several secrets (rotation, several webhooks); any of them verifies. Digests are compared in constant time,
//! and all secrets are tried always, so that timing tells nothing.
//!
//! This room doesn't read the body's content, and it doesn't say to a stranger which part of a signature was wrong.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

/// Bytes of an HMAC-SHA256.
const DIGEST_LEN: usize = 32;

/// Something whose signature was right. Only [`Verifier::verify`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    content: T,
    signature: HeaderValue,
}

impl<T> Verified<T> {
    /// What was verified, and the signature header's value that proved it, to be passed on.
    pub fn into_parts(self) -> (T, HeaderValue) {
        (self.content, self.signature)
    }
}

/// Checks the signatures of one source.
#[derive(Clone)]
pub struct Verifier {
    header: HeaderName,
    first: Hmac<Sha256>,
    others: Vec<Hmac<Sha256>>,
}

impl Verifier {
    /// A verifier for requests that carry their signature in `header`, made with any of `secrets`.
    ///
    /// # Errors
    /// [`VerifierError`] when there is no secret or one is empty: everybody could sign with that.
    pub fn new<'a>(header: HeaderName, secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, VerifierError> {
        let mut secrets = secrets.into_iter();
        let first = key(secrets.next().ok_or(VerifierError::NoSecret)?)?;
        let others = secrets.map(key).collect::<Result<_, _>>()?;
        Ok(Self { header, first, others })
    }

    /// The header that carries the signature.
    #[must_use]
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Checks that `body` was signed with one of the secrets.
    ///
    /// # Errors
    /// [`Refusal`], for the log; strangers are told the same for every cause.
    pub fn verify(&self, headers: &HeaderMap, body: Bytes) -> Result<Verified<Bytes>, Refusal> {
        let mut values = headers.get_all(&self.header).iter();
        let value = values.next().ok_or(Refusal::Missing)?;
        if values.next().is_some() {
            return Err(Refusal::Repeated);
        }
        let digest = parse(value.as_bytes()).ok_or(Refusal::Malformed)?;
        let matches = self.keys().fold(false, |matched, key| {
            let right = key.clone().chain_update(&body).verify_slice(&digest).is_ok();
            matched | right
        });
        if matches { Ok(Verified { content: body, signature: value.clone() }) } else { Err(Refusal::Wrong) }
    }

    /// The signature that the source would put on `body`, made with the first of its secrets.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        hex(self.first.clone(), body)
    }

    fn keys(&self) -> impl Iterator<Item = &Hmac<Sha256>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({}, {} secrets)", self.header, self.keys().count())
    }
}

/// The signature that Atoms would put into the header: lower-case hex of HMAC-SHA256.
///
/// # Errors
/// [`VerifierError::EmptySecret`].
pub fn sign(secret: &str, body: &[u8]) -> Result<String, VerifierError> {
    Ok(hex(key(secret)?, body))
}

fn hex(key: Hmac<Sha256>, body: &[u8]) -> String {
    let digest = key.chain_update(body).finalize().into_bytes();
    digest.iter().fold(String::with_capacity(2 * DIGEST_LEN), |mut hex, byte| {
        hex.extend([byte >> 4, byte & 15].map(|nibble| char::from_digit(nibble.into(), 16).unwrap_or('0')));
        hex
    })
}

fn key(secret: &str) -> Result<Hmac<Sha256>, VerifierError> {
    if secret.is_empty() {
        return Err(VerifierError::EmptySecret);
    }
    Hmac::new_from_slice(secret.as_bytes()).map_err(|_| VerifierError::EmptySecret)
}

/// Reads `<64 hex digits>` or, as in the older header, `sha256=<64 hex digits>`; either case of digits.
fn parse(value: &[u8]) -> Option<[u8; DIGEST_LEN]> {
    let hex = value.strip_prefix(b"sha256=").unwrap_or(value);
    let (pairs, rest) = hex.as_chunks::<2>();
    if pairs.len() != DIGEST_LEN || !rest.is_empty() {
        return None;
    }
    let mut digest = [0; DIGEST_LEN];
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = (nibble(*high)? << 4) | nibble(*low)?;
    }
    Some(digest)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Why a verifier can't be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifierError {
    /// Nothing to verify with.
    #[error("a source needs at least one secret")]
    NoSecret,
    /// Everybody knows the empty secret.
    #[error("a secret can't be empty")]
    EmptySecret,
}

/// Why a request was refused. For logs and counters, never for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The header is not there.
    #[error("no signature header")]
    Missing,
    /// The header is there more than once.
    #[error("several signature headers")]
    Repeated,
    /// The header doesn't hold 64 hex digits.
    #[error("the signature is not 64 hex digits")]
    Malformed,
    /// The digest belongs to another body or another secret.
    #[error("the signature doesn't match the body with any secret of this source")]
    Wrong,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: HeaderName = HeaderName::from_static("x-signature");

    fn check(secrets: &[&str], value: &[u8], body: &[u8]) -> Result<Verified<Bytes>, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(value).unwrap());
        Verifier::new(HEADER, secrets.iter().copied()).unwrap().verify(&headers, Bytes::copy_from_slice(body))
    }

    #[test]
    fn any_secret_of_the_source_verifies() {
        let signature = sign("second", b"body").unwrap();
        assert!(check(&["first", "second"], signature.as_bytes(), b"body").is_ok());
        assert_eq!(check(&["first"], signature.as_bytes(), b"body"), Err(Refusal::Wrong));
    }

    #[test]
    fn a_source_signs_with_its_first_secret() {
        let verifier = Verifier::new(HEADER, ["first", "second"]).unwrap();
        assert_eq!(verifier.sign(b"body"), sign("first", b"body").unwrap());
    }

    #[test]
    fn either_case_and_the_older_prefix_are_the_same_digest() {
        let signature = sign("s", b"body").unwrap();
        assert!(check(&["s"], signature.to_uppercase().as_bytes(), b"body").is_ok());
        assert!(check(&["s"], format!("sha256={signature}").as_bytes(), b"body").is_ok());
        assert_eq!(check(&["s"], format!("sha1={signature}").as_bytes(), b"body"), Err(Refusal::Malformed));
    }

    #[test]
    fn a_second_signature_header_is_refused() {
        let mut headers = HeaderMap::new();
        headers.append(HEADER, sign("s", b"body").unwrap().parse().unwrap());
        headers.append(HEADER, sign("s", b"body").unwrap().parse().unwrap());
        let verifier = Verifier::new(HEADER, ["s"]).unwrap();
        assert_eq!(verifier.verify(&headers, Bytes::from_static(b"body")), Err(Refusal::Repeated));
    }

    #[test]
    fn a_source_without_a_real_secret_cannot_exist() {
        assert_eq!(Verifier::new(HEADER, []).err(), Some(VerifierError::NoSecret));
        assert_eq!(Verifier::new(HEADER, ["good", ""]).err(), Some(VerifierError::EmptySecret));
    }

    proptest! {
        #[test]
        fn what_was_signed_verifies_and_nothing_else_does(
            secret in ".{1,80}", body in proptest::collection::vec(any::<u8>(), 0..200), flip in 0usize..200, bit in 0u8..8,
        ) {
            let signature = sign(&secret, &body).unwrap();
            prop_assert!(check(&[&secret], signature.as_bytes(), &body).is_ok());
            if let Some(byte) = body.clone().get_mut(flip) {
                let mut forged = body.clone();
                forged[flip] = *byte ^ (1 << bit);
                prop_assert_eq!(check(&[&secret], signature.as_bytes(), &forged), Err(Refusal::Wrong));
            }
        }

        #[test]
        fn no_header_makes_it_panic(value in proptest::collection::vec(0x20u8..0x7f, 0..140)) {
            prop_assert!(check(&["s"], &value, b"body").is_err());
        }
    }
}
