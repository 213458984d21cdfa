//! What came back: as rules look at it, and as people see it.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// Bytes of a body that people see.
const EXCERPT: usize = 1024;

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it was read.
    pub body: Bytes,
}

impl Reply {
    /// The start of the body, as text. What is no UTF-8 becomes `U+FFFD`, except for a character that the bound has cut.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let start = self.body.get(..EXCERPT);
        let text = String::from_utf8_lossy(start.unwrap_or(&self.body));
        let whole = if start.is_some() { text.trim_end_matches(char::REPLACEMENT_CHARACTER) } else { &text };
        whole.to_owned()
    }
}
