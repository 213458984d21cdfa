//! The connections of one client, and what is said when one fails.
//!
//! Whatever is called, the destination and its token endpoint alike, is called through here: so all of it passes the guard
//! of addresses.

use std::{
    error::Error,
    io::{self, ErrorKind::TimedOut},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use reqwest::{Certificate, ClientBuilder, redirect};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{
    ClientError, POOL_IDLE, TCP_KEEPALIVE, TCP_PROBE_INTERVAL, TCP_PROBES, TCP_UNACKNOWLEDGED, Timeouts, Trust,
    guard::Guard,
    plain::Plain,
    reply::{Answer, Body},
    tls,
};
use crate::{
    address::{Forbidden, Policy},
    auth::Identity,
    model::FailureKind,
    outcome::Failure,
};

/// What is asked of an answer: nothing. Some servers refuse those who don't say so.
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");

/// Open connections, and the way to make more. Cheap to clone; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    plain: Plain,
    /// For what needs more: TLS, and credentials in an address.
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
        let (policy, plain) = (guard.policy(), Plain::new(timeouts.connect, guard.clone()));
        let builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .retry(reqwest::retry::never())
            .dns_resolver(guard)
            .connect_timeout(timeouts.connect)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_keepalive(TCP_KEEPALIVE)
            .tcp_keepalive_interval(TCP_PROBE_INTERVAL)
            .tcp_keepalive_retries(TCP_PROBES)
            .tcp_nodelay(true);
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(TCP_UNACKNOWLEDGED);
        let http = with_certificates(builder, trust, identity).and_then(ClientBuilder::build);
        Ok(Self { plain, http: http.map_err(|error| ClientError(words(&error)))?, timeouts, policy })
    }

    /// Sends a request, and waits for the start of its answer.
    ///
    /// # Errors
    /// [`Failure`] when there is none.
    pub(super) async fn exchange(
        &self,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        self.policy.check_literal(&url).map_err(|forbidden| forbidden_failure(&forbidden))?;
        headers.entry(header::ACCEPT).or_insert(ANYTHING);
        let until = Instant::now() + self.timeouts.total;
        let started = async {
            if Plain::leads_to(&url) {
                self.plainly(method, &url, headers, body).await
            } else {
                self.by_reqwest(method, url, headers, body).await
            }
        };
        let response = timeout_at(until, started).await.map_err(|_| self.late())??;
        Ok(Answer::new(response, until))
    }

    async fn plainly(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Body>, Failure> {
        let uri: Uri = url.as_str().parse().map_err(|error| unsendable(&error))?;
        let mut request = Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
        let response = self.plain.send(request).await.map_err(|error| {
            let is_late = root(&error).downcast_ref().is_some_and(|error: &io::Error| error.kind() == TimedOut);
            self.failure(&error, Signs { is_connect: error.is_connect(), is_late })
        })?;
        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }

    async fn by_reqwest(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Body>, Failure> {
        let request = self.http.request(method, url).headers(headers).body(body);
        let response = request.send().await.map_err(|error| {
            let error = error.without_url();
            let signs = Signs { is_connect: error.is_connect(), is_late: error.is_timeout() };
            if error.is_builder() { unsendable(&error) } else { self.failure(&error, signs) }
        })?;
        Ok(Response::from(response).map(|body| body.map_err(Into::into).boxed_unsync()))
    }

    fn failure(&self, error: &(dyn Error + 'static), Signs { is_connect, is_late }: Signs) -> Failure {
        if let Some(forbidden) = root(error).downcast_ref() {
            return forbidden_failure(forbidden);
        }
        if let Some(detail) = tls::words(error) {
            return Failure { kind: FailureKind::Connect, detail };
        }
        match (is_connect, is_late) {
            (true, true) => {
                Failure { kind: FailureKind::Connect, detail: format!("nothing within {:?}", self.timeouts.connect) }
            }
            (true, false) => Failure { kind: FailureKind::Connect, detail: words(error) },
            (false, true) => self.late(),
            (false, false) => Failure { kind: FailureKind::Broken, detail: words(error) },
        }
    }

    fn late(&self) -> Failure {
        Failure { kind: FailureKind::Timeout, detail: format!("no whole answer within {:?}", self.timeouts.total) }
    }
}

/// What a library says of an error.
struct Signs {
    /// It came before there was a connection.
    is_connect: bool,
    /// Something took too long.
    is_late: bool,
}

fn unsendable(error: &(dyn Error + 'static)) -> Failure {
    Failure { kind: FailureKind::Unsendable, detail: words(error) }
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
fn words(error: &(dyn Error + 'static)) -> String {
    let text = root(error).to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_owned()
}
