//! A vendor's rate limit: exact, sliding, and without mercy.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// So many requests in any stretch of this length.
pub(crate) struct Pace {
    most: usize,
    window: Duration,
    taken: VecDeque<Instant>,
    /// Requests that came too early.
    pub(crate) refused: usize,
}

impl Pace {
    pub(crate) fn new(most: usize, window: Duration) -> Self {
        Self { most, window, taken: VecDeque::new(), refused: 0 }
    }

    /// Whether a request that comes now is within the limit.
    pub(crate) fn admits(&mut self) -> bool {
        let now = Instant::now();
        while self.taken.front().is_some_and(|first| now - *first >= self.window) {
            self.taken.pop_front();
        }
        if self.taken.len() >= self.most {
            self.refused += 1;
            return false;
        }
        self.taken.push_back(now);
        true
    }
}
