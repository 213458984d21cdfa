//! The connections of one client, and what is said when one fails.
//!
//! Whatever is called, the destination and its token endpoint alike, is called through here: so all of it passes the guard
//! of addresses.

use std::error::Error;

use reqwest::{Certificate, ClientBuilder, RequestBuilder, Response, redirect};

use secrecy::ExposeSecret;

use super::{ClientError, POOL_IDLE, TCP_KEEPALIVE, Timeouts, Trust, guard::Guard, tls};
use crate::{
    address::{Forbidden, Policy},
    auth::Identity,
    model::FailureKind,
    outcome::Failure,
};

/// Open connections, and the way to make more. Cheap to clone; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    http: reqwest::Client,
    timeouts: Timeouts,
    policy: Policy,
}

impl Connections {
    /// None yet.
    pub(super) fn new(
        timeouts: Timeouts,
        trust: &Trust,
        identity: Option<&Identity>,
        guard: Guard,
    ) -> Result<Self, ClientError> {
        let policy = guard.policy();
        let builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .retry(reqwest::retry::never())
            .dns_resolver(guard)
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.total)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_keepalive(TCP_KEEPALIVE)
            .tcp_nodelay(true);
        let http = with_certificates(builder, trust, identity).and_then(ClientBuilder::build);
        Ok(Self { http: http.map_err(|error| ClientError(words(&error)))?, timeouts, policy })
    }

    /// Sends the request that `make` makes, and waits for the start of its answer.
    ///
    /// # Errors
    /// [`Failure`] when there is none.
    pub(super) async fn exchange(
        &self,
        make: impl FnOnce(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let request = make(&self.http).build().map_err(|error| self.failure(&error.without_url()))?;
        self.policy.check_literal(request.url()).map_err(|forbidden| forbidden_failure(&forbidden))?;
        self.http.execute(request).await.map_err(|error| self.failure(&error.without_url()))
    }

    fn failure(&self, error: &reqwest::Error) -> Failure {
        if let Some(forbidden) = root(error).downcast_ref() {
            return forbidden_failure(forbidden);
        }
        if let Some(detail) = tls::words(error) {
            return Failure { kind: FailureKind::Connect, detail };
        }
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

/// Says whom to believe and who we are.
fn with_certificates(
    builder: ClientBuilder,
    trust: &Trust,
    identity: Option<&Identity>,
) -> reqwest::Result<ClientBuilder> {
    let builder = match trust {
        Trust::Nobody => builder.tls_certs_only([]),
        Trust::System => builder,
        Trust::Only(authorities) => {
            builder.tls_certs_only(authorities.as_der().map(Certificate::from_der).collect::<Result<Vec<_>, _>>()?)
        }
    };
    Ok(match identity {
        Some(identity) => builder.identity(reqwest::Identity::from_pem(identity.pem().expose_secret().as_bytes())?),
        None => builder,
    })
}

fn forbidden_failure(forbidden: &Forbidden) -> Failure {
    Failure { kind: FailureKind::Forbidden, detail: forbidden.to_string() }
}

fn root<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

/// What an error says at its root, for people. The links above only name the library's own steps
/// (`error sending request`, `client error (Connect)`), and the number of an operating system's error helps nobody.
fn words(error: &reqwest::Error) -> String {
    let text = root(error).to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_owned()
}
