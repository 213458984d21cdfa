//! The nouns of the relay: what flows through it, and the states it can be in.
//!
//! Nothing here decides, waits or touches the world. Every other room speaks in these types.

mod delivery;
mod envelope;
mod event;
mod id;
mod name;
mod normalized;
mod time;
mod trace;

pub use delivery::{
    Attempt, Class, DeadReason, Delivery, DeliveryState, FailureKind, IllegalStep, NewDelivery, Order, Outcome, Verdict,
};
pub use envelope::{Envelope, Reading};
pub use event::{DedupKey, Event, NewEvent, OWN_SOURCE, OriginalHeaders};
pub use id::{DeliveryId, EventId, ParseIdError};
pub use name::{Name, NameError};
pub use normalized::{About, Agent, Analytics, Call, Normalized, Payload};
pub use time::Timestamp;
pub use trace::{Sampling, SpanId, TraceId};
