//! The embedded engine: a journal that holds the truth, and sled, derived from it, to find things.
//!
//! ```text
//!  accept, settle, replay …                          claim, event, events, stats …
//!        │ command                                             │
//!        ▼                                                     ▼
//!   ┌───────────┐ append, sync ┌─────────┐   read bodies  ┌────────┐
//!   │ committer ├─────────────▶│ journal │◀───────────────┤ reader │
//!   │ (1 thread)│              └─────────┘                └───┬────┘
//!   │           │ changes      ┌─────────┐   find             │
//!   │           ├─────────────▶│  index  │◀───────────────────┘
//!   └─────▲─────┘              └─────────┘
//!         │ purge, forget, carry, drop, checkpoint
//!   ┌─────┴────────┐
//!   │ housekeeping │
//!   └──────────────┘
//! ```
//!
//! # On disk, below `queue.path`
//!
//! | name | what | if it is lost |
//! | --- | --- | --- |
//! | `journal/*.journal` | the truth: [`journal`] | data is lost |
//! | `index/` | sled: [`index`] | rebuilt from the journal |
//! | `checkpoint` | what the index must know at least: [`checkpoint`] | the index is rebuilt |
//! | `ballast` | room to start in when the disk is full: [`ballast`] | written again |
//! | `lock` | who uses all this: [`mod@lock`] | created again |
//! | `index.set-aside/` | an index that wasn't believed | nothing |
//! | `index.new/`, `index.old/` | a smaller copy of the index, and what it replaces: [`index`] | nothing |
//!
//! # Invariants
//!
//! 1. An accept is answered after its record is synced and the index knows of it.
//! 2. The index is complete up to its `applied` position, and that position changes with it: in memory at once, in sled later.
//! 3. The index never holds a body, and never what the journal doesn't.
//! 4. Only the committer writes to journal and index. A failed write fails the store for good.
//! 5. Segments are removed from the oldest on, when no live event is in them.
//! 6. What the index lists as waiting, some claim meets. The [`fronts`] of the lists are in memory, and told of each change.

mod ballast;
mod checkpoint;
mod command;
mod committer;
mod damage;
pub mod disk;
mod draft;
mod error;
mod forecast;
mod front;
mod fronts;
mod health;
mod housekeeping;
mod index;
mod journal;
mod leases;
mod lock;
pub mod offline;
mod options;
mod queue;
mod reader;
mod recovery;
mod retention;
mod start;
mod steps;
mod threads;
mod totals;
mod turns;
mod wakes;

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task,
};

use self::{
    command::Command,
    draft::lock,
    health::Health,
    housekeeping::Housekeeping,
    queue::{Claimed, Wanted},
    reader::{ReadError, Reader},
    threads::Threads,
    wakes::Wakes,
};
use super::{
    Acceptance, Claim, ClaimToken, DeadCursor, DeadLetter, EventFilter, EventSummary, Listing, Page, Pause, Replayed,
    Rerouted, Rerouting, Settled, Settlement, Stats, Store, StoreError, StoredEvent,
};
use crate::{
    clock::Clock,
    model::{DeliveryId, EventId, Name, NewEvent, Order, Timestamp},
};

pub use error::OpenError;
pub use options::Options;
pub use recovery::Report;
pub use retention::Retention;

/// An open store.
pub struct Embedded {
    inbox: mpsc::Sender<Command>,
    reader: Reader,
    health: Arc<Health>,
    wakes: Arc<Wakes>,
    clock: Clock,
    report: Report,
    housekeeping: Housekeeping,
    threads: Mutex<Threads>,
}

impl Embedded {
    /// What opening found and did.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Does now what is done from time to time: forgets what has expired and gives space back.
    ///
    /// # Errors
    /// [`StoreError`]; what wasn't done is done the next time.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let housekeeping = self.housekeeping.clone();
        let done = task::spawn_blocking(move || housekeeping.round(usize::MAX)).await;
        done.map_err(|_| self.ended())?.map_err(|error| StoreError::Damaged(Arc::from(error.to_string())))
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(command(reply)).await.map_err(|_| self.ended())?;
        answer.await.map_err(|_| self.ended())?
    }

    /// Runs a read where it may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader, Timestamp) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if matches!(self.health.failure(), Some(StoreError::Closed)) {
            return Err(StoreError::Closed);
        }
        let (reader, health, now) = (self.reader.clone(), Arc::clone(&self.health), self.clock.now());
        let done = task::spawn_blocking(move || read(&reader, now).map_err(|error| unread(&error, &health))).await;
        done.map_err(
            |error| if error.is_panic() { self.health.fail_of_index("a read panicked") } else { self.ended() },
        )?
    }

    fn ended(&self) -> StoreError {
        self.health.failure().unwrap_or(StoreError::Closed)
    }

    fn lock_threads(&self) -> std::sync::MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What it means to the store that something couldn't be read.
fn unread(error: &ReadError, health: &Health) -> StoreError {
    match error {
        ReadError::Index(index) if index.is_damage() => health.fail_of_index(&error.to_string()),
        _ => StoreError::Damaged(Arc::from(error.to_string())),
    }
}

#[async_trait]
impl Store for Embedded {
    async fn accept(&self, event: NewEvent) -> Result<Acceptance, StoreError> {
        if let Some(obstacle) = self.health.obstacle() {
            return Err(obstacle);
        }
        self.ask(|reply| Command::Accept(Box::new(event), reply)).await
    }

    async fn claim(
        &self,
        destination: &Name,
        max: usize,
        lease: Duration,
        order: Order,
    ) -> Result<Vec<Claim>, StoreError> {
        let wanted = Wanted { destination: destination.clone(), max, lease, order };
        let Claimed { claims, behind } = self.read(move |reader, now| reader.claim(&wanted, now)).await?;
        if !behind.is_empty() {
            self.ask(|reply| Command::PutBehind(behind, reply)).await?;
        }
        Ok(claims)
    }

    async fn keep_body(&self, id: &DeliveryId, token: ClaimToken, body: Bytes) -> Result<Settled, StoreError> {
        self.ask(|reply| Command::KeepBody(id.clone(), token, body, reply)).await?
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.ask(|reply| Command::Settle(settlements, reply)).await
    }

    async fn next_due(&self, destination: &Name) -> Result<Option<Timestamp>, StoreError> {
        let destination = destination.clone();
        self.read(move |reader, now| reader.next_due(&destination, now)).await
    }

    fn wake(&self, destination: &Name) -> Arc<Notify> {
        self.wakes.of(destination)
    }

    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        self.read(move |reader, _| reader.event(id)).await
    }

    async fn events(
        &self,
        filter: EventFilter,
        page: Page<EventId>,
    ) -> Result<Listing<EventSummary, EventId>, StoreError> {
        self.read(move |reader, _| reader.events(&filter, page)).await
    }

    async fn dead_letters(
        &self,
        destination: Option<&Name>,
        page: Page<DeadCursor>,
    ) -> Result<Listing<DeadLetter, DeadCursor>, StoreError> {
        let destination = destination.cloned();
        self.read(move |reader, _| reader.dead_letters(destination.as_ref(), page)).await
    }

    async fn replay(&self, deliveries: Vec<DeliveryId>) -> Result<Vec<Replayed>, StoreError> {
        self.ask(|reply| Command::Replay(deliveries, reply)).await
    }

    async fn reroute(&self, events: Vec<Rerouting>) -> Result<Vec<Rerouted>, StoreError> {
        self.ask(|reply| Command::Reroute(events, reply)).await
    }

    async fn discard(&self, deliveries: Vec<DeliveryId>) -> Result<usize, StoreError> {
        self.ask(|reply| Command::Discard(deliveries, reply)).await
    }

    async fn set_pause(&self, destination: &Name, pause: Option<Pause>) -> Result<(), StoreError> {
        self.ask(|reply| Command::Pause(destination.clone(), pause, reply)).await
    }

    fn pause_of(&self, destination: &Name) -> Option<Pause> {
        let pause = lock(&self.reader.totals).pauses.get(destination).cloned();
        pause.filter(|pause| pause.is_on(self.clock.now()))
    }

    fn stats(&self) -> Stats {
        let (disk_free, disk_full_in) = self.housekeeping.outlook();
        Stats { disk_free, disk_full_in, ..self.reader.stats() }
    }

    fn fault(&self) -> Option<String> {
        self.health.obstacle().map(|obstacle| obstacle.to_string())
    }

    async fn failed(&self) -> StoreError {
        self.health.failed().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        let (housekeeping, committer) = {
            let mut threads = self.lock_threads();
            threads.stop_housekeeping = None;
            self.housekeeping.stop();
            (threads.housekeeping.take(), threads.committer.take())
        };
        let Some(committer) = committer else { return Ok(()) };
        let joined = |thread: Option<JoinHandle<()>>| task::spawn_blocking(move || thread.map(JoinHandle::join));
        drop(joined(housekeeping).await);
        let closed = self.ask(Command::Close).await;
        drop(joined(Some(committer)).await);
        closed
    }
}

impl Drop for Embedded {
    /// Without [`Store::close`] the threads end by themselves, and the next start makes good what is missing.
    fn drop(&mut self) {
        self.housekeeping.stop();
        self.lock_threads().stop_housekeeping = None;
    }
}
