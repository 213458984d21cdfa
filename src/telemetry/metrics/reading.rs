//! What is read when somebody asks, rather than counted.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{Labels, PREFIX};
use crate::model::Name;

/// How the relay is at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What has to hold for events to be taken, and whether it does.
    pub checks: Vec<(String, bool)>,
    /// The store.
    pub store: StoreReading,
    /// The destinations: all of the config, and those that still have something in the store.
    pub destinations: Vec<DestinationReading>,
}

/// How the store is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreReading {
    /// Whether it has failed for good.
    pub has_failed: bool,
    /// Events kept.
    pub events: u64,
    /// Of these, events that fitted no route.
    pub unrouted: u64,
    /// Of these, events that couldn't be read.
    pub quarantined: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes that are free on that disk; `None` where that can't be found out.
    pub disk_free: Option<u64>,
    /// How long it takes until the disk is too full; `None` while nothing grows.
    pub disk_full_in: Option<Duration>,
    /// Places in the journal that were found damaged since the start, and skipped.
    pub damaged_places: u64,
    /// The bytes of these places.
    pub damaged_bytes: u64,
    /// Events that are known and can't be read.
    pub damaged_events: u64,
}

/// How a destination is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationReading {
    /// Its name.
    pub name: Name,
    /// Deliveries that wait, without those in flight.
    pub waiting: u64,
    /// Attempts under way.
    pub in_flight: u64,
    /// Dead letters.
    pub dead: u64,
    /// How long ago the event was received whose delivery is due first; `None` when nothing waits.
    pub oldest_age: Option<Duration>,
    /// The conditions that there are, and whether it is in each.
    pub conditions: Vec<(&'static str, bool)>,
}

type Level = Gauge<f64, AtomicU64>;

impl Reading {
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix(PREFIX);
        let ready = Family::<Labels<1>, Gauge>::default();
        for (check, holds) in &self.checks {
            ready.get_or_create(&[("check", check.clone())]).set(i64::from(*holds));
        }
        registry.register(
            "ready",
            "Whether what is checked holds: 1, or 0. Events are taken while all of it does",
            ready,
        );
        self.store.add_to(&mut registry);
        self.store.add_damage_to(&mut registry);
        add_destinations(&self.destinations, &mut registry);
        registry
    }
}

impl StoreReading {
    fn add_to(&self, registry: &mut Registry) {
        let failed = u64::from(self.has_failed);
        registry.register(
            "store_failed",
            "Whether the queue has failed for good in this process: 1, or 0",
            level(failed),
        );
        registry.register("store_events", "Events kept in the queue", level(self.events));
        registry.register("store_unrouted_events", "Events kept that fitted no route", level(self.unrouted));
        registry.register("store_quarantined_events", "Events kept that could not be read", level(self.quarantined));
        let help = "Size of the queue on disk";
        registry.register_with_unit("store_disk", help, Unit::Bytes, level(self.disk_bytes));
        if let Some(free) = self.disk_free {
            let help = "Free on the disk that the queue is on";
            registry.register_with_unit("store_disk_free", help, Unit::Bytes, level(free));
        }
        let help = "Time until too little of the disk is free to take events, at the rate of the last hour. Infinite while \
                    the queue doesn't grow";
        let full_in = Level::default();
        full_in.set(self.disk_full_in.map_or(f64::INFINITY, |left| left.as_secs_f64()));
        registry.register_with_unit("store_disk_full_in", help, Unit::Seconds, full_in);
    }

    fn add_damage_to(&self, registry: &mut Registry) {
        let help = "Places in the queue's journal that were found damaged since the start, and skipped";
        registry.register("store_damaged_places", help, level(self.damaged_places));
        let help = "Their bytes";
        registry.register_with_unit("store_damaged", help, Unit::Bytes, level(self.damaged_bytes));
        let help = "Events that the queue knows and can't read";
        registry.register("store_damaged_events", help, level(self.damaged_events));
    }
}

fn add_destinations(destinations: &[DestinationReading], registry: &mut Registry) {
    let deliveries = Family::<Labels<2>, Level>::default();
    let oldest = Family::<Labels<1>, Level>::default();
    let conditions = Family::<Labels<2>, Gauge>::default();
    for destination in destinations {
        let name = || ("destination", destination.name.to_string());
        let counts =
            [("waiting", destination.waiting), ("in_flight", destination.in_flight), ("dead", destination.dead)];
        for (state, count) in counts {
            deliveries.get_or_create(&[name(), ("state", state.to_owned())]).set(exact(count));
        }
        oldest.get_or_create(&[name()]).set(destination.oldest_age.unwrap_or_default().as_secs_f64());
        for (condition, is_so) in &destination.conditions {
            conditions.get_or_create(&[name(), ("condition", (*condition).to_owned())]).set(i64::from(*is_so));
        }
    }
    registry.register("queue_deliveries", "Deliveries in the queue, by where they stand", deliveries);
    let help = "Age of the event whose delivery is due first; 0 when none waits";
    registry.register_with_unit("queue_oldest_age", help, Unit::Seconds, oldest);
    registry.register(
        "destination_condition",
        "How the destination is: 1 for its condition, 0 for the others",
        conditions,
    );
}

fn level(value: u64) -> Level {
    let level = Level::default();
    level.set(exact(value));
    level
}

/// As Prometheus keeps it, as a float.
#[expect(clippy::cast_precision_loss, reason = "what is counted here stays far below 2^53")]
fn exact(value: u64) -> f64 {
    value as f64
}
