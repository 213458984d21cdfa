//! From nothing to a running relay and through its first troubles, as an ops person goes.

use std::{
    fs,
    time::{Duration, Instant},
};

use atoms_relay::alert::drill;
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};

use crate::{
    site::Site,
    support::{fixtures, sink::status, within},
    window::{command, run},
};

#[tokio::test]
async fn a_config_is_written_checked_and_never_overwritten() {
    let site = Site::prepared().await;
    let checked = run(&format!("check --config {}", site.config())).await;
    assert_eq!((checked.status.code(), checked.err.as_str()), (Some(0), ""));
    assert!(checked.out.contains("all is well"), "{}", checked.out);

    let again = run(&format!("init --config {}", site.config())).await;
    assert_eq!(again.status.code(), Some(74));
    assert!(again.err.contains("stays as it is"), "{}", again.err);

    let mut without_secret = command(&format!("check --config {}", site.config()));
    let output = within("check", without_secret.env_remove("ATOMS_WEBHOOK_SECRET").output()).await.unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("ATOMS_WEBHOOK_SECRET"));
}

#[tokio::test]
async fn a_wrong_config_stops_every_command_that_needs_it() {
    let site = Site::prepared().await;
    fs::write(site.config(), "[server]\nlisten = 1\nfoo = 2\n").unwrap();
    let event = site.file("event.json", b"{}");
    for arguments in ["check", "serve", "send", &format!("explain {}", event.display())] {
        let output = run(&format!("{arguments} --config {}", site.config())).await;
        assert_eq!(output.status.code(), Some(78), "{arguments}: {}", output.err);
        assert!(output.err.contains("listen") && output.err.contains("foo"), "{arguments}: {}", output.err);
    }
    let reported = run(&format!("check --json --config {}", site.config())).await;
    assert_eq!(serde_json::from_str::<Value>(&reported.out).unwrap()["usable"], false);
    assert_eq!(run("check --config /nowhere/relay.toml").await.status.code(), Some(78));
}

#[tokio::test]
async fn an_event_is_sent_delivered_found_and_outlives_a_restart() {
    let site = Site::prepared().await;
    let relay = site.serve().await;
    let answer = relay.send(&site, "--call CALL-7").await;
    assert_eq!(answer["status"], "accepted");
    let id = answer["id"].as_str().unwrap();
    let got = site.sink.wait_for(1).await;
    assert_eq!(got[0].path, "/calls");
    assert_eq!(got[0].header("authorization"), "Bearer let-me-in");

    relay.wait_for("the delivery", "events --json --state delivered --call CALL-7").await;
    let shown = relay.run(&format!("events show {id}")).await;
    assert!(shown.contains("crm: delivered") && shown.contains("(1 attempt)"), "{shown}");
    assert!(!shown.contains("let-me-in"), "{shown}");
    assert_eq!(relay.run(&format!("events show {id} --body")).await.as_bytes(), &*got[0].body);
    assert_eq!(relay.stop().await.code(), Some(0));

    let relay = site.serve().await;
    let listed: Value = serde_json::from_str(&relay.run("events --json").await).unwrap();
    assert_eq!((&listed["id"], &listed["state"]), (&json!(id), &json!("delivered")));
    assert_eq!(relay.stop().await.code(), Some(0));
    assert_eq!(site.sink.got().len(), 1);
}

#[tokio::test]
async fn a_refused_delivery_is_replayed_once_the_destination_is_mended() {
    let site = Site::prepared().await;
    site.sink.reply(|_| status(422));
    let relay = site.serve().await;
    relay.send(&site, "--event analytics-completed").await;
    let letter: Value = serde_json::from_str(&relay.wait_for("a dead letter", "dead list --json").await).unwrap();
    assert_eq!((&letter["destination"], &letter["reason"]), (&json!("crm"), &json!("rejected")));

    site.sink.reply(|_| status(200));
    assert_eq!(relay.run("dead replay --destination crm").await, "1 delivery due now.\n");
    relay.wait_for("the delivery", "events --json --state delivered").await;
    let got = site.sink.wait_for(2).await;
    assert_eq!(got[0].header("idempotency-key"), got[1].header("idempotency-key"));
    assert_eq!(relay.run("dead list").await, "There are no dead letters.\n");
}

#[tokio::test]
async fn an_event_whose_condition_cannot_be_decided_is_kept_until_the_config_is_mended() {
    let site = Site::prepared().await;
    site.set_condition("variables.vip");
    let relay = site.serve().await;
    let event = site.file("event.json", &fixtures::body("02-post-outbound.json"));
    let sent = relay.send(&site, &format!("--file {}", event.display())).await;
    assert_eq!(sent["status"], "accepted");
    let delivery = format!("{}.crm", sent["id"].as_str().unwrap());
    let shown = relay.run(&format!("dead show {delivery}")).await;
    assert!(
        shown.contains("`when` of the route `finished calls` can't be decided: `variables.vip` is neither true nor false but a value of type none"),
        "{shown}"
    );
    assert_eq!(relay.stop().await.code(), Some(0));

    site.set_condition("variables.vip | default(true)");
    let relay = site.serve().await;
    relay.run("dead replay --destination crm").await;
    assert_eq!(site.sink.wait_for(1).await[0].body, fixtures::body("02-post-outbound.json"));
}

#[tokio::test]
async fn a_paused_destination_gets_nothing_until_it_is_resumed() {
    let site = Site::prepared().await;
    let relay = site.serve().await;
    relay.run("pause crm --reason maintenance").await;
    relay.send(&site, "").await;
    relay.wait_for("the event", "events --json --state waiting").await;
    let shown = relay.run("status").await;
    assert!(shown.contains("paused") && shown.contains("maintenance"), "{shown}");
    assert_eq!(site.sink.got().len(), 0);

    relay.run("resume crm").await;
    site.sink.wait_for(1).await;
}

#[tokio::test]
async fn a_resent_event_is_a_duplicate_and_a_forged_one_is_refused() {
    let site = Site::prepared().await;
    let relay = site.serve().await;
    let event = site.file("event.json", &fixtures::event("e1"));
    let send = format!("--file {}", event.display());
    assert_eq!(relay.send(&site, &send).await["status"], "accepted");
    assert_eq!(relay.send(&site, &send).await["status"], "duplicate");

    let to = format!("http://{}/webhook", relay.address("public_address"));
    let forged = run(&format!("send {send} --to {to} --secret-env CRM_TOKEN")).await;
    assert_eq!(forged.status.code(), Some(65));
    assert!(forged.out.contains("401") && forged.err.contains("the event was not taken"), "{}", forged.err);
}

#[tokio::test]
async fn an_explanation_shows_routes_and_requests_but_no_secret() {
    let site = Site::prepared().await;
    let event = site.file("event.json", &fixtures::body("02-post-outbound.json"));
    let explained = run(&format!("explain --config {} {}", site.config(), event.display())).await.ok();
    for words in [
        "type         post-conversation",
        "yes finished calls → crm",
        &format!("crm: POST {}", site.sink.url("/calls")),
        "authorization: (secret)",
        "x-signature: ",
        "x-relay-attempt: 1",
    ] {
        assert!(explained.contains(words), "{words}: {explained}");
    }
    assert!(!explained.contains("let-me-in"), "{explained}");
    assert_eq!(site.sink.got().len(), 0);

    let event = site.file("event.json", &fixtures::body("01-pre-outbound.json"));
    let explained = run(&format!("explain --json --config {} {}", site.config(), event.display())).await.ok();
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained["routes"][0]["mismatch"], "its type is not in `events`");
    assert_eq!(explained["requests"], json!([]));
}

/// What the destination of [`Site::prepared`] gets instead of the event.
const MESSAGE: &str = r#"vars = { channel = "C1", key = { env = "CRM_TOKEN" } }
json = { text = "{{ call.id }}: {{ payload.metadata.variables.customer }}", channel = "{{ vars.channel }}", key = "{{ vars.key }}" }
headers = { X-Call = "{{ call.id }}", X-Key-Id = "{{ vars.key }}" }
"#;

/// What is expected with [`MESSAGE`], and of an event that no route wants.
const TESTS: &str = r#"
[[test]]
name = "a message"
event = "post.json"
expect.crm.method = "POST"
expect.crm.headers = { X-Call = "CALL-e1", X-Key-Id = "(secret)" }
expect.crm.json = { text = "CALL-e1: ", key = "(secret)" }

[[test]]
event = "pre.json"
expect = {}
"#;

#[tokio::test]
async fn an_explanation_shows_the_body_that_a_template_makes_but_no_secret_in_it() {
    let site = Site::prepared().await;
    site.changes(|config| config.replace("[[route]]", &format!("{MESSAGE}\n[[route]]")));
    let body = fixtures::event("e1").strip_suffix(b"}}").unwrap().to_vec();
    let event = site.file("event.json", &[&body, br#","variables":{"customer":"Bo \"B\""}}}"#.as_slice()].concat());
    let explained = run(&format!("explain --config {} {}", site.config(), event.display())).await.ok();
    for words in [
        "content-type: application/json\n",
        "x-call: CALL-e1\n",
        "x-key-id: (secret)\n",
        r#"  {"channel":"C1","key":"(secret)","text":"CALL-e1: Bo \"B\""}"#,
    ] {
        assert!(explained.contains(words), "{words}: {explained}");
    }
    assert!(!explained.contains("let-me-in") && !explained.contains("x-signature"), "{explained}");
}

#[tokio::test]
async fn a_template_that_asks_in_vain_makes_a_dead_letter_and_a_mended_one_heals_it() {
    let site = Site::prepared().await;
    site.changes(|config| config.replace("[[route]]", &format!("{MESSAGE}\n[[route]]")));
    let event = site.file("event.json", &fixtures::event("e1"));
    let relay = site.serve().await;
    relay.send(&site, &format!("--file {}", event.display())).await;
    let letter: Value = serde_json::from_str(&relay.wait_for("a dead letter", "dead list --json").await).unwrap();
    let shown = relay.run(&format!("dead show {}", letter["id"].as_str().unwrap())).await;
    assert_eq!(relay.run(&format!("deliveries show {}", letter["id"].as_str().unwrap())).await, shown);
    assert!(
        shown.contains("the template of `json` can't be rendered: `payload.metadata.variables` is undefined"),
        "{shown}"
    );
    assert_eq!(relay.stop().await.code(), Some(0));

    site.changes(|config| {
        config.replace("payload.metadata.variables.customer", "variables.customer | default('somebody')")
    });
    let relay = site.serve().await;
    assert_eq!(relay.run("dead replay --destination crm").await, "1 delivery due now.\n");
    let got = site.sink.wait_for(1).await;
    assert_eq!(got[0].body, r#"{"channel":"C1","key":"let-me-in","text":"CALL-e1: somebody"}"#);
}

/// It asked in plain HTTP, and said of the answer that its version was invalid.
#[tokio::test]
async fn who_sends_to_a_relay_that_speaks_tls_is_asked_for_its_name() {
    let site = Site::prepared().await;
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["relay.example".to_owned()]).unwrap();
    let pem = |label, der| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    site.file("cert.pem", pem("CERTIFICATE", cert.der().as_ref()).as_bytes());
    site.file("key.pem", pem("PRIVATE KEY", signing_key.serialized_der()).as_bytes());
    let tls = "listen = \"127.0.0.1:8443\"\ntls = { cert = \"cert.pem\", key = \"key.pem\" }";
    site.changes(|config| config.replacen("listen = \"127.0.0.1:0\"", tls, 1));
    let sent = run(&format!("send --config {}", site.config())).await;
    assert_eq!(sent.status.code(), Some(64));
    assert!(sent.err.contains("as in `--to https://relay.example.com:8443/webhook`"), "{}", sent.err);
}

#[tokio::test]
async fn an_alert_is_explained_as_what_those_get_who_are_told() {
    let site = Site::prepared().await;
    let alert = site.file("alert.json", &drill("north"));
    let explain = async || run(&format!("explain --config {} {}", site.config(), alert.display())).await.ok();
    let explained = explain().await;
    for words in
        ["source       atoms-relay", "`[alerts]` names nobody", "finished calls: it is an alert, which goes where"]
    {
        assert!(explained.contains(words), "{words}: {explained}");
    }

    site.changes(|config| {
        let told = config.replace("[[route]]", "alert = { say = \"{{ payload.text }}\" }\n[[route]]");
        format!("{told}\n[alerts]\nto = [\"crm\"]\n")
    });
    let explained = explain().await;
    for words in ["crm: POST ", r#"{"say":"north: a test alert"#] {
        assert!(explained.contains(words), "{words}: {explained}");
    }
    assert!(!explained.contains("x-signature"), "{explained}");
}

#[tokio::test]
async fn an_explanation_says_which_part_of_a_condition_is_false() {
    let site = Site::prepared().await;
    let event = site.file("event.json", &fixtures::body("02-post-outbound.json"));
    let explain = async || run(&format!("explain --config {} {}", site.config(), event.display())).await.ok();
    site.set_condition("call.status == 'completed' and call.duration_seconds > 60 and variables.vip == true");
    let explained = explain().await;
    let why = "no  finished calls: `call.duration_seconds > 60` and `variables.vip == true` are false";
    assert!(explained.contains(why), "{explained}");

    site.set_condition("call.status == 'completed' and variables.vip");
    let explained = explain().await;
    assert!(
        explained.contains("no  finished calls: its `when` can't be decided: `variables.vip` is neither true nor false but a value of type none"),
        "{explained}"
    );
    assert!(explained.contains("crm: no request can be made: `when` of the route"), "{explained}");
}

#[tokio::test]
async fn an_explanation_compares_two_configurations_and_shows_no_secret_of_either() {
    let site = Site::prepared().await;
    let event = site.file("event.json", &fixtures::body("02-post-outbound.json"));
    let other = site.file("other.toml", &std::fs::read(site.config()).unwrap());
    let explain = format!("explain --config {} {} --diff {}", site.config(), event.display(), other.display());
    let same = format!(
        "No difference: with {} the same would become of this event. Secrets are not compared.\n",
        other.display()
    );
    assert_eq!(run(&explain).await.ok(), same);

    site.changes(|config| config.replace("[[route]]", &format!("{MESSAGE}\n[[route]]")));
    site.changes(|config| config.replace("payload.metadata.variables.customer", "call.status"));
    let compared = run(&explain).await.ok();
    for words in [
        "routes: no difference\n",
        "crm: gets another request:\n",
        "- x-call: CALL-",
        "- x-key-id: (secret)\n",
        "+ x-signature: ",
        "-   \"channel\": \"C1\",\n",
        "-   \"key\": \"(secret)\",\n",
        "+   \"metadata\": {\n",
    ] {
        assert!(compared.contains(words), "{words}: {compared}");
    }
    assert!(!compared.contains("let-me-in"), "{compared}");

    let text = std::fs::read_to_string(site.config()).unwrap();
    let moved = text.replace(&site.sink.url("/calls"), &site.sink.url("/calls?key=let-me-out"));
    std::fs::write(&other, moved).unwrap();
    site.changes(|config| config.replace(&site.sink.url("/calls"), &site.sink.url("/calls?key=let-me-in")));
    let compared = run(&explain).await.ok();
    assert!(compared.contains("calls?…, otherwise in what is hidden\n"), "{compared}");
    assert!(!compared.contains("let-me"), "{compared}");

    site.set_condition("call.status == 'busy'");
    let compared: Value = serde_json::from_str(&run(&format!("{explain} --json")).await.ok()).unwrap();
    assert_eq!(compared["routes"][0]["text"], "no  finished calls: `call.status == 'busy'` is false");
    assert_eq!((&compared["is_same"], &compared["destinations"][0]["change"]), (&json!(false), &json!("gained")));
}

#[tokio::test]
async fn what_a_configuration_expects_of_events_is_tested_without_sending_anything() {
    let site = Site::prepared().await;
    site.changes(|config| {
        let message = MESSAGE.replace("payload.metadata.variables.customer", "call.status");
        config.replace("[[route]]", &format!("{message}\n[[route]]")) + TESTS
    });
    site.file("post.json", &fixtures::event("e1"));
    site.file("pre.json", &fixtures::body("01-pre-outbound.json"));
    let test = format!("test --config {}", site.config());
    let passed = run(&test).await.ok();
    assert_eq!(passed, "ok      a message\nok      test 2\n\n2 tests: 2 ok, 0 failed\n");

    site.changes(|config| {
        config.replace("\"CALL-e1: \"", "\"CALL-e2: \"").replace("expect = {}", "expect = { crm = {} }")
    });
    let failed = run(&test).await;
    assert_eq!(failed.status.code(), Some(65), "{}", failed.err);
    for words in [
        "FAILED  a message (",
        "  crm: `json.text` is another one\n    expected  \"CALL-e2: \"\n    came      \"CALL-e1: \"\n",
        "FAILED  test 2 (",
        "  crm: the event should reach it, and doesn't; `atoms-relay explain` says why\n",
        "2 tests: 0 ok, 2 failed\n",
    ] {
        assert!(failed.out.contains(words), "{words}: {}", failed.out);
    }
    let report: Value = serde_json::from_str(&run(&format!("{test} --json")).await.out).unwrap();
    assert_eq!((&report["failed"], &report["tests"][0]["complaints"][0]["came"]), (&json!(2), &json!("\"CALL-e1: \"")));
    assert_eq!(site.sink.got().len(), 0);
}

#[tokio::test]
async fn a_test_that_expects_a_secret_or_has_no_event_fails_without_showing_it() {
    let site = Site::prepared().await;
    site.file("post.json", &fixtures::event("e1"));
    site.changes(|config| {
        config.to_owned()
            + "\n[[test]]\nevent = \"post.json\"\nexpect.crm.headers.Authorization = \"Bearer let-me-in\"\n"
            + "[[test]]\nevent = \"gone.json\"\nexpect = {}\n"
    });
    for form in ["", " --json"] {
        let failed = run(&format!("test{form} --config {}", site.config())).await;
        assert_eq!(failed.status.code(), Some(65), "{}", failed.err);
        assert!(failed.out.contains("has to be expected as `(secret)`"), "{}", failed.out);
        assert!(failed.out.contains("gone.json: No such file"), "{}", failed.out);
        assert!(!failed.out.contains("let-me-in") && !failed.err.contains("let-me-in"), "{}", failed.out);
    }
}

#[tokio::test]
async fn an_explanation_shows_what_an_access_token_would_do_without_fetching_one() {
    let site = Site::prepared().await;
    let event = site.file("event.json", &fixtures::event("e1"));
    let grant = format!(
        "auth = {{ oauth2 = {{ token_url = \"{}\", client_id = \"relay\", client_secret = {{ env = \"CRM_TOKEN\" }}, \
         capture = [\"instance_url\"] }} }}",
        site.sink.url("/token")
    );
    let fixed = site.sink.url("/calls");
    site.changes(|config| {
        config
            .replace("auth = { bearer = { env = \"CRM_TOKEN\" } }", &grant)
            .replace(&fixed, "{{ auth.instance_url }}/calls/{{ call.id }}")
    });
    let explained = run(&format!("explain --config {} {}", site.config(), event.display())).await.ok();
    assert!(explained.contains("crm: POST https://instance_url.invalid/calls/CALL-e1\n"), "{explained}");
    assert!(explained.contains("authorization: (secret)\n"), "{explained}");
    assert_eq!(site.sink.got().len(), 0);
}

#[tokio::test]
async fn a_second_relay_on_the_same_queue_is_refused_and_says_why() {
    let site = Site::prepared().await;
    let _relay = site.serve().await;
    let second = run(&format!("serve --config {}", site.config())).await;
    assert_eq!(second.status.code(), Some(69), "{}", second.err);
    assert!(second.err.contains("is in use by another relay"), "{}", second.err);
}

#[tokio::test]
async fn the_demo_ends_by_itself_when_everything_has_arrived() {
    let begun = Instant::now();
    let told = run("demo --once").await.ok();
    assert!(begun.elapsed() < Duration::from_secs(60), "a show has to be short");
    for words in ["503 down for maintenance", "200 duplicate", "401 refused", "(attempt 2)", "Everything has arrived"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let arrivals = told.lines().filter(|line| line.contains("receives analytics-completed") && line.contains("  200"));
    assert_eq!(arrivals.count(), 3, "{told}");
}
