//! What is found wrong at a moment.

use std::collections::{BTreeMap, BTreeSet};

use super::Trouble;
use crate::model::Timestamp;

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Since when.
    pub since: Timestamp,
    /// How much there is of it: deliveries, requests, free bytes. What it counts depends on the trouble.
    pub amount: u64,
    /// What is known besides, in words; may be empty. Never of an event.
    pub detail: String,
}

/// All that is wrong at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What is wrong.
    pub found: BTreeMap<Trouble, Finding>,
    /// What nobody can say now: whether it still is as it was.
    pub unknown: BTreeSet<Trouble>,
}

impl Findings {
    pub(super) fn add(&mut self, trouble: Trouble, since: Timestamp, amount: u64, detail: impl Into<String>) {
        self.found.insert(trouble, Finding { since, amount, detail: detail.into() });
    }
}
