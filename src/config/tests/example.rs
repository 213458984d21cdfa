//! `relay.toml.example`, and the defaults that it documents.

use std::{collections::BTreeSet, path::Path, time::Duration};

use super::{super::SECTIONS, *};
use crate::{config::units::DAY, retry::RetryPolicy};

const EXAMPLE: &str = include_str!("../../../relay.toml.example");

/// The example with its settings no longer commented out: `#key = value` and `#[section]` without a space.
fn uncommented() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_is_valid_and_nothing_about_it_is_worth_a_warning() {
    for text in [EXAMPLE.to_owned(), uncommented()] {
        let config = valid(&text);
        assert!(config.warnings.is_empty(), "{}", config.warnings);
    }
    assert_ne!(EXAMPLE, uncommented());
}

#[test]
fn the_example_shows_the_defaults() {
    let (bare, shown) = (valid(MINIMAL), valid(&uncommented()));
    assert_eq!(bare.server, shown.server);
    assert_eq!(bare.admin.listen, shown.admin.listen);
    assert_eq!(bare.queue, shown.queue);
    let (bare, shown) = (&bare.destinations[0], &shown.destinations[0]);
    assert_eq!(bare.target.method, shown.target.method);
    assert_eq!((bare.connect_timeout, bare.timeout), (shown.connect_timeout, shown.timeout));
    assert_eq!((bare.concurrency, bare.retry), (shown.concurrency, shown.retry));
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let config = valid(MINIMAL);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.max_body, 8 << 20);
    assert_eq!(config.server.accept_deadline, Duration::from_secs(20));
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.queue.path, Path::new("data"));
    assert_eq!(config.queue.retention, 7 * DAY);
    assert_eq!(config.queue.dead_letter_retention, 30 * DAY);
    assert_eq!(config.queue.deduplication, 30 * DAY);
    assert_eq!(config.queue.min_free_disk, 1 << 30);
    let destination = &config.destinations[0];
    assert_eq!(destination.timeout, Duration::from_secs(15));
    assert_eq!(destination.connect_timeout, Duration::from_secs(5));
    assert_eq!(destination.concurrency.get(), 8);
    let retry = RetryPolicy::try_new(Duration::from_secs(5), Duration::from_secs(3600), 3 * DAY).unwrap();
    assert_eq!(destination.retry, retry);
    assert_eq!(config.sources[0].verifier.header(), "x-signature");
}

/// `basic`, `file` and `credential` stand in the example's text only, as alternatives to what it uses.
#[test]
fn every_key_is_in_the_example_and_every_key_of_the_example_is_known() {
    let text = EXAMPLE.replace(['{', '}', '[', ']', ',', '#'], "\n").replace('.', "\n");
    let words: BTreeSet<&str> =
        text.lines().map(|line| line.split('=').next().unwrap().trim().trim_start_matches(['`', '"'])).collect();
    for (section, keys) in SECTIONS {
        for key in keys.known {
            assert!(words.contains(key), "{key} of {section} is not in relay.toml.example");
        }
    }
    assert!(parse(&uncommented()).is_ok(), "unknown keys are errors");
}

/// What is known but never read would be accepted and ignored: the worst answer to a setting.
#[test]
fn every_known_key_is_read() {
    let headers = [
        "[server]",
        "[server.tls]",
        "[admin]",
        "[queue]",
        "[source.other]",
        "[destination.crm]",
        "[destination.crm.retry]",
        "[destination.crm.auth]",
        "[destination.crm.auth.basic]",
        "[destination.crm.auth.header]",
        "[destination.crm.auth.oauth2]",
        "[destination.crm.auth.hmac]",
        "[destination.crm.auth.standard_webhooks]",
        "[destination.crm.tls]",
        "[[destination.crm.outcome]]",
        "[budget.crm]",
        "[[route]]",
        "[alerts]",
        "[traces]",
        "[[test]]",
        "[[test]]\n[test.expect.crm]",
        "[destination.crm.url]",
    ];
    let sections = SECTIONS.iter().skip(1);
    for (header, (section, keys)) in headers.into_iter().zip(sections) {
        for key in keys.known {
            let text = format!("{header}\n{key} = 1979-05-27\n");
            let found = problems(&text);
            let date = text.len() - "1979-05-27\n".len();
            assert!(
                found.iter().any(|problem| problem.span().is_some_and(|span| span.start == date)),
                "{key} of {section} is not read: {found}"
            );
        }
    }
}
