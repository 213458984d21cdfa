//! The metrics: what is counted, and how it is told.
//!
//! Flows get handles with the series that are theirs ([`SourceMetrics`], [`LaneMetrics`]), all of them there from the first
//! scrape on, at zero: rates and alerts work from the first event. Counting is an atomic addition, for a histogram a short
//! lock. What the store knows anyway isn't counted here: whoever is asked for the metrics brings a [`Reading`] of it.
//!
//! Labels hold names from the config and words from this room. What strangers send never becomes a label: an unknown event
//! type counts as `other`, and a request to no source's path as from `(none)`.
//!
//! Nothing is global: a process may have as many [`Metrics`] as it has relays. `docs/metrics.md` explains each metric.

mod certificate;
mod config;
mod durations;
mod format;
mod lane;
mod process;
mod reading;
mod source;
mod split;
mod traces;

use std::fmt;

use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{counter::ConstCounter, info::Info},
    registry::{Registry, Unit},
};

use self::{config::ConfigGauges, lane::LaneFamilies, source::SourceFamilies};
use crate::{
    model::{Name, Sampling, Timestamp},
    telemetry::{Carrier, Exporter, Feed, Traces},
};

pub use certificate::CertificateMetrics;
pub use durations::Durations;
pub use format::Format;
pub use lane::{AttemptEnd, LaneMetrics};
pub use reading::{DestinationReading, Reading, StoreReading};
pub use source::{RefusalReason, SourceMetrics};
pub(super) use split::Word;
pub(super) use traces::{Lost, TraceMetrics};

/// What every name but those of the process begins with.
const PREFIX: &str = "atoms_relay";

/// The source of requests to a path that no source has. No name has parentheses.
const NO_SOURCE: &str = "(none)";

/// A sync of the disk: 0.1 ms on a fast one with a battery, 10 ms on one that turns, seconds on one that is failing.
const SYNC_BOUNDS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The labels of one series.
type Labels<const N: usize> = [(&'static str, String); N];

/// All metrics of one relay.
pub struct Metrics {
    registry: Registry,
    sources: SourceFamilies,
    lanes: LaneFamilies,
    certificate: CertificateMetrics,
    syncs: Durations,
    spans: TraceMetrics,
    traces: Traces,
    feed: Feed,
    config: ConfigGauges,
    started_at: Timestamp,
}

impl Metrics {
    /// Metrics of a relay that starts at `started_at`. Nothing is counted yet.
    #[must_use]
    pub fn new(started_at: Timestamp) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register("build", "Which relay this is", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let feed = Feed::new();
        let sources = SourceFamilies::register(&mut registry, feed.clone());
        let lanes = LaneFamilies::register(&mut registry, feed.clone());
        let certificate = CertificateMetrics::register(&mut registry);
        let syncs = Durations::within(SYNC_BOUNDS);
        let help = "How long the disk took to make a batch of the queue's records durable";
        registry.register_with_unit("store_sync_duration", help, Unit::Seconds, syncs.clone());
        let (spans, traces) = (TraceMetrics::register(&mut registry), Traces::default());
        let config = ConfigGauges::register(&mut registry, started_at);
        Self { registry, sources, lanes, certificate, syncs, spans, traces, feed, config, started_at }
    }

    /// The series of a source.
    #[must_use]
    pub fn source(&self, source: &Name) -> SourceMetrics {
        self.sources.of(source.as_str())
    }

    /// The series of requests to a path that no source has.
    #[must_use]
    pub fn no_source(&self) -> SourceMetrics {
        self.sources.of(NO_SOURCE)
    }

    /// Events that were stored for the first time since the start, from all sources.
    #[must_use]
    pub fn total_stored(&self) -> u64 {
        self.sources.stored()
    }

    /// The series of a destination's lane.
    #[must_use]
    pub fn lane(&self, destination: &Name) -> LaneMetrics {
        self.lanes.of(destination.as_str())
    }

    /// Where it is told what happens, as it happens.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Has [`Self::traces`] told to a collector that `carrier` reaches, as far as `sampling` wants them. What is returned has
    /// to be run.
    pub fn export_traces(&mut self, sampling: Sampling, carrier: Carrier) -> Exporter {
        let (traces, exporter) = Traces::exported(sampling, carrier, self.spans.clone());
        self.traces = traces;
        exporter
    }

    /// Where traces are told.
    #[must_use]
    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Where the store notes how long its syncs take.
    #[must_use]
    pub fn syncs(&self) -> Durations {
        self.syncs.clone()
    }

    /// The series of the public listener's certificate.
    #[must_use]
    pub fn certificate(&self) -> CertificateMetrics {
        self.certificate.clone()
    }

    /// Notes that the config was read again and taken.
    pub fn config_taken(&self, at: Timestamp) {
        self.config.taken(at);
    }

    /// Notes that the config was read again and not taken.
    pub fn config_refused(&self) {
        self.config.refused();
    }

    /// Counts how often opening the store had to make its index anew.
    pub fn store_opened(&mut self, index_rebuilds: u64) {
        let help = "Times that the queue's index had to be made anew from the journal";
        self.registry.register("store_index_rebuilds", help, ConstCounter::new(index_rebuilds));
    }

    /// All that was counted, and what `reading` says of this moment.
    ///
    /// # Errors
    /// [`fmt::Error`] when something has no form as text, which is a bug.
    pub fn tell(&self, reading: &Reading, format: Format) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &reading.registry())?;
        encode_registry(&mut text, &process::registry(self.started_at))?;
        encode_eof(&mut text)?;
        Ok(format.of_open_metrics(text))
    }
}
