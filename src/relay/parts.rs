//! What the rooms get of a [`Config`](crate::config::Config), in their own types.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use super::StartError;
use crate::{
    alert::Policy,
    alerts,
    clock::Clock,
    config::{self, Destination, Source},
    dispatch::{self, Budget, Freshness},
    ingest,
    model::Name,
    route::Routes,
    send::{Client, Settings, Timeouts, Trust},
    telemetry::Metrics,
};

/// A budget, of which nothing is used yet.
pub(super) fn budget(configured: config::Budget, clock: &Clock) -> (Name, Arc<Budget>) {
    let config::Budget { name, rate, concurrency } = configured;
    (name, Arc::new(Budget::new(&rate, concurrency, clock.clone())))
}

/// A destination, which draws from the `shared` budget that it names.
///
/// # Errors
/// [`StartError::Destination`] when it can't be called at all.
pub(super) fn destination(
    configured: Destination,
    shared: &BTreeMap<Name, Arc<Budget>>,
    routes: &watch::Receiver<Arc<Routes>>,
    clock: &Clock,
) -> Result<dispatch::Destination, StartError> {
    let client = client(&configured)?;
    let is_limited = !configured.rate.is_empty();
    let own = is_limited.then(|| Arc::new(Budget::new(&configured.rate, None, clock.clone())));
    let shared = configured.budget.and_then(|name| shared.get(&name).cloned());
    let budgets = own.into_iter().chain(shared).collect();
    Ok(dispatch::Destination {
        name: configured.name,
        target: configured.target,
        client,
        concurrency: configured.concurrency,
        budgets,
        order: configured.order,
        freshness: Freshness::new(configured.max_age, routes.clone()),
        retry: configured.retry,
        rules: configured.rules,
    })
}

fn client(configured: &Destination) -> Result<Client, StartError> {
    let settings = Settings {
        timeouts: Timeouts { connect: configured.connect_timeout, total: configured.timeout },
        trust: trust(configured),
        identity: configured.tls.identity.clone(),
        policy: configured.policy,
        grant: configured.grant.clone(),
    };
    let destination = || configured.name.clone();
    Client::new(settings).map_err(|source| StartError::Destination { destination: destination(), source })
}

fn trust(configured: &Destination) -> Trust {
    let (url, token_url) = (configured.target.url.sample(), configured.grant.as_ref().map(|grant| &grant.token_url));
    match &configured.tls.authorities {
        Some(authorities) => Trust::Only(authorities.clone()),
        None => Trust::for_calls_to(token_url.into_iter().chain([&url])),
    }
}

/// What is to be told of the relay, and to whom.
pub(super) fn alerts(policy: Option<Policy>, sources: &[Source], metrics: &Metrics) -> alerts::Settings {
    let sources = sources.iter().map(|source| (source.name.clone(), metrics.source(&source.name)));
    alerts::Settings { policy, sources: sources.collect() }
}

/// A source.
pub(super) fn source(configured: Source) -> ingest::Source {
    ingest::Source { name: configured.name, path: configured.path, verifier: configured.verifier }
}
