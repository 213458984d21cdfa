//! What exactly is sent? From an event and a destination's target to one request.
//!
//! By default the body goes out byte for byte with its original `Content-Type` and signature header, so that the
//! destination can verify Atoms' signature itself. A destination may want another body, and parts of the event in its
//! address and headers: those are templates, compiled when the config is read. Around the body stand the relay's own headers:
//!
//! | header | stable over | means |
//! | --- | --- | --- |
//! | `X-Relay-Delivery` | all attempts, all rounds | this event on its way to this destination: `<event id>.<destination>` |
//! | `Idempotency-Key` | all attempts of a round | what must take effect once: the same text, and `.r1`, `.r2` … when people sent a delivered event again |
//! | `X-Relay-Event` | all destinations | the event |
//! | `X-Relay-Attempt` | | counts from 1, over all rounds |
//! | `traceparent` | its trace id: all deliveries of an event | W3C trace context; its span is the attempt, as an exported trace has it |
//!
//! An alert of the relay's own has a body of its own at each destination, for no template for calls fits it.
//!
//! Of two headers with one name the relay's own win, signatures of its own among them, then those that people configured, then
//! those of the event.
//!
//! Whatever an event holds, it can't break the JSON around it, add a header, or lead a request to another host; and of what
//! can't be rendered no request is made. What a raw destination costs is not to grow with what templates can do: nothing is
//! parsed, rendered or looked up for it.

mod address;
mod body;
mod headers;
mod identity;
mod rendering;
mod request;
mod signing;
mod target;
mod url_template;
mod vars;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;

use self::rendering::Rendering;
pub use self::{
    address::Address,
    body::{Body, Resend},
    headers::{HeaderTemplate, is_reserved},
    request::{OutboundRequest, Unsendable},
    signing::{Signer, SignerError},
    target::Target,
    vars::{MASK, Var, Vars},
};
use crate::model::{Delivery, Event, Sampling, Timestamp};

/// What came with a destination's credentials, by name: `auth.NAME` in templates.
pub type Captured = BTreeMap<String, String>;

/// The attempt that a request is for.
#[derive(Debug, Clone)]
pub struct Occasion<'a> {
    /// The event.
    pub event: &'a Event,
    /// Its way to the destination.
    pub delivery: &'a Delivery,
    /// The attempt's number, from 1 over all rounds.
    pub attempt: u32,
    /// When it begins.
    pub now: Timestamp,
    /// What came with the credentials.
    pub auth: &'a Captured,
    /// The body of an earlier attempt, where it was kept.
    pub kept_body: Option<Bytes>,
    /// Which traces we record.
    pub sampling: Sampling,
}

/// The request for one attempt.
///
/// # Errors
/// [`Unsendable`]; trying again would not help.
pub fn outbound(target: &Target, occasion: &Occasion<'_>) -> Result<OutboundRequest, Unsendable> {
    let rendering = Rendering::new(target, occasion);
    let (url, address) = target.url.resolve(&rendering)?;
    let body = body::make(target, &rendering)?;
    Ok(OutboundRequest {
        method: target.method.clone(),
        url,
        headers: headers::all(target, &rendering, &body)?,
        body,
        must_be_kept: body::must_be_kept(target, occasion),
        shown: format!("{} {address}", target.method),
    })
}

/// The body of the same request as people may see it: with masks for secrets.
///
/// # Errors
/// [`Unsendable`], as for the request.
pub fn shown_body(target: &Target, occasion: &Occasion<'_>) -> Result<Bytes, Unsendable> {
    let masked = target.masked();
    body::make(&masked, &Rendering::new(&masked, occasion))
}
