//! Keeps the last hour, and tells it.

use std::{collections::BTreeMap, convert::Infallible, sync::PoisonError, time::Duration};

use http::StatusCode;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Admin,
    answer::{Answer, Problem, json},
    view::{DestinationHistoryView, DestinationMinuteView, DestinationView, HistoryView, MinuteView},
};
use crate::{
    model::Name,
    telemetry::{Minute, Progress},
};

/// How often the counters are noted. What happens within a minute is counted in it but for the last seconds.
const NOTE_EVERY: Duration = Duration::from_secs(5);

impl Admin {
    /// Notes every few seconds how far everything is, without an end.
    pub(super) async fn keep_history(&self) -> Infallible {
        let mut ticks = interval(NOTE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.note(&self.destinations());
        }
    }

    pub(super) fn show_history(&self) -> Result<Answer, Problem> {
        let destinations = self.destinations();
        self.note(&destinations);
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |destination: DestinationView| DestinationHistoryView {
            minutes: history.minutes_of(&destination.name).map(DestinationMinuteView::from).collect(),
            name: destination.name,
        };
        let minutes = history.minutes().map(MinuteView::from).collect();
        json(StatusCode::OK, &HistoryView { minutes, destinations: destinations.into_iter().map(of).collect() })
    }

    fn note(&self, destinations: &[DestinationView]) {
        let progress: BTreeMap<Name, Progress> =
            destinations.iter().map(|view| (view.name.clone(), self.progress(view))).collect();
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.note(self.clock.now(), self.metrics.total_stored(), &progress);
    }

    fn progress(&self, destination: &DestinationView) -> Progress {
        let lane = self.metrics.lane(&destination.name);
        Progress { delivered: lane.total_delivered(), failed: lane.total_failed(), waiting: destination.waiting }
    }
}

impl From<Minute> for MinuteView {
    fn from(minute: Minute) -> Self {
        let Minute { at, accepted, delivered, failed, waiting } = minute;
        Self { at, accepted, delivered, failed, waiting }
    }
}

impl From<Minute> for DestinationMinuteView {
    fn from(minute: Minute) -> Self {
        let Minute { at, delivered, failed, waiting, .. } = minute;
        Self { at, delivered, failed, waiting }
    }
}
