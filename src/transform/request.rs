//! What comes out: one request, or the reason why there can be none.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

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
    /// What a person may see of it, as in [`Target::shown`].
    pub shown: String,
}

impl fmt::Debug for OutboundRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboundRequest({}, {} bytes)", self.shown, self.body.len())
    }
}

/// Why no request can be made of an event. For people; the delivery becomes a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// A header's name or value holds bytes that HTTP doesn't allow.
    #[error("the {0} header holds characters that HTTP doesn't allow")]
    Header(&'static str),
}
