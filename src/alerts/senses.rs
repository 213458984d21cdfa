//! How the relay is at this moment, as far as people are told of it.

use std::collections::BTreeMap;

use crate::{
    alert::{DestinationSeen, DiskSeen, Observation, SourceSeen},
    breaker::Condition,
    model::{Name, Timestamp},
    store::{DestinationStats, Stats, Store},
    telemetry::SourceMetrics,
};

/// What of the running relay can be seen from here.
pub struct Senses {
    /// How each configured destination is doing, pauses by people included.
    pub conditions: Box<dyn Fn() -> BTreeMap<Name, Condition> + Send + Sync>,
    /// When a configuration was refused, if none was taken since then.
    pub config_refused_at: Box<dyn Fn() -> Option<Timestamp> + Send + Sync>,
}

impl Senses {
    /// What there is to see, in `store` and of these sources besides.
    pub(super) fn look(&self, store: &dyn Store, sources: &[(Name, SourceMetrics)]) -> Observation {
        let stats = store.stats();
        let sources = sources.iter().map(|(name, metrics)| SourceSeen {
            name: name.clone(),
            events: metrics.events(),
            forged: metrics.forged(),
        });
        Observation {
            sources: sources.collect(),
            disk: disk(&stats),
            destinations: destinations((self.conditions)(), stats.destinations),
            config_refused_at: (self.config_refused_at)(),
        }
    }
}

fn disk(stats: &Stats) -> DiskSeen {
    let damage = stats.damage;
    DiskSeen {
        free: stats.disk_free,
        full_in: stats.disk_full_in,
        damaged: damage.places.saturating_add(damage.events),
    }
}

/// Every configured destination, and those that still have something in the store.
fn destinations(mut conditions: BTreeMap<Name, Condition>, stats: Vec<DestinationStats>) -> Vec<DestinationSeen> {
    let stored = stats.into_iter().map(|stats| DestinationSeen {
        condition: conditions.remove(&stats.destination),
        name: stats.destination,
        waiting: stats.waiting,
        oldest: stats.oldest,
        dead: stats.dead,
    });
    let mut all: Vec<DestinationSeen> = stored.collect();
    let idle = conditions.into_iter();
    all.extend(idle.map(|(name, condition)| DestinationSeen {
        name,
        condition: Some(condition),
        waiting: 0,
        oldest: None,
        dead: 0,
    }));
    all
}
