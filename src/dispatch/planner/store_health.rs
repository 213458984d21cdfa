//! Whether the store works, as far as a lane has met it, and how long a failing one is left alone.

use std::time::Duration;

use crate::model::Timestamp;

/// How long a store that failed is left alone.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// How the last call of the store went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreHealth {
    Works,
    FailsUntil(Timestamp),
}

impl StoreHealth {
    /// After a call that failed at `now`.
    pub(super) fn failed(now: Timestamp) -> Self {
        Self::FailsUntil(now.plus(PAUSE))
    }

    /// Until when it is left alone, if it is.
    pub(super) fn rests(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            // Longer than it can be: the clock was set back.
            Self::FailsUntil(until) if now < until && until.since(now) <= PAUSE => Some(until),
            Self::FailsUntil(_) | Self::Works => None,
        }
    }
}
