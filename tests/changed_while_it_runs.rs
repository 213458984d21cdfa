//! Reading the config again: all of it or nothing, with nothing lost, nothing refused, and nothing disturbed that is as before.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use support::{
    eventually, fixtures,
    relay::WholeRelay,
    scripted::{Behaviour, Scripted},
    sink::{Sink, status},
    wire::{Answer, Request, Wire},
};
use tokio::task::JoinSet;

/// Destinations, each with its address and further lines, and a route to all of them.
fn to_all(destinations: &[(&str, &str, &str)]) -> String {
    let mut config = String::new();
    for (name, url, more) in destinations {
        writeln!(config, "[destination.{name}]\nurl = \"{url}\"\n{more}").unwrap();
    }
    let names: Vec<&str> = destinations.iter().map(|(name, ..)| *name).collect();
    config + &format!("[[route]]\nto = {names:?}\n")
}

async fn accept(relay: &WholeRelay, id: &str) -> String {
    let answer = Request::signed(fixtures::event(id)).send(relay.public).await;
    assert_eq!(answer.text("status"), "accepted");
    answer.text("id")
}

fn done(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

/// A destination of the status.
async fn destination(relay: &WholeRelay, name: &str) -> Value {
    let status = relay.read("status").await;
    let all = status["destinations"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).cloned().unwrap_or(Value::Null)
}

/// The value of a series.
async fn metric(relay: &WholeRelay, series: &str) -> Option<f64> {
    let request = Request::new("GET /metrics HTTP/1.1").without("Host").header("Host", "localhost");
    let told = request.send(relay.admin).await.body;
    let line = told.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
    line.map(|value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_goes_where_the_new_config_says() {
    let (down, up) = (Sink::start().await, Sink::start().await);
    down.reply(|_| status(401));
    let relay = WholeRelay::start(&to_all(&[("crm", &down.url("/"), "")])).await;
    let mut ids = BTreeSet::new();
    for n in 0..5 {
        ids.insert(accept(&relay, &format!("e{n}")).await);
    }
    let stopped = async || Some(destination(&relay, "crm").await).filter(|crm| crm["condition"] == "stopped");
    eventually("the stop of the destination", stopped).await;

    let report = done(&relay.reload_as(&to_all(&[("crm", &up.url("/"), "")])).await);
    assert_eq!((&report["changed"], &report["added"]), (&json!(["crm"]), &json!([])));
    let got: BTreeSet<_> = up.wait_for(5).await.iter().map(|got| got.header("x-relay-event").to_owned()).collect();
    assert_eq!(got, ids);
    assert_eq!(destination(&relay, "crm").await["condition"], "flowing");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_removed_destination_is_kept_shown_and_delivered_when_it_is_named_again() {
    let (crm, other) = (Sink::start().await, Sink::start().await);
    crm.reply(|_| status(503));
    let with_both = to_all(&[("crm", &crm.url("/"), ""), ("other", &other.url("/"), "")]);
    let relay = WholeRelay::start(&with_both).await;
    let id = accept(&relay, "e1").await;
    crm.wait_for(1).await;
    let report = done(&relay.reload_as(&to_all(&[("other", &other.url("/"), "")])).await);
    assert_eq!((&report["removed"], &report["unchanged"]), (&json!(["crm"]), &json!(["other"])));

    accept(&relay, "e2").await;
    other.wait_for(2).await;
    let parked = destination(&relay, "crm").await;
    assert_eq!((&parked["condition"], &parked["waiting"]), (&json!("unconfigured"), &json!(1)));
    let series = "atoms_relay_destination_condition{destination=\"crm\",condition=\"unconfigured\"}";
    assert_eq!(metric(&relay, series).await, Some(1.0));

    crm.reply(|_| status(200));
    let tried = crm.got().len();
    let report =
        done(&relay.reload_as(&with_both.replace("[[route]]", "retry = { initial = \"1s\" }\n[[route]]")).await);
    assert_eq!(report["added"], json!(["crm"]));
    let got = crm.wait_for(tried + 1).await.swap_remove(tried);
    assert_eq!(got.header("x-relay-event"), id);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_with_mistakes_changes_nothing_and_says_all_of_them() {
    let sink = Sink::start().await;
    let right = to_all(&[("crm", &sink.url("/"), "")]);
    let relay = WholeRelay::start(&right).await;
    assert_eq!(metric(&relay, "atoms_relay_config_last_reload_successful").await, Some(1.0));
    let taken_at = metric(&relay, "atoms_relay_config_last_reload_success_timestamp_seconds").await;
    assert!(taken_at > Some(0.0));
    let before = relay.read("config").await;

    let answer = relay.reload_as(&right.replace("url =", "ulr =").replace("to = [", "two = [")).await;
    assert_eq!((answer.status, answer.header("content-type")), (422, Some("application/problem+json")));
    let problems = answer.text("detail");
    for part in [
        "[destination.crm] has no key `ulr`",
        "did you mean `url`?",
        "[[route]] number 1 has no key `two`",
        "relay.toml: ",
    ] {
        assert!(problems.contains(part), "{problems}");
    }
    assert_eq!(metric(&relay, "atoms_relay_config_last_reload_successful").await, Some(0.0));
    let after = relay.read("config").await;
    assert_eq!((&after["text"], &after["loaded_at"]), (&before["text"], &before["loaded_at"]));
    assert_eq!(after["last_reload"]["problems"], problems);
    let first = relay.read("status").await["config"]["last_reload"]["problem"].as_str().unwrap().to_owned();
    assert_eq!(first, "relay.toml:14: [destination.crm] has no `url`");
    accept(&relay, "e1").await;
    sink.wait_for(1).await;

    done(&relay.reload_as(&right).await);
    assert_eq!(metric(&relay, "atoms_relay_config_last_reload_successful").await, Some(1.0));
    assert!(metric(&relay, "atoms_relay_config_last_reload_success_timestamp_seconds").await > taken_at);
    assert_eq!(relay.read("config").await["last_reload"]["ok"], true);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_exchanged_in_its_file_counts_after_a_reload_of_the_same_text() {
    let sink = Sink::start().await;
    let relay = WholeRelay::start("[destination.none]\nurl = \"http://127.0.0.1:1/\"\n").await;
    let file = |name: &str, content: &str| {
        let path = relay.folder().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let token = file("token", "first-token-0123456789");
    let secret = file("secret", fixtures::SECOND_SECRET);
    let config = to_all(&[("crm", &sink.url("/"), &format!("auth = {{ bearer = {{ file = \"{token}\" }} }}"))])
        + &format!("[source.second]\npath = \"/second\"\nsecrets = [{{ file = \"{secret}\" }}]\n");
    done(&relay.reload_as(&config).await);
    accept(&relay, "e1").await;
    assert_eq!(sink.wait_for(1).await[0].header("authorization"), "Bearer first-token-0123456789");
    let to_second = |id: &str| Request::signed(fixtures::event(id)).line("POST /second HTTP/1.1");
    assert_eq!(to_second("e2").send(relay.public).await.status, 401);

    file("token", "second-token-0123456789");
    file("secret", fixtures::SECRET);
    let report = done(&relay.reload().await);
    assert_eq!((&report["changed"], &report["sources"]["changed"]), (&json!(["crm"]), &json!(["second"])));
    assert_eq!(to_second("e3").send(relay.public).await.status, 200);
    assert_eq!(sink.wait_for(2).await[1].header("authorization"), "Bearer second-token-0123456789");
    let shown = relay.read("config").await["text"].as_str().unwrap().to_owned();
    assert!(shown.contains("[destination.crm]") && !shown.contains(fixtures::SECRET), "{shown}");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_is_finished_and_what_is_as_before_is_not_touched() {
    let slow = Scripted::with(|n, _| match n {
        0 => Behaviour::AnswersAfter(Duration::from_secs(2), 200),
        _ => Behaviour::Answers(200),
    });
    let (slow, same) = (slow.await, Scripted::always(Behaviour::Answers(200)).await);
    let config = |concurrency: &str| to_all(&[("slow", &slow.url("/"), concurrency), ("same", &same.url("/"), "")]);
    let relay = WholeRelay::start(&config("concurrency = 1")).await;
    accept(&relay, "e1").await;
    slow.wait_for(1).await;
    let report = done(&relay.reload_as(&config("concurrency = 1\ntimeout = \"9s\"")).await);
    assert_eq!((&report["changed"], &report["unchanged"]), (&json!(["slow"]), &json!(["same"])));
    accept(&relay, "e2").await;
    let got = slow.wait_for(2).await;
    let attempts: Vec<_> = got.iter().map(|got| (got.header("x-relay-attempt").to_owned(), got.at_once)).collect();
    assert_eq!(
        attempts,
        [("1".to_owned(), 1), ("1".to_owned(), 1)],
        "the first was not cut short, and none was beside it"
    );
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_running_relay_cannot_change_is_said_and_stays() {
    let sink = Sink::start().await;
    let relay = WholeRelay::start(&to_all(&[("crm", &sink.url("/"), "")])).await;
    relay.rewrite(|config| {
        let other =
            config.replace("[queue]\n", "[queue]\nretention = \"9d\"\n").replacen("127.0.0.1:0", "127.0.0.1:9", 1);
        other + "\n[traces]\nendpoint = \"http://127.0.0.1:4318/v1/traces\"\n"
    });
    let report = done(&relay.reload().await);
    assert_eq!(report["needs_restart"], json!(["server.listen", "queue.retention", "traces"]));
    assert_eq!(relay.read("status").await["config"]["needs_restart"], report["needs_restart"]);
    accept(&relay, "e1").await;
    sink.wait_for(1).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_sources_and_destinations_have_their_series_from_the_first_scrape() {
    let sink = Sink::start().await;
    let relay = WholeRelay::start("").await;
    let source = format!("[source.late]\npath = \"/late\"\nsecrets = [\"{}\"]\n", fixtures::SECRET);
    done(&relay.reload_as(&(to_all(&[("crm", &sink.url("/"), "")]) + &source)).await);
    for series in [
        "atoms_relay_ingest_requests_total{source=\"late\",code=\"200\"}",
        "atoms_relay_delivery_attempts_total{destination=\"crm\",outcome=\"delivered\"}",
        "atoms_relay_dead_letters_total{destination=\"crm\",reason=\"gave_up\"}",
    ] {
        assert_eq!(metric(&relay, series).await, Some(0.0), "{series}");
    }
    relay.stop().await;
}

/// Posts events on one connection after another until it may end, and returns the ids of what was accepted.
async fn post_until(relay: std::net::SocketAddr, lane: usize, is_over: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut accepted = BTreeSet::new();
    let mut wire = Wire::connect(relay).await;
    for n in 0.. {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        if n % 10 == 9 {
            wire = Wire::connect(relay).await;
        }
        wire.send(&Request::signed(fixtures::event(&format!("{lane}-{n}"))).bytes()).await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, answer.text("status").as_str()), (200, "accepted"));
        accepted.insert(answer.text("id"));
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_no_event_is_refused_or_lost_however_often_the_config_is_read_again() {
    let (always, elsewhere) = (Sink::start().await, Sink::start().await);
    let base = [("always", always.url("/"))];
    let always_url = base[0].1.as_str();
    let configs = [
        to_all(&[("always", always_url, "")]),
        to_all(&[("always", always_url, ""), ("more", &elsewhere.url("/"), "")]),
        to_all(&[("always", always_url, "concurrency = 3")]),
        to_all(&[("always", always_url, "rate = \"100000/s\""), ("more", &elsewhere.url("/other"), "")]),
        "[destination.always]\nurl = 7\n".to_owned(),
        "not = [toml".to_owned(),
    ];
    let relay = WholeRelay::start(&configs[0]).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut posting = JoinSet::new();
    for lane in 0..4 {
        posting.spawn(post_until(relay.public, lane, Arc::clone(&is_over)));
    }
    let mut refused = 0;
    for n in 0..60 {
        let answer = relay.reload_as(&configs[n % configs.len()]).await;
        assert!([200, 422].contains(&answer.status), "{answer:?}");
        refused += usize::from(answer.status == 422);
    }
    assert_eq!(refused, 20);
    done(&relay.reload_as(&configs[1]).await);
    is_over.store(true, Ordering::SeqCst);
    let accepted: BTreeSet<String> = posting.join_all().await.into_iter().flatten().collect();
    assert!(accepted.len() > 60, "{}", accepted.len());
    let all_are_there = async || {
        let got: BTreeSet<String> = always.got().iter().map(|got| got.header("x-relay-event").to_owned()).collect();
        (got == accepted).then_some(())
    };
    eventually("every event at the destination that was always there", all_are_there).await;
    let rest = async || Some(destination(&relay, "more").await["waiting"] == 0).filter(|is_empty| *is_empty);
    eventually("the end of what waits for the one that came and went", rest).await;
    assert_eq!(relay.read("status").await["queue"]["dead"], 0);
    relay.stop().await;
}
