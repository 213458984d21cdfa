//! What the planner hears, and what it says.

use std::num::NonZeroUsize;

use super::{freshness::Freshness, planner::Draws};
use crate::{
    breaker::{Breaker, Condition},
    model::{Attempt, DeadReason, Delivery, DeliveryId, Timestamp},
    outcome::Meaning,
    retry::RetryPolicy,
    store::{Claim, ClaimToken, Pause, Settled, Settlement, StoreError},
};

/// When something happens, and what people want at that time.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    /// The time.
    pub(super) now: Timestamp,
    /// The pause that people put on the destination.
    pub(super) pause: Option<Pause>,
}

/// What happens to a lane.
#[derive(Debug)]
pub(super) enum Input {
    /// There may be something to do: a hint, or the time has come.
    Nudged,
    /// A look into the queue is over.
    Looked(Result<Found, StoreError>),
    /// Attempts are over.
    Ended(Vec<Ended>),
    /// A settling is over.
    Settled(Vec<Settlement>, Result<Vec<Settled>, StoreError>),
    /// So many permits, drawn from the destination's budgets.
    Granted(usize),
    /// A person says that the destination is well again.
    Resumed,
    /// The destination is another now, and wants this.
    Changed(Box<Terms>),
    /// The relay stops, or there is no destination any more.
    Stopping,
}

/// What a destination wants of its lane.
#[derive(Debug)]
pub(super) struct Terms {
    /// How failed deliveries are tried again.
    pub(super) policy: RetryPolicy,
    /// How it is treated when it fails; nothing is known of it yet.
    pub(super) breaker: Breaker,
    /// Up to which age deliveries are of use to it.
    pub(super) freshness: Freshness,
    /// What its budgets let start.
    pub(super) draws: Draws,
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Action {
    /// Draw permits for up to so many attempts from the destination's budgets.
    Draw(NonZeroUsize),
    /// Give so many of them back.
    GiveBack(usize),
    /// Claim up to so many deliveries.
    Look(NonZeroUsize),
    /// Attempt this delivery.
    Attempt(Claim),
    /// Tell the store what became of these.
    Settle(Vec<Settlement>),
    /// Tell people.
    Tell(Notice),
}

/// What people may want to know.
#[derive(Debug)]
pub(super) enum Notice {
    /// The destination's condition is another kind of condition now.
    Condition(Condition),
    /// A delivery was given up.
    Dead(DeliveryId, DeadReason),
    /// A delivery came too late to be of use, and is retired.
    Expired(DeliveryId),
    /// The store didn't take what became of a delivery: its lease had passed.
    LeaseLost(DeliveryId),
    /// The store fails.
    StoreFails(StoreError),
    /// It does its work again.
    StoreWorks,
}

/// What a look found.
#[derive(Debug)]
pub(super) struct Found {
    /// Deliveries, claimed for us.
    pub(super) claims: Vec<Claim>,
    /// When the next one is due: in the past when there may be more already, `None` when nothing waits.
    pub(super) next_due: Option<Timestamp>,
}

/// An attempt that is over.
#[derive(Debug)]
pub(super) struct Ended {
    /// The delivery.
    pub(super) id: DeliveryId,
    /// The claim that it was attempted under.
    pub(super) token: ClaimToken,
    /// The delivery as it stood before.
    pub(super) delivery: Delivery,
    /// What happened.
    pub(super) attempt: Attempt,
    /// What it means.
    pub(super) meaning: Meaning,
    /// The way that it went.
    pub(super) way: Taken,
    /// A random fraction in `0.0..1.0`, for what is decided about it.
    pub(super) roll: f64,
}

/// Which way an attempt took to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// That which the next one takes as well.
    Present,
    /// That to what the destination was: what it met says nothing of what it is.
    Former,
}
