//! What runs now, and how it becomes what another config wants: nothing of it before all of that is ready.
//!
//! [`Ready`] is where a config can still fail; after it there is only swapping. The budgets come first, then the lanes, then
//! what sends deliveries to them, so that none is created for a lane that is still to come.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use super::{
    StartError,
    budgets::Budgets,
    changes::{Changes, Fixed, Running},
    flows::{Flows, Ground},
    parts,
};
use crate::{
    admin::Admin,
    alerts,
    config::{Config, Endpoint},
    dispatch::{self, Wanted},
    ingest::Ingest,
    model::Name,
    route::Routes,
    send::Client,
    telemetry::Metrics,
};

/// A config of which all can be run, with the clients of the destinations that are new or others.
pub(super) struct Ready {
    config: Config,
    running: Running,
    changes: Changes,
    clients: BTreeMap<Name, Client>,
}

impl Ready {
    /// Makes everything for `config` that can fail; `running` is what runs now. It may block.
    ///
    /// # Errors
    /// [`StartError::Destination`].
    pub(super) fn new(config: Config, running: &Running) -> Result<Self, StartError> {
        let next = Running::of(&config);
        let changes = Changes::between(&running.destinations, &next.destinations);
        let is_as_it_was = |name: &Name| changes.unchanged.contains(name);
        let others = config.destinations.iter().filter(|one| !is_as_it_was(&one.name));
        let clients =
            others.map(|one| Ok((one.name.clone(), parts::client(one)?))).collect::<Result<_, StartError>>()?;
        Ok(Self { config, running: next, changes, clients })
    }

    /// Its text.
    pub(super) fn text(&self) -> String {
        shown_text(&self.config)
    }

    /// What looks wrong about it.
    pub(super) fn warnings(&self) -> String {
        self.config.warnings.to_string()
    }
}

/// The text of a config as people may see it, without the spaces that hidden comments leave.
pub(super) fn shown_text(config: &Config) -> String {
    config.masked_text().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// What there is to be changed, and what it was made of.
pub(super) struct Current {
    fixed: Fixed,
    running: Running,
    budgets: Budgets,
    routes: watch::Sender<Arc<Routes>>,
    alerts: watch::Sender<Arc<alerts::Settings>>,
    dispatch: dispatch::Handle,
    ingest: Arc<Ingest>,
    admin: Arc<Admin>,
    metrics: Arc<Metrics>,
}

/// What was changed.
#[derive(Debug)]
pub(super) struct Applied {
    /// The destinations.
    pub(super) destinations: Changes,
    /// The sources.
    pub(super) sources: Changes,
    /// What the config wants and doesn't get before the relay starts anew.
    pub(super) needs_restart: Vec<&'static str>,
}

impl Current {
    /// Makes `flows`, which have nothing to do yet, what `config` wants. What can't change later is that of `config`, and
    /// `admin`, the address at which people are listened to.
    ///
    /// # Errors
    /// [`StartError::Destination`].
    pub(super) fn start(config: Config, flows: &Flows, ground: &Ground, admin: Endpoint) -> Result<Self, StartError> {
        let mut current = Self {
            fixed: Fixed::of(&config, admin),
            running: Running::default(),
            budgets: Budgets::new(ground.clock.clone()),
            routes: flows.routes.clone(),
            alerts: flows.alerts.clone(),
            dispatch: flows.dispatch.handle(),
            ingest: Arc::clone(&flows.ingest),
            admin: Arc::clone(&flows.admin),
            metrics: Arc::clone(&ground.metrics),
        };
        current.apply(Ready::new(config, &current.running)?);
        Ok(current)
    }

    /// The fingerprints of what runs.
    pub(super) fn running(&self) -> &Running {
        &self.running
    }

    /// Makes it what `ready` wants.
    pub(super) fn apply(&mut self, ready: Ready) -> Applied {
        let Ready { mut config, running, changes, mut clients } = ready;
        let routes = Arc::new(std::mem::take(&mut config.routes));
        self.budgets.limit(&config);
        let wanted = config.destinations.iter().map(|one| match clients.remove(&one.name) {
            None => Wanted::Same(one.name.clone()),
            Some(client) => {
                let budgets = self.budgets.of(one, &config);
                Wanted::New(Arc::new(parts::destination(one, client, budgets, self.routes.subscribe())))
            }
        });
        self.dispatch.apply(wanted.collect());
        self.routes.send_replace(Arc::clone(&routes));
        self.ingest.apply(parts::bounds(&config), parts::sources(&config), routes);
        let sources = Changes::between(&self.running.sources, &running.sources);
        self.running = running;
        self.alerts.send_replace(Arc::new(parts::alerts(&config, &self.metrics)));
        if self.fixed.may_be_guarded_as(&config) {
            self.admin.change_guard(parts::guard(&config));
        }
        Applied { destinations: changes, sources, needs_restart: self.fixed.unlike(&config) }
    }
}
