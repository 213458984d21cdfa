//! Reading an answer to a bound.
//!
//! Of the body only the start is kept. A little more is read and dropped, because a connection can be used again only when
//! its last answer was read to the end; what is longer still costs the connection.

use bytes::Bytes;
use reqwest::Response;

use crate::outcome::Reply;

/// Bytes of a body that are kept for people.
const EXCERPT: usize = 1024;

/// Bytes of a body that are read at most: more than any answer to a webhook needs, and little to wait for.
const DRAINED: usize = 64 * 1024;

/// The reply, with what could be read of its body. A body that breaks off, is late or has no end changes nothing about the
/// status that came before it.
pub(super) async fn read(mut response: Response) -> Reply {
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let mut excerpt = Vec::new();
    let mut length = 0;
    while length < DRAINED
        && let Ok(Some(chunk)) = response.chunk().await
    {
        length += chunk.len();
        keep(&mut excerpt, &chunk);
    }
    Reply { status, headers, excerpt: text(&excerpt) }
}

/// Keeps of `chunk` what the excerpt has room for.
fn keep(excerpt: &mut Vec<u8>, chunk: &Bytes) {
    let room = EXCERPT.saturating_sub(excerpt.len());
    excerpt.extend(chunk.iter().take(room));
}

/// The excerpt as text. What is no UTF-8 becomes `U+FFFD`, except for a character that the bound has cut.
fn text(excerpt: &[u8]) -> String {
    let text = String::from_utf8_lossy(excerpt);
    let whole = if excerpt.len() == EXCERPT { text.trim_end_matches(char::REPLACEMENT_CHARACTER) } else { &text };
    whole.to_owned()
}
