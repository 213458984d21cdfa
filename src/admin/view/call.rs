//! Calls, as the API shows them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EventView;
use crate::{
    model::{EventId, Timestamp},
    store::EventState,
};

/// A call in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallSummaryView {
    /// Its id.
    pub call: String,
    /// Its agent, as far as an event says.
    pub agent: Option<String>,
    /// When its first event came in, of those that are kept.
    pub first_received_at: Timestamp,
    /// When its last event came in.
    pub last_received_at: Timestamp,
    /// Its events, oldest first.
    pub events: Vec<CallEventView>,
}

/// An event in the list of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallEventView {
    /// Its id.
    pub id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// Where it stands.
    pub state: EventState,
}

impl From<EventView> for CallEventView {
    fn from(event: EventView) -> Self {
        Self { id: event.id, event_type: event.event_type, state: event.state }
    }
}

/// `GET calls/{call}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallView {
    /// Its id.
    pub call: String,
    /// Its agent, as far as an event says.
    pub agent: Option<String>,
    /// Whether every event is there that an answered call has.
    pub complete: bool,
    /// The types of those that aren't.
    pub missing: Vec<String>,
    /// Its events, oldest first, with their deliveries and what each attempt met.
    pub events: Vec<EventView>,
}
