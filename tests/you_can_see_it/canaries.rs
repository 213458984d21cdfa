//! Canaries: what must never be seen is sent through a relay, and then looked for in all that it says.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::{
    site::{Process, Site},
    support::{
        fixtures,
        sink::{Sink, status},
        wire::{Answer, Request},
    },
    window::run,
};

/// What opens doors. Nobody needs to see it anywhere.
const SECRETS: [&str; 2] = [fixtures::SECRET, "let-me-in"];

/// Parts of the event that the tests send, and of the answer to it.
const PERSONAL: [&str; 2] = ["1415555", "Harbor Dental"];

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Sends an event of the kind that there is on a bad day to a relay that logs at `level`: it is refused by its destination,
/// which says the caller's number in its answer. What a collector of traces is told shows nothing, either. Returns the log.
async fn bad_day(level: &str, look: impl AsyncFnOnce(&Process, &Site)) -> String {
    let site = Site::prepared().await;
    site.sink.reply(|_| http::Response::builder().status(422).body("call +14155550132".into()).unwrap());
    let (log, collector) = (site.file("log", b""), Sink::start().await);
    site.changes(|config| {
        let endpoint = collector.url("/v1/traces");
        format!(
            "{config}\n[traces]\nendpoint = \"{endpoint}\"\nheaders = {{ X-Api-Key = {{ env = \"CRM_TOKEN\" }} }}\n"
        )
    });
    let relay = site.serve_logging(level, fs::File::create(&log).unwrap().into()).await;
    relay.send(&site, "").await;
    let forged = format!("send --config {} --to http://{}/webhook", site.config(), relay.address("public_address"));
    assert_eq!(run(&format!("{forged} --secret-env CRM_TOKEN")).await.status.code(), Some(65));
    relay.wait_for("a dead letter", "dead list --json").await;
    look(&relay, &site).await;
    assert_eq!(relay.stop().await.code(), Some(0));
    let told: String = collector.got().iter().map(|got| String::from_utf8_lossy(&got.body).into_owned()).collect();
    assert!(told.contains("deliver crm"), "no attempt is in a trace: {told}");
    assert_absent(&[&SECRETS[..], &PERSONAL[..]].concat(), "a trace", &told);
    fs::read_to_string(log).unwrap()
}

async fn get(relay: &Process, path: &str) -> Answer {
    let request = Request::new(&format!("GET {path} HTTP/1.1")).without("Host").header("Host", "localhost");
    request.header("Accept", "application/openmetrics-text").send(relay.address("admin_address")).await
}

fn assert_absent(canaries: &[&str], place: &str, text: &str) {
    assert!(!text.is_empty(), "{place} says nothing");
    for canary in canaries {
        assert!(!text.contains(canary), "{place} shows {canary}: {text}");
    }
}

#[tokio::test]
async fn no_log_list_or_metric_shows_a_secret_a_body_or_a_phone_number() {
    let all = [&SECRETS[..], &PERSONAL[..]].concat();
    for level in LEVELS {
        let log = bad_day(level, async |relay, _| {
            for path in ["/metrics", "/readyz", "/api/v1/status", "/api/v1/destinations", "/api/v1/events"] {
                assert_absent(&all, path, &get(relay, path).await.body);
            }
            for command in ["status", "events", "deliveries", "dead list"] {
                assert_absent(&all, command, &relay.run(command).await);
                assert_absent(&all, command, &relay.run(&format!("{command} --json")).await);
            }
        })
        .await;
        let is_told_of = log.contains("refused with 401") || level == "error";
        assert!(is_told_of, "at {level} the log doesn't show that anything happened: {log}");
        for canary in &all {
            assert!(!log.contains(canary), "at {level} the log shows {canary}: {log}");
        }
    }
}

#[tokio::test]
async fn what_shows_an_event_or_an_answer_still_shows_no_secret() {
    bad_day("off", async |relay, site| {
        let listed: Value = serde_json::from_str(&relay.run("events --json").await).unwrap();
        let id = listed["id"].as_str().unwrap();
        assert_absent(&SECRETS, "an event", &get(relay, &format!("/api/v1/events/{id}")).await.body);
        assert_absent(&SECRETS, "an event", &relay.run(&format!("events show {id}")).await);
        let body = get(relay, &format!("/api/v1/events/{id}/body")).await.body;
        assert!(PERSONAL.iter().all(|canary| body.contains(canary)), "there is nothing to be seen: {body}");
        let body = site.file("body", body.as_bytes());
        for form in ["", " --json"] {
            let explained = run(&format!("explain {}{form} --config {}", body.display(), site.config())).await.ok();
            assert_absent(&SECRETS, "explain", &explained);
        }
    })
    .await;
}

#[tokio::test]
async fn a_log_that_no_person_reads_is_an_object_on_each_line() {
    let log = bad_day("debug", async |_, _| {}).await;
    let lines: Vec<BTreeMap<String, Value>> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 2, "{log}");
    for line in &lines {
        assert!(["timestamp", "level", "message"].iter().all(|field| line[*field].is_string()), "{line:?}");
    }
    let dead = lines.iter().find(|line| line["message"] == "dead letter: refused by the destination").unwrap();
    assert_eq!((&dead["level"], &dead["destination"]), (&"WARN".into(), &"crm".into()));
}

#[tokio::test]
async fn an_event_that_arrives_has_one_line_at_info_at_most() {
    let site = Site::prepared().await;
    site.sink.reply(|_| status(200));
    let log = site.file("log", b"");
    let relay = site.serve_logging("info", fs::File::create(&log).unwrap().into()).await;
    let id = relay.send(&site, "").await["id"].as_str().unwrap().to_owned();
    relay.wait_for("the delivery", "events --json --state delivered").await;
    assert_eq!(relay.stop().await.code(), Some(0));
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("stopping"), "{log}");
    assert!(log.lines().filter(|line| line.contains(&id)).count() <= 1, "{log}");
}
