//! The audit trail: every change that a person made to a running relay, in the order in which they were made.
//!
//! A file of lines, each a JSON object with the entry and, under `prev`, the SHA-256 of the line before it. Lines are only
//! ever added, and each is on disk before [`Trail::append`] is done. Who changes, inserts or removes a line breaks the chain
//! from there on, which [`verify()`] shows; lines that are cut off at the end are missed only by who has noted the hash of
//! the last one elsewhere. What a crash left of a line that was being written is cut off by the next start.
//!
//! What counts as a change is decided in `admin`. Entries are neither purged nor rotated here: a busy year is some megabytes.

mod backwards;
mod trail;
mod verify;

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::{
    trail::{Listed, Trail, TrailError},
    verify::{Flaw, Verification, verify},
};
use crate::model::Timestamp;

/// The file's name, in the folder of the queue.
pub const FILE: &str = "audit.jsonl";

/// What stands in the place of a hash before the first line.
const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was done.
    pub at: Timestamp,
    /// Who they say they are.
    pub who: Option<String>,
    /// The way they came, which the relay saw itself.
    pub via: String,
    /// What they wanted, in a word.
    pub what: String,
    /// To what.
    pub target: Option<String>,
    /// In which way, as they asked for it.
    pub detail: Option<String>,
    /// What came of it.
    pub result: String,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    prev: String,
    entry: Entry,
}

/// The hash by which the next line refers to this one; without its line break.
fn hash_of(line: &[u8]) -> String {
    let mut hash = String::with_capacity(START.len());
    for byte in Sha256::digest(line) {
        // Writing to a String can't fail.
        let _infallible = write!(hash, "{byte:02x}");
    }
    hash
}
