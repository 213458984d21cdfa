//! The permits of a lane: what it has drawn from its destination's budgets and not used yet.

/// What the destination's budgets let start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dispatch) enum Draws {
    /// It has none.
    Unlimited,
    /// So many permits are held, for deliveries that are being looked for or are ready.
    Holding(usize),
    /// None is held, and some were asked for.
    Asked,
}

impl Draws {
    /// How many attempts may be prepared now.
    pub(super) fn permits(self) -> usize {
        match self {
            Self::Unlimited => usize::MAX,
            Self::Holding(permits) => permits,
            Self::Asked => 0,
        }
    }

    /// After `count` of them were used, or given back.
    pub(super) fn without(self, count: usize) -> Self {
        match self {
            Self::Holding(permits) => Self::Holding(permits.saturating_sub(count)),
            Self::Unlimited | Self::Asked => self,
        }
    }
}
