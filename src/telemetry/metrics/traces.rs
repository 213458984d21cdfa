//! What is counted of spans on their way to a collector of traces.

use std::borrow::Cow;

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{Labels, split::Word};

/// Why a span didn't reach the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::telemetry) enum Lost {
    /// Too many were waiting.
    QueueFull,
    /// The collector couldn't be reached, or had no time.
    Unsent,
    /// The collector doesn't want it.
    Refused,
}

/// All reasons.
const REASONS: [Lost; 3] = [Lost::QueueFull, Lost::Unsent, Lost::Refused];

impl Word for Lost {
    fn word(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::QueueFull => "queue_full",
            Self::Unsent => "unsent",
            Self::Refused => "refused",
        })
    }
}

/// The series of spans. Clones count together.
#[derive(Debug, Clone)]
pub(in crate::telemetry) struct TraceMetrics {
    exported: Counter,
    lost: Family<Labels<1>, Counter>,
}

impl TraceMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self { exported: Counter::default(), lost: Family::default() };
        let help = "Spans that the collector of traces has taken";
        registry.register("traces_spans_exported", help, metrics.exported.clone());
        let help = "Spans that did not reach the collector of traces, by reason";
        registry.register("traces_spans_dropped", help, metrics.lost.clone());
        for reason in REASONS {
            metrics.lost(reason, 0);
        }
        metrics
    }

    /// So many have arrived.
    pub(in crate::telemetry) fn exported(&self, spans: usize) {
        self.exported.inc_by(spans as u64);
    }

    /// So many won't arrive.
    pub(in crate::telemetry) fn lost(&self, reason: Lost, spans: usize) {
        self.lost.get_or_create_owned(&[("reason", reason.word().into_owned())]).inc_by(spans as u64);
    }
}
