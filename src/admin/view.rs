//! What the admin API says, and what it takes: the one place that fixes its field names.
//!
//! Times are RFC 3339 in UTC, ids are text, names are `snake_case`. Fields may be added, none is renamed or removed
//! within `/api/v1`. The command line reads its answers with these types too.

mod audit;
mod call;
mod config;
mod history;
mod news;
mod replay;

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    audit::AuditView,
    call::{CallEventView, CallSummaryView, CallView},
    config::{ConfigStatusView, ConfigView, LastReloadView, ReloadView, SourceChangesView},
    history::{DestinationHistoryView, DestinationMinuteView, HistoryView, MinuteView},
    news::{AttemptNewsView, LaggedView, SettledView},
    replay::{EventSelection, ReplayRequest, ReplayedView},
};
use crate::{
    breaker::Condition,
    model::{
        Attempt, Class, DeadReason, Delivery, DeliveryId, DeliveryState, EventId, FailureKind, Name, Outcome, Reading,
        Timestamp,
    },
    store::{DeadLetter, DestinationStats, EventState, EventSummary, Listing, StoredEvent},
};

/// `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadinessView {
    /// Whether every check is all right.
    pub ready: bool,
    /// Each thing that has to hold.
    pub checks: Vec<CheckView>,
}

/// One thing that has to hold for the relay to take events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckView {
    /// What is checked: `store` or `running`.
    pub check: String,
    /// Whether it holds.
    pub ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// The relay's version.
    pub version: String,
    /// The relay's clock.
    pub now: Timestamp,
    /// When it started.
    pub started_at: Timestamp,
    /// Whether it takes events.
    pub readiness: ReadinessView,
    /// The config that it works by.
    pub config: ConfigStatusView,
    /// What is kept.
    pub queue: QueueView,
    /// Events that were stored, since the relay started.
    pub accepted_total: u64,
    /// Attempts that are over, since then.
    pub attempts_total: u64,
    /// Of these, attempts that delivered.
    pub delivered_total: u64,
    /// The others.
    pub failed_total: u64,
    /// Where deliveries go.
    pub destinations: Vec<DestinationView>,
}

/// What is kept, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueView {
    /// Events.
    pub events: u64,
    /// Events that no route wanted.
    pub unrouted: u64,
    /// Events that couldn't be read.
    pub quarantined: u64,
    /// Deliveries that wait, over all destinations.
    pub waiting: u64,
    /// Dead letters, over all destinations.
    pub dead: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes that are free on that disk, where that is known.
    pub disk_free_bytes: Option<u64>,
    /// Places on disk that a start found damaged; each was skipped.
    pub damaged_places: u64,
    /// Bytes of these places.
    pub damaged_bytes: u64,
    /// Events that are known and couldn't be read when they were asked for.
    pub damaged_events: u64,
    /// Seconds until the disk is too full to accept events, at the rate of the last hour; null while nothing grows.
    pub disk_full_in_seconds: Option<u64>,
}

/// What went wrong (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemView {
    /// Always `about:blank`: the status says which kind of problem it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, and what to do.
    pub detail: String,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct PageView<T> {
    /// The items. There may be none although there is a next page.
    pub items: Vec<T>,
    /// The `cursor` of the next page; `null` on the last.
    pub next: Option<String>,
}

impl<T> PageView<T> {
    pub(super) fn new<S: Into<T>, C: fmt::Display>(listing: Listing<S, C>) -> Self {
        let items = listing.items.into_iter().map(Into::into).collect();
        Self { items, next: listing.next.map(|next| next.to_string()) }
    }
}

/// How a destination is doing, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConditionName {
    /// Deliveries flow.
    Flowing,
    /// It failed too often in a row; a probe goes out at `until`.
    Tripped,
    /// More waits for it than its rate or a budget lets go; it is well.
    Limited,
    /// It asked us to wait until `until`.
    Throttled,
    /// It is wrong (credentials, address); it waits for a person.
    Stopped,
    /// People paused it.
    Paused,
    /// The config doesn't name it any more, but something is kept for it.
    Unconfigured,
}

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationView {
    /// Its name.
    pub name: Name,
    /// How it is doing.
    pub condition: ConditionName,
    /// Why, unless all is well.
    pub reason: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Until when nothing is tried.
    pub until: Option<Timestamp>,
    /// Deliveries that wait, those in flight included.
    pub waiting: u64,
    /// Attempts under way.
    pub in_flight: u64,
    /// Dead letters.
    pub dead: u64,
    /// Deliveries that were retired for their age, as far as their events are kept.
    pub expired: u64,
    /// When the event was received whose delivery is due first.
    pub oldest: Option<Timestamp>,
    /// Attempts that are over, since the relay started.
    pub attempts_total: u64,
    /// Of these, attempts that delivered.
    pub delivered_total: u64,
    /// The others.
    pub failed_total: u64,
    /// Seconds until nothing waits any more, at the pace of the last two minutes; null while it doesn't become less.
    pub drain_seconds: Option<u64>,
}

impl DestinationView {
    /// A destination under its `condition`, or an unconfigured one; without `stats` it never had a delivery.
    pub(super) fn new(name: Name, condition: Option<Condition>, stats: Option<DestinationStats>) -> Self {
        let (condition, reason, since, until) =
            explained(condition.map(|condition| with_backlog(condition, stats.as_ref())));
        let of = |number: fn(&DestinationStats) -> u64| stats.as_ref().map_or(0, number);
        Self {
            name,
            condition,
            reason,
            since,
            until,
            waiting: of(|stats| stats.waiting),
            in_flight: of(|stats| stats.in_flight),
            dead: of(|stats| stats.dead),
            expired: of(|stats| stats.expired),
            oldest: stats.and_then(|stats| stats.oldest),
            attempts_total: 0,
            delivered_total: 0,
            failed_total: 0,
            drain_seconds: None,
        }
    }
}

impl DestinationView {
    /// With what was counted since the start, and a forecast.
    pub(super) fn with_pace(self, delivered: u64, failed: u64, drain: Option<Duration>) -> Self {
        Self {
            attempts_total: delivered + failed,
            delivered_total: delivered,
            failed_total: failed,
            drain_seconds: drain.map(|left| left.as_secs()).filter(|_| self.waiting > 0),
            ..self
        }
    }
}

/// A destination is limited only while something waits for it: its lane asks for permits before it knows of anything.
fn with_backlog(condition: Condition, stats: Option<&DestinationStats>) -> Condition {
    let waits = stats.is_some_and(|stats| stats.waiting > stats.in_flight);
    match condition {
        Condition::Limited { .. } if !waits => Condition::Flowing,
        other => other,
    }
}

type Explained = (ConditionName, Option<String>, Option<Timestamp>, Option<Timestamp>);

fn explained(condition: Option<Condition>) -> Explained {
    match condition {
        None => (ConditionName::Unconfigured, Some("the config doesn't name it".to_owned()), None, None),
        Some(Condition::Flowing) => (ConditionName::Flowing, None, None, None),
        Some(Condition::Tripped { since, probe_at, reason }) => {
            (ConditionName::Tripped, Some(reason), Some(since), Some(probe_at))
        }
        Some(Condition::Limited { since }) => {
            (ConditionName::Limited, Some("its rate or a budget lets no more go".to_owned()), Some(since), None)
        }
        Some(Condition::Throttled { until }) => {
            (ConditionName::Throttled, Some("it asked us to wait".to_owned()), None, Some(until))
        }
        Some(Condition::Stopped { since, reason }) => (ConditionName::Stopped, Some(reason), Some(since), None),
        Some(Condition::Paused { since, until, reason }) => (ConditionName::Paused, Some(reason), Some(since), until),
    }
}

/// An event. In lists without what only `GET events/{id}` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its id.
    pub id: EventId,
    /// When it came in.
    pub received_at: Timestamp,
    /// Who sent it.
    pub source: Name,
    /// Where it stands.
    pub state: EventState,
    /// Its type; `null` in quarantine.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// Its agent.
    pub agent: Option<String>,
    /// Its call.
    pub call: Option<String>,
    /// The sender's id for it.
    pub source_id: Option<String>,
    /// Why it is in quarantine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine_reason: Option<String>,
    /// The size of its body, in bytes.
    pub body_bytes: u64,
    /// The `Content-Type` that it came with; in `GET events/{id}` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryView>,
}

impl From<EventSummary> for EventView {
    fn from(event: EventSummary) -> Self {
        let state = event.state();
        let envelope = event.reading.envelope();
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        Self {
            id: event.id,
            received_at: event.id.timestamp(),
            source: event.source,
            state,
            event_type: envelope.map(|envelope| envelope.event_type.to_string()),
            agent: envelope.and_then(|envelope| text(&envelope.agent)),
            call: envelope.and_then(|envelope| text(&envelope.call)),
            source_id: envelope.and_then(|envelope| text(&envelope.id)),
            quarantine_reason: match &event.reading {
                Reading::Quarantined(reason) => Some(reason.to_string()),
                Reading::Read(_) => None,
            },
            body_bytes: event.body_len.into(),
            content_type: None,
            deliveries: event.deliveries.into_iter().map(|delivery| DeliveryView::new(event.id, delivery)).collect(),
        }
    }
}

impl From<StoredEvent> for EventView {
    fn from(stored: StoredEvent) -> Self {
        let StoredEvent { event, deliveries } = stored;
        let (deliveries, attempts): (Vec<Delivery>, Vec<Vec<Attempt>>) = deliveries.into_iter().unzip();
        let mut view = Self::from(EventSummary {
            id: event.id,
            source: event.source,
            reading: event.reading,
            body_len: u32::try_from(event.body.len()).unwrap_or(u32::MAX),
            deliveries,
        });
        view.received_at = event.received_at;
        view.content_type = event.headers.content_type.map(|value| String::from_utf8_lossy(&value).into_owned());
        for (delivery, attempts) in view.deliveries.iter_mut().zip(attempts) {
            delivery.attempts = Some(attempts.into_iter().map(AttemptView::from).collect());
        }
        view
    }
}

/// Where a delivery stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStateName {
    /// Not there yet.
    Waiting,
    /// The destination has it.
    Delivered,
    /// Given up.
    Dead,
    /// Given up, and thrown away by a person.
    Discarded,
    /// Retired because it came too late to be of use.
    Expired,
}

impl DeliveryStateName {
    pub(super) const fn of(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Waiting { .. } => Self::Waiting,
            DeliveryState::Delivered { .. } => Self::Delivered,
            DeliveryState::Dead { .. } => Self::Dead,
            DeliveryState::Discarded { .. } => Self::Discarded,
            DeliveryState::Expired { .. } => Self::Expired,
        }
    }
}

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// The event.
    pub event: EventId,
    /// The destination.
    pub destination: Name,
    /// Where it stands.
    pub state: DeliveryStateName,
    /// While it waits: not tried before this.
    pub due: Option<Timestamp>,
    /// When it stopped waiting.
    pub settled_at: Option<Timestamp>,
    /// Why it is dead.
    pub reason: Option<DeadReason>,
    /// How often it was tried.
    pub attempt_count: u32,
    /// How often it was sent again after it had arrived.
    pub round: u32,
    /// What each attempt met, oldest first; in `GET events/{id}` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<AttemptView>>,
}

impl DeliveryView {
    fn new(event: EventId, delivery: Delivery) -> Self {
        let (due, settled_at, reason) = match delivery.state {
            DeliveryState::Waiting { due } => (Some(due), None, None),
            DeliveryState::Dead { at, reason } => (None, Some(at), Some(reason)),
            DeliveryState::Delivered { at } | DeliveryState::Discarded { at } | DeliveryState::Expired { at } => {
                (None, Some(at), None)
            }
        };
        Self {
            id: DeliveryId { event, destination: delivery.destination.clone() },
            event,
            destination: delivery.destination,
            state: DeliveryStateName::of(delivery.state),
            due,
            settled_at,
            reason,
            attempt_count: delivery.attempts,
            round: delivery.round,
            attempts: None,
        }
    }
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// From 1.
    pub number: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Method and address, without anything secret.
    pub request: String,
    /// What it met.
    pub outcome: OutcomeView,
}

/// What an attempt met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum OutcomeView {
    /// The destination answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// The start of the answer's body.
        excerpt: String,
        /// What a rule of the config says of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<Class>,
    },
    /// It did not.
    Failed {
        /// At which step.
        failure: FailureKind,
        /// In which way.
        detail: String,
    },
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            took_ms: u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
            request: attempt.request,
            outcome: match attempt.outcome {
                Outcome::Answered { status, excerpt } => OutcomeView::Answered { status, excerpt, class: None },
                Outcome::Judged { status, excerpt, class } => {
                    OutcomeView::Answered { status, excerpt, class: Some(class) }
                }
                Outcome::Failed { kind, detail } => OutcomeView::Failed { failure: kind, detail },
            },
        }
    }
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterView {
    /// The delivery's id.
    pub id: DeliveryId,
    /// The destination.
    pub destination: Name,
    /// When it was given up.
    pub dead_at: Timestamp,
    /// Why.
    pub reason: DeadReason,
    /// The event.
    pub event: EventView,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let destination = letter.id.destination.clone();
        Self { id: letter.id, destination, dead_at: letter.at, reason: letter.reason, event: letter.event.into() }
    }
}

/// What of a body is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// All but the last digits of phone numbers.
    Phones,
}

/// What `POST destinations/{name}/pause` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Why, for those who see the pause later.
    #[serde(default)]
    pub reason: String,
    /// When the pause ends by itself; absent: when a person resumes the destination.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// What `POST dead-letters/discard` takes: either `deliveries`, or `all` dead letters, perhaps of one `destination` only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectionRequest {
    /// These.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<DeliveryId>,
    /// All dead letters that there are now.
    #[serde(default)]
    pub all: bool,
    /// Only those of this destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Name>,
    /// Say what would happen and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What `POST dead-letters/discard` and `POST deliveries/{id}/retry` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangedView {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// How many deliveries were replayed or discarded, or would be.
    pub deliveries: u64,
    /// How many ids named no delivery, or nothing that could be discarded.
    pub skipped: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_limited_only_while_something_waits_for_it() {
        let crm = Name::new("crm").unwrap();
        let seen_with = |waiting| {
            let stats =
                DestinationStats { destination: crm.clone(), waiting, in_flight: 2, dead: 0, expired: 0, oldest: None };
            let limited = Condition::Limited { since: Timestamp::EPOCH };
            DestinationView::new(crm.clone(), Some(limited), Some(stats)).condition
        };
        assert_eq!((seen_with(2), seen_with(3)), (ConditionName::Flowing, ConditionName::Limited));
    }
}
