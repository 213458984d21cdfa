//! Documents can't fail to compile, so what can be checked of them is checked here: that invariants have their tests, that
//! configurations are valid, that commands are understood, that links lead somewhere.

use std::{fs, path::Path, process::Command};

use atoms_relay::config::{Colour, Config, FixedEnvironment};

use super::{
    hold,
    source::{read, root},
};

/// What people read at first. The rest is in `docs`.
const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"];

fn documents() -> impl Iterator<Item = String> {
    let entries = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let texts = entries.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"));
    DOCUMENTS.into_iter().map(str::to_owned).chain(texts.map(|name| format!("docs/{}", name.to_str().unwrap())))
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let invariants = numbered(section(&read("ARCHITECTURE.md"), "## Invariants"));
    assert!(invariants.len() > 10, "ARCHITECTURE.md has lost its numbered list below `## Invariants`");
    let mut complaints = Vec::new();
    for (number, text) in &invariants {
        let tests: Vec<_> = spans(text).into_iter().filter_map(|span| span.split_once("::")).collect();
        if tests.is_empty() {
            complaints
                .push(format!("ARCHITECTURE.md, invariant {number}: name the test that holds it, as `file::test`"));
        }
        let missing = tests.into_iter().filter(|(file, test)| !has_test(file, test));
        complaints.extend(missing.map(|(file, test)| {
            format!("ARCHITECTURE.md, invariant {number}: {file} has no test `{test}`: name the one that holds it now")
        }));
    }
    hold(&complaints);
}

#[test]
fn configurations_in_the_documents_are_valid() {
    let environment = ["ATOMS_WEBHOOK_SECRET", "CRM_TOKEN", "HUBSPOT_TOKEN"]
        .into_iter()
        .fold(FixedEnvironment::default(), |environment, name| environment.with_variable(name, &"5ec2e7".repeat(8)))
        .with_variable("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T0/B0/xYz1")
        .with_variable("CREDENTIALS_DIRECTORY", "/credentials")
        .with_file("/credentials/atoms-webhook", "5ec2e7".repeat(8).as_bytes());
    let mut complaints = Vec::new();
    // The others are parts of one.
    let whole =
        documents().flat_map(|document| blocks(&read(&document), "toml")).filter(|block| block.contains("[source."));
    for block in whole {
        let problems =
            Config::parse("README.md", &block, &environment).map_or_else(|all| all, |config| config.warnings);
        if !problems.is_empty() {
            complaints.push(format!(
                "{}\ncorrect this configuration in its document:\n\n{block}",
                problems.render(Colour::Plain)
            ));
        }
    }
    hold(&complaints);
}

#[test]
fn commands_in_the_documents_are_understood() {
    let mut complaints = Vec::new();
    for document in documents() {
        for arguments in commands(&read(&document)) {
            let asked =
                Command::new(env!("CARGO_BIN_EXE_atoms-relay")).args(&arguments).arg("--help").output().unwrap();
            if !asked.status.success() {
                let (command, answer) = (arguments.join(" "), String::from_utf8_lossy(&asked.stderr));
                complaints.push(format!(
                    "{document}: correct `atoms-relay {command}`, which the program answers with\n{answer}"
                ));
            }
        }
    }
    hold(&complaints);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut complaints = Vec::new();
    for document in documents() {
        let text = read(&document);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        let broken = targets.filter(|target| !target.contains("://") && !leads_somewhere(&document, target));
        complaints.extend(broken.map(|target| format!("{document}: nothing is at the end of the link to {target}")));
    }
    hold(&complaints);
}

#[test]
fn every_alert_leads_to_what_to_do() {
    let rules = read("monitoring/alerts.yml");
    let alerts: Vec<_> = rules.split("- alert: ").skip(1).filter_map(|rule| rule.split_once('\n')).collect();
    assert!(alerts.len() > 10, "monitoring/alerts.yml has lost its rules");
    let mut complaints = Vec::new();
    for (alert, rule) in &alerts {
        let runbook = format!("docs/operations.md#{}", alert.to_lowercase());
        if !rule.contains(&format!("runbook: {runbook}\n")) {
            complaints.push(format!("monitoring/alerts.yml: give {alert} the annotation `runbook: {runbook}`"));
        }
        if !leads_somewhere("README.md", &runbook) {
            complaints.push(format!("docs/operations.md: say in a section `### {alert}` what to do"));
        }
    }
    let sections = read("docs/operations.md");
    let sections = sections.lines().filter_map(|line| line.strip_prefix("### AtomsRelay"));
    let gone =
        sections.filter(|section| !alerts.iter().any(|(alert, _)| alert.strip_prefix("AtomsRelay") == Some(section)));
    complaints
        .extend(gone.map(|section| format!("docs/operations.md: there is no alert AtomsRelay{section} any more")));
    hold(&complaints);
}

/// Whether a file, and in it a heading when the link names one, is where a document's link leads.
fn leads_somewhere(document: &str, target: &str) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(document).parent().unwrap();
    let path = if path.is_empty() { document.to_owned() } else { folder.join(path).display().to_string() };
    root().join(&path).exists() && (anchor.is_empty() || anchors(&read(&path)).any(|known| known == anchor))
}

/// What links can name in a document, as GitHub makes it of the headings.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(|heading| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    })
}

/// What stands below a heading, up to the next of its kind.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, below) = text.split_once(heading).unwrap_or_default();
    below.split("\n## ").next().unwrap_or_default()
}

/// The items of a numbered list with their numbers; what follows an empty line belongs to none.
fn numbered(text: &str) -> Vec<(usize, String)> {
    let mut items: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        match line.split_once(". ").and_then(|(number, rest)| Some((number.parse().ok()?, rest.to_owned()))) {
            Some(item) => items.push(item),
            None if line.starts_with(' ') => items.last_mut().unwrap().1.push_str(line),
            None => {}
        }
    }
    items
}

/// Whether `file` has a test of that name.
fn has_test(file: &str, test: &str) -> bool {
    let source = if root().join(file).is_file() { read(file) } else { String::new() };
    let Some((before, _)) = source.split_once(&format!("fn {test}(")) else { return false };
    before.rsplit("\n\n").next().is_some_and(|attributes| attributes.contains("test]") || attributes.contains("test("))
}

/// The content of the fenced blocks in a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block.to_owned()).collect()
}

/// What stands between backticks, outside of fenced blocks.
fn spans(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split('`').skip(1).step_by(2)).collect()
}

/// What documents write for an id, and one that is understood.
const PLACEHOLDERS: [(&str, &str); 2] =
    [("ID", "0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f"), ("DELIVERY", "0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f.crm")];

/// The arguments of each call of the relay, in the text and behind the prompts of a console.
fn commands(text: &str) -> Vec<Vec<String>> {
    let consoles = blocks(text, "console");
    let typed = consoles.iter().flat_map(|console| console.lines()).filter_map(|line| line.strip_prefix("$ "));
    let calls = typed.chain(spans(text)).filter_map(|line| {
        let (before, call) = line.split_once("atoms-relay ").or_else(|| line.split_once("cargo run --release -- "))?;
        before.is_empty().then_some(call)
    });
    let whole = calls.filter(|call| !call.contains('…')).map(|call| call.split(" #").next().unwrap());
    whole.map(|call| call.split_whitespace().map(filled_in).collect()).collect()
}

fn filled_in(argument: &str) -> String {
    let example = PLACEHOLDERS.into_iter().find(|(placeholder, _)| *placeholder == argument);
    example.map_or(argument, |(_, example)| example).to_owned()
}
