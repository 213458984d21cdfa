//! What is counted of requests and events: each once, however it ends.

use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::Source;
use crate::{
    model::{EventId, Name, NewEvent},
    telemetry::{Metrics, SourceMetrics},
};

/// What nginx calls a client that closed the connection before it was answered. It is never sent.
const HUNG_UP: u16 = 499;

/// The metrics of all sources, and of requests to no source's path.
pub(super) struct Counts {
    sources: Vec<Counted>,
    elsewhere: SourceMetrics,
}

struct Counted {
    name: Name,
    path: String,
    metrics: SourceMetrics,
}

impl Counts {
    pub(super) fn new(sources: &[Source], metrics: &Metrics) -> Self {
        let counted = |source: &Source| Counted {
            name: source.name.clone(),
            path: source.path.clone(),
            metrics: metrics.source(&source.name),
        };
        Self { sources: sources.iter().map(counted).collect(), elsewhere: metrics.no_source() }
    }

    /// Those of the source with this path.
    pub(super) fn at(&self, path: &str) -> &SourceMetrics {
        self.those(|source| source.path == path)
    }

    /// Those of the source with this name.
    pub(super) fn of(&self, name: &Name) -> &SourceMetrics {
        self.those(|source| source.name == *name)
    }

    fn those(&self, is_it: impl Fn(&Counted) -> bool) -> &SourceMetrics {
        self.sources.iter().find(|source| is_it(source)).map_or(&self.elsewhere, |source| &source.metrics)
    }
}

/// A request that isn't answered yet. When it is dropped it is counted: as answered, or as one that nobody waits for any
/// more, or as one that met a bug.
pub(super) struct Pending<'a> {
    metrics: &'a SourceMetrics,
    began: Instant,
    answer: Option<(StatusCode, Option<EventId>)>,
}

impl<'a> Pending<'a> {
    pub(super) fn new(metrics: &'a SourceMetrics) -> Self {
        Self { metrics, began: Instant::now(), answer: None }
    }

    /// It is answered now, with the event that it brought.
    pub(super) fn answered(mut self, status: StatusCode, event: Option<EventId>) {
        self.answer = Some((status, event));
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let unanswered = if std::thread::panicking() { StatusCode::INTERNAL_SERVER_ERROR.as_u16() } else { HUNG_UP };
        let (status, event) = self.answer.map_or((unanswered, None), |(status, event)| (status.as_u16(), event));
        self.metrics.answered(status, self.began.elapsed(), event);
    }
}

/// What has to be known of an event to count it once it is stored.
pub(super) enum Kind {
    /// It can't be read.
    Quarantined,
    /// It can.
    Readable { event_type: Arc<str>, is_routed: bool },
}

impl Kind {
    pub(super) fn of(new: &NewEvent) -> Self {
        match new.event.reading.envelope() {
            None => Self::Quarantined,
            Some(envelope) => {
                Self::Readable { event_type: envelope.event_type.clone(), is_routed: !new.deliveries.is_empty() }
            }
        }
    }

    /// The type that it says it has.
    pub(super) fn event_type(&self) -> Option<&Arc<str>> {
        match self {
            Self::Quarantined => None,
            Self::Readable { event_type, .. } => Some(event_type),
        }
    }

    /// Counts an event that is stored now.
    pub(super) fn count(&self, metrics: &SourceMetrics) {
        match self {
            Self::Quarantined => metrics.quarantined(),
            Self::Readable { event_type, is_routed } => {
                metrics.accepted(event_type);
                if !is_routed {
                    metrics.unrouted();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::{
        model::Timestamp,
        telemetry::{Format, Reading, StoreReading},
    };

    #[test]
    fn who_hangs_up_and_who_meets_a_bug_are_counted_too() {
        let metrics = Metrics::new(Timestamp::EPOCH);
        let of_source = metrics.source(&Name::new("atoms").unwrap());
        drop(Pending::new(&of_source));
        let bug = AssertUnwindSafe(|| {
            let _pending = Pending::new(&of_source);
            panic!("this panic is the test's");
        });
        catch_unwind(bug).unwrap_err();

        let reading = Reading { checks: Vec::new(), store: StoreReading::default(), destinations: Vec::new() };
        let told = metrics.tell(&reading, Format::Prometheus).unwrap();
        for (code, count) in [(499, 1), (500, 1), (200, 0)] {
            let line = format!("atoms_relay_ingest_requests_total{{source=\"atoms\",code=\"{code}\"}} {count}\n");
            assert!(told.contains(&line), "{line}{told}");
        }
    }
}
