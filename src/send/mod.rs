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
//!
//! There are two ways to send, with and without TLS ([`plain`]); what a request meets is the same on both.

mod connections;
mod guard;
mod plain;
mod reply;
mod tls;
mod tokens;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use url::Url;

pub use self::tokens::Credentials;
use self::{connections::Connections, guard::Guard, tokens::Tokens};
use crate::{
    address::Policy,
    auth::{Authorities, Grant, Identity},
    outcome::{Failure, Reply},
    transform::OutboundRequest,
};

/// How long an idle connection is kept. Servers close theirs after a few seconds (Node and Apache 5 s, gunicorn 2 s) to a few
/// minutes; a request that is written just when the server closes is lost and has to be tried again, so we go first. A new
/// connection for each pause of 4 s costs little.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// How often an idle TCP connection shows that it is alive while an answer takes long: firewalls forget quiet ones.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// How often it asks again when nothing comes back, and how many times before the connection is given up.
const TCP_PROBE_INTERVAL: Duration = Duration::from_secs(15);
const TCP_PROBES: u32 = 3;

/// How long what was written may stay unacknowledged before the connection is given up.
const TCP_UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// How long a destination may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, with name lookup and TLS.
    pub connect: Duration,
    /// For all of it, from the first packet to the end of the answer's body.
    pub total: Duration,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Nobody's: for plain `http` nothing has to be believed, and loading the system's takes longer than all else at a
    /// start.
    Nobody,
    /// Those that the system trusts.
    System,
    /// Those of these authorities, and not the system's.
    Only(Authorities),
}

impl Trust {
    /// What calls to `urls` need.
    pub fn for_calls_to<'u>(urls: impl IntoIterator<Item = &'u Url>) -> Self {
        if urls.into_iter().all(|url| url.scheme() == "http") { Self::Nobody } else { Self::System }
    }
}

/// How a destination is called.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long it may take.
    pub timeouts: Timeouts,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// The certificate that is shown to those who want one.
    pub identity: Option<Identity>,
    /// Which addresses may be called.
    pub policy: Policy,
    /// How access tokens are got, where the destination wants one.
    pub grant: Option<Grant>,
}

/// A reply, or why there is none.
pub type Sent = Result<Reply, Failure>;

/// The way to one destination. Cheap to clone; clones share connections and tokens.
#[derive(Debug, Clone)]
pub struct Client {
    connections: Connections,
    tokens: Option<Arc<Tokens>>,
    timeouts: Timeouts,
}

impl Client {
    /// A client that calls as `settings` say.
    ///
    /// # Errors
    /// [`ClientError`] when certificates can't be used: the system's can't be loaded, which `https` needs, or the
    /// destination's own don't fit.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let guard = Guard::new(settings.policy);
        Self::guarded(settings, guard)
    }

    fn guarded(settings: Settings, guard: Guard) -> Result<Self, ClientError> {
        let Settings { timeouts, trust, identity, grant, .. } = settings;
        let connections = Connections::new(timeouts, &trust, identity.as_ref(), guard)?;
        let tokens = grant.map(|grant| Arc::new(Tokens::new(grant, connections.clone())));
        Ok(Self { connections, tokens, timeouts })
    }

    /// What an attempt needs to show who we are: an access token, which may have to be fetched first, or nothing, where
    /// all credentials are constant.
    ///
    /// # Errors
    /// [`Failure`] when there is no token; its words say that it is about the token.
    pub async fn credentials(&self) -> Result<Credentials, Failure> {
        match &self.tokens {
            Some(tokens) => tokens.current().await,
            None => Ok(Credentials::default()),
        }
    }

    /// Others in place of credentials that the destination doesn't take any more (401): a new token, unless another attempt
    /// has got one since. Constant credentials stay what they are.
    ///
    /// # Errors
    /// As those of [`Self::credentials`].
    pub async fn refresh(&self, refused: &Credentials) -> Result<Credentials, Failure> {
        match &self.tokens {
            Some(tokens) => tokens.instead_of(refused).await,
            None => Ok(refused.clone()),
        }
    }

    /// Whether [`Self::refresh`] can bring anything new.
    #[must_use]
    pub fn can_refresh(&self) -> bool {
        self.tokens.is_some()
    }

    /// The longest that an attempt can take: each request its whole time-out. With tokens there are up to six of them: to
    /// wait for somebody else's token request and then to make one, to send, and after a 401 all of it once more.
    #[must_use]
    pub fn longest_attempt(&self) -> Duration {
        self.timeouts.total.saturating_mul(if self.can_refresh() { 6 } else { 1 })
    }

    /// Sends a request and waits for its reply, at most for the whole time-out.
    ///
    /// # Errors
    /// [`Failure`] when there is no status. Once there is one it counts, even if the body that follows breaks off.
    pub async fn send(&self, request: OutboundRequest, credentials: &Credentials) -> Sent {
        let OutboundRequest { method, url, mut headers, body, .. } = request;
        if body.is_empty() {
            // hyper leaves it out then, and some servers answer 411.
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(authorization) = credentials.authorization() {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        let answer = self.connections.exchange(method, url, headers, body).await?;
        Ok(reply::read(answer).await)
    }

    /// Posts what is no delivery, in the same way.
    ///
    /// # Errors
    /// As those of [`Self::send`].
    pub async fn post(&self, url: Url, headers: HeaderMap, body: Bytes) -> Sent {
        let answer = self.connections.exchange(Method::POST, url, headers, body).await?;
        Ok(reply::read(answer).await)
    }
}

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no HTTPS client can be made: {0}")]
pub struct ClientError(String);

#[cfg(test)]
mod tests;
