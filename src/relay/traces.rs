//! How spans get to the collector: by the same client as deliveries, with its TLS and its guard of addresses.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{StartError, tracked};
use crate::{
    address::Policy,
    config,
    send::{Client, ClientError, Sent, Settings, Timeouts, Trust},
    telemetry::{Carried, Carrier, Metrics},
};

/// As OpenTelemetry's own exporters have it.
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(10) };

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The task that brings spans to the collector, if there is one. It ends when this is dropped.
pub(super) struct Export {
    stop: DropGuard,
    task: TaskTracker,
}

impl Export {
    /// Has `metrics` tell traces to the collector that is `configured`.
    ///
    /// # Errors
    /// [`StartError::Traces`] when it can't be called at all.
    pub(super) fn start(configured: Option<config::Traces>, metrics: &mut Metrics) -> Result<Self, StartError> {
        let stop = CancellationToken::new();
        let (sampling, carrier) = match configured {
            None => return Ok(Self { stop: stop.drop_guard(), task: tracked(async {}) }),
            Some(configured) => (configured.sampling, carrier(configured).map_err(StartError::Traces)?),
        };
        let task = tracked(metrics.export_traces(sampling, carrier).run(stop.clone()));
        Ok(Self { stop: stop.drop_guard(), task })
    }

    /// Waits until what is left has been sent, for some seconds at most.
    pub(super) async fn end(self) {
        drop(self.stop);
        self.task.wait().await;
    }
}

fn carrier(configured: config::Traces) -> Result<Carrier, ClientError> {
    let config::Traces { endpoint, mut headers, tls, .. } = configured;
    let trust = tls.authorities.map_or_else(|| Trust::for_calls_to([&endpoint]), Trust::Only);
    let (policy, identity) = (Policy::AllowPrivate, tls.identity);
    let client = Client::new(Settings { timeouts: TIMEOUTS, trust, identity, policy, grant: None })?;
    headers.insert(header::CONTENT_TYPE, JSON);
    Ok(Box::new(move |document| {
        let (client, endpoint, headers) = (client.clone(), endpoint.clone(), headers.clone());
        Box::pin(async move { carried(client.post(endpoint, headers, document).await) })
    }))
}

/// What OTLP says of an answer: of the statuses that refuse, four may pass.
fn carried(sent: Sent) -> Carried {
    let reply = match sent {
        Ok(reply) => reply,
        Err(failure) => return Carried::Failed(format!("{}: {}", failure.kind, failure.detail)),
    };
    match reply.status {
        status if status.is_success() => Carried::Taken(reply.body),
        status @ (StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT) => Carried::Failed(format!("answered {status}")),
        status => Carried::Refused(format!("answered {status}")),
    }
}
