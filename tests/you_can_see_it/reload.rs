//! A relay that reads its configuration again, as an ops person asks it to.

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    site::{Process, Site},
    support::{eventually, fixtures, wire::Request},
};

async fn status(relay: &Process) -> Value {
    serde_json::from_str(&relay.run("status --json").await).unwrap()
}

/// Waits until a reload that was asked for by a signal is over, and says whether the file was taken.
async fn reloaded(relay: &Process, than: &Value) -> bool {
    let last = async || {
        Some(status(relay).await["config"]["last_reload"].take()).filter(|last| !last.is_null() && last != than)
    };
    eventually("the reload", last).await["ok"].as_bool().unwrap()
}

#[tokio::test]
async fn a_command_says_what_a_reload_has_changed_or_why_it_changed_nothing() {
    let site = Site::prepared().await;
    let relay = site.serve().await;
    let same = relay.run("reload").await;
    assert_eq!(same, "The configuration was read again; 1 destination as before.\n");

    site.changes(|config| format!("{config}\n[destination.archive]\nurl = \"{}\"\n", site.sink.url("/archive")));
    let added = relay.try_run("reload").await;
    assert!(added.out.contains("\n  new destination     archive\n"), "{}", added.out);
    assert!(added.err.contains("no route leads to the destination `archive`"), "{}", added.err);
    assert_eq!(added.status.code(), Some(0));

    site.changes(|config| config.replace("[destination.archive]\nurl", "[destination.archive]\nulr"));
    let refused = relay.try_run("reload").await;
    assert_eq!((refused.status.code(), refused.out.as_str()), (Some(78), ""));
    let beginning = "error: the relay goes on as before:\n";
    assert!(refused.err.starts_with(beginning) && refused.err.contains("did you mean `url`?"), "{}", refused.err);
    let shown = relay.run("status").await;
    assert!(shown.contains("not taken: ") && shown.contains("[destination.archive] has no `url`"), "{shown}");
    assert!(shown.contains("archive"), "{shown}");

    site.changes(|config| config.split("\n[destination.archive]").next().unwrap().to_owned());
    let removed = relay.run("reload").await;
    assert!(
        removed.contains("\n  removed destination archive\nWhat waits for a removed destination is kept"),
        "{removed}"
    );
    assert!(relay.stop().await.success());
}

#[tokio::test]
async fn a_hangup_reads_the_file_that_the_relay_was_started_with() {
    let site = Site::prepared().await;
    let relay = site.serve().await;
    let before = status(&relay).await;
    site.changes(|config| config.replace("[destination.crm]", "[destination.crm2]").replace("[\"crm\"]", "[\"crm2\"]"));
    relay.signal(Signal::HUP);
    assert!(reloaded(&relay, &Value::Null).await);
    let after = status(&relay).await;
    assert_eq!(
        (&before["destinations"][0]["name"], &after["destinations"][0]["name"]),
        (&"crm".into(), &"crm2".into())
    );

    site.changes(|_| "nonsense".to_owned());
    relay.signal(Signal::HUP);
    assert!(!reloaded(&relay, &after["config"]["last_reload"]).await);
    assert_eq!(status(&relay).await["destinations"], after["destinations"]);
    let answer = Request::signed(fixtures::event("e1")).send(relay.address("public_address")).await;
    assert_eq!(answer.status, 200);
    site.sink.wait_for(1).await;
    assert!(relay.stop().await.success());
}
