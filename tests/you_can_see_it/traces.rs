//! Traces, as a collector gets them: one for each event, from its receipt to each attempt, whose ids destinations know.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::support::{
    eventually, fixtures,
    relay::WholeRelay,
    scripted::{Behaviour, Scripted},
    sink::{Sink, status},
    wire::Request,
};

/// All events go to `crm`, which is tried again after a second; spans go to `endpoint`.
fn config(crm: &str, endpoint: &str, more: &str) -> String {
    format!(
        r#"
[destination.crm]
url = "{crm}"
retry = {{ initial = "1s" }}

[[route]]
to = ["crm"]

[traces]
endpoint = "{endpoint}"
{more}
"#
    )
}

/// A destination that fails first.
async fn flaky() -> Scripted {
    Scripted::sequence([Behaviour::Answers(503), Behaviour::Answers(200)]).await
}

/// Sends an event, and returns the id that the relay gave it.
async fn send(relay: &WholeRelay, body: impl Into<Vec<u8>>) -> String {
    let answer = Request::signed(body).send(relay.public).await;
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

/// All spans that a collector has got so far.
fn spans(collector: &Sink) -> Vec<Value> {
    let documents = collector.got().into_iter().map(|got| serde_json::from_slice::<Value>(&got.body).unwrap());
    let spans = documents.map(|document| document["resourceSpans"][0]["scopeSpans"][0]["spans"].clone());
    spans.flat_map(|spans| spans.as_array().unwrap().clone()).collect()
}

async fn wait_for_spans(collector: &Sink, count: usize) -> Vec<Value> {
    eventually(&format!("{count} spans"), async || Some(spans(collector)).filter(|spans| spans.len() >= count)).await
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a str {
    let attribute = span["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == key);
    let value = &attribute.unwrap_or_else(|| panic!("no {key} in {span}"))["value"];
    value["stringValue"].as_str().or(value["intValue"].as_str()).unwrap()
}

fn nanos(span: &Value, key: &str) -> u64 {
    span[key].as_str().unwrap().parse().unwrap()
}

/// The value of a metric of spans, such as `dropped_total{reason="unsent"}`.
async fn counted(relay: &WholeRelay, series: &str) -> u64 {
    let request = Request::new("GET /metrics HTTP/1.1").without("Host").header("Host", "localhost");
    let metrics = request.send(relay.admin).await.body;
    let start = format!("atoms_relay_traces_spans_{series} ");
    metrics.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_receipt_to_each_attempt_under_the_ids_that_its_destination_saw() {
    let (collector, crm) = (Sink::start().await, flaky().await);
    let headers = "headers = { X-Tenant = \"calls\" }";
    let relay = WholeRelay::start(&config(&crm.url("/"), &collector.url("/v1/traces"), headers)).await;
    let event = send(&relay, fixtures::event("e1")).await;
    let spans = wait_for_spans(&collector, 3).await;
    eventually("the count", async || (counted(&relay, "exported_total").await == 3).then_some(())).await;
    relay.stop().await;

    assert_eq!(spans.len(), 3, "{spans:#?}");
    assert!(spans.iter().all(|span| span["traceId"] == event.replace('-', "")), "{spans:#?}");
    let receipt = spans.iter().find(|span| span["name"] == "receive atoms").unwrap();
    assert_eq!((receipt.get("parentSpanId"), &receipt["kind"]), (None, &json!(2)));
    assert_eq!(attribute(receipt, "atoms_relay.event.type"), "post-conversation");
    assert_eq!(attribute(receipt, "atoms_relay.result"), "accepted");
    assert_eq!(attribute(receipt, "http.request.body.size"), fixtures::event("e1").len().to_string());

    let mut attempts: Vec<_> = spans.iter().filter(|span| span["name"] == "deliver crm").collect();
    attempts.sort_by_key(|span| nanos(span, "startTimeUnixNano"));
    assert!(attempts.iter().all(|span| span["parentSpanId"] == receipt["spanId"] && span["kind"] == 3));
    for (span, got) in attempts.iter().zip(crm.got()) {
        let traceparent = format!("00-{}-{}-01", span["traceId"].as_str().unwrap(), span["spanId"].as_str().unwrap());
        assert_eq!(got.header("traceparent"), traceparent);
        assert_eq!(got.header("X-Relay-Delivery"), attribute(span, "atoms_relay.delivery.id"));
        assert!(nanos(span, "startTimeUnixNano") <= nanos(span, "endTimeUnixNano"));
    }
    let met = |span: &&Value| {
        let [attempt, status, verdict] =
            ["atoms_relay.attempt", "http.response.status_code", "atoms_relay.verdict"].map(|key| attribute(span, key));
        format!("{attempt}: {status}, {verdict}, {}", span["status"]["code"])
    };
    assert_eq!(attempts.iter().map(met).collect::<Vec<_>>(), ["1: 503, retried, 2", "2: 200, delivered, null"]);

    let got = &collector.got()[0];
    assert_eq!((&*got.path, got.header("Content-Type")), ("/v1/traces", "application/json"));
    assert_eq!(got.header("X-Tenant"), "calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_sent_at_a_stop_and_what_strangers_send_is_in_no_trace() {
    let (collector, crm) = (Sink::start().await, Sink::start().await);
    let relay = WholeRelay::start(&config(&crm.url("/"), &collector.url("/v1/traces"), "")).await;
    let first = send(&relay, fixtures::event("e1")).await;
    assert_eq!(send(&relay, fixtures::event("e1")).await, first, "a duplicate");
    send(&relay, "no json").await;
    assert_eq!(Request::signed_with("wrong", "{}").send(relay.public).await.status, 401);
    crm.wait_for(1).await;
    relay.stop().await;

    let spans = spans(&collector);
    let receipts = spans.iter().filter(|span| span["name"] == "receive atoms");
    let mut results: Vec<_> = receipts.map(|span| attribute(span, "atoms_relay.result")).collect();
    results.sort_unstable();
    assert_eq!(results, ["accepted", "duplicate", "quarantined"]);
    assert_eq!(spans.iter().filter(|span| span["name"] == "deliver crm").count(), 1);
    let of_first = spans.iter().filter(|span| span["traceId"] == first.replace('-', ""));
    assert_eq!(of_first.count(), 3, "receipt, attempt and duplicate: {spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_delays_nothing_and_is_counted() {
    for dead in [Behaviour::Hangs, Behaviour::HangsUp] {
        let (collector, crm) = (Scripted::always(dead.clone()).await, Sink::start().await);
        let relay = WholeRelay::start(&config(&crm.url("/"), &collector.url("/v1/traces"), "")).await;
        for number in 0..10 {
            send(&relay, fixtures::event(&format!("e{number}"))).await;
        }
        crm.wait_for(10).await;
        if dead == Behaviour::HangsUp {
            let unsent = "dropped_total{reason=\"unsent\"}";
            eventually("the loss", async || (counted(&relay, unsent).await > 0).then_some(())).await;
        }
        assert_eq!(counted(&relay, "exported_total").await, 0);
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_is_not_told_and_destinations_learn_that() {
    let (collector, crm) = (Sink::start().await, Sink::start().await);
    let relay = WholeRelay::start(&config(&crm.url("/"), &collector.url("/v1/traces"), "ratio = 0")).await;
    send(&relay, fixtures::event("e1")).await;
    assert!(crm.wait_for(1).await[0].header("traceparent").ends_with("-00"));
    relay.stop().await;
    assert_eq!(collector.got().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_go_to_a_collector_over_https_when_its_certificate_is_right() {
    let (collector, crm) = (Sink::start().await, Sink::start().await);
    let ((right, key), (other, _)) = (certificate(), certificate());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}/v1/traces", listener.local_addr().unwrap());
    let acceptor = acceptor(right.clone(), key);
    let mut tasks = JoinSet::new();
    tasks.spawn(forward(listener, acceptor, collector.url("").replace("http://", "")));

    let authority = NamedTempFile::new().unwrap();
    let tls = format!("tls = {{ ca = \"{}\" }}", authority.path().display());
    for (trusted, series) in [(right, "exported_total"), (other, "dropped_total{reason=\"unsent\"}")] {
        let encoded = STANDARD.encode(trusted);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
        std::fs::write(authority.path(), pem).unwrap();
        let relay = WholeRelay::start(&config(&crm.url("/"), &endpoint, &tls)).await;
        send(&relay, fixtures::event("e1")).await;
        eventually(series, async || (counted(&relay, series).await > 0).then_some(())).await;
        relay.stop().await;
    }
}

/// A certificate for loopback, and its key.
fn certificate() -> (Vec<u8>, Vec<u8>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    (cert.der().to_vec(), signing_key.serialize_der())
}

fn acceptor(certificate: Vec<u8>, key: Vec<u8>) -> TlsAcceptor {
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = key.try_into().unwrap();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate.into()], key).unwrap()))
}

/// Takes the TLS off, and hands on the rest.
async fn forward(listener: TcpListener, acceptor: TlsAcceptor, to: String) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, to) = (acceptor.clone(), to.clone());
        connections.spawn(async move {
            // Who doesn't believe the certificate hangs up.
            let Ok(mut outside) = acceptor.accept(stream).await else { return };
            let mut inside = TcpStream::connect(to).await.unwrap();
            drop(tokio::io::copy_bidirectional(&mut outside, &mut inside).await);
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_refuses_is_counted_as_refused_and_not_sent_again() {
    let (collector, crm) = (Sink::start().await, Sink::start().await);
    let partly = r#"{"partialSuccess":{"rejectedSpans":"1"}}"#;
    collector.reply(move |_| http::Response::new(partly.into()));
    let relay = WholeRelay::start(&config(&crm.url("/"), &collector.url("/v1/traces"), "")).await;
    let refused = "dropped_total{reason=\"refused\"}";
    send(&relay, fixtures::event("e1")).await;
    eventually("a refusal", async || (counted(&relay, refused).await > 0).then_some(())).await;
    wait_for_spans(&collector, 2).await;

    collector.reply(|_| status(400));
    let before = collector.got().len();
    send(&relay, "no json").await;
    relay.stop().await;
    assert_eq!(collector.got().len(), before + 1);
}
