//! HTTP/1.1 by hand: what a well-behaved client library doesn't send is what has to be tested.

use std::{io, net::SocketAddr};

use atoms_relay::verify;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::{fixtures::SECRET, within};

/// A request, written down as it stands.
#[derive(Debug, Clone)]
pub struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    is_chunked: bool,
}

impl Request {
    /// `line` is for example `GET /healthz HTTP/1.1`. There is a `Host` header already.
    pub fn new(line: &str) -> Self {
        let headers = vec![("Host".into(), "relay".into())];
        Self { line: line.into(), headers, body: Vec::new(), is_chunked: false }
    }

    /// What Atoms posts for `body`, to `/webhook`.
    pub fn signed(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let signature = verify::sign(SECRET, &body).unwrap();
        Self::signed_with(&signature, body)
    }

    /// What Atoms posts for `body` when this is its signature.
    pub fn signed_with(signature: &str, body: impl Into<Vec<u8>>) -> Self {
        let request = Self::new("POST /webhook HTTP/1.1").header("Content-Type", "application/json");
        request.header("X-Signature", signature).body(body)
    }

    /// With another first line.
    pub fn line(mut self, line: &str) -> Self {
        self.line = line.into();
        self
    }

    /// With this header as well.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Without any header of this name.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| header != name);
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With the body in chunks rather than with a `Content-Length`.
    pub fn chunked(mut self) -> Self {
        self.is_chunked = true;
        self
    }

    /// The head on the wire, up to and with the empty line.
    pub fn head(&self) -> Vec<u8> {
        let mut lines = vec![self.line.clone()];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        if self.is_chunked {
            lines.push("Transfer-Encoding: chunked".into());
        } else if !self.line.starts_with("GET") {
            lines.push(format!("Content-Length: {}", self.body.len()));
        }
        (lines.join("\r\n") + "\r\n\r\n").into_bytes()
    }

    /// The whole request on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        if !self.is_chunked {
            bytes.extend_from_slice(&self.body);
            return bytes;
        }
        for chunk in self.body.chunks(1000) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }

    /// Sends it on a connection of its own and reads the answer.
    pub async fn send(&self, address: SocketAddr) -> Answer {
        let mut wire = Wire::connect(address).await;
        wire.send(&self.bytes()).await;
        wire.answer().await
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// A text at the top of a JSON body.
    pub fn text(&self, field: &str) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        body[field].as_str().unwrap_or_else(|| panic!("no {field} in {self:?}")).to_owned()
    }
}

/// A connection.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.unwrap()
    }

    /// Connects, if anybody listens.
    pub async fn try_connect(address: SocketAddr) -> io::Result<Self> {
        within("connecting", TcpStream::connect(address)).await.map(|stream| Self(BufReader::new(stream)))
    }

    /// Sends `bytes`. A connection that the other side has closed is no error here: its answer says more.
    pub async fn send(&mut self, bytes: &[u8]) {
        drop(self.try_send(bytes).await);
    }

    /// Sends `bytes`, if the other side takes them.
    pub async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        within("sending", self.0.write_all(bytes)).await
    }

    /// Closes our half.
    pub async fn finish_sending(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Closes the connection with a reset rather than an end.
    pub fn reset(self) {
        self.0.get_ref().set_zero_linger().unwrap();
    }

    /// Waits until there is something to read, and leaves it there.
    pub async fn wait_for_bytes(&mut self) {
        self.0.fill_buf().await.unwrap();
    }

    /// Reads one answer with its body.
    pub async fn answer(&mut self) -> Answer {
        within("an answer", self.try_answer()).await.unwrap_or_else(|| panic!("the connection ended without an answer"))
    }

    /// Reads one answer; `None` when the connection ends instead.
    pub async fn try_answer(&mut self) -> Option<Answer> {
        let status = self.line().await?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let mut answer = Answer { status, headers, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        answer.body = String::from_utf8(body).unwrap();
        Some(answer)
    }

    /// Waits until the other side has closed the connection; whether it ended or was reset.
    pub async fn closed(&mut self) -> io::Result<()> {
        let mut rest = Vec::new();
        let end = within("the closing of a connection", self.0.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "closed only after {:?}", String::from_utf8_lossy(&rest));
        end.map(|_| ())
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await.ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}
