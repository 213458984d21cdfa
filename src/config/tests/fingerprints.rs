//! What makes a destination or a source another one.

use super::{auth::certified, *};
use crate::config::Fingerprint;

/// A destination of everything that is read for one: values of all kinds, a variable, a secret file and a certificate file.
const RICH: &str = r#"
[source.atoms]
path = "/webhook"
secrets = [{ file = "atoms" }]

[destination.crm]
url = "https://crm.internal.example/api/calls"
headers = { X-Team = "voice", X-Region = "eu" }
auth = { bearer = { file = "token" } }
tls = { ca = "ca.pem" }
vars = { team = "night" }
json = { text = "{{ call.id }}", list = ["a", { b = "c" }], level = 3, loud = true }
concurrency = 4
rate = ["5/s", "100/m"]
retry = { initial = "1s" }

[[destination.crm.outcome]]
when = "status == 409"
class = "duplicate"

[destination.other]
url = { env = "OTHER_URL" }
"#;

fn outside() -> FixedEnvironment {
    let (certificate, _) = certified();
    FixedEnvironment::default()
        .with_file("atoms", SECRET.as_bytes())
        .with_file("token", b"crm-token-0123456789")
        .with_file("ca.pem", certificate.as_bytes())
        .with_variable("OTHER_URL", "https://other.internal.example/")
}

/// Those of `atoms`, `crm` and `other`.
fn fingerprints(text: &str, environment: &FixedEnvironment) -> [Fingerprint; 3] {
    let config = Config::parse("relay.toml", text, environment).unwrap_or_else(|problems| panic!("{problems}"));
    let destination =
        |name: &str| config.destinations.iter().find(|one| one.name.as_str() == name).unwrap().fingerprint;
    [config.sources[0].fingerprint, destination("crm"), destination("other")]
}

/// Which of `atoms`, `crm` and `other` are others in `text` and `environment`.
fn others(text: &str, environment: &FixedEnvironment, was: [Fingerprint; 3]) -> Vec<&'static str> {
    let is = fingerprints(text, environment);
    let named = ["atoms", "crm", "other"].into_iter().zip(was.into_iter().zip(is));
    named.filter(|(_, (was, is))| was != is).map(|(name, _)| name).collect()
}

#[test]
fn what_stands_in_the_file_makes_it_another_value_by_value() {
    let environment = outside();
    let was = fingerprints(RICH, &environment);
    let changes = [
        ("/api/calls\"", "/api/other\""),
        ("X-Region = \"eu\"", "X-Region = \"us\""),
        ("X-Region", "X-Land"),
        ("\"night\"", "\"day\""),
        ("level = 3", "level = 4"),
        ("level = 3", "level = \"3\""),
        ("loud = true", "loud = false"),
        ("\"{{ call.id }}\"", "\"{{ call.from }}\""),
        ("b = \"c\"", "b = \"d\""),
        ("[\"a\", { b = \"c\" }]", "[\"a\", \"b\", \"c\"]"),
        ("concurrency = 4", "concurrency = 5"),
        ("concurrency = 4", ""),
        ("\"100/m\"", "\"101/m\""),
        ("status == 409", "status == 408"),
        ("initial = \"1s\"", "initial = \"2s\""),
    ];
    for (old, new) in changes {
        assert!(RICH.contains(old), "{old}");
        assert_eq!(others(&RICH.replacen(old, new, 1), &environment, was), ["crm"], "{old} → {new}");
    }
    assert_eq!(others(&RICH.replace("/webhook", "/hook"), &environment, was), ["atoms"]);
}

#[test]
fn how_it_stands_there_does_not() {
    let environment = outside();
    let was = fingerprints(RICH, &environment);
    let moved = RICH
        .replace("concurrency = 4\n", "")
        .replace("[destination.crm]", "# new\n[destination.crm]\nconcurrency  = 4");
    let turned = RICH.replace("X-Team = \"voice\", X-Region = \"eu\"", "X-Region = 'eu', X-Team = \"voice\" ");
    let elsewhere = format!("{RICH}\n[destination.third]\nurl = \"https://third.internal.example/\"\n");
    for text in [moved, turned, elsewhere] {
        assert!(others(&text, &environment, was).is_empty(), "{text}");
    }
}

#[test]
fn a_secret_or_a_certificate_makes_it_another_though_the_file_is_as_it_was() {
    let environment = outside();
    let was = fingerprints(RICH, &environment);
    let rotated = environment.clone().with_file("atoms", SECRET.replace('5', "6").as_bytes());
    assert_eq!(others(RICH, &rotated, was), ["atoms"]);
    let rotated = environment.clone().with_file("token", b"crm-token-9876543210");
    assert_eq!(others(RICH, &rotated, was), ["crm"]);
    let (certificate, _) = certified();
    let renewed = environment.clone().with_file("ca.pem", certificate.as_bytes());
    assert_eq!(others(RICH, &renewed, was), ["crm"]);
    let moved = environment.with_variable("OTHER_URL", "https://another.internal.example/");
    assert_eq!(others(RICH, &moved, was), ["other"]);
}

#[test]
fn a_fingerprint_does_not_show_itself() {
    let [atoms, ..] = fingerprints(RICH, &outside());
    assert_eq!(format!("{atoms:?}"), "Fingerprint");
}
