//! What `GET stream` tells: beside events ([`EventView`](super::EventView)) and destinations
//! ([`DestinationView`](super::DestinationView)) what becomes of deliveries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AttemptView, DeliveryStateName, OutcomeView};
use crate::{
    model::{Attempt, DeadReason, DeliveryId, EventId, Name, Timestamp},
    telemetry::{About, End},
};

/// `attempt`: a try that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptNewsView {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The event.
    pub event: EventId,
    /// The destination.
    pub destination: Name,
    /// Who sent the event.
    pub source: Name,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// Its agent.
    pub agent: Option<String>,
    /// Its call.
    pub call: Option<String>,
    /// The try. What the destination answered isn't told here, but in `GET events/{id}`.
    pub attempt: AttemptView,
}

/// `settled`: a delivery that waits no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettledView {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The event.
    pub event: EventId,
    /// The destination.
    pub destination: Name,
    /// Who sent the event.
    pub source: Name,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// Its agent.
    pub agent: Option<String>,
    /// Its call.
    pub call: Option<String>,
    /// Where it stands now.
    pub state: DeliveryStateName,
    /// Why it is dead.
    pub reason: Option<DeadReason>,
    /// Since when.
    pub at: Timestamp,
}

/// `lagged`: the listener was too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaggedView {
    /// How much it missed, whatever it listens to.
    pub missed: u64,
}

impl AttemptNewsView {
    pub(in super::super) fn new(delivery: DeliveryId, about: &About, attempt: Attempt) -> Self {
        let (event_type, agent, call) = said(about);
        let mut attempt = AttemptView::from(attempt);
        if let OutcomeView::Answered { excerpt, .. } = &mut attempt.outcome {
            excerpt.clear();
        }
        let (event, destination, source) = (delivery.event, delivery.destination.clone(), about.source.clone());
        Self { delivery, event, destination, source, event_type, agent, call, attempt }
    }
}

impl SettledView {
    pub(in super::super) fn new(delivery: DeliveryId, about: &About, at: Timestamp, end: End) -> Self {
        let (event_type, agent, call) = said(about);
        let (state, reason) = match end {
            End::Delivered => (DeliveryStateName::Delivered, None),
            End::Dead(reason) => (DeliveryStateName::Dead, Some(reason)),
            End::Expired => (DeliveryStateName::Expired, None),
        };
        let (event, destination, source) = (delivery.event, delivery.destination.clone(), about.source.clone());
        Self { delivery, event, destination, source, event_type, agent, call, state, reason, at }
    }
}

/// Type, agent and call.
fn said(about: &About) -> (Option<String>, Option<String>, Option<String>) {
    let Some(envelope) = about.reading.envelope() else { return (None, None, None) };
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
    (Some(envelope.event_type.to_string()), text(&envelope.agent), text(&envelope.call))
}
