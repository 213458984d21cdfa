//! The access token of one destination: fetched when it is first needed, kept, replaced shortly before it ends or when the
//! destination doesn't take it any more.
//!
//! One token request is under way at a time. Who asks meanwhile waits and shares what it brings, a failure as well: a token
//! endpoint that is down isn't asked once for each delivery.
//!
//! Tokens are kept in memory only. They are never shown, and neither is what the endpoint says besides its error code.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use tokio::{sync::Mutex, time::Instant};

use super::{connections::Connections, reply::Answer};
use crate::{
    auth::{Grant, NoToken, Token},
    model::FailureKind,
    outcome::Failure,
};

/// Bytes of an answer that are read at most. Tokens that list what they allow have some KiB; more than this no server takes
/// as a header.
const LONGEST_ANSWER: usize = 64 * 1024;

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("atoms-relay/", env!("CARGO_PKG_VERSION")));

/// What one attempt needs to show who we are. Its `Debug` shows no value.
#[derive(Clone, Default)]
pub struct Credentials {
    authorization: Option<HeaderValue>,
    captured: Arc<BTreeMap<String, String>>,
    serial: u64,
}

impl Credentials {
    /// The header to send, marked sensitive; none where all credentials are constant and stand in the request already.
    #[must_use]
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// The fields of the token endpoint's answer that were to be kept, by name.
    #[must_use]
    pub fn captured(&self) -> &BTreeMap<String, String> {
        &self.captured
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials(no. {}, {:?})", self.serial, self.captured.keys())
    }
}

/// The tokens of one destination.
#[derive(Debug)]
pub(super) struct Tokens {
    grant: Grant,
    connections: Connections,
    held: Mutex<Held>,
}

/// What the last token requests brought.
#[derive(Debug, Default)]
struct Held {
    token: Option<Issued>,
    failed: Option<Failed>,
    /// Tokens so far.
    issues: u64,
}

#[derive(Debug)]
struct Issued {
    credentials: Credentials,
    at: Instant,
    until: Instant,
}

#[derive(Debug)]
struct Failed {
    failure: Failure,
    at: Instant,
}

impl Tokens {
    /// None yet.
    pub(super) fn new(grant: Grant, connections: Connections) -> Self {
        Self { grant, connections, held: Mutex::default() }
    }

    /// A token that is good now.
    pub(super) async fn current(&self) -> Result<Credentials, Failure> {
        self.other_than(None).await
    }

    /// A token that is good now and isn't the one that was refused.
    pub(super) async fn instead_of(&self, refused: &Credentials) -> Result<Credentials, Failure> {
        self.other_than(Some(refused.serial)).await
    }

    async fn other_than(&self, refused: Option<u64>) -> Result<Credentials, Failure> {
        let asked = Instant::now();
        let mut held = self.held.lock().await;
        if let Some(known) = held.answer(asked, Instant::now(), refused) {
            return known;
        }
        let fetched = self.fetch().await;
        held.keep(fetched, Instant::now())
    }

    async fn fetch(&self) -> Result<Token, Failure> {
        let headers = [(header::CONTENT_TYPE, FORM), (header::ACCEPT, JSON), (header::USER_AGENT, USER_AGENT)];
        let (url, form) = (self.grant.token_url.clone(), self.grant.form().into());
        let answer = self.connections.exchange(Method::POST, url, headers.into_iter().collect(), form).await;
        let answer = answer.map_err(|failure| self.unreachable(failure))?;
        let status = answer.status();
        let answer = whole(answer).await.ok_or(NoToken::Unreadable("it breaks off, or has no end"));
        answer.and_then(|answer| self.grant.token(status, &answer)).map_err(|reason| self.failure(&reason))
    }

    fn unreachable(&self, failure: Failure) -> Failure {
        let Failure { kind, detail } = failure;
        match kind {
            FailureKind::Forbidden => Failure { kind, detail: self.told(&format!("can't be asked: {detail}")) },
            _ => Failure { kind: FailureKind::Token, detail: self.told(&format!("can't be asked: {kind}: {detail}")) },
        }
    }

    fn failure(&self, reason: &NoToken) -> Failure {
        let kind = match reason {
            NoToken::Refused { .. } => FailureKind::Credentials,
            NoToken::Unavailable { .. } | NoToken::Unreadable(_) | NoToken::Uncaptured(_) => FailureKind::Token,
        };
        Failure { kind, detail: self.told(&reason.to_string()) }
    }

    fn told(&self, what: &str) -> String {
        format!("the token endpoint at {} {what}", self.grant.token_url.host_str().unwrap_or_default())
    }
}

impl Held {
    /// What can be said at `now` to somebody who asked at `asked`, without a request: whatever came back since then, and
    /// else a token that is still good.
    fn answer(&self, asked: Instant, now: Instant, refused: Option<u64>) -> Option<Result<Credentials, Failure>> {
        let wanted = self.token.as_ref().filter(|token| Some(token.credentials.serial) != refused);
        if let Some(token) = wanted.filter(|token| now < token.until || asked <= token.at) {
            return Some(Ok(token.credentials.clone()));
        }
        self.failed.as_ref().filter(|failed| asked <= failed.at).map(|failed| Err(failed.failure.clone()))
    }

    fn keep(&mut self, fetched: Result<Token, Failure>, now: Instant) -> Result<Credentials, Failure> {
        let token = fetched.inspect_err(|failure| self.failed = Some(Failed { failure: failure.clone(), at: now }))?;
        self.issues += 1;
        let until = now + token.good_for();
        let Token { authorization, captured, .. } = token;
        let credentials =
            Credentials { authorization: Some(authorization), captured: Arc::new(captured), serial: self.issues };
        self.token = Some(Issued { credentials: credentials.clone(), at: now, until });
        Ok(credentials)
    }
}

/// The body of an answer; `None` when it breaks off or is longer than [`LONGEST_ANSWER`].
async fn whole(mut answer: Answer) -> Option<Bytes> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            return None;
        }
    }
    Some(body.into())
}
