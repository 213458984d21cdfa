//! Traces: one for each event, from its receipt to each attempt, for a collector that speaks OTLP.
//!
//! Flows tell of what is over by [`Traces`], which never waits and never fails: a queue holds what the [`Exporter`] hasn't
//! sent yet, and what doesn't fit in is counted and dropped. While nobody wants traces, telling costs a look.
//!
//! A span holds ids, names from the config, sizes and times. It holds no body, no header, no address and nothing of an answer
//! but its status.
//!
//! Deliberately absent: trace ids that senders bring (anybody can make them up), and spans for what strangers send.

mod exporter;
mod otlp;
mod span;

use tokio::sync::mpsc;

pub use self::{
    exporter::{Carried, Carrier, Exporter},
    span::{Attempted, Became, Received, Reception, Span},
};
use super::metrics::{Lost, TraceMetrics};
use crate::model::{EventId, Sampling};

/// Spans that wait to be sent: a second at several times the pace that one relay has been seen to deliver at, in some MB.
const MOST_WAITING: usize = 8192;

/// Where flows tell of what is over. Clones tell the same collector, or nobody.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Outlet>);

#[derive(Debug, Clone)]
struct Outlet {
    spans: mpsc::Sender<Span>,
    sampling: Sampling,
    metrics: TraceMetrics,
}

impl Traces {
    /// Traces for a collector that `carrier` reaches, and what brings them there.
    pub(super) fn exported(sampling: Sampling, carrier: Carrier, metrics: TraceMetrics) -> (Self, Exporter) {
        let (spans, waiting) = mpsc::channel(MOST_WAITING);
        let exporter = Exporter::new(waiting, carrier, metrics.clone());
        (Self(Some(Outlet { spans, sampling, metrics })), exporter)
    }

    /// Whether anybody is told of this event: only then a span has to be made.
    #[must_use]
    pub fn takes(&self, event: EventId) -> bool {
        self.0.as_ref().is_some_and(|outlet| outlet.sampling.takes(event))
    }

    /// Which traces destinations are told to be recorded. While we record none, whoever wants to may record all of them.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        self.0.as_ref().map_or(Sampling::ALL, |outlet| outlet.sampling)
    }

    /// Tells of a step that is over.
    pub fn tell(&self, span: Span) {
        let Some(outlet) = &self.0 else { return };
        if outlet.spans.try_send(span).is_err() {
            outlet.metrics.lost(Lost::QueueFull, 1);
        }
    }
}
