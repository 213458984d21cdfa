//! What is counted of deliveries, by destination.

use std::{borrow::Cow, time::Duration};

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::{Registry, Unit},
};

use super::{
    Durations, Labels,
    split::{Split, Word},
};
use crate::{
    model::{DeadReason, EventId},
    telemetry::Feed,
};

/// An attempt: some milliseconds in the same house, up to the longest time-outs that make sense.
const ATTEMPT_BOUNDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0];
/// From receipt to delivery: milliseconds when all is well, up to the three days after which a delivery is given up by
/// default.
const END_TO_END_BOUNDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0,
    86_400.0, 259_200.0,
];

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The destination has it.
    Delivered,
    /// It answered that it can't now.
    Failed,
    /// It asks to slow down.
    Throttled,
    /// It refuses this event for good.
    Rejected,
    /// It is wrong itself: credentials, address.
    Stopped,
    /// There was no access token to be had for it.
    NoToken,
    /// There was no connection.
    NoConnection,
    /// There was no answer in time.
    Timeout,
    /// The connection broke.
    Broken,
    /// No request could be made of the event.
    Unsendable,
    /// The relay stopped meanwhile.
    Interrupted,
    /// The relay has a bug.
    Bug,
}

/// All ends.
const ENDS: [AttemptEnd; 12] = [
    AttemptEnd::Delivered,
    AttemptEnd::Failed,
    AttemptEnd::Throttled,
    AttemptEnd::Rejected,
    AttemptEnd::Stopped,
    AttemptEnd::NoToken,
    AttemptEnd::NoConnection,
    AttemptEnd::Timeout,
    AttemptEnd::Broken,
    AttemptEnd::Unsendable,
    AttemptEnd::Interrupted,
    AttemptEnd::Bug,
];

impl Word for AttemptEnd {
    fn word(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Throttled => "throttled",
            Self::Rejected => "rejected",
            Self::Stopped => "stopped",
            Self::NoToken => "no_token",
            Self::NoConnection => "no_connection",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Unsendable => "unsendable",
            Self::Interrupted => "interrupted",
            Self::Bug => "bug",
        })
    }
}

/// All reasons for dead letters.
const DEAD_REASONS: [DeadReason; 3] = [DeadReason::Rejected, DeadReason::GaveUp, DeadReason::Unsendable];

impl Word for DeadReason {
    fn word(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Rejected => "rejected",
            Self::GaveUp => "gave_up",
            Self::Unsendable => "unsendable",
        })
    }
}

/// The families of which each lane has a part.
pub(super) struct LaneFamilies {
    attempts: Family<Labels<2>, Counter>,
    durations: Family<Labels<1>, Durations, fn() -> Durations>,
    end_to_end: Family<Labels<1>, Durations, fn() -> Durations>,
    dead: Family<Labels<2>, Counter>,
    expired: Family<Labels<1>, Counter>,
    feed: Feed,
}

impl LaneFamilies {
    pub(super) fn register(registry: &mut Registry, feed: Feed) -> Self {
        let families = Self {
            attempts: Family::default(),
            durations: Family::new_with_constructor(|| Durations::within(ATTEMPT_BOUNDS)),
            end_to_end: Family::new_with_constructor(|| Durations::within(END_TO_END_BOUNDS)),
            dead: Family::default(),
            expired: Family::default(),
            feed,
        };
        registry.register("delivery_attempts", "Attempts that are over, by how they ended", families.attempts.clone());
        let help = "Deliveries that were given up, by reason";
        registry.register("dead_letters", help, families.dead.clone());
        let help = "Deliveries that were retired because they were too old to be of use";
        registry.register("deliveries_expired", help, families.expired.clone());
        let help = "How long attempts took, from the request to the end of its answer";
        registry.register_with_unit("delivery_attempt_duration", help, Unit::Seconds, families.durations.clone());
        let help = "From the receipt of an event, or its replay, to its delivery";
        registry.register_with_unit("delivery_end_to_end", help, Unit::Seconds, families.end_to_end.clone());
        families
    }

    /// The part of a destination, there from now on.
    pub(super) fn of(&self, destination: &str) -> LaneMetrics {
        let (of, alone) = (("destination", destination), [("destination", destination.to_owned())]);
        LaneMetrics {
            attempts: Split::new(&self.attempts, of, "outcome", &ENDS),
            durations: self.durations.get_or_create_owned(&alone),
            end_to_end: self.end_to_end.get_or_create_owned(&alone),
            dead: Split::new(&self.dead, of, "reason", &DEAD_REASONS),
            expired: self.expired.get_or_create_owned(&alone),
            feed: self.feed.clone(),
        }
    }
}

/// The series of one destination's lane. Clones count together.
#[derive(Debug, Clone)]
pub struct LaneMetrics {
    attempts: Split<AttemptEnd>,
    durations: Durations,
    end_to_end: Durations,
    dead: Split<DeadReason>,
    expired: Counter,
    feed: Feed,
}

impl LaneMetrics {
    /// An attempt to deliver `event` ended after it `took` so long.
    pub fn attempted(&self, event: EventId, end: AttemptEnd, took: Duration) {
        self.attempts.count(end);
        self.durations.note(took, Some(event));
    }

    /// `event` arrived, so long after its receipt, or after a person sent it again.
    pub fn delivered(&self, event: EventId, after: Duration) {
        self.end_to_end.note(after, Some(event));
    }

    /// Attempts that brought a delivery to its destination, since the start.
    #[must_use]
    pub fn total_delivered(&self) -> u64 {
        self.attempts.counted(AttemptEnd::Delivered)
    }

    /// Attempts that did not, since the start, without those that a stop of the relay cut short.
    #[must_use]
    pub fn total_failed(&self) -> u64 {
        let is_failure = |end: &AttemptEnd| !matches!(end, AttemptEnd::Delivered | AttemptEnd::Interrupted);
        ENDS.into_iter().filter(is_failure).map(|end| self.attempts.counted(end)).sum()
    }

    /// Where it is told what becomes of deliveries.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// A delivery was given up.
    pub fn died(&self, reason: DeadReason) {
        self.dead.count(reason);
    }

    /// A delivery was retired for its age.
    pub fn expired(&self) {
        self.expired.inc();
    }
}
