//! The permits of a lane: what it has drawn from its destination's budgets and not used yet.

use std::time::Duration;

use crate::model::Timestamp;

/// A draw that takes no longer has waited for its turn, not for places: the shortest window in use is a second.
const BRIEF: Duration = Duration::from_millis(250);

/// What the destination's budgets let start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dispatch) enum Draws {
    /// It has none.
    Unlimited,
    /// So many permits are held, for deliveries that are being looked for or are ready.
    Holding(usize),
    /// None is held, and some were asked for.
    Asked {
        /// When.
        at: Timestamp,
    },
}

impl Draws {
    /// How many attempts may be prepared now.
    pub(super) fn permits(self) -> usize {
        match self {
            Self::Unlimited => usize::MAX,
            Self::Holding(permits) => permits,
            Self::Asked { .. } => 0,
        }
    }

    /// After `count` of them were used, or given back.
    pub(super) fn without(self, count: usize) -> Self {
        match self {
            Self::Holding(permits) => Self::Holding(permits.saturating_sub(count)),
            Self::Unlimited | Self::Asked { .. } => self,
        }
    }

    /// Since when there have been no places for it; `None` when there are, or a draw has only begun.
    pub(super) fn without_places_since(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Asked { at } => (now.since(at) >= BRIEF).then_some(at),
            Self::Unlimited | Self::Holding(_) => None,
        }
    }
}
