//! How the admin listener words its answers: JSON, or `application/problem+json` (RFC 9457) for what went wrong.
//!
//! Every answer forbids browsers to guess its type, to run or frame it, and to keep it.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use serde::Serialize;

use super::view::ProblemView;
use crate::store::StoreError;

/// An answer with its body.
pub(super) type Answer = Response<Body>;

/// A body that is there as a whole, or one that comes piece by piece.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

const SAFE_HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox")),
];

/// An answer of the given type.
pub(super) fn typed(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body).boxed_unsync());
    *answer.status_mut() = status;
    answer.headers_mut().extend(SAFE_HEADERS);
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer
}

/// An answer that comes piece by piece, for as long as there is something to say.
pub(super) fn streamed(
    content_type: HeaderValue,
    body: impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Answer {
    let mut answer = typed(StatusCode::OK, content_type, Bytes::new());
    *answer.body_mut() = body.boxed_unsync();
    answer
}

/// `content` as JSON.
pub(super) fn json(status: StatusCode, content: &impl Serialize) -> Result<Answer, Problem> {
    let body = serde_json::to_vec(content)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the answer has no JSON: {error}")))?;
    Ok(typed(status, HeaderValue::from_static("application/json"), body.into()))
}

/// What went wrong, for the one who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) detail: String,
    /// What the status wants to be said in a header.
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), header: None }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn bug(what: &str) -> Self {
        let detail = format!("a bug in the relay, please report it: {what} panicked");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"atoms-relay\"");
        Self { header: Some((header::WWW_AUTHENTICATE, challenge)), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// With the methods that would have been right.
    pub(super) fn method_not_allowed(allow: &str) -> Self {
        let header = HeaderValue::try_from(allow).ok().map(|methods| (header::ALLOW, methods));
        Self { header, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("this address takes {allow} only")) }
    }

    /// As an answer.
    pub(super) fn into_answer(self) -> Answer {
        let view = ProblemView {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
        };
        let body = serde_json::to_vec(&view).unwrap_or_default();
        let mut answer = typed(self.status, HeaderValue::from_static("application/problem+json"), body.into());
        answer.headers_mut().extend(self.header);
        answer
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Damaged(_) | StoreError::TooLarge(_) => StatusCode::INTERNAL_SERVER_ERROR,
            StoreError::Failed(_) | StoreError::Closed | StoreError::DiskFull(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}
