//! Where events and deliveries live: one interface over the engines.
//!
//! `Ok` from a mutating call means that the declared durability was reached; `Err` means that it may have happened: try
//! again with the same ids. Calls take effect whole or not at all, also when the caller stops waiting for them.

pub mod embedded;
mod listing;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::model::{
    Attempt, Delivery, DeliveryId, Event, EventId, Name, NewDelivery, NewEvent, Order, Reading, Timestamp, Verdict,
};
pub use listing::{DeadCursor, DeadLetter, EventFilter, EventState, EventSummary, Listing, Page, ParseCursorError};

/// What the relay needs of a store. Both engines pass the same conformance suite.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores an event, its deduplication key and its deliveries (due at once), atomically and durably.
    ///
    /// # Errors
    /// [`StoreError`]; the event may have been stored all the same.
    async fn accept(&self, event: NewEvent) -> Result<Acceptance, StoreError>;

    /// Takes up to `max` due deliveries of a destination. Each is the caller's alone until it is settled or `lease` has
    /// passed.
    ///
    /// First attempts come before later ones, and those of events that just came in before a backlog, each kind oldest due
    /// first; but none of these is kept waiting for ever by a better one. What was replayed or rerouted is never handed out
    /// while an event is due that just came in. With [`Order::Call`] what has to wait for an earlier event
    /// of its call isn't claimed.
    ///
    /// # Errors
    /// [`StoreError`]; what was claimed all the same comes up again when its lease has passed.
    async fn claim(
        &self,
        destination: &Name,
        max: usize,
        lease: Duration,
        order: Order,
    ) -> Result<Vec<Claim>, StoreError>;

    /// Keeps the body that was made for a claimed delivery, for its later attempts: they find it in
    /// [`Claim::kept_body`]. One that was kept before is replaced. It is gone with its event. Durable.
    ///
    /// # Errors
    /// [`StoreError`]; it may have been kept all the same. [`StoreError::TooLarge`] when an event's kept bodies would take
    /// too much; what was kept before stays.
    async fn keep_body(&self, id: &DeliveryId, token: ClaimToken, body: Bytes) -> Result<Settled, StoreError>;

    /// Says what became of claimed deliveries, one answer each, in order. `Dead` is durable; a lost `Done` or retry means that
    /// the delivery comes again.
    ///
    /// # Errors
    /// [`StoreError`]; the claims lapse with their leases then.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError>;

    /// When the earliest delivery of a destination is due that nobody holds and that, as far as the last claim found, waits
    /// for no other that somebody holds; `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn next_due(&self, destination: &Name) -> Result<Option<Timestamp>, StoreError>;

    /// Notified when a destination may have something new to do. A hint: it may be lost, and it may be idle.
    fn wake(&self, destination: &Name) -> Arc<Notify>;

    /// An event with its deliveries and their attempts; `None` when it isn't there (any more).
    ///
    /// # Errors
    /// [`StoreError`].
    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, StoreError>;

    /// Events, newest first, without bodies and attempts.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn events(
        &self,
        filter: EventFilter,
        page: Page<EventId>,
    ) -> Result<Listing<EventSummary, EventId>, StoreError>;

    /// Dead letters of one destination or of all, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn dead_letters(
        &self,
        destination: Option<&Name>,
        page: Page<DeadCursor>,
    ) -> Result<Listing<DeadLetter, DeadCursor>, StoreError>;

    /// Makes settled deliveries due again, at once: delivered ones in a new round, others under their old idempotency key.
    /// Those that still wait become due at once. Durable.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn replay(&self, deliveries: Vec<DeliveryId>) -> Result<Vec<Replayed>, StoreError>;

    /// Gives events what is made of them today: what they say of themselves where that couldn't be read before, and a delivery
    /// to each destination that they have none to. What they have stays as it is, so to do it again changes nothing.
    /// Durable. One answer each, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn reroute(&self, events: Vec<Rerouting>) -> Result<Vec<Rerouted>, StoreError>;

    /// Throws dead letters away; what isn't a dead letter stays as it is. Durable. Returns how many were thrown away.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn discard(&self, deliveries: Vec<DeliveryId>) -> Result<usize, StoreError>;

    /// Holds (`Some`) or releases (`None`) all deliveries of a destination. Durable: it outlives a restart. A pause that is
    /// over by itself counts as none.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_pause(&self, destination: &Name, pause: Option<Pause>) -> Result<(), StoreError>;

    /// The pause that people put on a destination, if one is on now.
    fn pause_of(&self, destination: &Name) -> Option<Pause>;

    /// Numbers for people. Costs as much as there are destinations, however many events wait.
    fn stats(&self) -> Stats;

    /// Why nothing can be stored now; `None` when all is well.
    fn fault(&self) -> Option<String>;

    /// Waits until the store has failed for good; the process can't do its work any more then.
    async fn failed(&self) -> StoreError;

    /// Writes what is pending and closes cleanly. Later calls fail with [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError`] when the last writes failed; the next start recovers.
    async fn close(&self) -> Result<(), StoreError>;
}

/// The answer to [`Store::accept`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// Stored.
    Created,
    /// Known already, under this id; nothing was changed.
    Duplicate(EventId),
}

/// A delivery that the caller may attempt now.
#[derive(Debug, Clone)]
pub struct Claim {
    /// To be given back with [`Store::settle`].
    pub token: ClaimToken,
    /// The event, with its body.
    pub event: Arc<Event>,
    /// The delivery as it stands.
    pub delivery: Delivery,
    /// The body that was kept for it, if any.
    pub kept_body: Option<Bytes>,
}

impl Claim {
    /// The claimed delivery's id.
    #[must_use]
    pub fn id(&self) -> DeliveryId {
        DeliveryId { event: self.event.id, destination: self.delivery.destination.clone() }
    }
}

/// Proof of a claim; worthless once its lease has passed and another holds the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimToken(pub(crate) u64);

/// What became of a claimed delivery.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which delivery.
    pub id: DeliveryId,
    /// From its claim.
    pub token: ClaimToken,
    /// What becomes of it.
    pub verdict: Verdict,
    /// What happened; `None` when nothing was attempted.
    pub attempt: Option<Attempt>,
}

/// The answer to one [`Settlement`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Recorded.
    Recorded,
    /// The lease had passed: nothing was recorded, and the delivery is or was somebody else's.
    LeaseLost,
}

/// The answer to one replayed delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Replayed {
    /// Due now.
    Due,
    /// There is no such event, or it never was meant for this destination.
    Unknown,
}

/// What is made today of an event that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rerouting {
    /// Which.
    pub event: EventId,
    /// What it says of itself. Ignored where it could be read already, or still can't be.
    pub reading: Reading,
    /// Where it goes. A destination that it has a delivery to already is ignored.
    pub deliveries: Vec<NewDelivery>,
}

/// The answer to one [`Rerouting`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rerouted {
    /// So many deliveries are there now that weren't before.
    Created(usize),
    /// There is no such event (any more).
    Unknown,
}

/// An event with all that is known about it.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// The event.
    pub event: Event,
    /// Its deliveries, each with its attempts, oldest first. Of very many attempts only the latest are kept.
    pub deliveries: Vec<(Delivery, Vec<Attempt>)>,
}

/// Why people hold a destination back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself; `None`: when a person ends it.
    pub until: Option<Timestamp>,
    /// In the words of whoever paused it; may be empty.
    pub reason: String,
}

impl Pause {
    /// Whether it holds anything back at `now`.
    #[must_use]
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Numbers of the whole store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events kept.
    pub events: u64,
    /// Events kept that no route wanted.
    pub unrouted: u64,
    /// Events kept that couldn't be read.
    pub quarantined: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes that are free on that disk, where that is known.
    pub disk_free: Option<u64>,
    /// How long it takes until the disk is too full to accept events, at the rate of the last hour; `None` while the store
    /// doesn't grow.
    pub disk_full_in: Option<Duration>,
    /// What was found damaged.
    pub damage: Damage,
    /// One entry for each destination that ever had a delivery, by name.
    pub destinations: Vec<DestinationStats>,
}

/// What a start found damaged on the disk, and what was met since then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Places where records can't be read although there were some: each was skipped up to the next record.
    pub places: u64,
    /// The bytes of these places.
    pub bytes: u64,
    /// Events that are known and can't be read.
    pub events: u64,
}

/// Numbers of one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationStats {
    /// Its name.
    pub destination: Name,
    /// Deliveries that wait, those in flight included.
    pub waiting: u64,
    /// Of these, deliveries that somebody holds a claim on.
    pub in_flight: u64,
    /// Dead letters.
    pub dead: u64,
    /// Deliveries that were retired for their age, as far as their events are kept.
    pub expired: u64,
    /// When the event was received whose delivery is due first; `None` when nothing waits.
    pub oldest: Option<Timestamp>,
}

/// Why the store didn't do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It failed for good in this process; nothing will be stored any more.
    #[error("the store has failed: {0}")]
    Failed(Arc<str>),
    /// It was closed.
    #[error("the store is closed")]
    Closed,
    /// There is too little room on the disk.
    #[error("the disk is nearly full: {0}")]
    DiskFull(Arc<str>),
    /// It is more than can be kept.
    #[error("too large to be kept: {0}")]
    TooLarge(Arc<str>),
    /// What is on disk can't be read.
    #[error("{0}")]
    Damaged(Arc<str>),
}
