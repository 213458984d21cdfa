//! A whole relay in this process, from the text of a config to a stop in good order.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use atoms_relay::{
    clock::Clock,
    config::{Config, LoadError, ProcessEnvironment},
    relay::{Loader, Relay, RelayError},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    fixtures::SECRET,
    wire::{Answer, Request},
    within,
};

/// A relay that runs. It is dropped without a stop when a test fails.
pub struct WholeRelay {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    config: Arc<Mutex<String>>,
    directory: TempDir,
    stop: CancellationToken,
    running: JoinSet<Result<(), RelayError>>,
}

impl WholeRelay {
    /// Starts one with an empty queue. `config` has what follows the sections for listeners, queue and the source `atoms`.
    pub async fn start(config: &str) -> Self {
        Self::start_in(TempDir::new().unwrap(), config).await
    }

    /// Starts one with an empty queue, whose admin API asks for `token`.
    pub async fn start_guarded(token: &str, config: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let beginning = beginning(directory.path()).replace("[admin]\n", &format!("[admin]\ntoken = \"{token}\"\n"));
        Self::start_from(Clock::system(), directory, beginning + config).await
    }

    /// Starts one with the queue in `directory`.
    pub async fn start_in(directory: TempDir, config: &str) -> Self {
        Self::start_by(Clock::system(), directory, config).await
    }

    /// Starts one that goes by a clock of the test's.
    pub async fn start_by(clock: Clock, directory: TempDir, config: &str) -> Self {
        let text = beginning(directory.path()) + config;
        Self::start_from(clock, directory, text).await
    }

    async fn start_from(clock: Clock, directory: TempDir, text: String) -> Self {
        let config = Arc::new(Mutex::new(text));
        let load = loader(Arc::clone(&config));
        let started = Relay::start(load().unwrap_or_else(|error| panic!("{error}")), load, clock);
        let relay = within("starting", started).await.unwrap();
        let (public, admin, stop) =
            (relay.public_address(), relay.admin_address().network().unwrap(), CancellationToken::new());
        let mut running = JoinSet::new();
        running.spawn(relay.run_until(stop.clone().cancelled_owned()));
        Self { public, admin, config, directory, stop, running }
    }

    /// The folder with its queue.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Rewrites its config, which it doesn't notice by itself.
    pub fn rewrite(&self, change: impl FnOnce(&str) -> String) {
        let mut config = self.config.lock().unwrap();
        *config = change(&config);
    }

    /// Makes this its config, from the sections on that [`Self::start`] takes, and lets it read that.
    pub async fn reload_as(&self, config: &str) -> Answer {
        self.rewrite(|_| beginning(self.directory.path()) + config);
        self.reload().await
    }

    /// Lets it read its config again.
    pub async fn reload(&self) -> Answer {
        let request = Request::new("POST /api/v1/reload HTTP/1.1").without("Host").header("Host", "localhost");
        request.send(self.admin).await
    }

    /// Asks its admin API.
    pub async fn read(&self, path: &str) -> Value {
        let request = Request::new(&format!("GET /api/v1/{path} HTTP/1.1"));
        let answer = request.without("Host").header("Host", "localhost").send(self.admin).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
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

fn loader(config: Arc<Mutex<String>>) -> Loader {
    let parse = move || Config::parse("relay.toml", &config.lock().unwrap(), &ProcessEnvironment);
    Arc::new(move || parse().map_err(LoadError::Invalid))
}
