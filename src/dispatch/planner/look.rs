//! The looks of a lane into the queue: when the next one can be, or that one is on its way.

use crate::model::Timestamp;

/// Where a lane stands between two looks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Look {
    /// The next one is due then.
    At(Timestamp),
    /// One is on its way. Since it began we learned that another is due then.
    Pending { again: Timestamp },
    /// The same, for what the destination was when it began.
    Outdated { again: Timestamp },
}

impl Look {
    /// After it turned out that there is something to find at `at`.
    pub(super) fn not_after(self, at: Timestamp) -> Self {
        match self {
            Self::At(planned) => Self::At(planned.min(at)),
            Self::Pending { again } => Self::Pending { again: again.min(at) },
            Self::Outdated { again } => Self::Outdated { again: again.min(at) },
        }
    }

    /// After the look that was on its way, which says that there is something to find at `next`.
    pub(super) fn over(self, next: Timestamp) -> Self {
        match self {
            Self::Pending { again } | Self::Outdated { again } => Self::At(again.min(next)),
            Self::At(planned) => Self::At(planned.min(next)),
        }
    }

    /// After the destination became another at `now`.
    pub(super) fn outdated(self, now: Timestamp) -> Self {
        match self {
            Self::At(_) => Self::At(now),
            Self::Pending { .. } | Self::Outdated { .. } => Self::Outdated { again: now },
        }
    }
}
