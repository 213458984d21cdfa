//! May this destination be tried now, and how fast?

use crate::model::Timestamp;

/// How a destination is doing, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Deliveries flow.
    Flowing,
    /// It failed too often in a row; nothing but a probe is sent, at this time.
    Tripped {
        /// When it began to fail.
        since: Timestamp,
        /// When the next probe is due.
        probe_at: Timestamp,
        /// What the last attempt met.
        reason: String,
    },
    /// It asked us to wait (`Retry-After`).
    Throttled {
        /// Until when.
        until: Timestamp,
    },
    /// It is wrong (credentials, address): nothing is sent before a person has looked at it.
    Stopped {
        /// Since when.
        since: Timestamp,
        /// What the last attempt met, and what to do.
        reason: String,
    },
    /// People paused it.
    Paused {
        /// Since when.
        since: Timestamp,
        /// In their words.
        reason: String,
    },
}
