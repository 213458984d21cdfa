//! `OAuth2` with client credentials (RFC 6749 4.4): what a token endpoint is asked, and what its answer means.
//!
//! The client's id and secret go into the form, not into an `Authorization` header: that is what Salesforce, Entra and Auth0
//! show in their pages, and what all of them take. Nothing of an answer gets into a message but its status and its error
//! code.

use std::{collections::BTreeMap, fmt, time::Duration};

use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

/// The longest time for which a token is taken to be good. A new one each day costs nothing, and limits what a typing error
/// in an answer can do.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How long before its end a token is no longer used, at most: longer than nearly every attempt takes, clocks that disagree
/// a little included.
const MARGIN: Duration = Duration::from_secs(60);

/// The longest error code of RFC 6749 5.2 has 22 characters; a longer word is something else.
const LONGEST_CODE: usize = 40;

/// What gives a destination's token endpoint reason to issue a token.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Where tokens are issued.
    pub token_url: Url,
    /// Who we are there.
    pub client_id: String,
    /// The proof.
    pub client_secret: SecretString,
    /// What the token should allow, where the endpoint wants to hear it.
    pub scope: Option<String>,
    /// For whom the token is, where the endpoint wants to hear it.
    pub audience: Option<String>,
    /// Fields of the answer to be kept beside the token, such as Salesforce's `instance_url`.
    pub capture: Vec<String>,
    /// How long a token is good when the answer doesn't say.
    pub default_ttl: Duration,
}

impl Grant {
    /// The request's body, as `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn form(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.append_pair("client_id", &self.client_id);
        form.append_pair("client_secret", self.client_secret.expose_secret());
        let optional = [("scope", &self.scope), ("audience", &self.audience)];
        form.extend_pairs(optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))));
        form.finish()
    }

    /// The token in an answer of the endpoint.
    ///
    /// # Errors
    /// [`NoToken`].
    pub fn token(&self, status: StatusCode, body: &[u8]) -> Result<Token, NoToken> {
        let answer = serde_json::from_slice(body);
        if !status.is_success() {
            return Err(refusal(status, answer.ok().as_ref()));
        }
        let answer: Map<String, Value> = answer.map_err(|_| NoToken::Unreadable("it is no JSON object"))?;
        Ok(Token {
            authorization: authorization(&answer)?,
            captured: self.captured(&answer)?,
            lifetime: lifetime(&answer).unwrap_or(self.default_ttl).min(LONGEST_LIFETIME),
        })
    }

    fn captured(&self, answer: &Map<String, Value>) -> Result<BTreeMap<String, String>, NoToken> {
        let capture = |name: &String| match answer.get(name) {
            Some(Value::String(text)) => Ok((name.clone(), text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok((name.clone(), value.to_string())),
            _ => Err(NoToken::Uncaptured(name.clone())),
        };
        self.capture.iter().map(capture).collect()
    }
}

/// What an endpoint issued. Its `Debug` shows no value.
#[derive(Clone)]
pub struct Token {
    /// The value of the `Authorization` header, marked sensitive.
    pub authorization: HeaderValue,
    /// The fields that were to be kept.
    pub captured: BTreeMap<String, String>,
    lifetime: Duration,
}

impl Token {
    /// How long after its issue it is to be used: until shortly before its end, so that it doesn't end on the way.
    #[must_use]
    pub fn good_for(&self) -> Duration {
        self.lifetime.saturating_sub(MARGIN.min(self.lifetime / 10))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?}, {:?})", self.captured.keys(), self.lifetime)
    }
}

/// Why an answer of a token endpoint has no token. For people: without anything that the endpoint sent but its status and
/// error code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// It refuses our credentials, or isn't one: it would say the same again.
    #[error("answered {}", with_code(*.status, .code.as_deref()))]
    Refused {
        /// The status.
        status: u16,
        /// The error code of RFC 6749 5.2.
        code: Option<String>,
    },
    /// It isn't well.
    #[error("answered {}", with_code(*.status, .code.as_deref()))]
    Unavailable {
        /// The status.
        status: u16,
        /// The error code of RFC 6749 5.2.
        code: Option<String>,
    },
    /// The answer isn't what RFC 6749 5.1 asks for.
    #[error("gave an answer that can't be read: {0}")]
    Unreadable(&'static str),
    /// A field that was to be kept isn't there.
    #[error("gave an answer without `{0}`, which `capture` asks for")]
    Uncaptured(String),
}

fn with_code(status: u16, code: Option<&str>) -> String {
    code.map_or_else(|| status.to_string(), |code| format!("{status} ({code})"))
}

/// The same line between what passes and what doesn't that [`crate::outcome`] draws for destinations.
fn refusal(status: StatusCode, answer: Option<&Map<String, Value>>) -> NoToken {
    let code = answer.and_then(|answer| answer.get("error")).and_then(Value::as_str).filter(|code| is_code(code));
    let (status, code) = (status.as_u16(), code.map(str::to_owned));
    match status {
        408 | 421 | 425 | 429 => NoToken::Unavailable { status, code },
        300..=499 => NoToken::Refused { status, code },
        _ => NoToken::Unavailable { status, code },
    }
}

fn is_code(text: &str) -> bool {
    text.len() <= LONGEST_CODE && text.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-".contains(&byte))
}

fn authorization(answer: &Map<String, Value>) -> Result<HeaderValue, NoToken> {
    let token = answer.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let token = token.ok_or(NoToken::Unreadable("it has no `access_token`"))?;
    let token_type = answer.get("token_type").and_then(Value::as_str).unwrap_or("Bearer");
    if !token_type.eq_ignore_ascii_case("bearer") {
        return Err(NoToken::Unreadable("its `token_type` is not `Bearer`"));
    }
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| NoToken::Unreadable("its `access_token` holds what no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// `expires_in`, in seconds: a number by the standard, a text in some answers.
fn lifetime(answer: &Map<String, Value>) -> Option<Duration> {
    let seconds = match answer.get("expires_in")? {
        Value::String(text) => text.parse().ok()?,
        value => value.as_u64()?,
    };
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            token_url: "https://login.example/token".parse().unwrap(),
            client_id: "relay".into(),
            client_secret: "a&b=c d".into(),
            scope: None,
            audience: None,
            capture: Vec::new(),
            default_ttl: Duration::from_secs(1800),
        }
    }

    fn issued(answer: &str) -> Token {
        grant().token(StatusCode::OK, answer.as_bytes()).unwrap()
    }

    fn refused(status: u16, answer: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        grant().token(status, answer.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_form_carries_the_credentials_escaped_and_what_else_is_asked_for() {
        assert_eq!(grant().form(), "grant_type=client_credentials&client_id=relay&client_secret=a%26b%3Dc+d");
        let more = Grant { scope: Some("calls.write x".into()), audience: Some("https://api".into()), ..grant() };
        assert!(more.form().ends_with("&scope=calls.write+x&audience=https%3A%2F%2Fapi"), "{}", more.form());
    }

    #[test]
    fn a_token_becomes_a_header_that_nobody_is_shown() {
        let token = issued(r#"{"access_token":"hush","token_type":"bearer","expires_in":3600}"#);
        assert_eq!(token.authorization, "Bearer hush");
        assert!(token.authorization.is_sensitive());
        assert!(!format!("{token:?}{:?}{:?}", grant(), token.authorization).contains("hush"));
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        let good_for = |answer: &str| issued(&format!(r#"{{"access_token":"a"{answer}}}"#)).good_for().as_secs();
        assert_eq!(good_for(r#","expires_in":3600"#), 3540);
        assert_eq!(good_for(r#","expires_in":"300""#), 270);
        assert_eq!(good_for(r#","expires_in":0"#), 0);
        assert_eq!(good_for(r#","expires_in":18446744073709551615"#), 86_340);
        for silent in ["", r#","expires_in":null"#, r#","expires_in":"soon""#, r#","expires_in":-1"#] {
            assert_eq!(good_for(silent), 1740, "{silent}");
        }
    }

    #[test]
    fn what_is_captured_is_kept_and_what_is_missing_is_named() {
        let grant = Grant { capture: vec!["instance_url".into(), "version".into()], ..grant() };
        let of = |answer: &str| grant.token(StatusCode::OK, answer.as_bytes());
        let token = of(r#"{"access_token":"a","instance_url":"https://acme.example","version":62}"#).unwrap();
        assert_eq!(token.captured["instance_url"], "https://acme.example");
        assert_eq!(token.captured["version"], "62");
        let missing = of(r#"{"access_token":"a","instance_url":"https://acme.example"}"#).unwrap_err();
        assert_eq!(missing.to_string(), "gave an answer without `version`, which `capture` asks for");
    }

    #[test]
    fn credentials_that_are_refused_are_told_from_an_endpoint_that_is_not_well() {
        let kind = |status: u16| grant().token(StatusCode::from_u16(status).unwrap(), b"").unwrap_err();
        for status in [301, 400, 401, 403, 404] {
            assert!(matches!(kind(status), NoToken::Refused { .. }), "{status}");
        }
        for status in [408, 429, 500, 503] {
            assert!(matches!(kind(status), NoToken::Unavailable { .. }), "{status}");
        }
        assert_eq!(refused(400, r#"{"error":"invalid_client"}"#), "answered 400 (invalid_client)");
    }

    #[test]
    fn of_what_an_endpoint_sends_only_an_error_code_is_repeated() {
        for answer in ["secret", r#"{"error":"no such secret: hush"}"#, r#"{"error":{"code":"hush"}}"#, "[1]"] {
            assert_eq!(refused(401, answer), "answered 401");
        }
        for (answer, why) in [
            ("<html>", "it is no JSON object"),
            ("{}", "it has no `access_token`"),
            (r#"{"access_token":""}"#, "it has no `access_token`"),
            (r#"{"access_token":"hush","token_type":"mac"}"#, "its `token_type` is not `Bearer`"),
            (r#"{"access_token":"hu\nsh"}"#, "its `access_token` holds what no header can carry"),
        ] {
            assert_eq!(refused(200, answer), format!("gave an answer that can't be read: {why}"));
        }
    }
}
