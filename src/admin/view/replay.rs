//! What it takes to send the past again, and what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ChangedView;
use crate::{
    model::{DeliveryId, EventId, Name, Timestamp},
    store::EventState,
};

/// What `POST replays` takes: `deliveries`, or `all` dead letters (perhaps of one `destination`), or the events of a `filter`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// These.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<DeliveryId>,
    /// All dead letters that there are now.
    #[serde(default)]
    pub all: bool,
    /// Only dead letters of this destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Name>,
    /// What these events have is sent again, but for what is still on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<EventSelection>,
    /// Only to these destinations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Name>,
    /// Instead of sending anything again, make the deliveries that today's routes would make and that aren't there.
    #[serde(default)]
    pub reroute: bool,
    /// Stop after about so many events of the filter; `next` of the answer says where to go on. Absent: all in one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Go on there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<EventId>,
    /// Say what would happen and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Which events; what is absent matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventSelection {
    /// Of this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Of this type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Of this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// From this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Name>,
    /// Deliveries in this state; with `reroute` events in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<EventState>,
    /// Not received before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Received before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// These events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event: Vec<EventId>,
    /// Only to this destination: the same as `destinations` beside the filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Name>,
}

/// What `POST replays` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayedView {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// How many deliveries are due now, or would be.
    pub deliveries: u64,
    /// How many ids named nothing.
    pub skipped: u64,
    /// Events that the filter chose.
    pub chosen: u64,
    /// Of these, events that had something to be sent.
    pub events: u64,
    /// Of the deliveries, those that weren't there before.
    pub created: u64,
    /// Where to go on, when `limit` was reached.
    pub next: Option<EventId>,
}

impl From<ChangedView> for ReplayedView {
    fn from(done: ChangedView) -> Self {
        let ChangedView { dry_run, deliveries, skipped } = done;
        Self { dry_run, deliveries, skipped, ..Self::default() }
    }
}
