//! Looking a stopped queue over: every byte of it is read, none is changed.
//!
//! sled changes what it opens, so the index is looked at in a copy, in a scratch folder that the caller provides. It is
//! brought up to date there like a start would, and compared with one made from nothing but the journal.

use std::{collections::BTreeMap, fs, io, path::Path, sync::Mutex};

use super::{
    Finding, OfflineError, Progress, Stopped,
    audit::{Contents, audit, contents},
};
use crate::store::embedded::{
    OpenError,
    checkpoint::{self, Checkpoint, Doubt},
    index::{Index, IndexError},
    journal::{Position, Record, Step},
    recovery::{INDEX_DIR, Unusable, replay, usable_index, without_panic},
    totals::Totals,
};

/// The folder of the index that is made from the journal, in the scratch folder.
const TRUTH_DIR: &str = "from-the-journal";

/// What is in a queue, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The journal's segments, oldest first.
    pub segments: Vec<SegmentContents>,
    /// What the queue holds: by the index, or by the journal where the index can't be used.
    pub contents: Contents,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// What is in a segment of the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SegmentContents {
    /// Its number.
    pub number: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// Records of events.
    pub kept: u64,
    /// Records of what became of deliveries.
    pub moved: u64,
    /// Records of events that are gone.
    pub remembered: u64,
    /// Records of pauses.
    pub paused: u64,
    /// Records of bodies that were made for deliveries.
    pub rendered: u64,
    /// Records of events that were rerouted.
    pub routed: u64,
    /// Bytes between records that are none.
    pub damaged_bytes: u64,
}

impl SegmentContents {
    fn records(&self) -> u64 {
        self.kept + self.moved + self.remembered + self.paused + self.rendered + self.routed
    }

    fn count(&mut self, record: &Record) {
        match record {
            Record::Kept(..) => self.kept += 1,
            Record::Moved(_) => self.moved += 1,
            Record::Remembered(_) => self.remembered += 1,
            Record::Paused(..) => self.paused += 1,
            Record::Rendered(..) => self.rendered += 1,
            Record::Routed(_) => self.routed += 1,
        }
    }
}

impl Stopped {
    /// Reads everything and changes nothing. `scratch` is an empty folder elsewhere, with room for two indexes.
    ///
    /// # Errors
    /// [`OfflineError`]: something couldn't be looked at. What is damaged is no error but a finding.
    pub fn verify(&self, scratch: &Path, watch: impl FnMut(Progress)) -> Result<Verification, OfflineError> {
        let unusable = |reason| OfflineError::Scratch { path: scratch.to_owned(), reason };
        let truth = Index::open(&scratch.join(TRUTH_DIR)).map_err(|error| unusable(error.to_string()))?;
        let mut inventory = self.take_inventory(&truth, watch).map_err(|error| match error {
            OfflineError::Open(OpenError::Index(reason)) => unusable(reason),
            error => error,
        })?;
        self.look_at_headers(&mut inventory)?;
        let checkpoint = self.look_at_checkpoint(&mut inventory.findings)?;
        let looked_at = self.look_at_index(scratch, checkpoint.as_ref(), &truth)?;
        let contents = match looked_at {
            Look::Usable(contents, findings) => {
                inventory.findings.extend(findings);
                contents
            }
            Look::Unusable(finding) => {
                let is_empty = inventory.segments.values().all(|segment| segment.records() == 0);
                inventory.findings.extend(finding.filter(|_| !is_empty));
                contents(&truth)?
            }
        };
        let segments = inventory.segments.into_values().collect();
        Ok(Verification { segments, contents, findings: inventory.findings })
    }

    /// Walks through the whole journal, and makes an index from it on the way.
    fn take_inventory(&self, truth: &Index, mut watch: impl FnMut(Progress)) -> Result<Inventory, OfflineError> {
        let mut inventory = Inventory::default();
        let mut progress = Progress { of_bytes: self.journal_bytes()?, ..Progress::default() };
        replay(&self.segments, truth, &Mutex::new(Totals::default()), Position::START, &mut |step| {
            inventory.enter(step);
            progress.pass(step);
            watch(progress);
        })
        .map_err(OpenError::from)?;
        for end in std::mem::take(&mut inventory.ends) {
            let bytes = self.segments.unfinished(end)?;
            if bytes > 0 {
                let Position { segment, offset } = end;
                inventory.findings.push(Finding::Unfinished { segment, offset, bytes });
            }
        }
        Ok(inventory)
    }

    fn look_at_headers(&self, inventory: &mut Inventory) -> io::Result<()> {
        let mut expected = None;
        for contents in inventory.segments.values_mut() {
            let segment = contents.number;
            contents.bytes = self.segments.size(segment)?;
            // One that was never finished has no records, and is of no use to anybody.
            if contents.records() > 0 && self.segments.has_damaged_header(segment)? {
                inventory.findings.push(Finding::HeaderDamaged { segment });
            }
            if let Some(first) = expected.filter(|expected| *expected < segment) {
                inventory.findings.push(Finding::SegmentsMissing { first, last: segment - 1 });
            }
            expected = Some(segment + 1);
        }
        Ok(())
    }

    fn look_at_checkpoint(&self, findings: &mut Vec<Finding>) -> Result<Option<Checkpoint>, OfflineError> {
        let checkpoint = Checkpoint::read(&*self.disk, &self.dir)?;
        if checkpoint.is_none() {
            let is_there = self.dir.join(checkpoint::FILE).exists();
            findings.push(if is_there { Finding::CheckpointDamaged } else { Finding::NoCheckpoint });
        }
        Ok(checkpoint)
    }

    fn look_at_index(
        &self,
        scratch: &Path,
        checkpoint: Option<&Checkpoint>,
        truth: &Index,
    ) -> Result<Look, OfflineError> {
        let copied = copy_folder(&self.dir.join(INDEX_DIR), &scratch.join(INDEX_DIR));
        match copied {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Unusable(Some(Finding::NoIndex))),
            Err(error) => return Err(OfflineError::Scratch { path: scratch.to_owned(), reason: error.to_string() }),
            Ok(()) => {}
        }
        let (index, applied) = match usable_index(scratch, &self.segments, checkpoint, &self.boot_id) {
            Ok(usable) => usable,
            Err(reason) => return Ok(Look::Unusable(finding_of(&reason))),
        };
        let looked_at = without_panic(|| self.compare(&index, applied, truth));
        Ok(looked_at.unwrap_or_else(|error| Look::Unusable(Some(Finding::IndexUnusable(error.to_string())))))
    }

    fn compare(&self, index: &Index, applied: Position, truth: &Index) -> Result<Look, CompareError> {
        let totals = Mutex::new(Totals::load(index)?);
        let caught_up = replay(&self.segments, index, &totals, applied, &mut |_| {}).map_err(OpenError::from)?;
        let records = caught_up.replayed;
        let behind = (records > 0).then_some(Finding::IndexBehind { records });
        let wrong = audit(index, truth)?;
        Ok(Look::Usable(contents(index)?, behind.into_iter().chain(wrong).collect()))
    }
}

/// What a look at the index showed.
enum Look {
    /// What it holds, and what is wrong with it.
    Usable(Contents, Vec<Finding>),
    /// Why there is nothing to see, unless that was found before.
    Unusable(Option<Finding>),
}

#[derive(Debug, thiserror::Error)]
enum CompareError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Open(#[from] OpenError),
}

fn finding_of(reason: &Unusable) -> Option<Finding> {
    match reason {
        Unusable::Doubted(Doubt::NoCheckpoint) => None,
        Unusable::Doubted(Doubt::Absent) => Some(Finding::IndexUnusable("it has lost all that it knew".to_owned())),
        Unusable::Doubted(Doubt::MachineWentDown) => Some(Finding::IndexUnwitnessed),
        Unusable::Doubted(Doubt::OtherFormat) => Some(Finding::IndexOfOtherVersion),
        Unusable::Doubted(_) | Unusable::Unreadable(_) => Some(Finding::IndexUnusable(reason.to_string())),
    }
}

#[derive(Default)]
struct Inventory {
    segments: BTreeMap<u64, SegmentContents>,
    findings: Vec<Finding>,
    /// Where the records of each segment end.
    ends: Vec<Position>,
}

impl Inventory {
    fn enter(&mut self, step: &Step) {
        match step {
            Step::Record { position, record, .. } => self.segment(position.segment).count(record),
            Step::Damage { from: Position { segment, offset }, bytes } => {
                self.segment(*segment).damaged_bytes += bytes;
                self.findings.push(Finding::RecordsDamaged { segment: *segment, offset: *offset, bytes: *bytes });
            }
            Step::End { at } => {
                self.segment(at.segment);
                self.ends.push(*at);
            }
        }
    }

    fn segment(&mut self, number: u64) -> &mut SegmentContents {
        self.segments.entry(number).or_insert(SegmentContents { number, ..SegmentContents::default() })
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    let entries = fs::read_dir(from)?;
    fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
