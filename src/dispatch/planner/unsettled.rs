//! What ended and the store doesn't know of yet.
//!
//! Settlements go to the store together, one batch at a time: a batch costs the store about as much as a single one. What
//! waits is settled at once when the lane is quiet, and within [`MAX_WAIT`] otherwise.

use std::{mem, time::Duration};

use crate::{model::Timestamp, store::Settlement};

/// How long a settlement may wait for company. What a crash finds unsettled is delivered a second time, so it is short; at
/// a thousand deliveries a second it makes batches of five.
pub(super) const MAX_WAIT: Duration = Duration::from_millis(5);

/// So many don't wait for more.
const FULL_BATCH: usize = 128;

/// So many mean that the store is slower than the destination: nothing new is taken then. At up to 2 KiB each they stay below
/// 2 MiB.
const MAX_UNSETTLED: usize = 1024;

/// Settlements on their way to the store.
#[derive(Debug)]
pub(super) struct Unsettled {
    waiting: Vec<Settlement>,
    /// When the first of them began to wait.
    since: Timestamp,
    batch: Batch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batch {
    None,
    WithTheStore,
}

impl Unsettled {
    /// None.
    pub(super) fn new() -> Self {
        Self { waiting: Vec::new(), since: Timestamp::EPOCH, batch: Batch::None }
    }

    /// Adds one.
    pub(super) fn push(&mut self, settlement: Settlement, now: Timestamp) {
        if self.waiting.is_empty() {
            self.since = now;
        }
        self.waiting.push(settlement);
    }

    /// When the next batch has to go, if more may come; `None` while none waits or one is with the store.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let may_go = self.batch == Batch::None && !self.waiting.is_empty();
        let is_full = self.waiting.len() >= FULL_BATCH;
        may_go.then(|| if is_full { self.since } else { self.since.plus(MAX_WAIT) })
    }

    /// The next batch for the store; `None` while none waits or one is with the store.
    pub(super) fn next_batch(&mut self) -> Option<Vec<Settlement>> {
        self.due()?;
        self.batch = Batch::WithTheStore;
        Some(mem::take(&mut self.waiting))
    }

    /// The store has answered; `again` is what it didn't take.
    pub(super) fn answered(&mut self, again: Vec<Settlement>) {
        self.batch = Batch::None;
        self.waiting.extend(again);
    }

    /// Whether there is nothing, here or with the store.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.batch == Batch::None
    }

    /// Whether so many wait that the lane should pause.
    pub(super) fn is_overdue(&self) -> bool {
        self.waiting.len() >= MAX_UNSETTLED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{DeliveryId, EventId, Name, Verdict},
        store::ClaimToken,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn with(count: usize) -> Unsettled {
        let mut unsettled = Unsettled::new();
        let id = DeliveryId { event: EventId::from_bytes([1; 16]), destination: Name::new("crm").unwrap() };
        for _ in 0..count {
            let settlement = Settlement { id: id.clone(), token: ClaimToken(1), verdict: Verdict::Done, attempt: None };
            unsettled.push(settlement, NOW);
        }
        unsettled
    }

    #[test]
    fn a_full_batch_does_not_wait_for_more() {
        assert_eq!(with(FULL_BATCH - 1).due(), Some(NOW.plus(MAX_WAIT)));
        assert_eq!(with(FULL_BATCH).due(), Some(NOW));
    }

    #[test]
    fn the_first_that_waits_sets_the_time() {
        let mut unsettled = with(1);
        let second = with(1).next_batch().unwrap().remove(0);
        unsettled.push(second, NOW.plus(MAX_WAIT));
        assert_eq!(unsettled.due(), Some(NOW.plus(MAX_WAIT)));
    }

    #[test]
    fn one_batch_is_with_the_store_at_a_time_and_what_it_does_not_take_waits_again() {
        let mut unsettled = with(3);
        let batch = unsettled.next_batch().unwrap();
        assert!(!unsettled.is_empty());
        unsettled.push(batch[0].clone(), NOW);
        assert!(unsettled.next_batch().is_none());
        unsettled.answered(batch);
        assert_eq!(unsettled.next_batch().unwrap().len(), 4);
    }

    #[test]
    fn a_store_that_does_not_keep_up_is_noticed() {
        assert!(!with(MAX_UNSETTLED - 1).is_overdue());
        assert!(with(MAX_UNSETTLED).is_overdue());
    }
}
