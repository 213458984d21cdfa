//! What the rooms get of a [`Config`], in their own types.

use std::sync::Arc;

use tokio::sync::watch;

use super::StartError;
use crate::{
    admin::Guard,
    alerts,
    config::{Config, Destination, Source},
    dispatch::{self, Budget, Freshness},
    ingest,
    route::Routes,
    send::{Client, Settings, Timeouts, Trust},
    telemetry::Metrics,
};

/// A destination that is called by `client` and draws from `budgets`.
pub(super) fn destination(
    configured: &Destination,
    client: Client,
    budgets: Vec<Arc<Budget>>,
    routes: watch::Receiver<Arc<Routes>>,
) -> dispatch::Destination {
    dispatch::Destination {
        name: configured.name.clone(),
        target: configured.target.clone(),
        client,
        concurrency: configured.concurrency,
        budgets,
        order: configured.order,
        freshness: Freshness::new(configured.max_age, routes),
        retry: configured.retry,
        rules: configured.rules.clone(),
    }
}

/// What calls a destination. It may read the system's certificates, so it takes a while.
///
/// # Errors
/// [`StartError::Destination`].
pub(super) fn client(configured: &Destination) -> Result<Client, StartError> {
    let settings = Settings {
        timeouts: Timeouts { connect: configured.connect_timeout, total: configured.timeout },
        trust: trust(configured),
        identity: configured.tls.identity.clone(),
        policy: configured.policy,
        grant: configured.grant.clone(),
    };
    Client::new(settings).map_err(|source| StartError::Destination { destination: configured.name.clone(), source })
}

fn trust(configured: &Destination) -> Trust {
    let (url, token_url) = (configured.target.url.sample(), configured.grant.as_ref().map(|grant| &grant.token_url));
    match &configured.tls.authorities {
        Some(authorities) => Trust::Only(authorities.clone()),
        None => Trust::for_calls_to(token_url.into_iter().chain([&url])),
    }
}

/// What is to be told of the relay, and to whom.
pub(super) fn alerts(config: &Config, metrics: &Metrics) -> alerts::Settings {
    let sources = config.sources.iter().map(|source| (source.name.clone(), metrics.source(&source.name)));
    alerts::Settings { policy: config.alerts.clone(), sources: sources.collect() }
}

/// The sources.
pub(super) fn sources(config: &Config) -> Vec<ingest::Source> {
    let source = |Source { name, path, verifier, .. }: &Source| ingest::Source {
        name: name.clone(),
        path: path.clone(),
        verifier: verifier.clone(),
    };
    config.sources.iter().map(source).collect()
}

/// Who may look in and steer.
pub(super) fn guard(config: &Config) -> Guard {
    Guard::new(config.admin.token.as_ref(), config.admin.names.clone())
}

/// The bounds of ingest.
pub(super) fn bounds(config: &Config) -> ingest::Settings {
    ingest::Settings::new(config.server.max_body, config.server.accept_deadline)
}
