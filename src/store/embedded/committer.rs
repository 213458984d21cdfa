//! The one thread that writes: journal first, then index, then answers.
//!
//! It takes whatever waits, decides each command in order, appends their records, syncs once for all of them, applies
//! them to the index together and only then answers (group commit, without a timer: while one batch is being
//! synced the next one gathers by itself). A command that was taken is carried out whole, whether or not anybody still
//! waits for its answer.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::sync::mpsc;

use super::{
    checkpoint::Checkpoint,
    command::{Command, Reply, refuse_all},
    disk::Disk,
    draft::{Draft, News, lock},
    health::Health,
    index::{Index, IndexError, Table, meta},
    journal::{Journal, Kept, Record, Segments},
    leases::Leases,
    reader::{ReadError, Reader},
    retention::Retention,
    totals::Totals,
    wakes::Wakes,
};
use crate::{
    clock::Clock,
    model::{DeliveryId, EventId, Name, NewEvent, Timestamp},
    store::{Acceptance, StoreError},
    telemetry::Durations,
};

/// Commands in one batch at most. 64 busy connections fill batches of 40; more than this only makes the first of a batch
/// wait longer.
const MAX_BATCH: usize = 1024;

/// What a batch has to reach before its commands are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Durability {
    /// Nothing was written.
    Nothing,
    /// With the operating system; the next sync takes it along, within a second.
    Written,
    /// On the disk.
    Synced,
}

/// The thread's state.
pub(super) struct Committer {
    pub(super) journal: Journal,
    pub(super) segments: Arc<Segments>,
    pub(super) index: Index,
    pub(super) totals: Arc<Mutex<Totals>>,
    pub(super) leases: Arc<Leases>,
    pub(super) wakes: Arc<Wakes>,
    pub(super) reader: Reader,
    pub(super) health: Arc<Health>,
    pub(super) clock: Clock,
    pub(super) retention: Retention,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) boot_id: String,
    pub(super) syncs: Durations,
}

/// A batch in the making.
pub(super) struct Batch<'a> {
    pub(super) draft: Draft<'a>,
    durability: Durability,
    /// Leases that end with the batch.
    pub(super) settled: Vec<DeliveryId>,
    /// Segments whose files go once the batch is durable.
    dropped: Vec<u64>,
    answers: Vec<Answer>,
    closes: bool,
}

/// Answers one command, once it is known how its batch went.
type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

fn answer<T: 'static>(reply: Reply<T>, value: T) -> Answer {
    Box::new(move |outcome| {
        // Whoever asked may have stopped waiting. That changes nothing about what was done.
        drop(reply.send(outcome.map(|()| value)));
    })
}

/// Why a batch failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    #[error("the journal can't be written: {0}")]
    Journal(#[from] std::io::Error),
    #[error("the index can't be used: {0}")]
    Index(#[from] IndexError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Committer {
    /// Works until told to close, or until nobody can send commands any more.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let health = Arc::clone(&self.health);
        let _alarm = health.alarm("the committer ended unexpectedly");
        let mut commands = Vec::with_capacity(MAX_BATCH);
        while inbox.blocking_recv_many(&mut commands, MAX_BATCH) > 0 {
            if self.commit(commands.drain(..)) {
                break;
            }
        }
        self.health.close();
    }

    /// Carries a batch out and answers it. Returns whether it was the last one.
    fn commit(&mut self, commands: impl Iterator<Item = Command>) -> bool {
        if let Some(failure) = self.health.failure() {
            return refuse_all(commands, &failure);
        }
        let (index, totals) = (self.index.clone(), Arc::clone(&self.totals));
        let mut batch = Batch::new(Draft::new(&index, &totals));
        let outcome = commands.into_iter().try_for_each(|command| self.decide(command, &mut batch));
        let Batch { draft, durability, settled, dropped, answers, closes } = batch;
        let outcome = outcome.and_then(|()| self.make_durable(draft, durability));
        // Leases end after the index has changed, so that nobody claims from the old state, and before anybody is woken,
        // so that whoever looks finds them gone.
        self.end_leases(&settled);
        let outcome = outcome.map(|woken| self.wakes.notify(woken)).and_then(|()| self.remove_segments(&dropped));
        let outcome = outcome.and_then(|()| if closes { self.finish() } else { Ok(()) });
        let outcome = outcome.map_err(|error| self.fail(&error));
        for answer in answers {
            answer(outcome.clone());
        }
        closes
    }

    fn decide(&mut self, command: Command, batch: &mut Batch<'_>) -> Result<(), CommitError> {
        let now = self.clock.now();
        match command {
            Command::Accept(new, reply) => {
                let accepted = self.accept(&new, batch, now);
                self.answer_later(accepted, reply, batch)
            }
            Command::Settle(settlements, reply) => {
                let settled = settlements.into_iter().map(|settlement| self.settle(settlement, batch, now)).collect();
                self.answer_later(settled, reply, batch)
            }
            Command::KeepBody(id, token, body, reply) => {
                let kept = self.keep_body(&id, token, body, batch);
                self.answer_later(kept, reply, batch)
            }
            Command::PutBehind(ids, reply) => {
                let put = ids.iter().try_for_each(|(id, earlier)| self.put_behind(id, *earlier, batch));
                self.answer_later(put, reply, batch)
            }
            Command::Replay(ids, reply) => {
                let replayed = ids.iter().map(|id| self.replay(id, batch, now)).collect();
                self.answer_later(replayed, reply, batch)
            }
            Command::Reroute(events, reply) => {
                let rerouted = events.iter().map(|event| self.reroute(event, batch, now)).collect();
                self.answer_later(rerouted, reply, batch)
            }
            Command::Discard(ids, reply) => {
                let discarded = ids.iter().map(|id| self.discard(id, batch, now)).sum();
                self.answer_later(discarded, reply, batch)
            }
            Command::Pause(destination, pause, reply) => {
                let written = self.write(&Record::Paused(destination, pause), batch, Durability::Synced);
                self.answer_later(written, reply, batch)
            }
            Command::Purge(events, reply) => {
                let purged = events.into_iter().try_for_each(|event| self.purge(event, batch, now));
                self.answer_later(purged, reply, batch)
            }
            Command::Forget(events, reply) => {
                let forgotten = events.into_iter().try_for_each(|event| self.forget(event, batch));
                self.answer_later(forgotten, reply, batch)
            }
            Command::Carry(segment, events, reply) => {
                let carried = events.into_iter().try_for_each(|event| self.carry(segment, event, batch));
                self.answer_later(carried, reply, batch)
            }
            Command::Remember(events, reply) => {
                let remembered = self.remember(&events, batch);
                self.answer_later(remembered, reply, batch)
            }
            Command::Drop(segment, reply) => {
                let dropped = self.drop_segment(segment, batch);
                self.answer_later(dropped, reply, batch)
            }
            Command::Roll(age, reply) => {
                let rolled = self.journal.roll_if_older(age, now).map_err(CommitError::from);
                self.answer_later(rolled, reply, batch)
            }
            Command::Sync(reply) => {
                batch.durability = Durability::Synced;
                self.answer_later(Ok(()), reply, batch)
            }
            Command::Close(reply) => {
                batch.closes = true;
                self.answer_later(Ok(()), reply, batch)
            }
        }
    }

    /// Keeps the answer back until the batch is durable. A failure fails the store before its reply is let go of, so that
    /// whoever waits for that finds out why.
    fn answer_later<T: 'static>(
        &self,
        result: Result<T, CommitError>,
        reply: Reply<T>,
        batch: &mut Batch<'_>,
    ) -> Result<(), CommitError> {
        match result {
            Ok(value) => {
                batch.answers.push(answer(reply, value));
                Ok(())
            }
            Err(error) => {
                self.fail(&error);
                Err(error)
            }
        }
    }

    fn fail(&self, error: &CommitError) -> StoreError {
        match error {
            CommitError::Index(index) | CommitError::Read(ReadError::Index(index)) if index.is_damage() => {
                self.health.fail_of_index(&error.to_string())
            }
            _ => self.health.fail(&error.to_string()),
        }
    }

    fn accept(&mut self, new: &NewEvent, batch: &mut Batch<'_>, now: Timestamp) -> Result<Acceptance, CommitError> {
        if let Some(first) = batch.draft.first_with(new.dedup_key)?
            && !self.retention.is_forgotten(first, now)
        {
            return Ok(Acceptance::Duplicate(first));
        }
        batch.draft.note_absent(new.event.id);
        let kept = Kept::new(&new.event, new.dedup_key, &new.deliveries);
        self.write(&Record::Kept(kept, new.event.body.clone().into()), batch, Durability::Synced)?;
        Ok(Acceptance::Created)
    }

    fn purge(&mut self, event: EventId, batch: &mut Batch<'_>, now: Timestamp) -> Result<(), CommitError> {
        let entry = batch.draft.entry(event)?;
        if entry.is_some_and(|entry| self.retention.is_expired(event, &entry, now)) {
            batch.draft.purge(event)?;
            batch.durability = batch.durability.max(Durability::Written);
        }
        Ok(())
    }

    fn forget(&mut self, event: EventId, batch: &mut Batch<'_>) -> Result<(), CommitError> {
        if let Some(key) = self.index.remembered(event)? {
            batch.draft.forget(event, key)?;
            batch.durability = batch.durability.max(Durability::Written);
        }
        Ok(())
    }

    fn carry(&mut self, segment: u64, event: EventId, batch: &mut Batch<'_>) -> Result<(), CommitError> {
        let entry = batch.draft.entry(event)?;
        let Some(entry) = entry.filter(|entry| entry.position.segment == segment) else { return Ok(()) };
        match self.reader.kept(&entry)? {
            Some((kept, bodies)) => self.write(&Record::Kept(kept, bodies), batch, Durability::Synced)?,
            None => self.reader.damage.note_event(event),
        }
        Ok(())
    }

    /// Writes down again which of these events are still remembered: the segment that said so is about to go. The index knows.
    fn remember(&mut self, events: &[EventId], batch: &mut Batch<'_>) -> Result<(), CommitError> {
        let mut keys = Vec::new();
        for event in events {
            keys.extend(self.index.remembered(*event)?.map(|key| (*event, key)));
        }
        if !keys.is_empty() {
            self.journal.append(&Record::Remembered(keys), self.clock.now())?;
            batch.durability = batch.durability.max(Durability::Written);
        }
        Ok(())
    }

    fn drop_segment(&mut self, segment: u64, batch: &mut Batch<'_>) -> Result<(), CommitError> {
        let live = lock(&self.totals).segments.get(&segment).copied().unwrap_or_default();
        let is_there = self.segments.numbers().contains(&segment);
        if live.events > 0 || !is_there || segment == self.journal.end().segment {
            return Ok(());
        }
        // The segment may hold the record of a pause that is still on.
        let mut pauses = lock(&self.totals).pauses.clone();
        pauses.retain(|_, pause| pause.is_on(self.clock.now()));
        for (destination, pause) in pauses {
            self.write(&Record::Paused(destination, Some(pause)), batch, Durability::Synced)?;
        }
        batch.draft.drop_segment(segment);
        batch.durability = Durability::Synced;
        batch.dropped.push(segment);
        Ok(())
    }

    /// Has a record take part in the batch, which has to become as durable as it at least.
    ///
    /// # Errors
    /// [`CommitError`]: the batch fails.
    pub(super) fn write(
        &mut self,
        record: &Record,
        batch: &mut Batch<'_>,
        durability: Durability,
    ) -> Result<(), CommitError> {
        let extent = self.journal.append(record, self.clock.now())?;
        batch.draft.record(extent, record)?;
        batch.durability = batch.durability.max(durability);
        Ok(())
    }

    fn make_durable(&mut self, draft: Draft<'_>, durability: Durability) -> Result<BTreeSet<Name>, CommitError> {
        match durability {
            Durability::Nothing => return Ok(draft.into_woken()),
            Durability::Written => {
                self.journal.write()?;
                self.health.set_unsynced(true);
            }
            Durability::Synced => {
                let began = Instant::now();
                self.journal.sync()?;
                self.syncs.note(began.elapsed(), None);
                self.health.set_unsynced(false);
            }
        }
        let News { woken, listed } = draft.apply(self.journal.end())?;
        self.reader.fronts.note(&listed);
        Ok(woken)
    }

    /// Leaves everything such that the next start has nothing to make good.
    fn finish(&mut self) -> Result<(), CommitError> {
        self.journal.close()?;
        self.index.persist()?;
        let applied = self.index.get(Table::Meta, meta::APPLIED)?.unwrap_or(self.journal.end());
        let totals = lock(&self.totals);
        let closed = Some((totals.counts, totals.waiting()));
        Checkpoint { applied, boot_id: self.boot_id.clone(), closed }.write(&*self.disk, &self.dir)?;
        Ok(())
    }

    fn end_leases(&self, settled: &[DeliveryId]) {
        let mut leases = self.leases.lock();
        for id in settled {
            leases.end(id);
        }
    }

    fn remove_segments(&self, segments: &[u64]) -> Result<(), CommitError> {
        if !segments.is_empty() {
            // After a crash the journal is replayed from where sled is complete: that must not be in a file that is gone.
            self.index.flush()?;
        }
        segments.iter().try_for_each(|segment| Ok(self.segments.remove(*segment)?))
    }
}

impl<'a> Batch<'a> {
    fn new(draft: Draft<'a>) -> Self {
        Self {
            draft,
            durability: Durability::Nothing,
            settled: Vec::new(),
            dropped: Vec::new(),
            answers: Vec::new(),
            closes: false,
        }
    }
}
