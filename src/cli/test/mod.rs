//! `test`: whether the configuration makes of events what its `[[test]]` blocks expect. Nothing is sent or stored.

mod judgement;

use std::{fs, path::Path};

use serde::Serialize;

use self::judgement::{Complaint, judge};
use super::{
    Session,
    difference::{self, difference},
    failure::{Exit, Failure},
    preview::{previews, received},
    table::Tone,
    text::{count, harmless},
};
use crate::{
    clock::Clock,
    config::{Colour, Config, Test},
};

/// What came out.
#[derive(Debug, Serialize)]
struct ReportView {
    passed: usize,
    failed: usize,
    tests: Vec<TestView>,
}

#[derive(Debug, Serialize)]
struct TestView {
    name: String,
    event: String,
    passed: bool,
    complaints: Vec<Complaint>,
}

/// Runs `test`.
pub(super) fn run(session: &Session) -> Result<(), Failure> {
    let config = session.config()?;
    let tests: Vec<_> =
        config.tests.iter().map(|test| tested(test, &config, &session.clock)).collect::<Result<_, _>>()?;
    let failed = tests.iter().filter(|test| !test.passed).count();
    session.console.show(&ReportView { passed: tests.len() - failed, failed, tests }, words)?;
    if failed == 0 { Ok(()) } else { Err(Failure::told(Exit::Data)) }
}

fn tested(test: &Test, config: &Config, clock: &Clock) -> Result<TestView, Failure> {
    let complaints = complaints(test, config, clock)?;
    let event = test.event.display().to_string();
    Ok(TestView { name: test.name.clone(), event, passed: complaints.is_empty(), complaints })
}

fn complaints(test: &Test, config: &Config, clock: &Clock) -> Result<Vec<Complaint>, Failure> {
    let Some(source) = config.sources.iter().find(|source| source.name == test.source) else {
        return Ok(vec![Complaint::new(format!("there is no source `{}`", test.source))]);
    };
    let body = match fs::read(&test.event) {
        Ok(body) => body,
        Err(error) => return Ok(vec![Complaint::new(unreadable(&test.event, &error))]),
    };
    let event = received(source, body, clock.now())?;
    Ok(judge(&test.expect, &previews(&event, config)))
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("can't read {}: {error}", path.display())
}

fn words(report: &ReportView, colour: Colour) -> String {
    if report.tests.is_empty() {
        return "There are no tests. A section `[[test]]` of the configuration says what has to become of an event."
            .to_owned();
    }
    let mut lines: Vec<String> = report.tests.iter().flat_map(|test| test_lines(test, colour)).collect();
    let total = u64::try_from(report.tests.len()).unwrap_or(u64::MAX);
    lines.extend([
        String::new(),
        format!("{}: {} ok, {} failed", count(total, "test", "tests"), report.passed, report.failed),
    ]);
    lines.join("\n")
}

fn test_lines(test: &TestView, colour: Colour) -> Vec<String> {
    let name = harmless(&test.name);
    if test.passed {
        return vec![format!("{}      {name}", Tone::Good.paint("ok", colour))];
    }
    let mut lines = vec![format!("{}  {name} ({})", Tone::Bad.paint("FAILED", colour), harmless(&test.event))];
    lines.extend(test.complaints.iter().flat_map(|complaint| complaint_lines(complaint, colour)));
    lines
}

fn complaint_lines(complaint: &Complaint, colour: Colour) -> Vec<String> {
    let destination = complaint.destination.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    let mut lines = vec![format!("  {destination}{}", harmless(&complaint.what))];
    match (&complaint.expected, &complaint.came) {
        (Some(expected), Some(came)) if expected.contains('\n') || came.contains('\n') => {
            lines.extend(difference::words(&difference(expected, came), "    ", colour));
        }
        (expected, came) => {
            lines.extend(expected.iter().map(|expected| format!("    expected  {}", harmless(expected))));
            lines.extend(came.iter().map(|came| format!("    came      {}", harmless(came))));
        }
    }
    lines
}
