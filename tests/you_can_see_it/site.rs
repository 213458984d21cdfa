//! A relay as ops people have it: a folder with a configuration, and the program that runs with it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use crate::{
    support::{eventually, sink::Sink, within},
    window::{Output, command, run},
};

/// A folder with a configuration, and what was started with it.
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) sink: Sink,
}

/// The relay as a process of its own. It is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    started: Value,
}

impl Site {
    /// A configuration as `init` writes it, with addresses of this test.
    pub(crate) async fn prepared() -> Self {
        let site = Self { folder: TempDir::new().unwrap(), sink: Sink::start().await };
        let written = run(&format!("init --config {}", site.config())).await.ok();
        assert!(written.contains("atoms-relay check --config"), "{written}");
        let starter = fs::read_to_string(site.config()).unwrap();
        let config = starter
            .replace("127.0.0.1:8080", "127.0.0.1:0")
            .replace("[queue]", "[admin]\nlisten = \"127.0.0.1:0\"\n\n[queue]\nmin_free_disk = \"1MiB\"")
            .replace("https://crm.example.com/api/calls", &site.sink.url("/calls"))
            .replace("# auth = { bearer = { env = \"CRM_TOKEN\" } }", "auth = { bearer = { env = \"CRM_TOKEN\" } }")
            .replace("events = [\"post-conversation\"]", "events = [\"post-conversation\", \"analytics-completed\"]");
        fs::write(site.config(), config).unwrap();
        site
    }

    pub(crate) fn config(&self) -> String {
        self.folder.path().join("relay.toml").display().to_string()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the route a condition.
    pub(crate) fn set_condition(&self, when: &str) {
        self.changes(|config| {
            let without = config.lines().filter(|line| !line.starts_with("when = "));
            let lines = without.flat_map(|line| match line {
                "[[route]]" => vec![line.to_owned(), format!("when = \"{when}\"")],
                line => vec![line.to_owned()],
            });
            lines.map(|line| line + "\n").collect()
        });
    }

    /// Rewrites the configuration.
    pub(crate) fn changes(&self, change: impl FnOnce(&str) -> String) {
        let changed = change(&fs::read_to_string(self.config()).unwrap());
        fs::write(self.config(), changed).unwrap();
    }

    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Starts the relay and waits until it says where it is.
    pub(crate) async fn serve(&self) -> Process {
        self.serve_logging("error", Stdio::inherit()).await
    }

    pub(crate) async fn serve_logging(&self, level: &str, log: Stdio) -> Process {
        let mut serve = command(&format!("serve --json --log {level} --config {}", self.config()));
        let mut child = serve.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut text = String::new();
        while serde_json::from_str::<Value>(&text).is_err() {
            text += &within("the start", lines.next_line()).await.unwrap().expect("it ended instead");
        }
        Process { child, started: serde_json::from_str(&text).unwrap() }
    }
}

impl Process {
    pub(crate) fn address(&self, which: &str) -> SocketAddr {
        self.started[which].as_str().unwrap().parse().unwrap()
    }

    /// Runs a command on it.
    pub(crate) async fn run(&self, arguments: &str) -> String {
        run(&format!("--admin http://{} {arguments}", self.address("admin_address"))).await.ok()
    }

    /// Sends it an event.
    pub(crate) async fn send(&self, site: &Site, arguments: &str) -> Value {
        let to = format!("http://{}/webhook", self.address("public_address"));
        let sent = run(&format!("send --json --config {} --to {to} {arguments}", site.config())).await.ok();
        let sent: Value = serde_json::from_str(&sent).unwrap();
        serde_json::from_str(sent["body"].as_str().unwrap()).unwrap()
    }

    pub(crate) async fn wait_for(&self, what: &str, query: &str) -> String {
        eventually(what, async || Some(self.run(query).await).filter(|found| !found.is_empty())).await
    }

    /// Kills it, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        within("the end", self.child.kill()).await.unwrap();
    }

    /// Runs a command on it that may fail.
    pub(crate) async fn try_run(&self, arguments: &str) -> Output {
        run(&format!("--admin http://{} {arguments}", self.address("admin_address"))).await
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop, as a service manager does.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        within("stopping", self.child.wait()).await.unwrap()
    }
}
