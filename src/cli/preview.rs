//! What a configuration makes of an event, as people may see it: nothing is sent or stored, and secrets have masks.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use super::failure::{Exit, Failure};
use crate::{
    alert::EVENT_TYPE,
    clock::random_bytes,
    config::{Config, Destination, Source},
    model::{Delivery, Event, EventId, Name, NewDelivery, NewEvent, OriginalHeaders, Reading, Sampling, Timestamp},
    transform::{Body, Captured, MASK, Occasion, OutboundRequest, Unsendable, outbound, shown_body},
};

/// What a destination would get.
pub(super) struct Preview {
    /// Who would get it.
    pub(super) destination: Name,
    /// The request, or why there can be none.
    pub(super) request: Result<Request, String>,
}

/// A request with masks for secrets.
pub(super) struct Request {
    /// The method.
    pub(super) method: Method,
    /// The address without its query, and without a secret path.
    pub(super) address: String,
    /// The whole address, to compare with and never to show.
    pub(super) whole_address: String,
    /// Whether its path is a secret.
    pub(super) has_secret_address: bool,
    /// The headers.
    pub(super) headers: Vec<(String, String)>,
    /// How its body is made.
    pub(super) kind: Body,
    /// Its body.
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Method and address.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.method, self.address)
    }

    /// The body as a text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the body goes out as it came.
    pub(super) fn is_raw(&self) -> bool {
        matches!(self.kind, Body::Raw)
    }
}

/// The event that the relay would make of `body`, signed as its source would.
pub(super) fn received(source: &Source, body: Vec<u8>, now: Timestamp) -> Result<Event, Failure> {
    let headers = OriginalHeaders {
        content_type: Some(b"application/json".to_vec()),
        signature: Some((source.verifier.header().to_string(), source.verifier.sign(&body).into_bytes())),
    };
    let (id, reading) = (new_id(now)?, Reading::of(&body));
    Ok(Event { id, source: source.name.clone(), received_at: now, reading, headers, body: Bytes::from(body) })
}

/// The alert that has this body; `None` when it is of no alert.
pub(super) fn alert(body: &[u8], now: Timestamp) -> Result<Option<Event>, Failure> {
    let is_alert = Reading::of(body).envelope().is_some_and(|envelope| &*envelope.event_type == EVENT_TYPE);
    let event = |id| NewEvent::own(id, Bytes::copy_from_slice(body), Vec::new()).event;
    is_alert.then(|| new_id(now).map(event)).transpose()
}

fn new_id(now: Timestamp) -> Result<EventId, Failure> {
    let dice = random_bytes().map_err(|error| Failure::new(Exit::Io, format_args!("no random numbers: {error}")))?;
    Ok(EventId::new(now, dice))
}

/// What each destination would get of an event: those that its routes lead to, or of an alert those that `[alerts]` names.
pub(super) fn previews(event: &Event, config: &Config) -> Vec<Preview> {
    let told = config.alerts.iter().flat_map(|alerts| &alerts.to).cloned().map(NewDelivery::to);
    let deliveries = if event.is_own() { told.collect() } else { config.routes.deliveries(event) };
    deliveries.into_iter().filter_map(|delivery| preview(delivery, event, config)).collect()
}

fn preview(new: NewDelivery, event: &Event, config: &Config) -> Option<Preview> {
    let destination = config.destinations.iter().find(|destination| destination.name == new.destination)?;
    let sampling = config.traces.as_ref().map_or(Sampling::ALL, |traces| traces.sampling);
    let request = match new.refused {
        Some(refused) => Err(refused.to_string()),
        None => request(destination, event, sampling).map_err(|why| why.to_string()),
    };
    Some(Preview { destination: new.destination, request })
}

fn request(destination: &Destination, event: &Event, sampling: Sampling) -> Result<Request, Unsendable> {
    let target = &destination.target;
    let delivery = Delivery::new(destination.name.clone(), event.received_at);
    let (auth, now) = (stand_ins(destination), event.received_at);
    let occasion = Occasion { event, delivery: &delivery, attempt: 1, now, auth: &auth, kept_body: None, sampling };
    let OutboundRequest { method, url, shown, mut headers, .. } = outbound(target, &occasion)?;
    if destination.grant.is_some() {
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static(MASK));
    }
    let address = shown.split_once(' ').map_or_else(String::new, |(_, address)| address.to_owned());
    let body = shown_body(target, &occasion)?.to_vec();
    Ok(Request {
        method,
        address,
        whole_address: url.into(),
        has_secret_address: target.url.is_secret(),
        headers: masked(&headers),
        kind: target.body_of(event).clone(),
        body,
    })
}

/// What stands for the fields that come with an access token, for none is fetched: addresses, because some begin one. There
/// are no such hosts: RFC 2606.
fn stand_ins(destination: &Destination) -> Captured {
    let fields = destination.grant.iter().flat_map(|grant| &grant.capture);
    fields.map(|field| (field.clone(), format!("https://{field}.invalid"))).collect()
}

/// The headers as a person may see them.
fn masked(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = |value: &HeaderValue| {
        if value.is_sensitive() { MASK.to_owned() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() }
    };
    headers.iter().map(|(name, value)| (name.to_string(), shown(value))).collect()
}
