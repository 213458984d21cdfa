//! The headers around the body: the relay's own, those that people configured, and those that came with the event.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Occasion, Target, Unsendable, identity, rendering::Rendering};
use crate::{
    model::{DeliveryId, Event},
    template::{Scope, Template},
};

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

/// A header with parts from the event.
#[derive(Debug, Clone)]
pub struct HeaderTemplate {
    /// Its name.
    pub name: HeaderName,
    /// Its value. A header whose value is empty is left out.
    pub value: Template,
    /// Whether nobody may be shown the value.
    pub is_sensitive: bool,
}

impl HeaderTemplate {
    fn add_to(&self, headers: &mut HeaderMap, scope: &Scope) -> Result<(), Unsendable> {
        let text = self.value.render(scope).map_err(|error| Unsendable::template(self.shown_name(), error))?;
        if text.trim().is_empty() {
            return Ok(());
        }
        let mut value = value(text.trim().as_bytes(), self.name.to_string())?;
        value.set_sensitive(self.is_sensitive);
        headers.insert(&self.name, value);
        Ok(())
    }

    fn shown_name(&self) -> String {
        format!("the header `{}`", self.name)
    }
}

/// All headers of the request with this body.
pub(super) fn all(target: &Target, rendering: &Rendering<'_>, body: &[u8]) -> Result<HeaderMap, Unsendable> {
    let mut headers = target.headers.clone();
    for template in &target.header_templates {
        template.add_to(&mut headers, rendering.scope())?;
    }
    let event = rendering.occasion().event;
    match target.body_of(event).content_type() {
        None => add_original(&mut headers, event)?,
        Some(usual) => {
            let wanted = target.content_type.clone().filter(|_| !event.is_own());
            headers.entry(header::CONTENT_TYPE).or_insert(wanted.unwrap_or(usual));
        }
    }
    let key = set_own(&mut headers, rendering.occasion())?;
    if let Some(signer) = &target.signing {
        let signed = signer.sign(&mut headers, body, &key, rendering.occasion().now);
        signed.map_err(|_| Unsendable::Header("signature".into()))?;
    }
    Ok(headers)
}

/// Adds the headers that came with the body, where nobody configured others.
fn add_original(headers: &mut HeaderMap, event: &Event) -> Result<(), Unsendable> {
    if let Some(content_type) = &event.headers.content_type {
        let content_type = value(content_type, "Content-Type")?;
        headers.entry(header::CONTENT_TYPE).or_insert(content_type);
    }
    if let Some((name, signature)) = &event.headers.signature {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unsendable::Header("signature".into()))?;
        let signature = value(signature, "signature")?;
        headers.entry(name).or_insert(signature);
    }
    Ok(())
}

/// Sets the relay's own headers, whatever stood there, and returns the idempotency key.
fn set_own(headers: &mut HeaderMap, occasion: &Occasion<'_>) -> Result<String, Unsendable> {
    let Occasion { event, delivery, attempt, sampling, .. } = *occasion;
    let id = DeliveryId { event: event.id, destination: delivery.destination.clone() };
    let key = identity::idempotency_key(&id, delivery.round);
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(IDEMPOTENCY_KEY, value(key.as_bytes(), "Idempotency-Key")?);
    let traceparent = identity::traceparent(&id, attempt, sampling);
    headers.insert(TRACEPARENT, value(traceparent.as_bytes(), "traceparent")?);
    headers.insert(RELAY_DELIVERY, value(id.to_string().as_bytes(), "X-Relay-Delivery")?);
    headers.insert(RELAY_EVENT, value(event.id.to_string().as_bytes(), "X-Relay-Event")?);
    headers.insert(RELAY_ATTEMPT, attempt.into());
    Ok(key)
}

fn value(bytes: &[u8], header: impl Into<Cow<'static, str>>) -> Result<HeaderValue, Unsendable> {
    HeaderValue::from_bytes(bytes).map_err(|_| Unsendable::Header(header.into()))
}
