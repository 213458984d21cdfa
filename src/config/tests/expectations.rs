//! `[[test]]`: what is read of it, and what people are told of its mistakes.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::{config::Test, model::Name, transform::Body};

/// [`MINIMAL`] with a test of these lines.
fn with(lines: &str) -> String {
    format!("{MINIMAL}\n[[test]]\n{lines}\n")
}

fn only_test(lines: &str) -> Test {
    let config = valid(&with(lines));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    config.tests[0].clone()
}

#[test]
fn a_test_names_its_event_and_all_that_is_expected() {
    let test = only_test(
        r#"
        name = "nobody answered"
        event = "events/no-answer.json"
        [test.expect.crm]
        body = "normalized"
        text = """
        two
        lines"""
        url = "https://crm.internal.example/api/calls"
        method = "POST"
        headers = { X-Team = "voice" }
        json = { a = "{{ call.id }}", none = "{{ none }}", n = -16, x = 0xFF, f = 1.5, yes = true, day = 2026-11-24, list = ["b", { c = 1 }] }"#,
    );
    assert_eq!((test.name.as_str(), test.event.as_path()), ("nobody answered", Path::new("events/no-answer.json")));
    assert_eq!(test.source, Name::new("atoms").unwrap());
    let [(name, expectation)] = test.expect.as_slice() else { panic!("{test:?}") };
    assert_eq!(name.as_str(), "crm");
    assert!(matches!(expectation.body, Some(Body::Normalized)));
    assert_eq!(
        expectation.json,
        Some(
            json!({ "a": "{{ call.id }}", "none": null, "n": -16, "x": 255, "f": 1.5, "yes": true, "day": "2026-11-24",
                     "list": ["b", { "c": 1 }] })
        )
    );
    assert_eq!(expectation.text.as_deref().map(|text| text.lines().count()), Some(2));
    assert_eq!(expectation.url.as_deref(), Some("https://crm.internal.example/api/calls"));
    assert_eq!(expectation.method, Some(http::Method::POST));
    assert_eq!(expectation.headers, [("x-team".parse().unwrap(), "voice".to_owned())]);
}

#[test]
fn a_test_can_expect_that_an_event_goes_nowhere() {
    let test = only_test("event = \"x.json\"\nexpect = {}");
    assert_eq!((test.name.as_str(), test.expect.len()), ("test 1", 0));
}

#[test]
fn the_event_of_a_test_lies_beside_the_file() {
    let text = with("event = \"events/x.json\"\nexpect = {}");
    let config = Config::parse("/etc/atoms-relay/relay.toml", &text, &environment()).unwrap();
    assert_eq!(config.tests[0].event, Path::new("/etc/atoms-relay/events/x.json"));
}

#[test]
fn a_mistake_in_a_test_says_what_to_write() {
    for (lines, told) in [
        (
            "expect = {}",
            "error: [[test]] | [[test]] number 1 has no `event` | write `event = \"events/no-answer.json\"`",
        ),
        (
            "event = \"x\"",
            "error: [[test]] | [[test]] number 1 has no `expect` | write `expect = { crm = { json = { status = \"no_answer\" } } }`",
        ),
        (
            "event = 1\nexpect = {}",
            "error: 1 | `event` has to be a text in quotes, not a number | write `event = \"events/no-answer.json\"`",
        ),
        ("event = \"x\"\nexpect = { crn = {} }", "error: crn | there is no destination `crn` | did you mean `crm`?"),
        (
            "event = \"x\"\nsource = \"atom\"\nexpect = {}",
            "error: \"atom\" | there is no source `atom` | did you mean `atoms`?",
        ),
        (
            "event = \"x\"\nexpect = [\"crm\"]",
            "error: [\"crm\"] | `expect` has to be a section or a table, not a list | \
             write `expect = { crm = { json = { status = \"no_answer\" } } }`",
        ),
        (
            "event = \"x\"\nexpect.crm = true",
            "error: true | `crm` of `expect` has to be a section or a table, not true or false | \
             it can have `body`, `json`, `text`, `url`, `method`, `headers`",
        ),
        (
            "event = \"x\"\nexpect.crm.jsn = {}",
            "error: jsn | `crm` of `expect` has no key `jsn` | did you mean `json`?",
        ),
        (
            "event = \"x\"\nexpect.crm.json = 1",
            "error: 1 | `json` has to be a table or a list, not a number | write `json = { status = \"no_answer\" }`",
        ),
        (
            "event = \"x\"\nexpect.crm.headers = { X-Team = 1 }",
            "error: 1 | `X-Team` has to be a text in quotes, not a number | write `X-Team = \"voice\"`",
        ),
        (
            "event = \"x\"\nexpect.crm.headers = { \"X Team\" = \"\" }",
            "error: \"X Team\" | `X Team` can't be the name of a header | write `headers = { X-Team = \"voice\" }`",
        ),
        (
            "event = \"x\"\nexpect.crm.body = \"xml\"",
            "error: \"xml\" | `body` has to be one of `raw`, `normalized` | write `body = \"raw\"`",
        ),
    ] {
        assert_eq!(only_problem(&with(lines)), told);
    }
}

#[test]
fn tests_are_in_double_brackets() {
    let told = only_problem(&format!("{MINIMAL}\n[test]\nevent = \"x\"\n"));
    assert!(told.ends_with("so each has its header in double brackets | write `[[test]]`"), "{told}");
}

#[test]
fn a_test_says_from_which_of_several_sources_its_event_comes() {
    let second = "[source.eu]\npath = \"/eu\"\nsecrets = [{ env = \"ATOMS_WEBHOOK_SECRET\" }]\n";
    let text = format!("{}\n{second}", with("event = \"x\"\nexpect = {}"));
    assert_eq!(
        only_problem(&text),
        "error: [[test]] | [[test]] number 1 has no `source`, and the file has several | write `source = \"atoms\"`"
    );
    let named = text.replace("expect = {}", "source = \"eu\"\nexpect = {}");
    assert_eq!(valid(&named).tests[0].source.as_str(), "eu");
}

#[test]
fn what_a_test_expects_is_not_shown_with_its_mistakes() {
    let text = with(
        "event = \"x\"\nexpect.crm = { url = \"hunter2\", text = \"hunter2\", json = { a = \"hunter2\", b = nan }, \
         headers = { X-Key = \"hunter2\" }, methd = \"POST\" }",
    );
    assert!(!problems(&text).is_empty() && !problems(&text).to_string().contains("hunter2"), "{}", problems(&text));
}
