//! What a lane says in the log: names, ids, statuses and what to do; never a body, an address or a header.

use super::messages::Notice;
use crate::{breaker::Condition, model::Name};

/// Tells people, at a level that fits.
pub(super) fn tell(destination: &Name, notice: &Notice) {
    match notice {
        Notice::Condition(condition) => tell_condition(destination, condition),
        Notice::Dead(delivery, reason) => tracing::warn!(%destination, %delivery, "dead letter: {reason}"),
        Notice::Expired(delivery) => tracing::info!(%destination, %delivery, "expired: older than `max_age`, not sent"),
        Notice::LeaseLost(delivery) => {
            tracing::warn!(%destination, %delivery, "took longer than its lease: it may be delivered twice");
        }
        Notice::StoreFails(error) => {
            tracing::error!(%destination, "the store fails, nothing new is sent: {error}");
        }
        Notice::StoreWorks => tracing::info!(%destination, "the store works again"),
    }
}

fn tell_condition(destination: &Name, condition: &Condition) {
    match condition {
        Condition::Flowing => tracing::info!(%destination, "deliveries flow again"),
        Condition::Tripped { probe_at, reason, .. } => {
            tracing::warn!(%destination, %probe_at, "it fails, one delivery at a time goes out as a probe: {reason}");
        }
        Condition::Limited { .. } => tracing::debug!(%destination, "its rate or a budget lets no more go"),
        Condition::Throttled { until } => tracing::warn!(%destination, %until, "it asks to slow down, deliveries wait"),
        Condition::Stopped { reason, .. } => tracing::error!(
            %destination,
            "stopped, its deliveries are kept: {reason}; then run `atoms-relay reload`, or `atoms-relay resume {destination}` if the config was right"
        ),
        Condition::Paused { reason, .. } => tracing::info!(%destination, "paused: {reason}"),
    }
}
