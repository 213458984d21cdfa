//! What the relay says of itself while it runs: the log, line by line, the metrics, as numbers, the last hour, by the minute,
//! traces, event by event, and what happens, to those who listen.
//!
//! None of them holds a body, a secret or a phone number. Metrics have no labels that strangers can make up, either.

mod feed;
mod history;
mod log;
mod metrics;
mod traces;

pub use feed::{About, End, Feed, Happening, Heard, Listener, News};
pub use history::{History, Minute, Progress};
pub use log::{Level, Paint, Reader, UnknownLevel, start};
pub use metrics::{
    AttemptEnd, CertificateMetrics, DestinationReading, Durations, Format, LaneMetrics, Metrics, Reading,
    RefusalReason, SourceMetrics, StoreReading,
};
pub use traces::{Attempted, Became, Carried, Carrier, Exporter, Received, Reception, Span, Traces};
