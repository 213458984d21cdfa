//! A whole relay in this process, from the text of a config to a stop in good order.

use std::{net::SocketAddr, path::Path};

use atoms_relay::{
    clock::Clock,
    config::{Colour, Config, ProcessEnvironment},
    relay::{Relay, RelayError},
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{fixtures::SECRET, within};

/// A relay that runs. It is dropped without a stop when a test fails.
pub struct WholeRelay {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    directory: TempDir,
    stop: CancellationToken,
    running: JoinSet<Result<(), RelayError>>,
}

impl WholeRelay {
    /// Starts one with an empty queue. `config` has what follows the sections for listeners, queue and the source `atoms`.
    pub async fn start(config: &str) -> Self {
        Self::start_in(TempDir::new().unwrap(), config).await
    }

    /// Starts one with the queue in `directory`.
    pub async fn start_in(directory: TempDir, config: &str) -> Self {
        Self::start_by(Clock::system(), directory, config).await
    }

    /// Starts one that goes by a clock of the test's.
    pub async fn start_by(clock: Clock, directory: TempDir, config: &str) -> Self {
        let config = parse(&(beginning(directory.path()) + config));
        let relay = within("starting", Relay::start(config, clock)).await.unwrap();
        let (public, admin, stop) =
            (relay.public_address(), relay.admin_address().network().unwrap(), CancellationToken::new());
        let mut running = JoinSet::new();
        running.spawn(relay.run_until(stop.clone().cancelled_owned()));
        Self { public, admin, directory, stop, running }
    }

    /// Wants it to stop, but doesn't wait for that.
    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Stops it, and returns the directory with its queue.
    pub async fn stop(mut self) -> TempDir {
        self.stop.cancel();
        within("stopping", self.running.join_next()).await.unwrap().unwrap().unwrap();
        self.directory
    }
}

fn beginning(directory: &Path) -> String {
    format!(
        r#"
[server]
listen = "127.0.0.1:0"

[admin]
listen = "127.0.0.1:0"

[queue]
path = "{}"

[source.atoms]
path = "/webhook"
secrets = ["{SECRET}"]
"#,
        directory.display()
    )
}

fn parse(text: &str) -> Config {
    Config::parse("relay.toml", text, &ProcessEnvironment)
        .unwrap_or_else(|problems| panic!("{}", problems.render(Colour::Plain)))
}
