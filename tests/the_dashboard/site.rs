//! A relay with destinations that do as the test wants, and the dashboard over it.

use atoms_relay::clock::Clock;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    browser::Browser,
    support::{
        eventually, fixtures,
        relay::WholeRelay,
        sink::{Sink, status},
        wire::Request,
        within,
    },
};

/// A relay with two destinations: one that takes everything, and one that refuses everything until it is told otherwise.
pub(crate) struct Site {
    pub(crate) relay: WholeRelay,
    pub(crate) archive: Sink,
    pub(crate) crm: Sink,
}

/// The call of the three events that [`Site::receive_a_call`] sends.
pub(crate) const CALL: &str = "CALL-1790012345678-a1b2c3";

impl Site {
    pub(crate) async fn start() -> Self {
        let (archive, crm) = destinations().await;
        Self { relay: WholeRelay::start(&config(&archive, &crm, "")).await, archive, crm }
    }

    /// Starts one that goes by a clock of the test's.
    pub(crate) async fn start_by(clock: Clock) -> Self {
        let (archive, crm) = destinations().await;
        let relay = WholeRelay::start_by(clock, TempDir::new().unwrap(), &config(&archive, &crm, "")).await;
        Self { relay, archive, crm }
    }

    /// Starts one whose admin API asks for this token.
    pub(crate) async fn start_guarded(token: &str) -> Self {
        let (archive, crm) = destinations().await;
        Self { relay: WholeRelay::start_guarded(token, &config(&archive, &crm, "")).await, archive, crm }
    }

    /// Lets its route take only what fits these further lines of it; none: all.
    pub(crate) async fn route(&self, only: &str) {
        let answer = self.relay.reload_as(&config(&self.archive, &self.crm, only)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The address of a page.
    pub(crate) fn page(&self, hash: &str) -> String {
        format!("http://{}/#/{hash}", self.relay.admin)
    }

    /// Opens a browser at a page; `None` where there is no browser.
    pub(crate) async fn look(&self, hash: &str) -> Option<Browser> {
        let browser = Browser::start().await?;
        browser.open(&self.page(hash)).await;
        Some(browser)
    }

    /// Takes an event in.
    pub(crate) async fn receive(&self, body: impl Into<Vec<u8>>) -> String {
        let answer = Request::signed(body).send(self.relay.public).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text("id")
    }

    /// Takes events with these ids in, all at once.
    pub(crate) async fn receive_together(&self, ids: impl Iterator<Item = String>) {
        let to = self.relay.public;
        let send = |id: String| async move { Request::signed(fixtures::event(&id)).send(to).await.status };
        let answers: JoinSet<u16> = ids.map(send).collect();
        assert!(within("taking them in", answers.join_all()).await.iter().all(|status| *status == 200));
    }

    /// Takes the three events of a call in.
    pub(crate) async fn receive_a_call(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for file in ["01-pre-outbound.json", "02-post-outbound.json", "03-analytics-outbound.json"] {
            ids.push(self.receive(fixtures::body(file)).await);
        }
        ids
    }

    /// Waits until no delivery waits.
    pub(crate) async fn settled(&self) {
        eventually("the end of all deliveries", async || {
            (self.ask("status").await["queue"]["waiting"] == 0).then_some(())
        })
        .await;
    }

    /// Asks the admin API for a change.
    pub(crate) async fn change(&self, path: &str, body: &Value) {
        let request =
            Request::new(&format!("POST /api/v1/{path} HTTP/1.1")).without("Host").header("Host", "localhost");
        let request = request.header("Content-Type", "application/json").body(body.to_string());
        let answer = request.send(self.relay.admin).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Asks the admin API.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.relay.admin);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = within(path, http.get(url).send()).await.unwrap();
        serde_json::from_str(&within(path, answer.text()).await.unwrap()).unwrap()
    }
}

async fn destinations() -> (Sink, Sink) {
    let (archive, crm) = (Sink::start().await, Sink::start().await);
    crm.reply(|_| status(422));
    (archive, crm)
}

fn config(archive: &Sink, crm: &Sink, only: &str) -> String {
    format!(
        r#"
[destination.archive]
url = "{}"

[destination.crm]
url = "{}"

[[route]]
to = ["archive", "crm"]
{only}
"#,
        archive.url("/atoms"),
        crm.url("/calls"),
    )
}
