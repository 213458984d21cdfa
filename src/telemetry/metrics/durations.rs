//! How long things took: histograms that remember an event as the example of each bucket.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelValue, EncodeMetric, LabelValueEncoder, MetricEncoder},
    metrics::{MetricType, TypedMetric, exemplar::HistogramWithExemplars},
};

use crate::model::{EventId, TraceId};

/// A histogram of durations. Clones count together.
#[derive(Debug, Clone)]
pub struct Durations(HistogramWithExemplars<[(&'static str, TraceId); 1]>);

impl Durations {
    /// Nothing yet. `bounds` are the upper ends of the buckets, in seconds, rising.
    pub(super) fn within(bounds: &[f64]) -> Self {
        Self(HistogramWithExemplars::new(bounds.iter().copied()))
    }

    /// Counts something that took so long; `event`, if any, is the example of its bucket from now on.
    pub fn note(&self, took: Duration, event: Option<EventId>) {
        self.0.observe(took.as_secs_f64(), event.map(|event| [("trace_id", event.into())]), None);
    }
}

impl Default for Durations {
    /// For a part of the relay that runs alone: it counts, but nobody asks.
    fn default() -> Self {
        Self::within(&[])
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Durations {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl EncodeLabelValue for TraceId {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        write!(encoder, "{self}")
    }
}
