//! The last hour, by the minute.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Name, Timestamp};

/// `GET history`: the last hour, as far as the relay has been running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryView {
    /// The minutes, oldest first and without gaps; the last one is not over.
    pub minutes: Vec<MinuteView>,
    /// The same for each destination.
    pub destinations: Vec<DestinationHistoryView>,
}

/// What happened within a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MinuteView {
    /// When it began.
    pub at: Timestamp,
    /// Events that came in.
    pub accepted: u64,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Deliveries that waited at its end.
    pub waiting: u64,
}

/// The last hour of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationHistoryView {
    /// Its name.
    pub name: Name,
    /// Its minutes, oldest first.
    pub minutes: Vec<DestinationMinuteView>,
}

/// What happened at a destination within a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationMinuteView {
    /// When it began.
    pub at: Timestamp,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Deliveries that waited at its end.
    pub waiting: u64,
}
