//! A stopped relay's queue, and what people do with it: look it over, make its index anew, take events out, put events in.
//!
//! | what | reads | writes |
//! | --- | --- | --- |
//! | [`Stopped::verify`] | everything | nothing but the lock file, and a scratch folder elsewhere |
//! | [`Stopped::rebuild`] | the journal | the index, the checkpoint |
//! | [`Stopped::export`] | index and journal | what a start would recover first |
//! | [`Stopped::shrink_index`] | index | the index, the checkpoint |
//! | [`Stopped::import`] | index | a new segment of the journal, the index, the checkpoint |
//!
//! All of them hold the queue's lock, so no relay runs meanwhile; none forgets anything: retention is the relay's part, and
//! [`Embedded::tidy`](super::Embedded::tidy)'s. What they find is judged in [`finding`], without touching anything.

mod audit;
mod export;
mod finding;
mod import;
mod shrink;
mod verify;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{
    OpenError,
    checkpoint::Checkpoint,
    disk::{Disk, RealDisk},
    draft::lock,
    index::{Index, IndexError, Table, meta},
    journal::{Position, Segments, Step},
    lock::Lock,
    options::present_boot,
    reader::ReadError,
    recovery::{self, INDEX_DIR, SET_ASIDE_DIR},
    start::open_segments,
    totals::Totals,
};
use crate::clock::Clock;

pub use audit::{Contents, DeliveryCounts};
pub use export::{Exported, Exports};
pub use finding::{Discrepancy, Finding, Severity};
pub use import::{Import, Imported};
pub use verify::{SegmentContents, Verification};

/// The queue of a relay that doesn't run. Nobody else can use it while this lives.
pub struct Stopped {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    boot_id: String,
    clock: Clock,
    segments: Arc<Segments>,
    lock: Arc<Lock>,
}

/// What a rebuild made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// Records of the journal that were read.
    pub records: u64,
    /// Events that the index knows now.
    pub events: u64,
    /// Deliveries that wait.
    pub waiting: u64,
    /// Bytes of the journal that hold no valid record although valid ones follow.
    pub damaged_bytes: u64,
}

/// How far a walk through the journal has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records read.
    pub records: u64,
    /// Bytes of the journal that are behind.
    pub bytes: u64,
    /// Bytes of the journal.
    pub of_bytes: u64,
}

impl Progress {
    fn pass(&mut self, step: &Step) {
        match step {
            Step::Record { size, .. } => {
                self.records += 1;
                self.bytes += size;
            }
            Step::Damage { bytes, .. } => self.bytes += bytes,
            Step::End { .. } => {}
        }
    }
}

impl Stopped {
    /// Takes hold of the queue in `path`.
    ///
    /// # Errors
    /// [`OpenError`]: a relay runs, there is no queue, or it is in another version's format.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        let journal = path.join("journal");
        fs::metadata(&journal).map_err(|error| OpenError::io("find a queue's journal in", &journal, error))?;
        Self::hold(path, clock)
    }

    /// Takes hold of the queue in `path`, and makes an empty one where there is none.
    ///
    /// # Errors
    /// [`OpenError`], as [`Stopped::open`].
    pub fn open_or_create(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        RealDisk.create_dir_all(path).map_err(|error| OpenError::io("create", path, error))?;
        Self::hold(path, clock)
    }

    fn hold(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let lock = Arc::new(Lock::take(path).map_err(|error| OpenError::lock(path, error))?);
        let segments = open_segments(&disk, path)?;
        Ok(Self { dir: path.to_owned(), disk, boot_id: present_boot(&clock), clock, segments, lock })
    }

    /// Moves the index aside and makes it anew from the whole journal.
    ///
    /// # Errors
    /// [`OfflineError`]; the next start or rebuild makes it good.
    pub fn rebuild(&self, mut watch: impl FnMut(Progress)) -> Result<Rebuilt, OfflineError> {
        let index = recovery::fresh_index(&self.dir)?;
        let totals = Mutex::new(Totals::default());
        let mut progress = Progress { of_bytes: self.journal_bytes()?, ..Progress::default() };
        let report = recovery::replay(&self.segments, &index, &totals, Position::START, &mut |step| {
            progress.pass(step);
            watch(progress);
        })
        .map_err(OpenError::from)?;
        let totals = lock(&totals).clone();
        self.witness(&index, &totals)?;
        Ok(Rebuilt {
            records: report.replayed,
            events: totals.counts.events,
            waiting: totals.waiting(),
            damaged_bytes: report.damaged_bytes,
        })
    }

    /// Removes the index that was moved aside, if there is one: it is evidence, and nobody needs it for anything else.
    ///
    /// # Errors
    /// [`OfflineError`].
    pub fn remove_set_aside(&self) -> Result<(), OfflineError> {
        Ok(shrink::remove_folder(&self.dir.join(SET_ASIDE_DIR))?)
    }

    /// Bytes that the journal and the index take. The ballast isn't counted: it gives way when it has to.
    ///
    /// # Errors
    /// [`OfflineError`].
    pub fn bytes(&self) -> Result<u64, OfflineError> {
        let parts = [INDEX_DIR, SET_ASIDE_DIR].map(|part| self.dir.join(part));
        let index: io::Result<u64> = parts.iter().filter(|part| part.exists()).map(|part| bytes_below(part)).sum();
        Ok(self.journal_bytes()? + index?)
    }

    fn journal_bytes(&self) -> Result<u64, OfflineError> {
        Ok(self.segments.bytes()?)
    }

    /// Writes the checkpoint of a queue that is closed in good order.
    fn witness(&self, index: &Index, totals: &Totals) -> Result<(), OfflineError> {
        index.persist()?;
        let applied: Option<Position> = index.get(Table::Meta, meta::APPLIED)?;
        let Some(applied) = applied else { return Ok(()) };
        let closed = Some((totals.counts, totals.waiting()));
        Checkpoint { applied, boot_id: self.boot_id.clone(), closed }.write(&*self.disk, &self.dir)?;
        Ok(())
    }
}

fn bytes_below(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// Why something couldn't be done with a stopped queue.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// It couldn't be recovered.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its files can't be read or written.
    #[error("the queue's files can't be used: {0}")]
    Disk(#[from] io::Error),
    /// The folder for copies can't be used.
    #[error("the scratch folder {} can't be used (the variable TMPDIR names another place): {reason}", path.display())]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Its index can't be used.
    #[error("the queue's index can't be used ({0}): `atoms-relay store rebuild` makes it anew")]
    Index(String),
}

impl From<IndexError> for OfflineError {
    fn from(error: IndexError) -> Self {
        Self::Index(error.to_string())
    }
}

impl From<ReadError> for OfflineError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Journal(error) => Self::Disk(error),
            ReadError::Index(error) => error.into(),
        }
    }
}
