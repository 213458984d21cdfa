//! What can be wrong with a queue, in words for the people who then have to do something. Pure.

use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be, or made good by the next start: nobody has to do anything.
    Note,
    /// Something is damaged.
    Damage,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A segment's header is damaged, although records follow.
    HeaderDamaged {
        /// The segment's number.
        segment: u64,
    },
    /// Bytes between two records are no record.
    RecordsDamaged {
        /// The segment's number.
        segment: u64,
        /// Where in its file.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// Bytes behind the last record are no record.
    Unfinished {
        /// The segment's number.
        segment: u64,
        /// Where in its file.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// Segments are missing although older ones are there.
    SegmentsMissing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// There is no checkpoint.
    NoCheckpoint,
    /// The checkpoint can't be read.
    CheckpointDamaged,
    /// There is no index.
    NoIndex,
    /// The machine went down with the queue open, so the index isn't believed.
    IndexUnwitnessed,
    /// Another version made the index, and laid it out in another way.
    IndexOfOtherVersion,
    /// The index isn't believed; the text says why.
    IndexUnusable(String),
    /// The index is usable, but knew these many of the journal's records not yet.
    IndexBehind {
        /// How many.
        records: u64,
    },
    /// Index and journal, or two parts of the index, say different things.
    IndexWrong {
        /// In which way.
        what: Discrepancy,
        /// How often.
        count: u64,
        /// Some of the events or names that it is about.
        examples: Vec<String>,
    },
}

/// In which way an index is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Discrepancy {
    /// It knows an event that the journal can't give any more.
    LostEvent,
    /// It knows another state of an event than the journal.
    OtherState,
    /// It doesn't know an event with waiting deliveries.
    UnknownEvent,
    /// A delivery or an event isn't in the lists by which it is found.
    Unlisted,
    /// A list names what isn't so.
    Stray,
    /// A number isn't what was counted.
    WrongNumber,
}

impl Finding {
    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::Unfinished { .. }
            | Self::NoCheckpoint
            | Self::NoIndex
            | Self::IndexUnwitnessed
            | Self::IndexOfOtherVersion
            | Self::IndexBehind { .. } => Severity::Note,
            Self::HeaderDamaged { .. }
            | Self::RecordsDamaged { .. }
            | Self::SegmentsMissing { .. }
            | Self::CheckpointDamaged
            | Self::IndexUnusable(_)
            | Self::IndexWrong { .. } => Severity::Damage,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::HeaderDamaged { .. } => "its records vouch for themselves and are all used; check the disk",
            Self::RecordsDamaged { .. } => {
                "what stood there is lost, and skipped; all else works. Don't run `store rebuild`: the index may know \
                 what the journal has lost. Check the disk; `store export` saves what is left"
            }
            Self::Unfinished { .. } => "usual after a crash: nothing of it was acknowledged",
            Self::SegmentsMissing { .. } => "their events are lost unless a backup has these files: put them back",
            Self::NoCheckpoint
            | Self::NoIndex
            | Self::IndexUnwitnessed
            | Self::IndexOfOtherVersion
            | Self::CheckpointDamaged => {
                "the next start makes the index anew from the journal; `store rebuild` does so now"
            }
            Self::IndexUnusable(_) => {
                "the next start makes it anew from the journal, and nothing is lost; `store rebuild` does so now. \
                 Check the disk if nobody touched the files"
            }
            Self::IndexBehind { .. } => "usual after a crash: the next start catches up",
            Self::IndexWrong { what: Discrepancy::LostEvent, .. } => {
                "no command brings them back; `store import` takes them from an earlier export"
            }
            Self::IndexWrong { what: Discrepancy::OtherState, .. } => {
                "if the journal is damaged, the index is right: leave it. Otherwise run `store rebuild`"
            }
            Self::IndexWrong { .. } => "run `store rebuild`: it makes the index anew from the journal",
        }
    }

    /// The segment that it is about, and the place and number of bytes in it.
    #[must_use]
    pub fn place(&self) -> (Option<u64>, Option<u64>, Option<u64>) {
        match self {
            Self::HeaderDamaged { segment } => (Some(*segment), None, None),
            Self::RecordsDamaged { segment, offset, bytes } | Self::Unfinished { segment, offset, bytes } => {
                (Some(*segment), Some(*offset), Some(*bytes))
            }
            _ => (None, None, None),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderDamaged { segment } => write!(f, "the header of journal segment {segment} is damaged"),
            Self::RecordsDamaged { segment, offset, bytes } => {
                write!(f, "journal segment {segment} is damaged: {bytes} bytes from offset {offset} on are no record")
            }
            Self::Unfinished { segment, offset, bytes } => write!(
                f,
                "journal segment {segment} ends with an unfinished write: {bytes} bytes from offset {offset} on"
            ),
            Self::SegmentsMissing { first, last } if first == last => write!(f, "journal segment {first} is missing"),
            Self::SegmentsMissing { first, last } => write!(f, "journal segments {first} to {last} are missing"),
            Self::NoCheckpoint => f.write_str("there is no checkpoint"),
            Self::CheckpointDamaged => f.write_str("the checkpoint is damaged"),
            Self::NoIndex => f.write_str("there is no index"),
            Self::IndexUnwitnessed => {
                f.write_str("the machine went down with the queue open: the index isn't believed")
            }
            Self::IndexOfOtherVersion => f.write_str("the index was made by another version, in another layout"),
            Self::IndexUnusable(why) => write!(f, "the index can't be used: {why}"),
            Self::IndexBehind { records } => write!(f, "the index lacks the last {records} records of the journal"),
            Self::IndexWrong { what, count, examples } => {
                write!(f, "{count} × {what}: {}", examples.join(", "))?;
                f.write_str(if *count > examples.len() as u64 { ", …" } else { "" })
            }
        }
    }
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LostEvent => "an event that the index knows is gone from the journal",
            Self::OtherState => "the index and the journal disagree about an event",
            Self::UnknownEvent => "the index lacks an event that still has to be delivered",
            Self::Unlisted => "the index has an event that its lists lack",
            Self::Stray => "a list of the index names what isn't so",
            Self::WrongNumber => "a number of the index isn't what it counts",
        })
    }
}
