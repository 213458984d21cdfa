//! How the relay is, for whoever watches over it: whether it makes progress, and what holds it up.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    breaker::Condition,
    dispatch,
    model::Name,
    store::{Stats, Store, StoreError},
};

/// Looks at a running relay. It outlives it.
pub struct Vitals {
    store: Arc<dyn Store>,
    lanes: dispatch::Handle,
}

impl Vitals {
    pub(super) fn new(store: Arc<dyn Store>, lanes: dispatch::Handle) -> Self {
        Self { store, lanes }
    }

    /// Waits for a proof of progress: the store's committer has answered what was asked now, and the loop of each lane has
    /// turned since. While a disk hangs with something to write, or a lane is stuck, there is none.
    ///
    /// # Errors
    /// [`StoreError`]: the store won't answer any more.
    pub async fn proof(&self) -> Result<(), StoreError> {
        // Nothing is settled, but the answer comes from the committer, after all that it was given before.
        self.store.settle(Vec::new()).await?;
        self.lanes.turned().await;
        Ok(())
    }

    /// The numbers of the store.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }

    /// Why no events can be taken now; `None` when all is well.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.store.fault()
    }

    /// How each configured destination is doing.
    #[must_use]
    pub fn conditions(&self) -> BTreeMap<Name, Condition> {
        self.lanes.conditions()
    }
}
