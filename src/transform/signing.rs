//! Signatures over what is sent, by which a destination knows that it comes from this relay.
//!
//! Two styles. That of Atoms: the hex of HMAC-SHA256 over the body, in one header, for receivers that verify Atoms' own
//! events already. And Standard Webhooks 1.0 (`https://www.standardwebhooks.com`): id and time are signed with the body, so a
//! captured request can't be sent again later, and several keys sign at once, so that a key can be changed without a gap.
//!
//! Atoms' style has room for one signature and so has one secret here. Whoever changes it lets the receiver accept both for
//! a while.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, header::InvalidHeaderValue};
use sha2::Sha256;

use crate::{
    model::Timestamp,
    verify::{Verifier, VerifierError},
};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// By which a secret is known as one of Standard Webhooks. Their libraries take it without, too.
const KEY_PREFIX: &str = "whsec_";

/// Signs requests. Its `Debug` shows no key.
#[derive(Clone)]
pub struct Signer(Style);

#[derive(Clone)]
enum Style {
    /// As the verifier on the other side would find it right.
    Atoms(Verifier),
    StandardWebhooks(Vec<Hmac<Sha256>>),
}

impl Signer {
    /// Signs as Atoms does, into `header`.
    ///
    /// # Errors
    /// [`SignerError::Empty`].
    pub fn atoms(header: HeaderName, secret: &str) -> Result<Self, SignerError> {
        match Verifier::new(header, [secret]) {
            Ok(verifier) => Ok(Self(Style::Atoms(verifier))),
            Err(VerifierError::NoSecret | VerifierError::EmptySecret) => Err(SignerError::Empty),
        }
    }

    /// Signs by Standard Webhooks with each of `keys`: base64, with or without `whsec_` before it.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn standard_webhooks<'k>(keys: impl IntoIterator<Item = &'k str>) -> Result<Self, SignerError> {
        let keys = keys.into_iter().map(key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(SignerError::Empty) } else { Ok(Self(Style::StandardWebhooks(keys))) }
    }

    /// The headers that it sets.
    #[must_use]
    pub fn headers(&self) -> Vec<HeaderName> {
        match &self.0 {
            Style::Atoms(verifier) => vec![verifier.header().clone()],
            Style::StandardWebhooks(_) => vec![WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE],
        }
    }

    /// Sets the headers that sign `body`. `id` is what the destination knows a repetition by, the idempotency key; `now` the
    /// time of the attempt, which many receivers want to be within five minutes of their own.
    ///
    /// # Errors
    /// [`InvalidHeaderValue`] when `id` can't stand in a header.
    pub fn sign(
        &self,
        headers: &mut HeaderMap,
        body: &[u8],
        id: &str,
        now: Timestamp,
    ) -> Result<(), InvalidHeaderValue> {
        match &self.0 {
            Style::Atoms(verifier) => {
                headers.insert(verifier.header(), HeaderValue::try_from(verifier.sign(body))?);
            }
            Style::StandardWebhooks(keys) => {
                let seconds = now.as_millis() / 1000;
                let signatures: Vec<_> = keys.iter().map(|key| signature(key, id, seconds, body)).collect();
                headers.insert(WEBHOOK_ID, HeaderValue::from_str(id)?);
                headers.insert(WEBHOOK_TIMESTAMP, seconds.into());
                headers.insert(WEBHOOK_SIGNATURE, HeaderValue::try_from(signatures.join(" "))?);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Style::Atoms(verifier) => write!(f, "Signer({})", verifier.header()),
            Style::StandardWebhooks(keys) => write!(f, "Signer(Standard Webhooks, {} keys)", keys.len()),
        }
    }
}

fn key(text: &str) -> Result<Hmac<Sha256>, SignerError> {
    let bytes = STANDARD.decode(text.strip_prefix(KEY_PREFIX).unwrap_or(text)).map_err(|_| SignerError::NoBase64)?;
    if bytes.is_empty() {
        return Err(SignerError::Empty);
    }
    Hmac::new_from_slice(&bytes).map_err(|_| SignerError::Empty)
}

fn signature(key: &Hmac<Sha256>, id: &str, seconds: u64, body: &[u8]) -> String {
    let signed = key.clone().chain_update(format!("{id}.{seconds}.")).chain_update(body);
    format!("v1,{}", STANDARD.encode(signed.finalize().into_bytes()))
}

/// Why there is no signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// Everybody can sign with nothing.
    #[error("there is no key in it")]
    Empty,
    /// It isn't written as keys of Standard Webhooks are.
    #[error("a key of Standard Webhooks is base64, with or without `whsec_` before it")]
    NoBase64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify;

    /// The vector by which the reference libraries of Standard Webhooks check their `sign`.
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const NOW: Timestamp = Timestamp::from_millis(1_614_265_330_999);
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn signed(signer: &Signer) -> HeaderMap {
        let mut headers = HeaderMap::new();
        signer.sign(&mut headers, BODY, ID, NOW).unwrap();
        headers
    }

    #[test]
    fn the_vector_of_standard_webhooks_comes_out_with_and_without_the_prefix() {
        for key in [KEY, KEY.strip_prefix(KEY_PREFIX).unwrap()] {
            let headers = signed(&Signer::standard_webhooks([key]).unwrap());
            assert_eq!(headers["webhook-id"], ID);
            assert_eq!(headers["webhook-timestamp"], "1614265330");
            assert_eq!(headers["webhook-signature"], SIGNATURE);
        }
    }

    #[test]
    fn every_key_signs_in_its_place() {
        let other = "c2Vjb25kLWtleS1vZi1zb21lLWxlbmd0aA==";
        let headers = signed(&Signer::standard_webhooks([other, KEY]).unwrap());
        let signatures: Vec<_> = headers["webhook-signature"].to_str().unwrap().split(' ').collect();
        assert_eq!((signatures.len(), signatures[1]), (2, SIGNATURE));
        assert_ne!(signatures[0], SIGNATURE);
    }

    #[test]
    fn the_style_of_atoms_is_what_atoms_would_send() {
        let signer = Signer::atoms(HeaderName::from_static("x-signature"), "secret").unwrap();
        assert_eq!(signed(&signer)["x-signature"], *verify::sign("secret", BODY).unwrap());
    }

    #[test]
    fn the_headers_are_those_that_it_says_it_sets_and_replace_what_was_there() {
        for signer in [
            Signer::standard_webhooks([KEY]).unwrap(),
            Signer::atoms(HeaderName::from_static("x-signature"), "secret").unwrap(),
        ] {
            let mut headers = HeaderMap::new();
            for name in signer.headers() {
                headers.insert(name, HeaderValue::from_static("was here"));
            }
            signer.sign(&mut headers, BODY, ID, NOW).unwrap();
            assert_eq!(headers.keys().cloned().collect::<Vec<_>>(), signer.headers());
            assert!(headers.values().all(|value| value != "was here"));
        }
    }

    #[test]
    fn what_is_no_key_makes_no_signer() {
        let refused = |keys: &[&str]| Signer::standard_webhooks(keys.iter().copied()).unwrap_err();
        assert_eq!(refused(&[]), SignerError::Empty);
        assert_eq!(refused(&[KEY, "whsec_"]), SignerError::Empty);
        assert_eq!(refused(&["whsec_not base64"]), SignerError::NoBase64);
        assert_eq!(Signer::atoms(WEBHOOK_ID, "").unwrap_err(), SignerError::Empty);
    }

    #[test]
    fn nobody_is_shown_a_key() {
        let shown = format!("{:?}", Signer::standard_webhooks([KEY]).unwrap());
        assert_eq!(shown, "Signer(Standard Webhooks, 1 keys)");
    }

    #[test]
    fn an_id_that_no_header_can_carry_is_not_sent() {
        let mut headers = HeaderMap::new();
        assert!(Signer::standard_webhooks([KEY]).unwrap().sign(&mut headers, BODY, "a\r\nb", NOW).is_err());
        assert!(headers.is_empty());
    }
}
