//! Presets: whole with what their heads ask for, and overridden key by key.

use super::*;
use crate::{
    config::PRESETS,
    transform::{Body, Resend},
};

/// What each preset's head tells people to give.
const GIVEN: [(&str, &str); 8] = [
    ("slack", r#"url = { env = "SLACK_URL" }"#),
    ("slack-api", "auth = { bearer = { env = \"CRM_TOKEN\" } }\nvars = { channel = \"C0123456789\" }"),
    ("teams", r#"url = { env = "SLACK_URL" }"#),
    ("hubspot", r#"auth = { bearer = { env = "CRM_TOKEN" } }"#),
    (
        "salesforce",
        r#"auth = { oauth2 = { token_url = "https://acme.my.salesforce.com/services/oauth2/token", client_id = { env = "CRM_TOKEN" }, client_secret = { env = "CRM_TOKEN" }, capture = ["instance_url"] } }"#,
    ),
    (
        "zendesk",
        "url = \"https://acme.zendesk.com/api/v2/tickets.json\"\nretry = { give_up_after = \"2h\" }\n\
         auth = { basic = { user = \"agent@example.com/token\", password = { env = \"CRM_TOKEN\" } } }",
    ),
    ("pagerduty", r#"vars = { routing_key = { env = "CRM_TOKEN" } }"#),
    ("generic", r#"url = "https://crm.internal.example/api/calls""#),
];

/// A file whose destination has a preset and these lines.
fn preset(name: &str, lines: &str) -> String {
    let destination = format!("preset = \"{name}\"\n{lines}\n");
    minimal_with("url = \"https://crm.internal.example/api/calls\"\n", &destination)
}

#[test]
fn every_preset_is_whole_with_what_its_head_asks_for() {
    assert_eq!(GIVEN.map(|(name, _)| name), PRESETS.map(|preset| preset.name));
    for (name, lines) in GIVEN {
        let config = valid(&preset(name, lines));
        assert!(config.warnings.is_empty(), "{name}: {}", config.warnings);
    }
}

#[test]
fn a_preset_starts_with_what_it_is_for() {
    for preset in PRESETS {
        assert!(preset.text.starts_with("# "), "{}", preset.name);
        assert!(toml::from_str::<toml::Table>(preset.text).is_ok(), "{}", preset.name);
        assert!(preset.summary().ends_with('.') && preset.summary().len() < 140, "{}", preset.summary());
    }
}

#[test]
fn what_a_preset_lacks_is_asked_for_where_it_is_named() {
    let lines = r#"auth = { bearer = { env = "CRM_TOKEN" } }"#;
    assert_eq!(
        only_problem(&preset("slack-api", lines)),
        "error: \"slack-api\" | nothing is called `vars.channel` here | write it into `vars` of this destination"
    );
    assert_eq!(
        only_problem(&preset("slak", r#"url = "https://crm.internal.example/""#)),
        "error: \"slak\" | `preset` has to be one of `slack`, `slack-api`, `teams`, `hubspot`, `salesforce`, `zendesk`, \
         `pagerduty`, `generic` | write `preset = \"slack\"`"
    );
}

#[test]
fn what_the_file_says_wins_key_by_key() {
    let config =
        valid(&preset("hubspot", "auth = { bearer = { env = \"CRM_TOKEN\" } }\nmethod = \"PUT\"\ntimeout = \"3s\""));
    let destination = &config.destinations[0];
    assert_eq!(destination.target.method, "PUT");
    assert_eq!(destination.timeout.as_secs(), 3);
    assert!(matches!(destination.target.body, Body::Json(_)));

    let text = preset("pagerduty", "vars = { routing_key = { env = \"CRM_TOKEN\" }, severity = \"info\" }");
    assert!(valid(&text).warnings.is_empty(), "the other constants of the preset are still there");

    let config = valid(&preset("zendesk", &format!("{}\ntext = \"x\"\nresend = \"anew\"", GIVEN[5].1)));
    let target = &config.destinations[0].target;
    assert!(matches!(target.body, Body::Text(_)), "another body takes the place of the preset's");
    assert_eq!(target.resend, Resend::Anew);
}

#[test]
fn rules_of_the_file_are_asked_before_those_of_the_preset() {
    let rules = "\n[[destination.crm.outcome]]\nwhen = \"status == 418\"\nclass = \"success\"\n";
    let config = valid(&preset("slack", &format!("{}{rules}", GIVEN[0].1)));
    let shown = format!("{:?}", config.destinations[0].rules);
    assert!(shown.find("status == 418").unwrap() < shown.find("status == 404").unwrap(), "{shown}");
}
