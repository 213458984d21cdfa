//! `audit`: who changed what on a running relay, and whether what is written down of it is as it was written.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Session,
    admin_client::Question,
    events::{or_dash, or_nothing, tell_of_more},
    failure::{Exit, Failure},
    table::{Cell, Side, Table, Tone},
    text::{count, harmless},
};
use crate::{
    admin::view::{AuditView, PageView},
    audit::{self, Flaw, Verification},
    config::Colour,
};

/// The arguments of `audit`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  atoms-relay audit                                   who changed what lately?
  atoms-relay audit verify                            is the trail as it was written?
  atoms-relay audit verify --path /var/lib/atoms-relay

WHO is what people say of themselves, VIA is how they came in. The trail is the file audit.jsonl in the queue's folder;
`verify` reads it there, also while the relay runs, and ends with 65 when it isn't as it was written."
)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: Option<AuditCommand>,
    /// Go on where a list ended: what it named.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<u64>,
    /// Show at most this many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check that no entry was changed, put in or taken out.
    Verify(VerifyArgs),
}

/// The arguments of `audit verify`.
#[derive(Debug, Args)]
struct VerifyArgs {
    /// The queue's folder; without it, the config's `queue.path`.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct VerificationView {
    intact: bool,
    entries: u64,
    /// The hash of the last entry.
    head: String,
    findings: Vec<String>,
}

/// Runs `audit`.
pub(super) async fn run(args: AuditArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        Some(AuditCommand::Verify(args)) => verify(args, session),
        None => list(&args, session).await,
    }
}

async fn list(args: &AuditArgs, session: &Session) -> Result<(), Failure> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let question = Question::new(["audit"]).with("cursor", args.cursor);
    let page: PageView<AuditView> = session.admin().get_list(question, limit).await?;
    session.console.show_list(&page.items, |entries, colour| or_nothing(&table(entries), colour))?;
    tell_of_more(page.next.as_deref());
    Ok(())
}

fn table(entries: &[AuditView]) -> Table {
    let headings = ["WHEN", "WHO", "VIA", "WHAT", "TARGET", "RESULT", "DETAIL"];
    let mut table = Table::new(headings.map(|heading| (heading, Side::Left)));
    for entry in entries {
        table.row([
            entry.at.to_string().into(),
            or_dash(entry.who.as_deref()).into(),
            harmless(&entry.via).into(),
            harmless(&entry.what).into(),
            or_dash(entry.target.as_deref()).into(),
            harmless(&entry.result).into(),
            Cell(Tone::Faint, entry.detail.as_deref().map_or_else(String::new, harmless)),
        ]);
    }
    table
}

fn verify(args: VerifyArgs, session: &Session) -> Result<(), Failure> {
    let folder = match args.path {
        Some(folder) => folder,
        None => session.config()?.queue.path,
    };
    let file = folder.join(audit::FILE);
    let verified = audit::verify(&file).map_err(|error| {
        Failure::new(Exit::Io, format_args!("can't read the audit trail {}: {error}", file.display()))
    })?;
    let view = VerificationView::from(verified);
    session.console.show(&view, words)?;
    if view.intact { Ok(()) } else { Err(Failure::told(Exit::Data)) }
}

impl From<Verification> for VerificationView {
    fn from(verified: Verification) -> Self {
        // A relay that runs may be writing its next entry.
        let intact = verified.flaws.iter().all(|flaw| *flaw == Flaw::Torn);
        let findings = verified.flaws.iter().map(finding).collect();
        Self { intact, entries: verified.entries, head: verified.head, findings }
    }
}

fn finding(flaw: &Flaw) -> String {
    match flaw {
        Flaw::Broken { line } => {
            format!(
                "line {line} doesn't follow the one before it: that one was changed, or lines were put in or taken out"
            )
        }
        Flaw::Unreadable { line } => format!("line {line} is no entry"),
        Flaw::Torn => "the last line isn't whole: it is being written, or a crash cut it short".to_owned(),
    }
}

fn words(view: &VerificationView, colour: Colour) -> String {
    let entries = count(view.entries, "entry", "entries");
    let mut lines = vec![if view.intact {
        Tone::Good.paint(&format!("The audit trail is as it was written: {entries}."), colour)
    } else {
        Tone::Bad.paint(&format!("The audit trail is not as it was written: {entries}."), colour)
    }];
    lines.extend(view.findings.iter().map(|finding| format!("  {finding}")));
    lines.push(Tone::Faint.paint(
        &format!("Its last hash is {}. Note it elsewhere to tell later whether the end was cut off.", view.head),
        colour,
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_and_a_line_that_is_being_written_is_not_wrong() {
        let view = |flaws: &[Flaw]| {
            VerificationView::from(Verification { entries: 2, head: "4f".into(), flaws: flaws.to_vec() })
        };
        assert_eq!(
            words(&view(&[]), Colour::Plain),
            "The audit trail is as it was written: 2 entries.\n\
             Its last hash is 4f. Note it elsewhere to tell later whether the end was cut off."
        );
        assert!(view(&[Flaw::Torn]).intact);
        let broken = view(&[Flaw::Broken { line: 2 }, Flaw::Unreadable { line: 3 }]);
        assert!(!broken.intact);
        let told = words(&broken, Colour::Plain);
        assert!(
            told.contains("\n  line 2 doesn't follow the one before it") && told.contains("\n  line 3 is no entry"),
            "{told}"
        );
    }
}
