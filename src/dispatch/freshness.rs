//! Whether a delivery still is of use, or came too late: a screen-pop when the call is over.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{model::Timestamp, route::Routes, store::Claim};

/// What the deliveries of one destination may be like.
#[derive(Debug, Clone)]
pub struct Freshness {
    max_age: Option<Duration>,
    routes: watch::Receiver<Arc<Routes>>,
}

impl Freshness {
    /// Deliveries are of use up to the age of `max_age`, and up to that which those of the `routes` say that want them there,
    /// as they are when somebody asks.
    #[must_use]
    pub fn new(max_age: Option<Duration>, routes: watch::Receiver<Arc<Routes>>) -> Self {
        Self { max_age, routes }
    }

    /// Whether a delivery is too old at `now`. Its age counts from the receipt of the event, or since a person sent it again.
    pub(super) fn is_over(&self, claim: &Claim, now: Timestamp) -> bool {
        let age = now.since(claim.delivery.since);
        let of_routes = self.routes.borrow().max_age(&claim.event, &claim.delivery.destination);
        [self.max_age, of_routes].into_iter().flatten().any(|max_age| age > max_age)
    }
}

impl Default for Freshness {
    /// However old.
    fn default() -> Self {
        Self::new(None, watch::channel(Arc::default()).1)
    }
}
