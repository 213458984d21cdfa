//! What came of reading the config. The first reading counts: a relay that runs has read one.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};

use crate::model::Timestamp;

/// The gauges, there from the start.
pub(super) struct ConfigGauges {
    successful: Gauge,
    taken_at: Gauge<f64, AtomicU64>,
}

impl ConfigGauges {
    /// A config was read at `started_at`.
    pub(super) fn register(registry: &mut Registry, started_at: Timestamp) -> Self {
        let gauges = Self { successful: Gauge::default(), taken_at: Gauge::default() };
        let help =
            "Whether the config was taken when it was read last: 1, or 0. If not, the relay goes on with what it had";
        registry.register("config_last_reload_successful", help, gauges.successful.clone());
        let help = "When the config that runs was read, in seconds since 1970";
        registry.register_with_unit(
            "config_last_reload_success_timestamp",
            help,
            Unit::Seconds,
            gauges.taken_at.clone(),
        );
        gauges.taken(started_at);
        gauges
    }

    /// It was read and taken.
    pub(super) fn taken(&self, at: Timestamp) {
        self.successful.set(1);
        self.taken_at.set(at.since(Timestamp::EPOCH).as_secs_f64());
    }

    /// It was read and not taken.
    pub(super) fn refused(&self) {
        self.successful.set(0);
    }
}
