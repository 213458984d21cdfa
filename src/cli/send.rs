//! `send`: an event, signed and posted like Atoms would.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use url::Url;

use super::{
    Session,
    explain::read_file,
    failure::{Exit, Failure},
    sample::{self, SampleType},
    table::Tone,
    text::{harmless, harmless_lines, size},
};
use crate::{
    address::Policy,
    clock::random_bytes,
    config::{Colour, Config, Environment, ProcessEnvironment, Source},
    model::{FailureKind, Name},
    outcome::Reply,
    send::{Client, Credentials, Settings, Timeouts, Trust},
    transform::OutboundRequest,
    verify::Verifier,
};

/// As long as Atoms waits.
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(30) };
/// Where a signature stands when no config says otherwise.
const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("x-signature");

/// The arguments of `send`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atoms-relay send
  atoms-relay send --event analytics-completed --call CALL-1790012345678-a1b2c3
  atoms-relay send --file event.json --to https://relay.example/webhook --secret-env SECRET")]
pub(super) struct SendArgs {
    /// The type of a made-up event.
    #[arg(long, value_name = "TYPE", default_value = "post-conversation")]
    event: SampleType,
    /// Its agent.
    #[arg(long, value_name = "ID", default_value = sample::AGENT)]
    agent: String,
    /// Its call; without it a new one. Several events of one call share it.
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// Send this file's bytes instead of a made-up event; `-` reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["event", "agent", "call"])]
    file: Option<PathBuf>,
    /// Where to; without it the address and the path of the source in the config.
    #[arg(long, value_name = "URL")]
    to: Option<Url>,
    /// The source of the config to send as; not needed when there is one only.
    #[arg(long, value_name = "NAME")]
    source: Option<Name>,
    /// Sign with the secret in this environment variable, instead of the source's.
    #[arg(long, value_name = "VARIABLE")]
    secret_env: Option<String>,
}

/// What was sent and what came back.
#[derive(Debug, Serialize)]
struct SendView {
    url: String,
    body_bytes: u64,
    status: u16,
    body: String,
    took_ms: u64,
}

/// Runs `send`.
pub(super) async fn run(args: SendArgs, session: &Session) -> Result<(), Failure> {
    let body = args.body(session)?;
    let (url, verifier) = args.way(session)?;
    let body_bytes = body.len() as u64;
    let started = Instant::now();
    let reply = post(&url, &verifier, body).await?;
    let (status, body) = (reply.status, reply.excerpt());
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let view = SendView { url: url.to_string(), body_bytes, status: status.as_u16(), body, took_ms };
    session.console.show(&view, words)?;
    judge(status)
}

/// Posts `body`, signed as `verifier`'s source would sign it.
pub(super) async fn post(url: &Url, verifier: &Verifier, body: Vec<u8>) -> Result<Reply, Failure> {
    let request = signed(url, verifier, body)?;
    let settings = Settings {
        timeouts: TIMEOUTS,
        trust: Trust::for_calls_to([url]),
        identity: None,
        policy: Policy::AllowPrivate,
        grant: None,
    };
    let client = Client::new(settings).map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let sent = client.send(request, &Credentials::default()).await;
    sent.map_err(|failure| unanswered(url, failure.kind, &failure.detail))
}

impl SendArgs {
    fn body(&self, session: &Session) -> Result<Vec<u8>, Failure> {
        if let Some(path) = &self.file {
            return read_file(path);
        }
        let now = session.clock.now();
        let dice =
            || random_bytes().map_err(|error| Failure::new(Exit::Io, format_args!("no random numbers: {error}")));
        let call = match &self.call {
            Some(call) => call.clone(),
            None => sample::call_id(now, dice()?),
        };
        Ok(sample::body(self.event, &self.agent, &call, now, dice()?))
    }

    /// Where to, and with whose signature. The config is read only for what the arguments don't say.
    fn way(&self, session: &Session) -> Result<(Url, Verifier), Failure> {
        if let (Some(url), Some(variable), None) = (&self.to, &self.secret_env, &self.source) {
            return Ok((url.clone(), verifier_of(SIGNATURE_HEADER, variable)?));
        }
        let config = session.config()?;
        let source = chosen_source(&config, self.source.as_ref())?;
        let verifier = match &self.secret_env {
            Some(variable) => verifier_of(source.verifier.header().clone(), variable)?,
            None => source.verifier.clone(),
        };
        let url = match &self.to {
            Some(url) => url.clone(),
            None => public_url(&config, source)?,
        };
        Ok((url, verifier))
    }
}

/// The source that people mean.
pub(super) fn chosen_source<'c>(config: &'c Config, name: Option<&Name>) -> Result<&'c Source, Failure> {
    let names = || config.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, config.sources.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::new(Exit::Usage, format_args!("say which source with `--source`: {}", names()))),
        (Some(name), sources) => sources.iter().find(|source| source.name == *name).ok_or_else(|| {
            Failure::new(Exit::Usage, format_args!("the config has no source `{name}`; it has {}", names()))
        }),
    }
}

fn verifier_of(header: HeaderName, variable: &str) -> Result<Verifier, Failure> {
    let secret = ProcessEnvironment.variable(variable).and_then(|value| value.into_string().ok());
    let missing =
        || Failure::new(Exit::Usage, format_args!("the environment variable {variable} is not set, or no text"));
    Verifier::new(header, [&*secret.ok_or_else(missing)?]).map_err(|error| Failure::new(Exit::Usage, error))
}

/// Where the relay of `config` listens, as seen from this machine.
fn public_url(config: &Config, source: &Source) -> Result<Url, Failure> {
    let mut address = config.server.listen;
    if address.port() == 0 {
        return Err(Failure::new(
            Exit::Usage,
            "the config lets the system choose the port: say where to with `--to URL`",
        ));
    }
    if config.server.tls.is_some() {
        let to = format!("https://relay.example.com:{}{}", address.port(), source.path);
        let message = format!("the relay speaks TLS, under a name in its certificate: say it, as in `--to {to}`");
        return Err(Failure::new(Exit::Usage, message));
    }
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    format!("http://{address}{}", source.path).parse().map_err(|error| Failure::new(Exit::Software, error))
}

fn signed(url: &Url, verifier: &Verifier, body: Vec<u8>) -> Result<OutboundRequest, Failure> {
    let signature = HeaderValue::try_from(verifier.sign(&body)).map_err(|error| Failure::new(Exit::Software, error))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
        .insert(header::USER_AGENT, HeaderValue::from_static(concat!("atoms-relay-send/", env!("CARGO_PKG_VERSION"))));
    headers.insert(verifier.header(), signature);
    let shown = format!("POST {url}");
    let (url, body) = (url.clone(), body.into());
    Ok(OutboundRequest { method: Method::POST, url, headers, body, must_be_kept: false, shown })
}

fn unanswered(url: &Url, kind: FailureKind, detail: &str) -> Failure {
    let advice = if kind == FailureKind::Broken && url.scheme() == "http" {
        "If what listens there speaks TLS, write `https://` and the name in its certificate."
    } else {
        "Is a relay running there? `atoms-relay serve` starts one."
    };
    Failure::new(Exit::Unavailable, format_args!("no answer from {url}: {kind}: {}\n{advice}", harmless(detail)))
}

fn words(view: &SendView, colour: Colour) -> String {
    let tone = if view.status < 300 { Tone::Good } else { Tone::Bad };
    let status = tone.paint(&view.status.to_string(), colour);
    let SendView { url, took_ms, .. } = view;
    format!(
        "POST {url} ({})\n{status} in {took_ms} ms: {}",
        size(view.body_bytes),
        harmless_lines(view.body.trim_end())
    )
}

/// What scripts want to know: whether the event was taken.
fn judge(status: StatusCode) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let exit = if status.is_server_error() { Exit::Unavailable } else { Exit::Data };
    Err(Failure::new(exit, format_args!("the event was not taken: {status}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_without_tls_may_be_what_speaks_it() {
        let told =
            |url: &str, kind| unanswered(&url.parse().unwrap(), kind, "x").message().unwrap_or_default().to_owned();
        assert!(told("http://relay.example/", FailureKind::Broken).contains("write `https://`"));
        assert!(told("https://relay.example/", FailureKind::Broken).contains("`atoms-relay serve` starts one"));
        assert!(told("http://relay.example/", FailureKind::Connect).contains("`atoms-relay serve` starts one"));
    }
}
