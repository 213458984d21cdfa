//! What exactly is sent? From an event and a destination's target to one request.
//!
//! The body goes out byte for byte with its original `Content-Type` and signature header, so that the destination can
//! verify Atoms' signature itself. Around it stand the relay's own headers:
//!
//! | header | stable over | means |
//! | --- | --- | --- |
//! | `X-Relay-Delivery` | all attempts, all rounds | this event on its way to this destination: `<event id>.<destination>` |
//! | `Idempotency-Key` | all attempts of a round | what must take effect once: the same text, and `.r1`, `.r2` … when people sent a delivered event again |
//! | `X-Relay-Event` | all destinations | the event |
//! | `X-Relay-Attempt` | | counts from 1, over all rounds |
//! | `traceparent` | its trace id: all deliveries of an event | W3C trace context; both ids are derived, so nothing has to be kept |
//!
//! Of two headers with one name the relay's own win, then those that people configured, then those of the event.
//! A body is never parsed or written again here.

mod headers;
mod identity;
mod request;
mod signing;
mod target;
#[cfg(test)]
mod tests;

pub use self::{
    headers::is_reserved,
    request::{OutboundRequest, Unsendable},
    signing::{Signer, SignerError},
    target::Target,
};
use crate::model::{Delivery, Event};

/// The request for attempt number `attempt` (from 1, over all rounds) at a delivery of `event`.
///
/// # Errors
/// [`Unsendable`]; trying again would not help.
pub fn outbound(
    target: &Target,
    event: &Event,
    delivery: &Delivery,
    attempt: u32,
) -> Result<OutboundRequest, Unsendable> {
    let mut headers = target.headers.clone();
    headers::add_original(&mut headers, event)?;
    headers::set_own(&mut headers, event, delivery, attempt)?;
    Ok(OutboundRequest {
        method: target.method.clone(),
        url: target.url.clone(),
        headers,
        body: event.body.clone(),
        shown: target.shown(),
    })
}
