//! The only HTTP client: sends one request, and brings back a bounded reply or the reason why there is none.
//!
//! Each destination has a client of its own, so that its connections and its time-outs are its own. What a client here
//! deliberately doesn't do:
//!
//! - follow redirects: the new address isn't the one that people configured;
//! - take a proxy from the environment: where requests go stands in the config;
//! - try again, except where nothing of a request had been written to a connection that turned out to be closed
//!   (hyper-util does that below us, on a new connection). So a server that closes idle connections doesn't look as if it
//!   failed; [`POOL_IDLE`] keeps the rest of that race small;
//! - read a body without a bound, or unpack one.

mod reply;

use std::{error::Error, time::Duration};

use http::{HeaderValue, header};
use reqwest::redirect;
use url::Url;

use crate::{
    model::FailureKind,
    outcome::{Failure, Reply},
    transform::OutboundRequest,
};

/// How long an idle connection is kept. Servers close theirs after a few seconds (Node and Apache 5 s, gunicorn 2 s) to a few
/// minutes; a request that is written just when the server closes is lost and has to be tried again, so we go first. A new
/// connection for each pause of 4 s costs little.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// How often an idle TCP connection shows that it is alive while an answer takes long: firewalls forget quiet ones.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// How long a destination may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, with name lookup and TLS.
    pub connect: Duration,
    /// For all of it, from the first packet to the end of the answer's body.
    pub total: Duration,
}

/// A reply, or why there is none.
pub type Sent = Result<Reply, Failure>;

/// The connections to one destination. Cheap to clone; clones share them.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    timeouts: Timeouts,
}

impl Client {
    /// A client for the destination at `url`.
    ///
    /// # Errors
    /// [`ClientError`] when the machine's certificates of trust can't be loaded, which `https` needs.
    pub fn new(url: &Url, timeouts: Timeouts) -> Result<Self, ClientError> {
        let builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .retry(reqwest::retry::never())
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.total)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_keepalive(TCP_KEEPALIVE)
            .tcp_nodelay(true);
        // Without redirects nothing but `https` needs the certificates; loading them takes longer than all else at a start.
        let builder = if url.scheme() == "https" { builder } else { builder.tls_certs_only([]) };
        let http = builder.build().map_err(|error| ClientError(words(&error)))?;
        Ok(Self { http, timeouts })
    }

    /// Sends a request and waits for its reply, at most for the whole time-out.
    ///
    /// # Errors
    /// [`Failure`] when there is no status. Once there is one it counts, even if the body that follows breaks off.
    pub async fn send(&self, request: OutboundRequest) -> Sent {
        let OutboundRequest { method, url, mut headers, body, .. } = request;
        if body.is_empty() {
            // hyper leaves it out then, and some servers answer 411.
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let sent = self.http.request(method, url).headers(headers).body(body).send().await;
        match sent {
            Ok(response) => Ok(reply::read(response).await),
            Err(error) => Err(self.failure(&error.without_url())),
        }
    }

    fn failure(&self, error: &reqwest::Error) -> Failure {
        let Timeouts { connect, total } = self.timeouts;
        let (kind, detail) = match (error.is_connect(), error.is_timeout()) {
            _ if error.is_builder() => (FailureKind::Unsendable, words(error)),
            (true, true) => (FailureKind::Connect, format!("nothing within {connect:?}")),
            (true, false) => (FailureKind::Connect, words(error)),
            (false, true) => (FailureKind::Timeout, format!("no whole answer within {total:?}")),
            (false, false) => (FailureKind::Broken, words(error)),
        };
        Failure { kind, detail }
    }
}

/// What an error says at its root, for people. The links above only name the library's own steps
/// (`error sending request`, `client error (Connect)`), and the number of an operating system's error helps nobody.
fn words(error: &reqwest::Error) -> String {
    let mut root: &dyn Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let text = root.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_owned()
}

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no HTTPS client can be made: {0}")]
pub struct ClientError(String);

#[cfg(test)]
mod tests;
