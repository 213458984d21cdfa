//! What comes out: one request, or the reason why there can be none.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

use crate::template::RenderError;

/// One request, ready to be sent. Its `Debug` shows what people may see.
#[derive(Clone)]
pub struct OutboundRequest {
    /// The HTTP method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// All headers but those of the connection (`Host`, `Content-Length`).
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Whether the body has to be kept on disk before the request goes out: the next attempts send it again, see
    /// [`Resend::Same`](super::Resend::Same).
    pub must_be_kept: bool,
    /// What a person may see of it, as in [`Target::shown`](super::Target::shown).
    pub shown: String,
}

impl fmt::Debug for OutboundRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboundRequest({}, {} bytes)", self.shown, self.body.len())
    }
}

/// Why no request can be made of an event. For people; the delivery becomes a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// A header's name or value holds bytes that HTTP doesn't allow.
    #[error("the {0} header holds characters that HTTP doesn't allow")]
    Header(Cow<'static, str>),
    /// A template asks for what this event doesn't have.
    #[error("the template of {part} can't be rendered: {error}")]
    Template {
        /// The key of the destination, or the name of the header.
        part: Cow<'static, str>,
        /// Why.
        error: RenderError,
    },
    /// The address would be another one than it is meant to be.
    #[error("`url` can't be rendered: {0}")]
    Address(String),
    /// A value has no form in JSON.
    #[error("`{0}` can't be written as JSON")]
    Json(&'static str),
}

impl Unsendable {
    pub(super) fn template(part: impl Into<Cow<'static, str>>, error: RenderError) -> Self {
        Self::Template { part: part.into(), error }
    }

    pub(super) fn address(reason: impl Into<String>) -> Self {
        Self::Address(reason.into())
    }
}
