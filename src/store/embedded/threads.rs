//! The two threads of a store: the committer, and the housekeeping beside it.

use std::{
    io,
    sync::mpsc::{self, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{command::Command, committer::Committer, housekeeping::Housekeeping};

/// What is to be stopped and awaited.
#[derive(Default)]
pub(super) struct Threads {
    /// Dropped to stop the housekeeping.
    pub(super) stop_housekeeping: Option<Sender<()>>,
    pub(super) housekeeping: Option<JoinHandle<()>>,
    pub(super) committer: Option<JoinHandle<()>>,
}

impl Threads {
    /// Starts both. Whoever waits for `forgotten` hears when what a recovery brought back is forgotten again.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn start(
        committer: Committer,
        commands: tokio::sync::mpsc::Receiver<Command>,
        housekeeping: Housekeeping,
        every: Duration,
        forgotten: Option<Sender<()>>,
    ) -> io::Result<Self> {
        let (stop_housekeeping, stop) = mpsc::channel();
        let committer = thread::Builder::new().name("store-committer".into()).spawn(move || committer.run(commands))?;
        let housekeeping = thread::Builder::new()
            .name("store-keeper".into())
            .spawn(move || housekeeping.run(every, &stop, forgotten))?;
        Ok(Self {
            stop_housekeeping: Some(stop_housekeeping),
            housekeeping: Some(housekeeping),
            committer: Some(committer),
        })
    }
}
