//! `[alerts]`: its defaults, and what is told of its slips.

use std::time::Duration;

use super::*;
use crate::{model::Name, transform::Body};

const ALERTS: &str = "[alerts]";
const TO: &str = "to = [\"crm\"]";

/// [`MINIMAL`] with the section and these lines.
fn alerts(lines: &str) -> String {
    minimal_with_line(ALERTS, lines)
}

#[test]
fn who_is_told_is_all_that_has_to_be_said() {
    assert!(valid(MINIMAL).alerts.is_none());
    let config = valid(&alerts(TO));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    let policy = config.alerts.unwrap();
    assert_eq!((policy.relay.as_str(), policy.to), ("atoms-relay", vec![Name::new("crm").unwrap()]));
    assert_eq!((policy.dead_letters.get(), policy.backlog_age), (1, Duration::from_secs(15 * 60)));
    assert_eq!(policy.disk_free, 2 << 30, "twice `min_free_disk`");
    assert!(policy.quiet.is_empty());
}

#[test]
fn thresholds_are_read_as_they_are_written() {
    let lines = "to = [\"crm\", \"crm\"]\nname = \"eu\"\nquiet = { atoms = \"2h\" }\nsignature_failures = \"3/m\"\ndead_letters = 5";
    let policy = valid(&alerts(lines)).alerts.unwrap();
    assert_eq!((policy.relay.as_str(), policy.to.len(), policy.dead_letters.get()), ("eu", 1, 5));
    assert_eq!(policy.quiet[&Name::new("atoms").unwrap()], Duration::from_secs(2 * 60 * 60));
    assert_eq!(policy.signature_failures.limit.get(), 3);
    assert_eq!(policy.signature_failures.length, Duration::from_secs(60));
}

#[test]
fn slips_are_told_with_what_to_write() {
    for (lines, expected) in [
        ("name = \"eu\"", "error: [alerts] | [alerts] has no `to` | write `to = [\"slack\"]`"),
        ("to = []", "error: [] | `to` names nobody | write `to = [\"slack\"]`"),
        ("to = [\"crn\"]", "error: \"crn\" | there is no destination `crn` | did you mean `crm`?"),
        (
            "to = [\"crm\"]\nquiet = { atms = \"2h\" }",
            "error: atms | there is no source `atms` | did you mean `atoms`?",
        ),
        (
            "to = [\"crm\"]\nrepeat = \"1s\"",
            "error: \"1s\" | `repeat` has to be between 1m and 30d: what is repeated more often isn't read any more | \
             write `repeat = \"4h\"`",
        ),
        (
            "to = [\"crm\"]\nsignature_failures = 10",
            "error: 10 | `signature_failures` has to be a text in quotes, not a number | write `signature_failures = \"50/s\"`",
        ),
    ] {
        assert_eq!(only_problem(&alerts(lines)), expected);
    }
}

#[test]
fn the_relay_s_own_source_is_nobody_else_s() {
    assert_eq!(
        only_problem(&MINIMAL.replace("[source.atoms]", "[source.atoms-relay]")),
        "error: atoms-relay | `atoms-relay` is the source of the relay's own alerts | give this source another name"
    );
    assert_eq!(
        only_problem(&minimal_with_line("[[route]]", "sources = [\"atoms-relay\"]")),
        "error: \"atoms-relay\" | there is no source `atoms-relay` | that is the relay's own, for alerts: they go where `to` of \
         [alerts] says"
    );
}

#[test]
fn a_destination_for_alerts_alone_needs_no_route() {
    let text = format!("{MINIMAL}\n[destination.ops]\nurl = \"https://ops.example/\"\n[alerts]\nto = [\"ops\"]\n");
    assert!(valid(&text).warnings.is_empty());
}

#[test]
fn a_destination_with_a_body_of_its_own_is_told_how_alerts_look() {
    let json = "json = { id = \"{{ call.id }}\" }";
    let text = minimal_with("\n[[route]]", &format!("{json}\n[[route]]")) + "[alerts]\nto = [\"crm\"]\n";
    assert_eq!(
        only_problem(&text),
        "warning: [\"crm\"] | `crm` gets alerts as `{ text, alert }`, not in the shape of its own body | write `alert = { … }` \
         into [destination.crm] if it wants another shape"
    );
    let shaped = text.replace(json, &format!("{json}\nalert = {{ note = \"{{{{ payload.text }}}}\" }}"));
    let config = valid(&shaped);
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    assert!(matches!(config.destinations[0].target.alert, Body::Json(_)));
}

#[test]
fn an_alert_is_shaped_by_a_table_or_a_text() {
    let alert = |line: &str| minimal_with_line("[destination.crm]", line);
    assert!(matches!(valid(&alert("alert = \"{{ payload.text }}\"")).destinations[0].target.alert, Body::Text(_)));
    assert_eq!(
        only_problem(&alert("alert = 1")),
        "error: 1 | `alert` has to be a table, a list or a text, not a number | write `alert = { text = \"{{ payload.text }}\" }`"
    );
    let kept = "alert = \"{{ vars.token }}\"\nvars = { token = { env = \"CRM_TOKEN\" } }\nbody = \"normalized\"\nresend = \"same\"";
    assert!(only_problem(&alert(kept)).contains("keeps the body on disk, and with it the secret `vars.token`"));
}
