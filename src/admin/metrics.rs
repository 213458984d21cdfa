//! The metrics, with a reading of how store and destinations are at this moment.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::timeout;

use super::{
    Admin,
    answer::{Answer, Problem, typed},
    view::{CheckView, ConditionName, DestinationView},
};
use crate::{
    model::Timestamp,
    telemetry::{DestinationReading, Format, Reading, StoreReading},
};

/// All conditions, with the words for them in the API.
const CONDITIONS: [(ConditionName, &str); 7] = [
    (ConditionName::Flowing, "flowing"),
    (ConditionName::Tripped, "tripped"),
    (ConditionName::Limited, "limited"),
    (ConditionName::Throttled, "throttled"),
    (ConditionName::Stopped, "stopped"),
    (ConditionName::Paused, "paused"),
    (ConditionName::Unconfigured, "unconfigured"),
];

impl Admin {
    /// Answers with the metrics, in the format that the client accepts.
    pub(super) async fn show_metrics(&self, headers: &HeaderMap) -> Result<Answer, Problem> {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let format = Format::wanted_by(&accepted.collect::<Vec<_>>().join(","));
        let told = self.metrics.tell(&self.reading().await, format).map_err(|error| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics have no text: {error}"))
        })?;
        Ok(typed(StatusCode::OK, HeaderValue::from_static(format.content_type()), Bytes::from(told)))
    }

    async fn reading(&self) -> Reading {
        let (stats, now) = (self.store.stats(), self.clock.now());
        let store = StoreReading {
            has_failed: timeout(Duration::ZERO, self.store.failed()).await.is_ok(),
            events: stats.events,
            unrouted: stats.unrouted,
            quarantined: stats.quarantined,
            disk_bytes: stats.disk_bytes,
            disk_free: stats.disk_free,
            disk_full_in: stats.disk_full_in,
            damaged_places: stats.damage.places,
            damaged_bytes: stats.damage.bytes,
            damaged_events: stats.damage.events,
        };
        Reading {
            checks: self.readiness().checks.into_iter().map(|CheckView { check, ok, .. }| (check, ok)).collect(),
            store,
            destinations: self.destinations().into_iter().map(|view| read(view, now)).collect(),
        }
    }
}

fn read(view: DestinationView, now: Timestamp) -> DestinationReading {
    DestinationReading {
        name: view.name,
        waiting: view.waiting.saturating_sub(view.in_flight),
        in_flight: view.in_flight,
        dead: view.dead,
        oldest_age: view.oldest.map(|oldest| now.since(oldest)),
        conditions: CONDITIONS.map(|(condition, word)| (word, condition == view.condition)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_have_the_words_of_the_api() {
        for (condition, word) in CONDITIONS {
            assert_eq!(serde_json::to_value(condition).unwrap(), word);
        }
    }
}
