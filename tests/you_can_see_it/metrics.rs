//! What is measured: that it is right, that it is written in formats that others read, and that `docs/metrics.md`, alerts and
//! dashboard speak of the same metrics.

#![expect(clippy::float_cmp, reason = "what is counted is a whole number")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    eventually, fixtures,
    relay::WholeRelay,
    sink::{Sink, status},
    wire::{Answer, Request},
};

/// What Prometheus 2 and 3 send at the least.
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";

/// All events go to `crm`; events about analytics to `slack` as well, but it refuses connections.
fn config(sink: &Sink) -> String {
    format!(
        r#"
[destination.crm]
url = "{}"

[destination.slack]
url = "http://127.0.0.1:1/hook"

[[route]]
name = "calls"
events = ["post-conversation", "analytics-completed", "brand-new"]
to = ["crm"]

[[route]]
name = "analytics"
events = ["analytics-completed"]
to = ["slack"]
"#,
        sink.url("/calls")
    )
}

async fn get(relay: &WholeRelay, accept: &str) -> Answer {
    let request = Request::new("GET /metrics HTTP/1.1").without("Host").header("Host", "localhost");
    let answer = request.header("Accept", accept).send(relay.admin).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// One scrape, read strictly.
struct Scrape {
    /// Name of the family, without the suffixes of its samples, to its type.
    families: BTreeMap<String, String>,
    /// Everything before the value: name and labels, sorted.
    samples: BTreeMap<String, f64>,
    /// The same of the samples with an example, to its trace.
    traces: Vec<(String, String)>,
}

impl Scrape {
    async fn of(relay: &WholeRelay) -> Self {
        Self::read(&get(relay, OPEN_METRICS).await.body)
    }

    /// Reads `OpenMetrics` 1.0, and panics at what that doesn't allow.
    fn read(text: &str) -> Self {
        let mut scrape = Self { families: BTreeMap::new(), samples: BTreeMap::new(), traces: Vec::new() };
        let (body, end) = text.split_at(text.len() - "# EOF\n".len());
        assert_eq!(end, "# EOF\n");
        let mut family = String::new();
        for line in body.lines() {
            match line.strip_prefix("# ") {
                Some(comment) => family = scrape.read_comment(comment, family),
                None => scrape.read_sample(line, &family),
            }
        }
        scrape
    }

    fn read_comment(&mut self, comment: &str, family: String) -> String {
        let [word, name, rest] = comment.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
        match word {
            "HELP" => {
                assert!(!self.families.contains_key(name), "{name} comes twice");
                return name.to_owned();
            }
            "TYPE" => assert_eq!(self.families.insert(name.to_owned(), rest.to_owned()), None, "{name}"),
            "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{name} has no unit {rest}"),
            _ => panic!("{comment}"),
        }
        assert_eq!(name, family, "what belongs together stands together");
        family
    }

    fn read_sample(&mut self, line: &str, family: &str) {
        let (sample, example) = line.split_once(" # ").map_or((line, None), |(sample, rest)| (sample, Some(rest)));
        let (series, value) = sample.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let (name, labels) =
            series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.strip_suffix('}').unwrap()));
        let suffixes: &[&str] = match &*self.families[family] {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            other => panic!("{family} has the type {other}"),
        };
        assert!(suffixes.iter().any(|suffix| name == format!("{family}{suffix}")), "{line} stands below {family}");
        let mut labels: Vec<_> = labels.split_terminator("\",").map(|label| label.trim_end_matches('"')).collect();
        labels.sort_unstable();
        let labels: Vec<_> = labels.iter().map(|label| label.replacen("=\"", "=", 1)).collect();
        let series = format!("{name}{{{}}}", labels.join(","));
        if let Some(example) = example {
            let (trace, value) = example.strip_prefix("{trace_id=\"").unwrap().split_once("\"} ").unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            self.traces.push((series.clone(), trace.to_owned()));
        }
        assert_eq!(self.samples.insert(series, value), None, "{line} comes twice");
    }

    /// The value of a series such as `ready{check=store}`, without the prefix.
    fn value(&self, series: &str) -> f64 {
        let series = format!("atoms_relay_{series}");
        *self.samples.get(&series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.samples.keys()))
    }

    /// The names as people write them in queries and in the documentation: those of histograms without a suffix.
    fn names(&self) -> BTreeSet<String> {
        let named = |(name, kind): (&String, &String)| match &**kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.clone(),
        };
        self.families.iter().map(named).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_there_from_the_first_scrape() {
    let sink = Sink::start().await;
    let relay = WholeRelay::start(&config(&sink)).await;
    let scrape = Scrape::of(&relay).await;
    for zero in [
        "ingest_requests_total{code=200,source=atoms}",
        "ingest_requests_total{code=404,source=(none)}",
        "ingest_refused_total{reason=signature,source=atoms}",
        "events_accepted_total{source=atoms,type=analytics-completed}",
        "events_unrouted_total{source=atoms}",
        "ingest_request_duration_seconds_bucket{le=+Inf,source=atoms}",
        "delivery_attempts_total{destination=slack,outcome=timeout}",
        "delivery_end_to_end_seconds_count{destination=crm}",
        "dead_letters_total{destination=crm,reason=gave_up}",
        "queue_deliveries{destination=slack,state=dead}",
        "queue_oldest_age_seconds{destination=crm}",
        "destination_condition{condition=stopped,destination=crm}",
        "deliveries_expired_total{destination=crm}",
        "traces_spans_exported_total{}",
        "traces_spans_dropped_total{reason=queue_full}",
        "store_damaged_bytes{}",
        "store_damaged_events{}",
        "store_index_rebuilds_total{}",
        "store_failed{}",
    ] {
        assert_eq!(scrape.value(zero), 0.0, "{zero}");
    }
    assert_eq!(scrape.value("destination_condition{condition=flowing,destination=crm}"), 1.0);
    assert_eq!(scrape.value("ready{check=store}"), 1.0);
    assert_eq!(scrape.value("store_disk_full_in_seconds{}"), f64::INFINITY);
    assert!(scrape.samples["process_resident_memory_bytes{}"] > 1e6);
    assert!(scrape.samples["process_open_fds{}"] > 3.0);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted_once_and_leads_to_its_trace() {
    let sink = Sink::start().await;
    sink.reply(|got| status(if got.body.windows(3).any(|bytes| bytes == b"bad") { 422 } else { 200 }));
    let relay = WholeRelay::start(&config(&sink)).await;
    let typed = |id: &str, event_type: &str| format!(r#"{{"id":"{id}","event":"a1.{event_type}"}}"#);
    for body in [
        typed("good", "post-conversation"),
        typed("good", "post-conversation"),
        typed("bad", "analytics-completed"),
        typed("new", "brand-new"),
        typed("lost", "pre-conversation"),
        "no json".to_owned(),
    ] {
        assert_eq!(Request::signed(body).send(relay.public).await.status, 200);
    }
    assert_eq!(Request::signed_with("wrong", "{}").send(relay.public).await.status, 401);
    assert_eq!(Request::new("GET /nothing HTTP/1.1").send(relay.public).await.status, 404);

    let is_settled = |scrape: &Scrape| {
        scrape.value("delivery_end_to_end_seconds_count{destination=crm}") == 2.0
            && scrape.value("dead_letters_total{destination=crm,reason=rejected}") == 1.0
            && scrape.value("delivery_attempts_total{destination=slack,outcome=no_connection}") >= 1.0
    };
    let scrape = eventually("the deliveries", async || Some(Scrape::of(&relay).await).filter(is_settled)).await;
    for (series, value) in [
        ("ingest_requests_total{code=200,source=atoms}", 6.0),
        ("ingest_requests_total{code=401,source=atoms}", 1.0),
        ("ingest_requests_total{code=404,source=(none)}", 1.0),
        ("ingest_request_duration_seconds_count{source=atoms}", 7.0),
        ("ingest_body_bytes_count{source=atoms}", 6.0),
        ("ingest_refused_total{reason=signature,source=atoms}", 1.0),
        ("ingest_refused_total{reason=path,source=(none)}", 1.0),
        ("events_accepted_total{source=atoms,type=post-conversation}", 1.0),
        ("events_accepted_total{source=atoms,type=other}", 1.0),
        ("events_duplicate_total{source=atoms}", 1.0),
        ("events_quarantined_total{source=atoms}", 1.0),
        ("events_unrouted_total{source=atoms}", 1.0),
        ("delivery_attempts_total{destination=crm,outcome=delivered}", 2.0),
        ("delivery_attempts_total{destination=crm,outcome=rejected}", 1.0),
        ("delivery_attempt_duration_seconds_count{destination=crm}", 3.0),
        ("queue_deliveries{destination=crm,state=dead}", 1.0),
        ("store_events{}", 5.0),
        ("store_unrouted_events{}", 1.0),
        ("store_quarantined_events{}", 1.0),
    ] {
        assert_eq!(scrape.value(series), value, "{series}");
    }
    let waits = ["waiting", "in_flight"].map(|state| format!("queue_deliveries{{destination=slack,state={state}}}"));
    assert_eq!(waits.iter().map(|series| scrape.value(series)).sum::<f64>(), 1.0);
    assert!(scrape.value("store_sync_duration_seconds_count{}") >= 1.0);

    let sent: BTreeSet<_> =
        sink.got().iter().map(|got| got.header("traceparent").split('-').nth(1).unwrap().to_owned()).collect();
    let of_crm = scrape.traces.iter().filter(|(series, _)| series.contains("destination=crm"));
    let examples: BTreeSet<_> = of_crm.map(|(_, trace)| trace.clone()).collect();
    assert!(!examples.is_empty() && examples.is_subset(&sent), "{examples:?} {sent:?}");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_was_damaged_shows() {
    let sink = Sink::start().await;
    let relay = WholeRelay::start(&config(&sink)).await;
    for id in ["first", "second", "third"] {
        assert_eq!(Request::signed(fixtures::event(id)).send(relay.public).await.status, 200);
    }
    let directory = relay.stop().await;
    let mut journal = fs::read_dir(directory.path().join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let holds_second = |path: &PathBuf| place_of(b"second", &fs::read(path).unwrap()).is_some();
    let segment = journal.find(holds_second).unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let place = place_of(b"second", &bytes).unwrap();
    bytes[place] ^= 1;
    fs::write(&segment, bytes).unwrap();
    fs::remove_dir_all(directory.path().join("index")).unwrap();

    let relay = WholeRelay::start_in(directory, &config(&sink)).await;
    let scrape = Scrape::of(&relay).await;
    assert_eq!(scrape.value("store_damaged_places{}"), 1.0);
    assert!(scrape.value("store_damaged_bytes{}") > 50.0);
    assert_eq!(scrape.value("store_index_rebuilds_total{}"), 1.0);
    assert_eq!(scrape.value("store_events{}"), 2.0);
    relay.stop().await;
}

fn place_of(word: &[u8], bytes: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_cannot_make_up_series() {
    let sink = Sink::start().await;
    let relay = WholeRelay::start(&config(&sink)).await;
    let before: Vec<_> = Scrape::of(&relay).await.samples.into_keys().collect();
    for number in 0..20 {
        let body = format!(r#"{{"id":"{number}","event":"a{number}.type-{number}"}}"#);
        assert_eq!(Request::signed(body).send(relay.public).await.status, 200);
        let path = Request::new(&format!("GET /{number} HTTP/1.1")).send(relay.public).await;
        assert_eq!(path.status, 404);
    }
    let scrape = Scrape::of(&relay).await;
    assert_eq!(scrape.value("events_accepted_total{source=atoms,type=other}"), 20.0);
    assert_eq!(scrape.samples.into_keys().collect::<Vec<_>>(), before);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_ask_for_openmetrics_gets_the_older_format() {
    let sink = Sink::start().await;
    let relay = WholeRelay::start(&config(&sink)).await;
    Request::signed(fixtures::event("e1")).send(relay.public).await;
    let newer = get(&relay, OPEN_METRICS).await;
    assert_eq!(newer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let older = get(&relay, "*/*").await;
    assert_eq!(older.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(older.body.contains("# TYPE atoms_relay_events_accepted_total counter\n"), "{}", older.body);
    assert!(!older.body.contains("# EOF") && !older.body.contains("trace_id"), "{}", older.body);
    promtool(&["check", "metrics"], &older.body);
    relay.stop().await;
}

/// Has Prometheus' own program check something; `scripts/test` says where it is, or that there is none.
#[expect(clippy::disallowed_methods, reason = "the environment of a test run, not of a relay")]
fn promtool(arguments: &[&str], input: &str) {
    let Some(promtool) = std::env::var_os("PROMTOOL") else { return };
    let mut check = Command::new(promtool);
    check.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    check.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_names_exactly_the_metrics_that_there_are() {
    let sink = Sink::start().await;
    let relay = WholeRelay::start(&config(&sink)).await;
    let scrape = Scrape::of(&relay).await;
    let names = scrape.names();
    let documentation = file("docs/metrics.md");
    let rows = documentation.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: BTreeSet<_> = rows.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(documented.difference(&names).collect::<Vec<_>>(), Vec::<&String>::new(), "documented, but not there");
    assert_eq!(names.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new(), "there, but not documented");
    let words = scrape.samples.keys().flat_map(|series| labels_in(series));
    let unexplained: BTreeSet<_> = words.filter(|(_, word)| !documentation.contains(&format!("`{word}`"))).collect();
    assert!(unexplained.is_empty(), "docs/metrics.md doesn't explain {unexplained:?}");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_dashboard_ask_for_series_that_there_are() {
    let sink = Sink::start().await;
    let relay = WholeRelay::start(&config(&sink)).await;
    let samples = Scrape::of(&relay).await.samples;
    let names: BTreeSet<_> = samples.keys().map(|series| series.split('{').next().unwrap()).collect();
    for shipped in ["monitoring/alerts.yml", "monitoring/alerts.test.yml", "monitoring/grafana.json"] {
        let text = file(shipped);
        let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        let asked: BTreeSet<_> =
            words.filter(|word| word.starts_with("atoms_relay_") || word.starts_with("process_")).collect();
        assert!(asked.len() > 10, "{shipped}");
        assert_eq!(
            asked.difference(&names).collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "{shipped} asks for what there isn't"
        );
        for (label, word) in labels_in(&text) {
            let label = format!("{label}={word}");
            assert!(
                samples.keys().any(|series| series.contains(&label)),
                "{shipped} asks for {label}, which is never told"
            );
        }
    }
    relay.stop().await;
}

/// The labels whose words are the relay's own, with the words that a text has for them.
fn labels_in(text: &str) -> Vec<(String, String)> {
    const OURS: [&str; 5] = ["reason", "outcome", "condition", "state", "check"];
    let text = text.replace("\\\"", "\"");
    let selectors = text.split('{').filter_map(|rest| rest.split_once('}')).flat_map(|(labels, _)| labels.split(','));
    let labels = selectors.filter_map(|selector| selector.split_once('=')).filter(|(label, _)| OURS.contains(label));
    let words = |words: &str| words.trim_matches(['~', '"']).split('|').map(str::to_owned).collect::<Vec<_>>();
    labels.flat_map(|(label, all)| words(all).into_iter().map(|word| (label.to_owned(), word))).collect()
}

#[test]
fn the_dashboard_asks_in_words_that_prometheus_understands() {
    let dashboard: Value = serde_json::from_str(&file("monitoring/grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let asked: Vec<_> =
        targets.map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "5m")).collect();
    assert!(asked.len() > 30, "{asked:?}");
    let rules: Vec<_> =
        asked.iter().enumerate().map(|(n, expr)| json!({ "record": format!("panel:{n}"), "expr": expr })).collect();
    let rules = json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string();
    promtool(&["check", "rules", "/dev/stdin"], &rules);
}

#[test]
fn every_alert_is_tested() {
    let (rules, tests) = (file("monitoring/alerts.yml"), file("monitoring/alerts.test.yml"));
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    let untested: Vec<_> = alerts.iter().filter(|alert| !tests.contains(&format!("alertname=\"{alert}\""))).collect();
    assert!(untested.is_empty(), "write tests in monitoring/alerts.test.yml for {untested:?}");
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
