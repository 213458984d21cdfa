//! The budgets that destinations draw from: one of a destination's own, where it has a `rate`, and those that several share.
//!
//! They outlive every reload, and destinations that go and come back: what was sent counts until its window is over, whatever
//! becomes of the config meanwhile. Under another limit a budget goes on with what it knows.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    clock::Clock,
    config::{self, Config, Destination},
    dispatch::Budget,
    model::Name,
};

/// All budgets that there were since the start.
pub(super) struct Budgets {
    own: BTreeMap<Name, Arc<Budget>>,
    shared: BTreeMap<Name, Arc<Budget>>,
    clock: Clock,
}

impl Budgets {
    /// None yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self { own: BTreeMap::new(), shared: BTreeMap::new(), clock }
    }

    /// Those that a destination of `config` draws from.
    pub(super) fn of(&mut self, destination: &Destination, config: &Config) -> Vec<Arc<Budget>> {
        let own = (!destination.rate.is_empty()).then(|| self.own(destination));
        let named = config.budgets.iter().find(|budget| destination.budget.as_ref() == Some(&budget.name));
        let shared = named.map(|budget| self.shared(budget));
        own.into_iter().chain(shared).collect()
    }

    /// Sets the limits that `config` wants, for those who draw from them already as well.
    pub(super) fn limit(&mut self, config: &Config) {
        for destination in config.destinations.iter().filter(|destination| !destination.rate.is_empty()) {
            self.own(destination).limit(&destination.rate, None);
        }
        for budget in &config.budgets {
            self.shared(budget).limit(&budget.rate, budget.concurrency);
        }
    }

    fn own(&mut self, destination: &Destination) -> Arc<Budget> {
        let new = || Arc::new(Budget::new(&destination.rate, None, self.clock.clone()));
        Arc::clone(self.own.entry(destination.name.clone()).or_insert_with(new))
    }

    fn shared(&mut self, budget: &config::Budget) -> Arc<Budget> {
        let new = || Arc::new(Budget::new(&budget.rate, budget.concurrency, self.clock.clone()));
        Arc::clone(self.shared.entry(budget.name.clone()).or_insert_with(new))
    }
}
