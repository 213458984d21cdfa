//! What the relay says of itself while it runs: the log, line by line, and the metrics, as numbers.
//!
//! Neither holds a body, a secret or a phone number. Metrics have no labels that strangers can make up, either.

mod log;
mod metrics;

pub use log::{Level, Paint, Reader, UnknownLevel, start};
pub use metrics::{
    AttemptEnd, CertificateMetrics, DestinationReading, Durations, Format, LaneMetrics, Metrics, Reading,
    RefusalReason, SourceMetrics, StoreReading,
};
