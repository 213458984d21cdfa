//! `atoms-relay check`: what is wrong with a configuration, or what the relay would do with it.
//!
//! Nothing is started, sent or written. Addresses that are secrets are shown by their host only.

use std::{
    collections::BTreeSet,
    fmt::Display,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    Session, colour_of,
    console::{Format, remark, say},
    failure::{Exit, Failure},
};
use crate::{
    config::{self, Colour, Config, Destination, LoadError, Problem, Problems, Severity},
    model::Timestamp,
    route::Route,
};

/// Runs `check`.
pub(super) fn run(session: &Session) -> Result<(), Failure> {
    let checked = check(session.config.as_deref());
    let remarks = checked.remarks(colour_of(&std::io::stderr()));
    let concern = checked.concern(session.clock.now());
    match (session.console.format(), checked.summary(concern.as_deref())) {
        (Format::Json, _) => session.console.show(&checked.report(concern), |_, _| String::new())?,
        (Format::Text, summary) => {
            remark(remarks.trim_end());
            remark(&concern.map(|concern| format!("warning: {concern}")).unwrap_or_default());
            summary.map_or(Ok(()), |summary| say(summary.trim_end()))?;
        }
    }
    checked.into_config().map(drop).map_err(Failure::told)
}

/// What was found.
#[derive(Debug)]
pub struct Checked {
    path: PathBuf,
    result: Result<Config, LoadError>,
}

/// Checks the configuration at the given path, or at the first default path where there is one.
#[must_use]
pub fn check(given: Option<&Path>) -> Checked {
    match config::locate(given) {
        Ok(path) => Checked { result: config::load(&path), path },
        Err(error) => Checked { path: given.unwrap_or(Path::new("relay.toml")).to_owned(), result: Err(error) },
    }
}

impl Checked {
    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the relay can run with it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.result.is_ok()
    }

    /// The configuration, or the exit code of a command that needs it.
    pub(super) fn into_config(self) -> Result<Config, Exit> {
        self.result.map_err(|error| match error {
            LoadError::Unreadable { .. } => Exit::Io,
            LoadError::Missing { .. } | LoadError::NotText { .. } | LoadError::Invalid(_) => Exit::Config,
        })
    }

    /// What is wrong or looks wrong, for standard error; empty when there is nothing.
    #[must_use]
    pub fn remarks(&self, colour: Colour) -> String {
        match &self.result {
            Ok(config) => config.warnings.render(colour),
            Err(LoadError::Invalid(problems)) => problems.render(colour),
            Err(error) => format!("{}\n{}\n", error.with_cause(), error.advice()),
        }
    }

    /// What the relay would do, for standard output, where it is warned of the problems and of what else is a `concern`;
    /// nothing when it can't run.
    #[must_use]
    pub fn summary(&self, concern: Option<&str>) -> Option<String> {
        let config = self.result.as_ref().ok()?;
        let warnings = config.warnings.count(Severity::Warning) + usize::from(concern.is_some());
        let rows = rows(config).into_iter().map(|[what, which, how]| format!("  {what:<12} {which:<16} {how}\n"));
        Some(format!("{}: {}\n\n", self.path.display(), grade(warnings)) + &rows.collect::<String>())
    }

    /// What worries about the certificate at `now`: the configuration itself knows no time.
    fn concern(&self, now: Timestamp) -> Option<String> {
        let tls = self.result.as_ref().ok()?.server.tls.as_ref()?;
        let concern = tls.identity.validity()?.concern(now)?;
        Some(format!("the certificate of `server.tls` {concern}"))
    }

    /// The same for programs, with what else is a `concern`.
    #[must_use]
    pub fn report(&self, concern: Option<String>) -> Report {
        let mut problems = match &self.result {
            Ok(config) => entries(&config.warnings),
            Err(LoadError::Invalid(problems)) => entries(problems),
            Err(error) => vec![Entry::of_file(&self.path, error)],
        };
        problems.extend(concern.map(|concern| Entry::of_certificate(&self.path, concern)));
        Report { file: self.path.display().to_string(), usable: self.is_usable(), problems }
    }
}

fn grade(warnings: usize) -> String {
    match warnings {
        0 => "all is well".to_owned(),
        1 => "usable, with 1 warning".to_owned(),
        count => format!("usable, with {count} warnings"),
    }
}

fn rows(config: &Config) -> Vec<[String; 3]> {
    let row = |what: &str, which: &str, how: String| [what.to_owned(), which.to_owned(), how];
    let mut rows =
        vec![row("admin", "", config.admin.listen.url()), row("queue", "", config.queue.path.display().to_string())];
    let origin = format!("{}://{}", config.server.scheme(), config.server.listen);
    rows.extend(
        config
            .sources
            .iter()
            .map(|source| row("source", source.name.as_str(), format!("POST {origin}{}", source.path))),
    );
    rows.extend(config.destinations.iter().map(|to| row("destination", to.name.as_str(), address(to))));
    rows.extend(config.routes.as_slice().iter().map(|route| row("route", &destinations(route), conditions(route))));
    let host = |traces: &config::Traces| traces.endpoint.origin().ascii_serialization();
    rows.extend(config.traces.iter().map(|traces| row("traces", "", host(traces))));
    rows
}

fn address(destination: &Destination) -> String {
    let target = &destination.target;
    let remark = if target.url.is_secret() { " (secret)" } else { "" };
    format!("{}{remark}", target.shown())
}

fn destinations(route: &Route) -> String {
    format!("to {}", list(&route.to))
}

/// What the route takes, and its name.
fn conditions(route: &Route) -> String {
    let events = route.events.as_ref().map_or_else(|| "all events".to_owned(), list);
    let sources = route.sources.as_ref().map(|sources| format!(" from {}", list(sources))).unwrap_or_default();
    let agents = match route.agents.as_ref().map(BTreeSet::len) {
        None => String::new(),
        Some(1) => " of one agent".to_owned(),
        Some(count) => format!(" of {count} agents"),
    };
    let when = route.when.as_ref().map(|when| format!(" when {}", on_one_line(when.source()))).unwrap_or_default();
    format!("{events}{sources}{agents}{when} ({})", route.name)
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn list<'i, T: Display + 'i>(items: impl IntoIterator<Item = &'i T>) -> String {
    items.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// Whether the relay can run with it.
    pub usable: bool,
    /// What is wrong or looks wrong, in the order of the file.
    pub problems: Vec<Entry>,
}

/// A problem in [`Report`].
#[derive(Debug, Serialize)]
pub struct Entry {
    /// The file.
    pub file: String,
    /// The line, from 1; `null` for the file as a whole.
    pub line: Option<usize>,
    /// The character in the line, from 1.
    pub column: Option<usize>,
    /// `error` or `warning`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// What to write or do instead.
    pub help: Option<String>,
}

impl Entry {
    fn of(problems: &Problems, problem: &Problem) -> Self {
        let position = problems.position(problem);
        Self {
            file: problems.file_name().to_owned(),
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            severity: problem.severity().to_string(),
            message: problem.message().to_owned(),
            help: problem.advice().map(str::to_owned),
        }
    }

    fn of_certificate(path: &Path, message: String) -> Self {
        let file = path.display().to_string();
        let help = Some("the relay reads its files again every minute".to_owned());
        Self { file, line: None, column: None, severity: Severity::Warning.to_string(), message, help }
    }

    fn of_file(path: &Path, error: &LoadError) -> Self {
        let line = match error {
            LoadError::NotText { line, .. } => Some(*line),
            _ => None,
        };
        Self {
            file: path.display().to_string(),
            line,
            column: None,
            severity: Severity::Error.to_string(),
            message: error.with_cause(),
            help: Some(error.advice().to_owned()),
        }
    }
}

fn entries(problems: &Problems) -> Vec<Entry> {
    problems.iter().map(|problem| Entry::of(problems, problem)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::{Engine, engine::general_purpose::STANDARD};
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    const LITERAL: &str = r#"
[queue]
path = "/var/lib/relay"

[source.atoms]
path = "/webhook"
secrets = ["5f1c0a9e7b3d48266a90c1e2f7d8b4a35e6f708192a3b4c5d6e7f8091a2b3c4d"]

[destination.crm]
url = "https://crm.internal.example/api/calls"

[destination.slack]
url = "https://hooks.slack.com/services/T0/B0/xYz1xYz2xYz3xYz4xYz5"

[[route]]
name = "finished calls"
events = ["post-conversation"]
agents = ["68c1f0aa41d2b7e5903c11a4"]
when = """
call.status == 'completed'
  and call.duration_seconds > 30"""
to = ["crm", "slack"]

[traces]
endpoint = "https://otlp.example/tenants/7/v1/traces"
"#;

    fn check_text(text: &str) -> Checked {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.toml");
        fs::write(&path, text).unwrap();
        check(Some(&path))
    }

    #[test]
    fn a_usable_config_is_summed_up_without_its_secrets() {
        let checked = check_text(LITERAL);
        let summary = checked.summary(None).unwrap();
        let (_, rows) = summary.split_once("relay.toml: ").unwrap();
        assert_eq!(
            rows,
            "usable, with 2 warnings\n\n  \
             admin                         http://127.0.0.1:9090\n  \
             queue                         /var/lib/relay\n  \
             source       atoms            POST http://127.0.0.1:8080/webhook\n  \
             destination  crm              POST https://crm.internal.example/api/calls\n  \
             destination  slack            POST https://hooks.slack.com/… (secret)\n  \
             route        to crm, slack    post-conversation of one agent \
             when call.status == 'completed' and call.duration_seconds > 30 (finished calls)\n  \
             traces                        https://otlp.example\n"
        );
        assert!(checked.remarks(Colour::Plain).ends_with("relay.toml: 2 warnings\n"));
        assert!(checked.is_usable());
    }

    #[test]
    fn an_unusable_config_has_no_summary_but_all_its_problems() {
        let checked = check_text("[server]\nlisten = 1\nmax_body = 2\n");
        assert!(!checked.is_usable() && checked.summary(None).is_none());
        assert!(checked.remarks(Colour::Plain).ends_with("relay.toml: 3 errors, 1 warning\n"));
    }

    #[test]
    fn programs_get_every_problem_with_its_place() {
        let report = check_text("[server]\nlisten = 1\n").report(None);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["usable"], false);
        let first = &json["problems"][0];
        assert_eq!((&first["line"], &first["column"]), (&2.into(), &10.into()));
        assert_eq!(first["severity"], "error");
        assert_eq!(first["message"], "`listen` has to be a text in quotes, not a number");
        assert_eq!(first["help"], "write `listen = \"127.0.0.1:8080\"`");
        assert!(json["problems"][1]["line"].is_null(), "there is no source");
    }

    #[test]
    fn a_missing_file_is_told_with_the_places_that_were_tried() {
        let checked = check(Some(Path::new("/nowhere/relay.toml")));
        assert_eq!(
            checked.remarks(Colour::Plain),
            "there is no configuration file: tried /nowhere/relay.toml\n\
             `atoms-relay init` writes one; `--config FILE` names another place.\n"
        );
        assert_eq!(checked.report(None).problems.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let remarks = check(Some(folder.path())).remarks(Colour::Plain);
        assert!(remarks.contains("can't be read: "), "{remarks}");
    }

    /// It is valid from 1975 on, so it is long over in the year 5000.
    #[test]
    fn a_certificate_that_has_expired_is_a_warning_for_people_and_programs() {
        let folder = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["relay.example".to_owned()]).unwrap();
        let pem = |label, der| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
        fs::write(folder.path().join("c.pem"), pem("CERTIFICATE", cert.der().as_ref())).unwrap();
        fs::write(folder.path().join("k.pem"), pem("PRIVATE KEY", signing_key.serialized_der())).unwrap();
        let path = folder.path().join("relay.toml");
        fs::write(&path, format!("[server]\ntls = {{ cert = \"c.pem\", key = \"k.pem\" }}\n{LITERAL}")).unwrap();
        let checked = check(Some(&path));
        assert_eq!(checked.concern(Timestamp::parse("2026-11-24").unwrap()), None);
        let concern = checked.concern(Timestamp::parse("5000-01-01").unwrap()).unwrap();
        assert!(concern.starts_with("the certificate of `server.tls` has expired at 4096-01-01"), "{concern}");
        let summary = checked.summary(Some(&concern)).unwrap();
        assert!(summary.contains("relay.toml: usable, with 4 warnings\n"), "{summary}");
        assert!(summary.contains("POST https://127.0.0.1:8080/webhook"), "{summary}");
        assert_eq!(checked.report(Some(concern)).problems.last().unwrap().severity, "warning");
    }
}
