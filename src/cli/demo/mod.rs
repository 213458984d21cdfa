//! `demo`: a relay, three pretend destinations and the events of one call, in one process on loopback, told as it happens.
//!
//! Everything is real but the destinations' business: signatures, the queue on disk, retries, the admin API. It needs no
//! configuration and no account, and leaves nothing behind.

mod play;
mod pretend;
mod story;

use std::{fmt::Write, net::SocketAddr, sync::Arc};

use clap::Args;
use http::HeaderName;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::{
    play::{Play, SECRET_VARIABLE},
    pretend::Pretend,
    story::Story,
};
use super::{
    Session,
    failure::{Exit, Failure},
    serve::Signals,
    text::hex,
};
use crate::{
    clock::random_bytes,
    config::{Config, FixedEnvironment, LoadError},
    relay::{Loader, Relay},
    verify::Verifier,
};

/// The destinations, and how often each refuses before it is up. Four is one less than what makes a relay stop knocking
/// for a while: the show has to go on.
const DESTINATIONS: [(&str, u32); 3] = [("crm", 0), ("slack", 0), ("billing", 4)];

/// The arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// End when everything is delivered, rather than stay for a look around.
    #[arg(long)]
    once: bool,
}

/// Runs `demo`.
pub(super) async fn run(args: DemoArgs, session: &Session) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let queue =
        TempDir::new().map_err(|error| Failure::new(Exit::Io, format_args!("no folder for the queue: {error}")))?;
    let secret = fresh_secret()?;
    let verifier = Verifier::new(HeaderName::from_static("x-signature"), [&*secret])
        .map_err(|error| Failure::new(Exit::Software, error))?;
    let story = Story::begin(session.console);

    let mut tasks = JoinSet::new();
    let load = loader(&queue, &secret, &open_destinations(&verifier, &story, &mut tasks).await?);
    let config = load().map_err(|error| Failure::new(Exit::Software, error))?;
    let relay = Relay::start(config, load, session.clock.clone()).await;
    let relay = relay.map_err(|error| Failure::new(Exit::Software, error))?;
    let play = Play::new(&relay, verifier, secret, story, session)?;

    let stop = CancellationToken::new();
    let running = relay.run_until(stop.clone().cancelled_owned());
    let playing = async {
        let played = tokio::select! {
            played = play.perform(&args) => played,
            _ = signals.next() => Ok(()),
        };
        stop.cancel();
        played
    };
    let (played, ended) = tokio::join!(playing, running);
    played.and(ended.map_err(|error| Failure::new(Exit::Software, error)))
}

/// A secret that nobody else knows.
fn fresh_secret() -> Result<String, Failure> {
    let random = || random_bytes().map_err(|error| Failure::new(Exit::Io, format_args!("no random numbers: {error}")));
    Ok([random()?, random()?, random()?].map(|bytes| hex(&bytes)).concat())
}

async fn open_destinations(
    verifier: &Verifier,
    story: &Story,
    tasks: &mut JoinSet<()>,
) -> Result<Vec<(&'static str, SocketAddr)>, Failure> {
    let mut open = Vec::new();
    for (name, refusals) in DESTINATIONS {
        let pretend = Pretend::new(name, refusals, verifier.clone(), story.clone());
        let address = pretend.open(tasks).await;
        let address =
            address.map_err(|error| Failure::new(Exit::Io, format_args!("no destination on loopback: {error}")))?;
        open.push((name, address));
    }
    Ok(open)
}

/// Reads a configuration that is made up on the spot.
fn loader(queue: &TempDir, secret: &str, destinations: &[(&str, SocketAddr)]) -> Loader {
    let text = config_text(&queue.path().join("queue").display().to_string(), destinations);
    let environment = FixedEnvironment::default().with_variable(SECRET_VARIABLE, secret);
    Arc::new(move || Config::parse("demo.toml", &text, &environment).map_err(LoadError::Invalid))
}

fn config_text(queue: &str, destinations: &[(&str, SocketAddr)]) -> String {
    let queue = toml::Value::from(queue);
    let mut text = format!(
        r#"
server = {{ listen = "127.0.0.1:0" }}
admin = {{ listen = "127.0.0.1:0" }}
queue = {{ path = {queue}, min_free_disk = "1MiB" }}
source.atoms = {{ path = "/webhook", secrets = [{{ env = "{SECRET_VARIABLE}" }}] }}
"#
    );
    for (name, address) in destinations {
        // Writing to a String can't fail.
        let _infallible = writeln!(
            text,
            r#"destination.{name} = {{ url = "http://{address}/", retry = {{ initial = "500ms", max = "1s" }} }}"#
        );
    }
    let names: Vec<&str> = destinations.iter().map(|(name, _)| *name).collect();
    text + &format!("[[route]]\nname = \"everything to everybody\"\nto = {}\n", toml::Value::from(names))
}
