//! Reads the JSON that comes with a change: limited in size and time, and never of a type that a form of a web page could
//! have sent.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};

use super::answer::Problem;

/// The largest request body, in bytes: room for some 15,000 delivery ids.
const MAX_BODY: usize = 1024 * 1024;
/// How long a body may take to arrive. On loopback a longer wait means that nobody sends it.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// What of a body is shown to people, in characters: more than the longest filter, less than a list of ids.
const MAX_SHOWN: usize = 500;

/// What came with a change.
pub(super) struct Sent(Bytes);

impl Sent {
    /// Reads a body, which has to be JSON unless there is none.
    pub(super) async fn read(headers: &HeaderMap, body: Incoming) -> Result<Self, Problem> {
        let body = read_body(body).await?;
        if !body.is_empty() && !is_json(headers) {
            let detail = "send the body as JSON, with Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        Ok(Self(body))
    }

    /// What it says; no body at all stands for an empty object.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let json = if self.0.is_empty() { b"{}" } else { &self.0[..] };
        serde_json::from_slice(json)
            .map_err(|error| Problem::bad_request(format!("the body is not what is wanted here: {error}")))
    }

    /// The start of it, for those who look later at what was asked; `None` when it says nothing.
    pub(super) fn shown(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.0);
        let says_nothing = ["", "{}"].contains(&text.trim());
        (!says_nothing).then(|| text.chars().take(MAX_SHOWN).collect())
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[expect(clippy::disallowed_methods, reason = "the body is limited here, the one place of this room that reads one")]
async fn read_body(body: Incoming) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_DEADLINE, Limited::new(body, MAX_BODY).collect());
    match read.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have at most {MAX_BODY} bytes")))
        }
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body broke off: {error}"))),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

/// The body of a request that needs none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn no_body_is_an_empty_object_and_of_a_long_one_the_start_is_shown() {
        let Nothing {} = Sent(Bytes::new()).json().unwrap();
        assert_eq!((Sent(Bytes::new()).shown(), Sent(Bytes::from("{}")).shown()), (None, None));
        let long = Sent(Bytes::from("ä".repeat(MAX_SHOWN + 1)));
        assert_eq!(long.shown().unwrap().chars().count(), MAX_SHOWN);
        assert!(long.json::<Nothing>().is_err());
    }

    #[test]
    fn a_form_is_not_json() {
        let headers = |value| HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
        assert!(is_json(&headers("Application/JSON; charset=utf-8")));
        assert!(!is_json(&headers("text/plain")));
        assert!(!is_json(&HeaderMap::new()));
    }
}
