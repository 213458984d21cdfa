//! What a caller is told, and what the log is told about it: two texts.
//!
//! Refusals are problem documents (RFC 9457). A 401 says the same whatever was wrong with the signature.

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;

use crate::{
    model::{EventId, Name},
    store::StoreError,
    telemetry::RefusalReason,
    verify,
};

/// When to come again after a 503, in seconds. Nothing that fills a disk or stops a store passes sooner.
const RETRY_AFTER_SECONDS: &str = "10";

/// How the signature has to come. No registered scheme fits; RFC 9110 section 15.5.2 wants one named.
const CHALLENGE: HeaderValue = HeaderValue::from_static("HMAC-SHA256");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The process serves.
    Healthy,
    /// The event is durable.
    Accepted(EventId),
    /// So it was already, under this id.
    Duplicate(EventId),
    /// It is durable, and waits for a person because it can't be read.
    Quarantined(EventId),
}

impl Answer {
    /// The event that it is about.
    pub(super) const fn event(self) -> Option<EventId> {
        match self {
            Self::Healthy => None,
            Self::Accepted(id) | Self::Duplicate(id) | Self::Quarantined(id) => Some(id),
        }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let body = match self {
            Self::Healthy => r#"{"status":"serving"}"#.to_owned(),
            Self::Accepted(id) => format!(r#"{{"status":"accepted","id":"{id}"}}"#),
            Self::Duplicate(id) => format!(r#"{{"status":"duplicate","id":"{id}"}}"#),
            Self::Quarantined(id) => format!(r#"{{"status":"quarantined","id":"{id}"}}"#),
        };
        let mut response = Response::new(Full::from(body));
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response
    }
}

/// Why a request isn't taken, in the log's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// No source has this path.
    #[error("no source has this path")]
    NotFound,
    /// The path is right, the method isn't.
    #[error("the method is not one of {allowed}")]
    Method {
        /// The methods for this path.
        allowed: &'static str,
    },
    /// Not exactly one `Host`.
    #[error("the request has no Host header, or several")]
    Host,
    /// The body is compressed.
    #[error("the body has a content coding")]
    Encoded,
    /// The body is too long.
    #[error("the body is longer than {max} bytes")]
    TooLarge {
        /// The longest body in bytes.
        max: u64,
    },
    /// The body didn't come in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The body ended early, or its framing is wrong.
    #[error("the body can't be read: {0}")]
    Broken(String),
    /// Not from its source.
    #[error("{refusal}")]
    Forged {
        /// Whose path it came to.
        path_of: Name,
        /// What was wrong with the signature.
        refusal: verify::Refusal,
    },
    /// Too many long bodies at a time.
    #[error("the memory for long bodies was in use until the deadline")]
    NoMemory,
    /// The operating system gave no random bytes.
    #[error("no random bytes for an id: {0}")]
    NoDice(#[from] getrandom::Error),
    /// The store said no.
    #[error(transparent)]
    NotStored(#[from] StoreError),
    /// The store said nothing.
    #[error("the store did not answer until the deadline")]
    NotInTime,
}

impl Refused {
    /// Writes the log line. What strangers can cause at will is worth a line for those only who look for it; a wrong
    /// signature on the right path is more: as likely as a forgery it is a wrong secret, and then events get lost.
    pub(super) fn log(&self) {
        match self {
            Self::Forged { path_of, refusal } => {
                tracing::warn!(source = %path_of, reason = %refusal, "refused with 401");
            }
            Self::NoMemory | Self::NoDice(_) | Self::NotStored(_) | Self::NotInTime => {
                tracing::error!(reason = %self, "an event could not be stored: answered 503");
            }
            _ => tracing::debug!(status = self.told().0.as_u16(), reason = %self, "refused"),
        }
    }

    /// The response. It closes the connection: the rest of a body may still be on its way.
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let (status, detail) = self.told();
        let mut response = problem(status, detail);
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// The reason, as it is counted.
    pub(super) const fn reason(&self) -> RefusalReason {
        match self {
            Self::NotFound => RefusalReason::Path,
            Self::Method { .. } => RefusalReason::Method,
            Self::Host => RefusalReason::Host,
            Self::Encoded => RefusalReason::Encoding,
            Self::TooLarge { .. } => RefusalReason::TooLarge,
            Self::TooSlow => RefusalReason::TooSlow,
            Self::Broken(_) => RefusalReason::Broken,
            Self::Forged { .. } => RefusalReason::Signature,
            Self::NoMemory => RefusalReason::Memory,
            Self::NotStored(StoreError::DiskFull(_)) => RefusalReason::DiskFull,
            Self::NotStored(_) | Self::NotInTime | Self::NoDice(_) => RefusalReason::Store,
        }
    }

    /// What a stranger may know.
    fn told(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Nothing is received at this path."),
            Self::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "This path knows other methods only: see Allow."),
            Self::Host => (StatusCode::BAD_REQUEST, "A request needs exactly one Host header."),
            Self::Encoded => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the body as it is, without Content-Encoding."),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "The body is longer than this relay takes."),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time."),
            Self::Broken(_) => (StatusCode::BAD_REQUEST, "The body ended early, or its framing is wrong."),
            Self::Forged { .. } => (StatusCode::UNAUTHORIZED, "The signature is missing or wrong."),
            Self::NoMemory | Self::NoDice(_) | Self::NotStored(_) | Self::NotInTime => {
                (StatusCode::SERVICE_UNAVAILABLE, "The event can't be stored now. Send it again later.")
            }
        }
    }

    /// The header that the status calls for.
    fn header(&self) -> Option<(header::HeaderName, HeaderValue)> {
        match self {
            Self::Method { allowed } => Some((header::ALLOW, HeaderValue::from_static(allowed))),
            Self::Encoded => Some((header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
            Self::Forged { .. } => Some((header::WWW_AUTHENTICATE, CHALLENGE)),
            Self::NoMemory | Self::NoDice(_) | Self::NotStored(_) | Self::NotInTime => {
                Some((header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS)))
            }
            _ => None,
        }
    }
}

/// The response when the code that should have answered panicked: our bug, and none of the caller's business. The panic
/// itself is in the log, from the process's panic hook.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response<Full<Bytes>> {
    tracing::error!("a request met a bug of the relay: answered 500");
    problem(StatusCode::INTERNAL_SERVER_ERROR, "The relay has a bug. Its log knows more.")
}

fn problem(status: StatusCode, detail: &str) -> Response<Full<Bytes>> {
    let title = status.canonical_reason().unwrap_or("Refused");
    let body =
        format!(r#"{{"type":"about:blank","title":"{title}","status":{},"detail":"{detail}"}}"#, status.as_u16());
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::model::Timestamp;

    async fn text(response: Response<Full<Bytes>>) -> String {
        #[expect(clippy::disallowed_methods, reason = "our own answer, a hundred bytes")]
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn good_news_is_exactly_this() {
        let id = EventId::new(Timestamp::from_millis(1_790_012_345_678), [7; 10]);
        let told = |answer: Answer| text(answer.into_response());
        let with = |status| format!(r#"{{"status":"{status}","id":"{id}"}}"#);
        assert_eq!(told(Answer::Accepted(id)).await, with("accepted"));
        assert_eq!(told(Answer::Duplicate(id)).await, with("duplicate"));
        assert_eq!(told(Answer::Quarantined(id)).await, with("quarantined"));
    }

    #[tokio::test]
    async fn a_refusal_is_a_problem_document() {
        let response = Refused::Method { allowed: "POST" }.into_response();
        assert_eq!(response.headers()[header::ALLOW], "POST");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(problem["status"], 405);
        assert_eq!(problem["title"], "Method Not Allowed");
    }

    #[tokio::test]
    async fn every_cause_of_a_401_is_told_the_same() {
        let source = Name::new("atoms").unwrap();
        let mut told = Vec::new();
        for refusal in
            [verify::Refusal::Missing, verify::Refusal::Repeated, verify::Refusal::Malformed, verify::Refusal::Wrong]
        {
            let response = Refused::Forged { path_of: source.clone(), refusal }.into_response();
            assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
            told.push((format!("{:?}", response.headers()), text(response).await));
        }
        told.dedup();
        assert_eq!(told.len(), 1, "{told:?}");
    }
}
