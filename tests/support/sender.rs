//! The delivering half of the relay over a real store in a directory of its own.

use std::{num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use atoms_relay::{
    address::Policy,
    breaker::Condition,
    clock::Clock,
    dispatch::{Destination, Dispatch, Freshness},
    model::{
        Attempt, DedupKey, Delivery, DeliveryState, Event, EventId, Name, NewDelivery, NewEvent, Order,
        OriginalHeaders, Reading, Timestamp,
    },
    outcome::Rules,
    retry::RetryPolicy,
    send::{Client, Settings, Timeouts, Trust},
    store::{
        Pause, Store,
        embedded::{Embedded, Options, Retention},
    },
    transform::{Address, Target},
    verify,
};
use bytes::Bytes;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{eventually, fixtures, metrics, within};

/// Longer than any attempt on loopback takes, unless a destination hangs.
pub const PATIENT: Duration = Duration::from_secs(20);

/// A destination that is tried again after some milliseconds, for an hour.
pub fn to(name: &str, url: &str) -> Destination {
    Destination {
        name: self::name(name),
        target: Target::new(Address::fixed(url.parse().unwrap())),
        client: client(settings()),
        concurrency: NonZeroUsize::new(8).unwrap(),
        budgets: Vec::new(),
        order: Order::None,
        freshness: Freshness::default(),
        retry: retry(Duration::from_secs(3_600)),
        rules: Rules::default(),
    }
}

/// What calls a destination that way.
pub fn client(settings: Settings) -> Client {
    Client::new(settings).unwrap()
}

/// Patient, without certificates and without credentials.
pub fn settings() -> Settings {
    Settings {
        timeouts: Timeouts { connect: PATIENT, total: PATIENT },
        trust: Trust::Nobody,
        identity: None,
        policy: Policy::AllowPrivate,
        grant: None,
    }
}

/// Retries after 20 ms at first and 100 ms at last, until `give_up_after`.
pub fn retry(give_up_after: Duration) -> RetryPolicy {
    RetryPolicy::try_new(Duration::from_millis(20), Duration::from_millis(100), give_up_after).unwrap()
}

pub fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

/// A dispatch that runs. It stops when it is dropped, but only [`Sender::stop`] waits for that.
pub struct Sender {
    pub store: Arc<dyn Store>,
    pub dispatch: Dispatch,
    directory: TempDir,
    stop: CancellationToken,
}

impl Sender {
    /// Starts one with an empty store.
    pub fn start(destinations: Vec<Destination>) -> Self {
        Self::start_in(TempDir::new().unwrap(), destinations)
    }

    /// Starts one with the store in `directory`.
    pub fn start_in(directory: TempDir, destinations: Vec<Destination>) -> Self {
        let store = open(directory.path());
        let stop = CancellationToken::new();
        let dispatch = Dispatch::start(destinations, Arc::clone(&store), Clock::system(), &stop, metrics());
        Self { store, dispatch, directory, stop }
    }

    /// Stops it, with so much time for what is on its way, and returns the directory with what it stored.
    pub async fn stop(self, grace: Duration) -> TempDir {
        self.stop.cancel();
        within("stopping", self.dispatch.finished(grace)).await;
        within("closing the store", self.store.close()).await.unwrap();
        self.directory
    }

    /// Stores an event for these destinations, as ingest does.
    pub async fn accept(&self, body: impl Into<Bytes>, destinations: &[&str]) -> EventId {
        self.accept_at(Clock::system().now(), body, destinations).await
    }

    /// Stores an event that came in at that time.
    pub async fn accept_at(&self, received_at: Timestamp, body: impl Into<Bytes>, destinations: &[&str]) -> EventId {
        let body = body.into();
        let (source, reading) = (name("atoms"), Reading::of(&body));
        let key = DedupKey::of(&source, &reading, &body);
        let signature = verify::sign(fixtures::SECRET, &body).unwrap();
        let headers = OriginalHeaders {
            content_type: Some(b"application/json".to_vec()),
            signature: Some(("x-signature".into(), signature.into_bytes())),
        };
        let id = EventId::new(received_at, key.as_bytes()[..10].try_into().unwrap());
        let event = Event { id, source, received_at, reading, headers, body };
        let deliveries = destinations.iter().map(|destination| NewDelivery::to(name(destination))).collect();
        self.store.accept(NewEvent { event, dedup_key: key, deliveries }).await.unwrap();
        id
    }

    /// Holds a destination back, or lets it go on.
    pub async fn pause(&self, destination: &str, pause: Option<Pause>) {
        self.store.set_pause(&name(destination), pause).await.unwrap();
    }

    /// Stores `count` events for these destinations.
    pub async fn accept_many(&self, count: usize, destinations: &[&str]) -> Vec<EventId> {
        let mut ids = Vec::new();
        for n in 0..count {
            ids.push(self.accept(fixtures::event(&format!("{n:024}")), destinations).await);
        }
        ids
    }

    /// A delivery with its attempts.
    pub async fn delivery(&self, event: EventId, destination: &str) -> (Delivery, Vec<Attempt>) {
        let stored = self.store.event(event).await.unwrap().unwrap();
        stored.deliveries.into_iter().find(|(delivery, _)| delivery.destination.as_str() == destination).unwrap()
    }

    /// Waits until a delivery is in a state, and returns it with its attempts.
    pub async fn wait_until(
        &self,
        event: EventId,
        destination: &str,
        is_so: fn(DeliveryState) -> bool,
    ) -> (Delivery, Vec<Attempt>) {
        eventually(&format!("what becomes of the delivery to {destination}"), async || {
            Some(self.delivery(event, destination).await).filter(|(delivery, _)| is_so(delivery.state))
        })
        .await
    }

    /// Waits until a destination's condition is of a kind.
    pub async fn wait_for_condition(&self, destination: &str, is_so: fn(&Condition) -> bool) -> Condition {
        let handle = self.dispatch.handle();
        eventually(&format!("the condition of {destination}"), async || {
            handle.conditions().remove(&name(destination)).filter(is_so)
        })
        .await
    }
}

pub fn is_delivered(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Delivered { .. })
}

pub fn is_settled(state: DeliveryState) -> bool {
    !state.is_waiting()
}

fn open(directory: &Path) -> Arc<dyn Store> {
    let day = Duration::from_secs(24 * 60 * 60);
    let retention = Retention { delivered: day, dead_letters: day, deduplication: day };
    Arc::new(Embedded::open(Options::new(directory, retention, 0, Clock::system())).unwrap())
}
