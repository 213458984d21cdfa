//! Reading an answer to a bound.
//!
//! To the bound all of the body is read, also where nobody asks for it, because a connection can be used again only when its
//! last answer was read to the end. What is longer costs the connection.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tokio::time::{Instant, timeout_at};

use crate::outcome::Reply;

/// Bytes of a body that are read and kept: more than any answer to a webhook needs, and little to wait for.
const LONGEST: usize = 64 * 1024;

/// A body that comes piece by piece.
pub(super) type Body = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// The start of an answer. The rest of it may come until its time is over.
pub(super) struct Answer {
    response: Response<Body>,
    until: Instant,
}

/// A body broke off, or was late.
pub(super) struct CutShort;

impl Answer {
    /// What began with `response`.
    pub(super) fn new(response: Response<Body>, until: Instant) -> Self {
        Self { response, until }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// [`CutShort`].
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, CutShort> {
        loop {
            match timeout_at(self.until, self.response.body_mut().frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    if let Ok(chunk) = frame.into_data() {
                        return Ok(Some(chunk));
                    }
                }
                Ok(Some(Err(_))) | Err(_) => return Err(CutShort),
            }
        }
    }
}

/// The reply, with what could be read of its body. A body that breaks off, is late or has no end changes nothing about the
/// status that came before it.
pub(super) async fn read(mut answer: Answer) -> Reply {
    let mut body = BytesMut::new();
    while body.len() < LONGEST
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        keep(&mut body, &chunk);
    }
    let (head, _) = answer.response.into_parts();
    Reply { status: head.status, headers: head.headers, body: body.freeze() }
}

/// Keeps of `chunk` what there is room for.
fn keep(body: &mut BytesMut, chunk: &Bytes) {
    let room = LONGEST.saturating_sub(body.len());
    body.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
}
