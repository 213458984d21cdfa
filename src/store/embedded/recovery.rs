//! From what is on disk to a store that works: which parts are believed, which are made anew.
//!
//! The journal is the truth. The index is used as it is when its witness agrees, and brought up to date from the journal;
//! otherwise it is moved aside and made anew from the whole journal. Damage in the journal is skipped up to the next valid
//! record and reported.

use std::{
    fs, io,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::Mutex,
};

use super::{
    OpenError,
    checkpoint::{Checkpoint, Claimed, Doubt, trust},
    disk::Disk,
    draft::Draft,
    index::{INDEX_FORMAT, Index, IndexError, Table, meta, remove_copies},
    journal::{Extent, Position, Segments, Step},
    totals::Totals,
};

/// The index's folder in the queue's.
pub(super) const INDEX_DIR: &str = "index";
/// The folder of an index that wasn't believed.
pub(super) const SET_ASIDE_DIR: &str = "index.set-aside";
/// Records applied to the index at a time while the journal is replayed: about what is written to sled at a time.
const REPLAY_BATCH: usize = 256;

/// What recovery made of the disk.
pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) totals: Totals,
    pub(super) report: Report,
}

/// What people may want to know about a start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Why the index was made anew; `None` when it was used as it was.
    pub rebuilt: Option<String>,
    /// Journal records that the index hadn't known.
    pub replayed: u64,
    /// Places of the journal that hold no valid record although valid ones follow.
    pub damaged_places: u64,
    /// The bytes of these places.
    pub damaged_bytes: u64,
}

impl Report {
    fn note(&mut self, step: &Step) {
        match step {
            Step::Record { .. } => self.replayed += 1,
            Step::Damage { from, bytes } => {
                self.damaged_places += 1;
                self.damaged_bytes += bytes;
                tracing::error!(
                    "journal segment {} is damaged: {bytes} bytes from offset {} on hold no valid record; skipped",
                    from.segment,
                    from.offset
                );
            }
            Step::End { .. } => {}
        }
    }
}

/// Opens the index below `dir` and brings it up to date with the journal.
pub(super) fn recover(disk: &dyn Disk, dir: &Path, segments: &Segments, boot_id: &str) -> Result<Recovered, OpenError> {
    remove_copies(&dir.join(INDEX_DIR)).map_err(|error| OpenError::io("remove a copy of the index in", dir, error))?;
    let checkpoint =
        Checkpoint::read(disk, dir).map_err(|error| OpenError::io("read the checkpoint in", dir, error))?;
    if let Some(Checkpoint { applied, closed: Some(_), .. }) = &checkpoint {
        segments.note_end(*applied);
    }
    let doubt = match usable_index(dir, segments, checkpoint.as_ref(), boot_id) {
        Ok((index, applied)) => match without_panic(|| caught_up(segments, index, applied)) {
            Err(ReplayError::Index(error)) if error.is_damage() => error.to_string(),
            recovered => return Ok(recovered?),
        },
        Err(reason) => reason.to_string(),
    };
    let mut recovered = caught_up(segments, fresh_index(dir)?, Position::START)?;
    let is_news = checkpoint.is_some() || recovered.report.replayed > 0;
    recovered.report.rebuilt = is_news.then_some(doubt);
    Ok(recovered)
}

/// Why the index on disk can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// Its witness says so.
    #[error(transparent)]
    Doubted(#[from] Doubt),
    /// sled can't read it.
    #[error(transparent)]
    Unreadable(#[from] IndexError),
}

/// The index on disk and the position from which the journal has to be replayed; or why it can't be used.
pub(super) fn usable_index(
    dir: &Path,
    segments: &Segments,
    checkpoint: Option<&Checkpoint>,
    boot_id: &str,
) -> Result<(Index, Position), Unusable> {
    let path = dir.join(INDEX_DIR);
    if !path.exists() {
        return Err(Doubt::Absent.into());
    }
    let index = open_guarded(&path)?;
    if without_panic(|| index.format())?.is_some_and(|format| format != INDEX_FORMAT) {
        return Err(Doubt::OtherFormat.into());
    }
    let claimed = without_panic(|| claimed(&index))?;
    let holds = |position: Position| segments.holds(position).unwrap_or(false);
    let applied = trust(claimed.as_ref(), checkpoint, boot_id, holds)?;
    Ok((index, applied))
}

fn claimed(index: &Index) -> Result<Option<Claimed>, IndexError> {
    let Some(applied) = index.get(Table::Meta, meta::APPLIED)? else { return Ok(None) };
    let totals = Totals::load(index)?;
    Ok(Some(Claimed { applied, numbers: (totals.counts, totals.waiting()) }))
}

/// Opens the index. A crash during an earlier open may have left a snapshot that makes every open fail (sled issue 1527);
/// snapshots only save time, so the second try goes without.
fn open_guarded(path: &Path) -> Result<Index, IndexError> {
    without_panic(|| Index::open(path)).or_else(|_| {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("snap.") {
                drop(fs::remove_file(entry.path()));
            }
        }
        without_panic(|| Index::open(path))
    })
}

/// Runs what sled may answer with a panic.
pub(super) fn without_panic<T, E: From<IndexError>>(act: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| Err(IndexError::Panicked.into()))
}

/// An empty index; what was there is kept beside it until the next time, as evidence.
pub(super) fn fresh_index(dir: &Path) -> Result<Index, OpenError> {
    let (path, aside) = (dir.join(INDEX_DIR), dir.join(SET_ASIDE_DIR));
    if path.exists() {
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(|error| OpenError::io("remove", &aside, error))?;
        }
        fs::rename(&path, &aside).map_err(|error| OpenError::io("move aside", &path, error))?;
    }
    let index = Index::open(&path)?;
    Draft::new(&index, &Mutex::default()).apply(Position::START)?;
    index.set_format()?;
    Ok(index)
}

/// Has an index take in what the journal says from `start` on.
fn caught_up(segments: &Segments, index: Index, start: Position) -> Result<Recovered, ReplayError> {
    let totals = Mutex::new(Totals::load(&index)?);
    let report = replay(segments, &index, &totals, start, &mut |_| {})?;
    let totals = totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(Recovered { index, totals, report })
}

/// Takes in what the journal says from `start` on; `watch` sees each step.
pub(super) fn replay(
    segments: &Segments,
    index: &Index,
    totals: &Mutex<Totals>,
    start: Position,
    watch: &mut dyn FnMut(&Step),
) -> Result<Report, ReplayError> {
    let mut report = Report::default();
    for segment in segments.numbers().into_iter().filter(|number| *number >= start.segment) {
        let from = if segment == start.segment { start } else { Position { segment, offset: 0 } };
        let mut note = |step: &Step| {
            report.note(step);
            watch(step);
        };
        replay_segment(segments, index, totals, from, &mut note)?;
    }
    Ok(report)
}

fn replay_segment(
    segments: &Segments,
    index: &Index,
    totals: &Mutex<Totals>,
    from: Position,
    note: &mut dyn FnMut(&Step),
) -> Result<(), ReplayError> {
    let unreadable = |error| ReplayError::Journal(from.segment, error);
    let Some(mut walk) = segments.walk(from).map_err(unreadable)? else { return Ok(()) };
    loop {
        let mut draft = Draft::new(index, totals);
        for _ in 0..REPLAY_BATCH {
            let step = walk.step().map_err(unreadable)?;
            note(&step);
            match step {
                Step::Record { position, size, record } => draft.record(Extent { position, size }, &record)?,
                Step::Damage { .. } => {}
                Step::End { at } => {
                    segments.note_end(at);
                    draft.apply(at)?;
                    return Ok(());
                }
            }
        }
        draft.apply(walk.at())?;
    }
}

/// Why the journal couldn't be taken in.
pub(super) enum ReplayError {
    /// A segment can't be read.
    Journal(u64, io::Error),
    /// The index didn't take it.
    Index(IndexError),
}

impl From<IndexError> for ReplayError {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

impl From<ReplayError> for OpenError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Journal(segment, error) => Self::segment(segment, error),
            ReplayError::Index(error) => error.into(),
        }
    }
}
