//! Destinations as they are in real life: services built from their vendors' documented behaviour (statuses, bodies, limits,
//! tokens that end, refusals in a 200), and one config that delivers calls to all of them through their bad days.
//!
//! They stand in for the vendors, never for a part of the relay.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod alerts;
mod hubspot;
mod pagerduty;
mod pace;
mod salesforce;
mod slack;
#[path = "../support/mod.rs"]
mod support;
mod teams;
mod vendor;
mod zendesk;

mod presets;
