//! The headers around the body: the relay's own, and those that came with the event.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Unsendable, identity};
use crate::model::{Delivery, DeliveryId, Event};

/// What we call ourselves.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("atoms-relay/", env!("CARGO_PKG_VERSION")));

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const RELAY_DELIVERY: HeaderName = HeaderName::from_static("x-relay-delivery");
const RELAY_EVENT: HeaderName = HeaderName::from_static("x-relay-event");
const RELAY_ATTEMPT: HeaderName = HeaderName::from_static("x-relay-attempt");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Whether people may not set this header for a destination: the relay sets it, or it belongs to the connection.
#[must_use]
pub fn is_reserved(name: &HeaderName) -> bool {
    const RESERVED: [HeaderName; 10] = [
        IDEMPOTENCY_KEY,
        RELAY_DELIVERY,
        RELAY_EVENT,
        RELAY_ATTEMPT,
        TRACEPARENT,
        header::USER_AGENT,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
    ];
    RESERVED.contains(name)
}

/// Adds the headers that came with the body, where nobody configured others.
pub(super) fn add_original(headers: &mut HeaderMap, event: &Event) -> Result<(), Unsendable> {
    if let Some(content_type) = &event.headers.content_type {
        let content_type = value(content_type, "Content-Type")?;
        headers.entry(header::CONTENT_TYPE).or_insert(content_type);
    }
    if let Some((name, signature)) = &event.headers.signature {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unsendable::Header("signature"))?;
        let signature = value(signature, "signature")?;
        headers.entry(name).or_insert(signature);
    }
    Ok(())
}

/// Sets the relay's own headers, whatever stood there.
pub(super) fn set_own(
    headers: &mut HeaderMap,
    event: &Event,
    delivery: &Delivery,
    attempt: u32,
) -> Result<(), Unsendable> {
    let id = DeliveryId { event: event.id, destination: delivery.destination.clone() };
    let key = identity::idempotency_key(&id, delivery.round);
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(IDEMPOTENCY_KEY, value(key.as_bytes(), "Idempotency-Key")?);
    headers.insert(TRACEPARENT, value(identity::traceparent(&id, attempt).as_bytes(), "traceparent")?);
    headers.insert(RELAY_DELIVERY, value(id.to_string().as_bytes(), "X-Relay-Delivery")?);
    headers.insert(RELAY_EVENT, value(event.id.to_string().as_bytes(), "X-Relay-Event")?);
    headers.insert(RELAY_ATTEMPT, attempt.into());
    Ok(())
}

fn value(bytes: &[u8], header: &'static str) -> Result<HeaderValue, Unsendable> {
    HeaderValue::from_bytes(bytes).map_err(|_| Unsendable::Header(header))
}
