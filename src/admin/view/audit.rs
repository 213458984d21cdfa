//! What the audit trail says of a change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// A change that somebody made, or a body that somebody looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditView {
    /// When.
    pub at: Timestamp,
    /// Who they said they are.
    pub who: Option<String>,
    /// The way they came: an address, or the user of a Unix socket, and whether they had the token.
    pub via: String,
    /// What they did, by the name of the operation.
    pub what: String,
    /// To what: a destination, a delivery or an event.
    pub target: Option<String>,
    /// The start of what they sent with it.
    pub detail: Option<String>,
    /// What came of it.
    pub result: String,
}
