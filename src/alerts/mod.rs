//! Tells people what is wrong with the relay: looks at it every few seconds, and puts what [`alert`](crate::alert) wants to be
//! said into the store, as an event of the relay's own with deliveries to those who are to be told.
//!
//! From there on an alert is an event like others: it outlives a restart, is tried again until it arrives, and is listed. What
//! people know is read from the last one at the start. Nothing is decided here.
//!
//! An alert that the store can't take (the disk is full) is made anew until it can. The log has it meanwhile, as it has every
//! alert.

mod senses;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;

pub use self::senses::Senses;
use crate::{
    alert::{Book, Message, Policy, THREAD, Watch, drill},
    clock::{self, Clock},
    model::{EventId, Name, NewEvent, OWN_SOURCE},
    store::{EventFilter, Page, Store, StoreError},
    telemetry::SourceMetrics,
};

/// How often the relay is looked at. A look costs as much as there are destinations; people don't read faster.
const EVERY: Duration = Duration::from_secs(2);

/// What a config says of alerts.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// From where on who is told; `None`: nobody.
    pub policy: Option<Policy>,
    /// The sources, and what is counted of them.
    pub sources: Vec<(Name, SourceMetrics)>,
}

impl Settings {
    /// A test alert, and who gets it; `None` when nobody does.
    #[must_use]
    pub fn test(&self) -> Option<(Bytes, Vec<Name>)> {
        let policy = self.policy.as_ref()?;
        Some((drill(&policy.relay).into(), policy.to.clone()))
    }
}

/// Watches one relay.
pub struct Alerts {
    senses: Senses,
    settings: watch::Receiver<Arc<Settings>>,
    store: Arc<dyn Store>,
    clock: Clock,
    watch: Watch,
    /// What kept the last alert from being sent, told once.
    obstacle: Option<String>,
}

impl Alerts {
    /// Watches what `senses` see, and tells what the latest `settings` want to be told, by way of `store`.
    #[must_use]
    pub fn new(senses: Senses, settings: watch::Receiver<Arc<Settings>>, store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { senses, settings, store, clock, watch: Watch::default(), obstacle: None }
    }

    /// Works until `stop` is cancelled. An alert that is on its way into the store then is there, or is made again.
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.watch_over()).await;
    }

    async fn watch_over(mut self) {
        let mut book = self.recalled().await;
        loop {
            let done = self.round(&mut book).await;
            self.complain(done.err());
            time::sleep(EVERY).await;
        }
    }

    /// Looks once, and tells what there is to be told.
    async fn round(&mut self, book: &mut Book) -> Result<(), Unsent> {
        let settings = Arc::clone(&self.settings.borrow());
        let Some(policy) = &settings.policy else { return Ok(()) };
        let now = self.clock.now();
        let observation = self.senses.look(&*self.store, &settings.sources);
        book.note(&self.watch.look(&observation, policy, now), now);
        while let Some(message) = book.next(policy, now) {
            self.send(&message).await?;
            *book = message.sent();
        }
        Ok(())
    }

    async fn recalled(&mut self) -> Book {
        loop {
            match self.recall().await {
                Ok(book) => return book,
                Err(error) => self.complain(Some(error.into())),
            }
            time::sleep(EVERY).await;
        }
    }

    /// What people know, as the last alert has it.
    async fn recall(&self) -> Result<Book, StoreError> {
        let filter = EventFilter {
            call: Some(THREAD.to_owned()),
            source: Some(OWN_SOURCE.to_owned()),
            ..EventFilter::default()
        };
        let last = self.store.events(filter, Page { after: None, limit: 1 }).await?;
        let Some(last) = last.items.first() else { return Ok(Book::default()) };
        let stored = self.store.event(last.id).await?;
        Ok(stored.and_then(|stored| Book::read(&stored.event.body)).unwrap_or_default())
    }

    async fn send(&self, message: &Message) -> Result<(), Unsent> {
        let dice = clock::random_bytes().map_err(|error| Unsent::Dice(error.to_string()))?;
        let id = EventId::new(self.clock.now(), dice);
        let event = NewEvent::own(id, Bytes::copy_from_slice(&message.body), message.to.clone());
        self.store.accept(event).await?;
        if message.to.is_empty() {
            tracing::error!(event = %id, "alert that nobody else gets: {}", message.title);
        } else {
            tracing::warn!(event = %id, "alert: {}", message.title);
        }
        Ok(())
    }

    /// Says in the log what keeps alerts from being sent, when that is new.
    fn complain(&mut self, obstacle: Option<Unsent>) {
        let obstacle = obstacle.map(|obstacle| obstacle.to_string());
        if let Some(obstacle) = obstacle.as_ref().filter(|_| obstacle != self.obstacle) {
            tracing::error!("alerts can't be sent, it will be tried again: {obstacle}");
        }
        self.obstacle = obstacle;
    }
}

/// Why an alert isn't in the store.
#[derive(Debug, thiserror::Error)]
enum Unsent {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no random numbers: {0}")]
    Dice(String),
}
