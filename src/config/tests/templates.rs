//! Templates in the file: what becomes of them, and what people are told of each flaw.

use serde_json::{Value as Json, json};

use super::*;
use crate::{
    model::{Delivery, Event, EventId, Name, OriginalHeaders, Reading, Sampling, Timestamp},
    transform::{Captured, Occasion, OutboundRequest, Resend, Target, outbound},
};

const DESTINATION: &str = "[destination.crm]";
const URL: &str = "\"https://crm.internal.example/api/calls\"";

/// [`MINIMAL`] with lines for its destination.
fn with(lines: &str) -> String {
    minimal_with_line(DESTINATION, lines)
}

fn target(lines: &str) -> Target {
    let config = valid(&with(lines));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    config.destinations[0].target.clone()
}

/// What the destination of [`with`] gets of a call.
fn request(lines: &str) -> OutboundRequest {
    let body = br#"{"id":"e1","event":"a1.post-conversation","metadata":{"callId":"CALL-1"}}"#;
    let event = Event {
        id: EventId::from_bytes([7; 16]),
        source: Name::new("atoms").unwrap(),
        received_at: Timestamp::EPOCH,
        reading: Reading::of(body),
        headers: OriginalHeaders::default(),
        body: body.as_slice().into(),
    };
    let delivery = Delivery::new(Name::new("crm").unwrap(), Timestamp::EPOCH);
    let (auth, now) = (Captured::new(), Timestamp::EPOCH);
    let occasion = Occasion {
        event: &event,
        delivery: &delivery,
        attempt: 1,
        now,
        auth: &auth,
        kept_body: None,
        sampling: Sampling::ALL,
    };
    outbound(&target(lines), &occasion).unwrap()
}

fn json_of(lines: &str) -> Json {
    serde_json::from_slice(&request(lines).body).unwrap()
}

#[test]
fn a_table_becomes_json_whatever_is_in_it() {
    let got = json_of(
        r#"json = { text = "Call {{ call.id }}", id = "{{ event.recovered }}", none = "{{ none }}", n = -16, x = 0xFF, f = 1.5, yes = true,
           day = 2026-11-24, at = 2026-11-24T09:00:00Z, list = ["{{ call.id }}", 1, { a = "b" }], empty = {}, "odd key" = "" }"#,
    );
    assert_eq!(
        got,
        json!({ "text": "Call CALL-1", "id": false, "none": null, "n": -16, "x": 255, "f": 1.5, "yes": true, "day": "2026-11-24",
                "at": "2026-11-24T09:00:00Z", "list": ["CALL-1", 1, { "a": "b" }], "empty": {}, "odd key": "" })
    );
}

#[test]
fn a_table_of_its_own_is_the_same_as_one_in_braces() {
    let dotted = json_of("json.text = \"{{ call.id }}\"\njson.blocks.type = \"section\"");
    assert_eq!(dotted, json!({ "text": "CALL-1", "blocks": { "type": "section" } }));
    let section = format!("{MINIMAL}\n[destination.crm.json]\ntext = \"{{{{ cal.id }}}}\"");
    assert!(only_problem(&section).contains("nothing is called `cal` here"), "it is read");
}

#[test]
fn a_list_can_be_a_body() {
    assert_eq!(json_of(r#"json = ["{{ call.id }}", { b = 2 }]"#), json!(["CALL-1", { "b": 2 }]));
}

#[test]
fn a_text_keeps_its_lines_and_has_the_content_type_that_people_give_it() {
    let got = request("text = \"\"\"\n{{ call.id }}\n  ended\"\"\"\ncontent_type = \"text/markdown\"");
    assert_eq!(got.body, "CALL-1\n  ended");
    assert_eq!(got.headers["content-type"], "text/markdown");
    assert_eq!(request("text = \"x\"").headers["content-type"], "text/plain; charset=utf-8");
}

#[test]
fn the_normalized_document_can_be_a_body() {
    assert_eq!(json_of("body = \"normalized\"")["call"]["id"], "CALL-1");
}

#[test]
fn constants_come_from_the_file_or_from_a_secret() {
    let got = request(
        "vars = { channel = \"C1\", token = { env = \"CRM_TOKEN\" } }\n\
         json = { channel = \"{{ vars.channel }}\", token = \"{{ vars.token }}\" }\n\
         headers = { X-Channel = \"{{ vars.channel }}\", X-All = \"{{ vars.token }}\", X-Call = \"{{ call.id }}\" }",
    );
    assert_eq!(got.body, r#"{"channel":"C1","token":"crm-token-0123456789"}"#);
    let headers = &got.headers;
    assert_eq!((&headers["x-channel"], &headers["x-call"]), (&"C1".parse().unwrap(), &"CALL-1".parse().unwrap()));
    assert!(headers["x-all"].is_sensitive() && !headers["x-channel"].is_sensitive());
}

#[test]
fn an_address_can_be_a_template_and_hides_its_path_when_it_uses_a_secret() {
    let with_url = |url: &str| {
        let text = minimal_with(
            URL,
            &format!("\"{url}\"\nvars = {{ eu = \"https://eu.example\", t = {{ env = \"CRM_TOKEN\" }} }}"),
        );
        valid(&text).destinations[0].target.clone()
    };
    let open = with_url("{{ vars.eu }}/calls/{{ call.id }}?x=1");
    assert_eq!((open.shown().as_str(), open.url.is_secret()), ("POST {{ vars.eu }}/calls/{{ call.id }}?…", false));
    let secret = with_url("https://a.example/{{ vars.t }}/{{ call.id }}");
    assert_eq!((secret.shown().as_str(), secret.url.is_secret()), ("POST https://a.example/…", true));
}

#[test]
fn an_address_from_a_secret_is_no_template() {
    let environment = environment().with_variable("CRM_URL", "https://a.example/{{ call.id }}");
    let text = minimal_with(URL, "{ env = \"CRM_URL\" }");
    let config = Config::parse("relay.toml", &text, &environment).unwrap();
    assert_eq!(config.destinations[0].target.url.sample().as_str(), "https://a.example/%7B%7B%20call.id%20%7D%7D");
}

#[test]
fn a_destination_has_one_kind_of_body() {
    assert_eq!(
        only_problem(&with("json = { a = 1 }\ntext = \"x\"")),
        "error: text | `text` says what the body is, and so does `json` | leave one of them out"
    );
    assert!(problems(&with("body = \"raw\"\njson = { a = 1 }")).to_string().contains("--- the other one"));
}

#[test]
fn a_body_of_the_wrong_type_says_what_to_write() {
    assert_eq!(
        only_problem(&with("json = \"x\"")),
        "error: \"x\" | `json` has to be a table or a list, not a text | \
         write `json = { text = \"Call {{ call.id }} has ended\" }`"
    );
    assert_eq!(
        only_problem(&with("text = 1")),
        "error: 1 | `text` has to be a text in quotes, not a number | write `text = \"Call {{ call.id }} has ended\"`"
    );
    for number in ["inf", "nan", "0x8000000000000000"] {
        let told = only_problem(&with(&format!("json = {{ a = {number} }}")));
        assert!(told.starts_with(&format!("error: {number} | JSON can't hold this number | ")), "{told}");
    }
}

#[test]
fn a_flaw_in_a_template_is_underlined_where_it_is() {
    for (line, underlined) in [
        ("json = { a = [{ b = \"\\\"Call\\\" {{ call.id ~ }} ended\" }] }", "}}"),
        ("headers = { X-Call = \"{{ call.id }\" }", "}"),
        ("text = \"\"\"\nCall\n{% unless call.id %}\"\"\"", "unless"),
    ] {
        let told = only_problem(&with(line));
        assert!(told.starts_with(&format!("error: {underlined} | `")) && told.contains("` is no template: "), "{told}");
    }
}

#[test]
fn a_name_that_stands_for_nothing_is_told_what_it_may_have_meant() {
    for (line, told) in [
        ("text = \"{{ cal.id }}\"", "error: cal | nothing is called `cal` here | did you mean `call`?"),
        (
            "text = \"x {{ call.form }}\"",
            "error: call.form | nothing is called `call.form` here | did you mean `from`?",
        ),
        (
            "vars = { team = \"T\" }\njson = { a = [\"{{ vars.taem }}\"] }",
            "error: vars.taem | nothing is called `vars.taem` here | did you mean `team`?",
        ),
        (
            "text = \"{{ vars.team }}\"",
            "error: vars.team | nothing is called `vars.team` here | write it into `vars` of this destination",
        ),
        (
            "headers = { X-A = \"{{ delivery.number }}\" }",
            "error: delivery.number | nothing is called `delivery.number` here | there are `id`, `attempt`, `idempotency_key`",
        ),
    ] {
        assert_eq!(only_problem(&with(line)), told);
    }
}

#[test]
fn what_comes_with_the_credentials_has_the_names_that_are_captured() {
    let auth = "auth = { oauth2 = { token_url = \"https://login.example/token\", client_id = \"relay\", \
                client_secret = { env = \"CRM_TOKEN\" }, capture = [\"instance_url\"] } }\n";
    let captured = minimal_with(URL, &format!("\"{{{{ auth.instance_url }}}}/calls\"\n{auth}"));
    assert!(problems(&captured).is_empty(), "{}", problems(&captured));
    assert_eq!(
        only_problem(&with(&format!("{auth}text = \"{{{{ auth.instance_uri }}}}\""))),
        "error: auth.instance_uri | nothing is called `auth.instance_uri` here | did you mean `instance_url`?"
    );
    assert_eq!(
        only_problem(&with("text = \"{{ auth.instance_url }}\"")),
        "error: auth.instance_url | nothing is called `auth.instance_url` here | name it in `capture` of `oauth2`"
    );
}

#[test]
fn what_an_agents_owner_names_is_not_looked_up() {
    for expression in [
        "analytics.disposition.anything",
        "variables.customer",
        "payload.metadata.new",
        "transcript[0].content",
        "call",
        "vars",
        "range(3) | join",
    ] {
        target(&format!("text = \"{{{{ {expression} }}}}\""));
    }
    target(
        "text = \"{% for line in transcript %}{{ loop.index }} {{ line.role }}{% set x = line %}{{ x.content }}{% endfor %}\"",
    );
}

#[test]
fn an_address_that_an_event_could_lead_elsewhere_is_refused() {
    let told = only_problem(&minimal_with(URL, "\"https://{{ call.id }}.example/\""));
    assert!(told.contains("`url` is no template: an event could decide whom the relay calls; begin with"), "{told}");
    let told = only_problem(&minimal_with(URL, "\"{{ vars.base }}/x\"\nvars = { base = \"crm.example\" }"));
    assert!(told.contains("`vars.base` stands for the host: it would be no address"), "{told}");
}

#[test]
fn a_body_that_is_kept_holds_no_secret() {
    let secret = "vars = { team = \"T\", token = { env = \"CRM_TOKEN\" } }\n";
    for body in ["json = { a = \"{{ vars.token }}\" }", "text = \"{{ vars }}\"", "text = \"{{ vars['tok' ~ 'en'] }}\""]
    {
        assert_eq!(
            only_problem(&with(&format!("{secret}{body}\nresend = \"same\""))),
            "error: \"same\" | `resend = \"same\"` keeps the body on disk, and with it the secret `vars.token` | \
             send the secret in a header, which is made anew each time, or leave `resend` out"
        );
    }
    let open = target(&format!("{secret}text = \"{{{{ vars.team }}}}\"\nresend = \"same\""));
    assert_eq!(open.resend, Resend::Same);
    assert_eq!(target("text = \"x\"").resend, Resend::Anew);
    let told = only_problem(&with("text = \"x\"\nresend = \"always\""));
    assert_eq!(told, "error: \"always\" | `resend` has to be one of `anew`, `same` | write `resend = \"anew\"`");
}

#[test]
fn a_raw_body_keeps_its_content_type() {
    for lines in ["content_type = \"text/xml\"", "body = \"raw\"\ncontent_type = \"text/xml\""] {
        assert_eq!(
            only_problem(&with(lines)),
            "error: \"text/xml\" | a raw body keeps the `Content-Type` it came with | \
             leave `content_type` out, or make a body with `json` or `text`"
        );
    }
    assert_eq!(
        only_problem(&with("text = \"x\"\ncontent_type = \"xml\"")),
        "error: \"xml\" | `content_type` is no media type | write `content_type = \"application/json\"`"
    );
}

#[test]
fn constants_have_names_that_templates_can_write() {
    assert_eq!(
        only_problem(&with("vars = { \"a-b\" = \"x\" }")),
        "error: \"a-b\" | no template could name `vars.a-b` | use letters, digits and `_`"
    );
    assert!(
        only_problem(&with("vars = 1"))
            .contains("`vars` has to be a section or a table, not a number | write `vars = {")
    );
    assert!(
        only_problem(&with("vars = { a = 1 }")).contains("`a` has to be a text in quotes or a secret, not a number")
    );
    let unset = "vars = { a = { env = \"UNSET\" } }\ntext = \"{{ vars.a }}\"";
    assert!(only_problem(&with(unset)).contains("`UNSET` is not set"), "and not that nothing is called so");
}

#[test]
fn a_credential_that_stands_in_the_file_is_warned_about_and_hidden() {
    for line in ["vars = { routing_key = \"hunter2\" }", "json = { routing_key = \"hunter2hunter2hunter2\" }"] {
        let text = with(line);
        let told = only_problem(&text);
        assert!(told.starts_with("warning: ") && told.contains("this secret stands in the file"), "{told}");
        assert!(!problems(&text).to_string().contains("hunter2"), "{}", problems(&text));
    }
    let broken = with("headers = { X-Key = \"hunter2 {{ call.id }\" }");
    assert!(!problems(&broken).to_string().contains("hunter2"), "{}", problems(&broken));
    assert!(problems(&with("json = { key = \"CALLS\", dedup_key = \"{{ call.id }}\" }")).is_empty());
}

#[test]
fn an_authorization_header_from_a_template_and_auth_do_not_go_together() {
    let twice = "vars = { t = { env = \"CRM_TOKEN\" } }\nheaders = { Authorization = \"Token {{ vars.t }}\" }\n\
                 auth = { bearer = { env = \"CRM_TOKEN\" } }";
    assert!(only_problem(&with(twice)).contains("and `headers` has it, too"));
}
