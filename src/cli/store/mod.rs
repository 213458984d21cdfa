//! `store`: what people do with the queue of a relay that doesn't run.
//!
//! While one runs its queue is locked, and these commands say who holds it. Which one helps when: `docs/store.md`.

mod compact;
mod export;
mod import;
mod line;
mod rebuild;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    Session,
    failure::{Exit, Failure},
    progress::Progress,
    text::count,
};
use crate::store::embedded::{
    OpenError,
    offline::{self, OfflineError, Stopped},
};

/// The arguments of `store`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atoms-relay store verify                            is everything all right?
  atoms-relay store export --output queue.jsonl       save all events
  atoms-relay store export --call CALL-1790012345678-a1b2c3
  atoms-relay store import queue.jsonl                take them in on another machine
  atoms-relay store compact --config relay.toml       give space back

The relay has to be stopped meanwhile, and its user has to run these, so that it can use the files afterwards.
`verify` ends with 0 when all is well, with 65 when it found damage. It makes copies of the index in TMPDIR.")]
pub(super) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
    /// The queue's folder; without it, the config's `queue.path`.
    #[arg(long, global = true, value_name = "DIR")]
    path: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Read everything, say what is there, what is wrong and what to do. It changes nothing.
    Verify,
    /// Make the index anew from the journal. The old one is moved aside.
    Rebuild,
    /// Write events as lines of JSON: everything that is kept of them.
    Export(export::ExportArgs),
    /// Take in what `export` wrote. Events that are there already are left alone.
    Import(import::ImportArgs),
    /// Forget now what is past the config's retention, and give the space back.
    Compact,
}

/// Runs `store`.
pub(super) async fn run(args: StoreArgs, session: &Session) -> Result<(), Failure> {
    let place = Place { path: args.path, session };
    match args.command {
        StoreCommand::Verify => verify::run(&place),
        StoreCommand::Rebuild => rebuild::run(&place),
        StoreCommand::Export(args) => export::run(&args, &place),
        StoreCommand::Import(args) => import::run(&args, &place),
        StoreCommand::Compact => compact::run(&place).await,
    }
}

/// Where the queue is.
struct Place<'a> {
    path: Option<PathBuf>,
    session: &'a Session,
}

impl Place<'_> {
    /// The queue's folder. The config is read only when nobody says which one: its secrets may not be at hand.
    fn path(&self) -> Result<PathBuf, Failure> {
        match &self.path {
            Some(path) => Ok(path.clone()),
            None => Ok(self.session.config()?.queue.path),
        }
    }

    fn open(&self) -> Result<Stopped, Failure> {
        Ok(Stopped::open(&self.path()?, self.session.clock.clone())?)
    }

    fn open_or_create(&self) -> Result<Stopped, Failure> {
        Ok(Stopped::open_or_create(&self.path()?, self.session.clock.clone())?)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let exit = match error {
            OpenError::Locked { .. } => Exit::Unavailable,
            OpenError::Foreign { .. } => Exit::Data,
            OpenError::Io { .. } | OpenError::Segment { .. } | OpenError::Index(_) | OpenError::Housekeeping { .. } => {
                Exit::Io
            }
        };
        Self::new(exit, error)
    }
}

impl From<OfflineError> for Failure {
    fn from(error: OfflineError) -> Self {
        match error {
            OfflineError::Open(error) => error.into(),
            OfflineError::Disk(_) | OfflineError::Scratch { .. } | OfflineError::Index(_) => Self::new(Exit::Io, error),
        }
    }
}

/// How far a walk through the journal has come, for a person.
struct Walk(Progress);

impl Walk {
    fn new() -> Self {
        Self(Progress::new())
    }

    fn show(&mut self, walked: offline::Progress) {
        let offline::Progress { records, bytes, of_bytes } = walked;
        self.0.show(bytes, of_bytes, || count(records, "record", "records"));
    }
}
