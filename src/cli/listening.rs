//! The stream of a running relay, as its listeners hear it: server-sent events, one after another.

use std::{collections::VecDeque, convert::Infallible, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{
    admin_client::{AdminClient, BoxError, Question, Stream},
    failure::Failure,
};

/// A relay breaks its silence every 15 seconds: whoever is silent for three times as long is gone.
const SILENCE: Duration = Duration::from_secs(45);
/// How long the head of the answer may take.
const HEAD_DEADLINE: Duration = Duration::from_secs(20);
/// The longest event that is read, in bytes; far more than a relay tells of anything.
const MAX_EVENT: usize = 4 * 1024 * 1024;

/// Something that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Which kind: `accepted`, `attempt` …
    pub(super) event: String,
    /// Its document, as JSON.
    pub(super) document: String,
}

/// Drives a connection until it ends.
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A stream that is being listened to. It ends when it is dropped.
pub(super) struct Listening {
    body: Incoming,
    /// Has to be polled beside the body; `None` when it has ended.
    connection: Option<Driver>,
    text: Text,
}

impl AdminClient {
    /// Listens to a stream.
    pub(super) async fn listen(&self, question: Question) -> Result<Listening, Failure> {
        let request = self.request(Method::GET, &question, Bytes::new())?;
        let begun = timeout(HEAD_DEADLINE, begin(self.connect().await?, request)).await;
        let (answer, listening) = begun
            .map_err(|_| self.unavailable("it took too long to answer"))?
            .map_err(|error| self.unavailable(&error.to_string()))?;
        if answer.is_success() {
            return Ok(listening);
        }
        // What it says is a problem like any other: ask as others do, and fail with it.
        Err(match self.get_bytes(question).await {
            Err(failure) => failure,
            Ok(_) => self.unavailable(&format!("{answer}, and then an answer all the same")),
        })
    }
}

async fn begin(stream: Stream, request: Request<Full<Bytes>>) -> Result<(http::StatusCode, Listening), BoxError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The sender stays until the end: the connection would end without it.
    let mut connection: Driver = Box::pin(async move { drop(connection.await) });
    let answer: Response<Incoming> = tokio::select! {
        answer = sender.send_request(request) => answer?,
        () = &mut connection => return Err("the connection ended".into()),
    };
    let status = answer.status();
    Ok((status, Listening { body: answer.into_body(), connection: Some(connection), text: Text::default() }))
}

impl Listening {
    /// Waits for what is told next.
    ///
    /// # Errors
    /// Why nothing more will be told, in words.
    pub(super) async fn next(&mut self) -> Result<Told, String> {
        loop {
            if let Some(told) = self.text.told.pop_front() {
                return Ok(told);
            }
            let frame = tokio::select! {
                frame = self.body.frame() => frame,
                never = drive(&mut self.connection) => match never {},
                () = tokio::time::sleep(SILENCE) => return Err("it has fallen silent".to_owned()),
            };
            let frame = frame.ok_or("it ended the stream")?.map_err(|error| error.to_string())?;
            if let Ok(bytes) = frame.into_data() {
                self.text.take(&bytes)?;
            }
        }
    }
}

/// Drives a connection, also when it has ended: what it has brought is still to be read then.
async fn drive(connection: &mut Option<Driver>) -> Infallible {
    if let Some(driver) = connection {
        driver.await;
        *connection = None;
    }
    std::future::pending().await
}

/// What has come of the stream's text.
#[derive(Default)]
struct Text {
    rest: Vec<u8>,
    told: VecDeque<Told>,
}

impl Text {
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            self.told.extend(told(&String::from_utf8_lossy(&block)));
        }
        if self.rest.len() > MAX_EVENT { Err("it says something without an end".to_owned()) } else { Ok(()) }
    }
}

/// What a block of the stream tells; `None` where it is a comment.
fn told(block: &str) -> Option<Told> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some(Told { event: field("event")?.to_owned(), document: field("data")?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_text_is_cut() {
        let text = b": hello\n\nevent: accepted\nid: 1\ndata: {\"a\":1}\n\n: still here\n\nevent: x\ndata: {}\n\n";
        for cut in 1..text.len() {
            let mut found = Text::default();
            for part in text.chunks(cut) {
                found.take(part).unwrap();
            }
            let told: Vec<_> = found.told.into_iter().map(|told| (told.event, told.document)).collect();
            assert_eq!(told, [("accepted".into(), "{\"a\":1}".into()), ("x".into(), "{}".to_owned())], "{cut}");
        }
    }

    #[test]
    fn what_has_no_end_is_not_kept() {
        let mut text = Text::default();
        assert!(text.take(&vec![b'x'; MAX_EVENT + 1]).is_err());
    }
}
