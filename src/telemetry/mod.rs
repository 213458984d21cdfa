//! What the relay says of itself while it runs: the log, line by line, the metrics, as numbers, and the
//! last hour, by the minute.
//!
//! None of them holds a body, a secret or a phone number. Metrics have no labels that strangers can make up, either.

mod history;
mod log;
mod metrics;

pub use history::{History, Minute, Progress};
pub use log::{Level, Paint, Reader, UnknownLevel, start};
pub use metrics::{
    AttemptEnd, CertificateMetrics, DestinationReading, Durations, Format, LaneMetrics, Metrics, Reading,
    RefusalReason, SourceMetrics, StoreReading,
};
