//! `store export`: events as lines of JSON, one after another.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{Place, line};
use crate::{
    cli::{
        console::remark,
        failure::{Exit, Failure},
        filter::When,
        progress::Progress,
        text::{count, harmless},
    },
    clock::Clock,
    store::{
        EventFilter,
        embedded::offline::{Exported, Exports, OfflineError},
    },
};

/// Readable by the user who makes it only: bodies are personal data.
const PRIVATE: u32 = 0o600;

/// The arguments of `store export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Only events received since then: a length of time such as `2h`, or a UTC time such as `2026-09-22T09:14:06Z`.
    #[arg(long, value_name = "WHEN")]
    since: Option<When>,
    /// Only events received before then.
    #[arg(long, value_name = "WHEN")]
    until: Option<When>,
    /// Only events of this call.
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// Only events of this agent.
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// Only events of this type, such as `post-conversation`.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Write to this file, which must not exist yet, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ExportArgs {
    fn filter(&self, clock: &Clock) -> EventFilter {
        let at = |when: Option<When>| when.map(|when| when.before(clock.now()));
        EventFilter {
            agent: self.agent.clone(),
            event_type: self.event_type.clone(),
            call: self.call.clone(),
            since: at(self.since),
            until: at(self.until),
            ..EventFilter::default()
        }
    }
}

/// Runs `store export`.
pub(super) fn run(args: &ExportArgs, place: &Place<'_>) -> Result<(), Failure> {
    let stopped = place.open()?;
    let mut output = Output::open(args.output.as_deref())?;
    let filter = args.filter(&place.session.clock);
    let (mut progress, mut lines) = (Progress::new(), 0);
    let take = |event| {
        output.line(event)?;
        lines += 1;
        progress.show(lines, 0, || count(lines, "event", "events"));
        Ok(())
    };
    let exported = stopped.export(&filter, take).and_then(|exports| {
        output.finish()?;
        Ok(exports)
    });
    drop(progress);
    match exported {
        Ok(exports) => tell(&exports),
        // Nobody reads any more (`| head`): the rest is left unsaid.
        Err(ExportError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(ExportError::Output(error)) => {
            Err(Failure::new(Exit::Io, format_args!("can't write the export: {error}; what is there is incomplete")))
        }
        Err(ExportError::Queue(error)) => Err(error.into()),
        Err(ExportError::Json(error)) => Err(Failure::new(Exit::Software, error)),
    }
}

#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Queue(#[from] OfflineError),
    #[error(transparent)]
    Output(#[from] io::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Where the lines go.
struct Output {
    writer: BufWriter<Box<dyn Write>>,
    /// To be synced at the end: an export may be somebody's backup.
    file: Option<File>,
}

impl Output {
    fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self { writer: BufWriter::new(Box::new(io::stdout().lock())), file: None });
        };
        let create = || {
            let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
            Ok(Self { file: Some(file.try_clone()?), writer: BufWriter::new(Box::new(file)) })
        };
        create().map_err(|error: io::Error| {
            Failure::new(Exit::Io, format_args!("can't create {}: {error}", path.display()))
        })
    }

    fn line(&mut self, event: Exported) -> Result<(), ExportError> {
        let line = line::write(event)?;
        writeln!(self.writer, "{line}")?;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }
}

/// Says on standard error what went out, and what didn't.
fn tell(exports: &Exports) -> Result<(), Failure> {
    remark(&format!("{} exported.", count(exports.events, "event", "events")));
    for (destination, pause) in &exports.pauses {
        let reason = if pause.reason.is_empty() { String::new() } else { format!(" ({})", harmless(&pause.reason)) };
        remark(&format!("{destination} is paused{reason}. That isn't part of an export."));
    }
    if exports.unreadable.is_empty() {
        return Ok(());
    }
    exports.unreadable.iter().for_each(|event| remark(&format!("{event}: gone from the journal")));
    let lost = count(exports.unreadable.len() as u64, "event", "events");
    Err(Failure::new(Exit::Data, format_args!("{lost} can't be exported: `atoms-relay store verify` says why")))
}
