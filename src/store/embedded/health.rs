//! Whether the store still works, and why not.
//!
//! A failed write or sync poisons it for good: nothing that is on the disk can be believed then, least of all a second try
//! that succeeds. A full disk is different: it is noticed before it is reached, and it passes.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

use super::checkpoint::Witness;
use crate::store::StoreError;

/// Shared by everybody who has to know.
pub(super) struct Health {
    ended: watch::Sender<Option<StoreError>>,
    low_disk: Mutex<Option<Arc<str>>>,
    unsynced: AtomicBool,
    witness: Witness,
}

/// Fails the store when it is dropped before the store was closed: a thread that panics must not die in silence.
pub(super) struct Alarm {
    health: Arc<Health>,
    message: &'static str,
}

impl Health {
    /// All is well.
    pub(super) fn new(witness: Witness) -> Arc<Self> {
        let (ended, low_disk, unsynced) = (watch::Sender::new(None), Mutex::default(), AtomicBool::new(false));
        Arc::new(Self { ended, low_disk, unsynced, witness })
    }

    /// Sets the alarm for a thread that the store can't live without.
    pub(super) fn alarm(self: &Arc<Self>, message: &'static str) -> Alarm {
        Alarm { health: Arc::clone(self), message }
    }

    /// Fails the store for good, unless it has ended already. Returns why it ended.
    pub(super) fn fail(&self, reason: &str) -> StoreError {
        self.end(StoreError::Failed(Arc::from(reason)))
    }

    /// Fails the store because of its index, and sees to it that the next start makes a new one. Without that the store would
    /// fail after each start, where the index is damaged in a place that opening it doesn't touch.
    pub(super) fn fail_of_index(&self, reason: &str) -> StoreError {
        if self.failure().is_none()
            && let Err(error) = self.witness.withdraw()
        {
            tracing::error!(
                "the next start will trust the damaged index, for the checkpoint can't be removed: {error}"
            );
        }
        self.fail(reason)
    }

    /// Marks the store as closed in good order.
    pub(super) fn close(&self) {
        self.end(StoreError::Closed);
    }

    fn end(&self, how: StoreError) -> StoreError {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(how);
            first
        });
        self.failure().unwrap_or(StoreError::Closed)
    }

    /// Why nothing works any more; `None` while it does.
    pub(super) fn failure(&self) -> Option<StoreError> {
        self.ended.borrow().clone()
    }

    /// Waits until the store has failed. One that is closed in good order never fails.
    pub(super) async fn failed(&self) -> StoreError {
        let mut ended = self.ended.subscribe();
        let failed = ended.wait_for(|ended| matches!(ended, Some(error) if !matches!(error, StoreError::Closed))).await;
        match failed.ok().and_then(|error| error.clone()) {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Notes that the disk is too full to take more (`Some`, with the numbers), or has room again.
    pub(super) fn set_low_disk(&self, shortage: Option<String>) {
        *self.low_disk.lock().unwrap_or_else(PoisonError::into_inner) = shortage.map(Arc::from);
    }

    /// Why no event can be taken now.
    pub(super) fn obstacle(&self) -> Option<StoreError> {
        let low_disk = || self.low_disk.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.failure().or_else(|| low_disk().map(StoreError::DiskFull))
    }

    /// Notes whether the journal holds bytes that no sync has taken along yet.
    pub(super) fn set_unsynced(&self, unsynced: bool) {
        self.unsynced.store(unsynced, Ordering::Relaxed);
    }

    /// Whether the journal holds bytes that no sync has taken along yet.
    pub(super) fn is_unsynced(&self) -> bool {
        self.unsynced.load(Ordering::Relaxed)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // What panics in there is sled, on damage that it didn't expect.
        self.health.fail_of_index(self.message);
    }
}
