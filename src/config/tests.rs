//! The whole room: files with mistakes, and what people are told.

mod alerts;
mod auth;
mod example;
mod expectations;
mod fingerprints;
mod messages;
mod pressure;
mod presets;
mod robustness;
mod templates;
mod traces;

use super::{Config, FixedEnvironment, Problem, Problems, Severity};

/// A secret as Atoms makes them.
const SECRET: &str = "5f1c0a9e7b3d48266a90c1e2f7d8b4a35e6f708192a3b4c5d6e7f8091a2b3c4d";

/// The least that a relay can run with and has nothing to complain about.
const MINIMAL: &str = r#"
[source.atoms]
path = "/webhook"
secrets = [{ env = "ATOMS_WEBHOOK_SECRET" }]

[destination.crm]
url = "https://crm.internal.example/api/calls"

[[route]]
to = ["crm"]
"#;

fn environment() -> FixedEnvironment {
    FixedEnvironment::default()
        .with_variable("ATOMS_WEBHOOK_SECRET", SECRET)
        .with_variable("CRM_TOKEN", "crm-token-0123456789")
        .with_variable("ADMIN_TOKEN", "admin-token-0123456789")
        .with_variable("CRM_URL", "https://crm.internal.example/api/calls")
        .with_variable("CHAT_URL", "https://chat.example/hooks/calls")
        .with_variable("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T0/B0/xYz1xYz2xYz3xYz4xYz5")
        .with_variable("SLACK_BOT_TOKEN", "xoxb-0123456789")
        .with_variable("TEAMS_WEBHOOK_URL", "https://acme.webhook.office.com/workflows/xYz1xYz2xYz3xYz4xYz5")
        .with_variable("HUBSPOT_TOKEN", "pat-eu1-0123456789")
        .with_variable("SF_CLIENT_ID", "3MVG9.relay")
        .with_variable("SF_CLIENT_SECRET", "sf-secret-0123456789")
        .with_variable("ZENDESK_TOKEN", "zendesk-token-0123456789")
        .with_variable("PAGERDUTY_ROUTING_KEY", "R0UT1NGKEY0123456789")
        .with_variable("SLACK_URL", "https://hooks.slack.com/services/T0/B0/xYz1xYz2xYz3xYz4xYz5")
}

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse("relay.toml", text, &environment())
}

/// The config of a text that has no errors.
fn valid(text: &str) -> Config {
    parse(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// All problems of a text, warnings of a valid one among them.
fn problems(text: &str) -> Problems {
    parse(text).map_or_else(|problems| problems, |config| config.warnings)
}

/// What is underlined, how bad it is, what is wrong and what to do, for the only problem of a text.
fn only_problem(text: &str) -> String {
    let problems = problems(text);
    let all: Vec<_> = problems.iter().map(|problem| show(text, problem)).collect();
    assert_eq!(all.len(), 1, "{text}\n{all:#?}");
    all.concat()
}

fn show(text: &str, problem: &Problem) -> String {
    let underlined = problem.span().map_or("file", |span| text.get(span.clone()).unwrap());
    let help = problem.advice().unwrap_or("-");
    format!("{}: {} | {} | {help}", problem.severity(), underlined, problem.message())
}

/// [`MINIMAL`] with one piece replaced.
fn minimal_with(old: &str, new: &str) -> String {
    assert!(MINIMAL.contains(old), "{old}");
    MINIMAL.replacen(old, new, 1)
}

/// [`MINIMAL`] with a line after a header.
fn minimal_with_line(header: &str, line: &str) -> String {
    if MINIMAL.contains(header) {
        minimal_with(header, &format!("{header}\n{line}"))
    } else {
        format!("{MINIMAL}\n{header}\n{line}\n")
    }
}
