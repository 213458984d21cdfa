//! Reading an answer to a bound.
//!
//! To the bound all of the body is read, also where nobody asks for it, because a connection can be used again only when its
//! last answer was read to the end. What is longer costs the connection.

use bytes::{Bytes, BytesMut};
use reqwest::Response;

use crate::outcome::Reply;

/// Bytes of a body that are read and kept: more than any answer to a webhook needs, and little to wait for.
const LONGEST: usize = 64 * 1024;

/// The reply, with what could be read of its body. A body that breaks off, is late or has no end changes nothing about the
/// status that came before it.
pub(super) async fn read(mut response: Response) -> Reply {
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    while body.len() < LONGEST
        && let Ok(Some(chunk)) = response.chunk().await
    {
        keep(&mut body, &chunk);
    }
    Reply { status, headers, body: body.freeze() }
}

/// Keeps of `chunk` what there is room for.
fn keep(body: &mut BytesMut, chunk: &Bytes) {
    let room = LONGEST.saturating_sub(body.len());
    body.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
}
