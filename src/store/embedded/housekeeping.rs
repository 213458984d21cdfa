//! What has to be done from time to time: sync what lingers, watch the disk, forget what has expired, give space back.
//!
//! It looks for work beside the committer, which checks each finding again before it acts: what was true when it was looked
//! at may have changed.

use std::{
    ops::{Bound, ControlFlow},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, Sender},
    },
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    ballast::Ballast,
    checkpoint::Checkpoint,
    command::Command,
    disk::Disk,
    draft::lock,
    forecast::Growth,
    health::Health,
    index::{IndexError, Range, Table, event_at_end, meta},
    journal::{Position, Record, Step},
    reader::{ReadError, Reader},
    retention::Retention,
};
use crate::{clock::Clock, model::EventId, store::StoreError};

/// How long written bytes may wait for a sync. A lost settlement costs a second delivery, no more.
const TICK: Duration = Duration::from_secs(1);
/// Events purged or carried in one command: small enough that accepts wait for a few milliseconds at most.
const SLICE: usize = 128;
/// Events that are forgotten before their segments are given back: three or four segments of usual events.
const STRETCH: usize = 40_000;
/// Events that a minute's round looks at although they haven't expired: they wait, or are dead letters. There may be millions,
/// and to go through all of them each time would take as much time and memory as the work itself.
const MAX_IN_VAIN: usize = 20_000;
/// A segment isn't kept open for longer than this part of the retention, or an event could stay on disk for much longer
/// than asked, for want of traffic that fills the segment.
const SEGMENT_AGES_PER_RETENTION: u32 = 8;

/// Finds the work and has it done.
#[derive(Clone)]
pub(super) struct Housekeeping {
    pub(super) inbox: mpsc::Sender<Command>,
    pub(super) reader: Reader,
    pub(super) health: Arc<Health>,
    pub(super) retention: Retention,
    pub(super) min_free_disk: u64,
    pub(super) ballast: Arc<Mutex<Ballast>>,
    pub(super) growth: Arc<Mutex<Growth>>,
    /// Held for a round: two at once would remove the same files.
    pub(super) rounds: Arc<Mutex<()>>,
    pub(super) segment_bytes: u64,
    pub(super) index_floor: u64,
    /// Where the search for what has expired goes on; from the start when nothing is there.
    pub(super) purged_to: Arc<Mutex<Option<EventId>>>,
    /// Set when the store is about to close: what is left to do has time until the next start.
    pub(super) is_stopping: Arc<AtomicBool>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) boot_id: String,
    pub(super) clock: Clock,
}

/// Why housekeeping didn't get done. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum HousekeepingError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the checkpoint can't be written: {0}")]
    Checkpoint(std::io::Error),
}

impl From<IndexError> for HousekeepingError {
    fn from(error: IndexError) -> Self {
        Self::Read(error.into())
    }
}

impl Housekeeping {
    /// Works until `stop` says so; the whole round every `interval`. Whoever waits for `forgotten` is told when what a recovery
    /// brought back is forgotten again.
    pub(super) fn run(&self, interval: Duration, stop: &std::sync::mpsc::Receiver<()>, forgotten: Option<Sender<()>>) {
        if let Some(forgotten) = forgotten {
            self.forget_again();
            drop(forgotten);
        }
        let mut next_round = self.clock.now().plus(interval);
        while stop.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            self.watch_disk();
            let synced = if self.health.is_unsynced() { self.ask(Command::Sync) } else { Ok(()) };
            let now = self.clock.now();
            // Later than it can be: the clock was set back.
            let round_is_due = next_round <= now || next_round > now.plus(interval);
            let done = if round_is_due { self.round(MAX_IN_VAIN) } else { synced.map_err(Into::into) };
            if round_is_due {
                next_round = self.clock.now().plus(interval);
            }
            if self.judge(done).is_break() {
                return;
            }
        }
    }

    /// What follows from how it went: whether there is a store to go on with.
    fn judge(&self, done: Result<(), HousekeepingError>) -> ControlFlow<()> {
        match done {
            Ok(()) => {}
            Err(HousekeepingError::Store(StoreError::Failed(_) | StoreError::Closed)) => return ControlFlow::Break(()),
            Err(HousekeepingError::Read(ReadError::Index(error))) if error.is_damage() => {
                self.health.fail_of_index(&error.to_string());
                return ControlFlow::Break(());
            }
            Err(error) => tracing::warn!("housekeeping of the queue has to be tried again: {error}"),
        }
        ControlFlow::Continue(())
    }

    /// Forgets what the journal has brought back: it still has what the index had forgotten, and says nothing of that.
    fn forget_again(&self) {
        let _alone = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = self.purge_all().and_then(|()| self.forget());
        if self.judge(forgotten).is_break() {
            tracing::warn!("what is past its retention may be seen again until the next round of housekeeping");
        }
    }

    fn purge_all(&self) -> Result<(), HousekeepingError> {
        while self.purge(usize::MAX)? {}
        Ok(())
    }

    /// Everything once, as far as that takes no more than looking at `patience` events that haven't expired.
    pub(super) fn round(&self, patience: usize) -> Result<(), HousekeepingError> {
        let _alone = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        while self.purge(patience)? {
            self.reclaim()?;
        }
        self.forget()?;
        self.ask(|reply| Command::Roll(self.retention.delivered / SEGMENT_AGES_PER_RETENTION, reply))?;
        self.reclaim()?;
        self.compact()?;
        self.note_size();
        self.checkpoint()
    }

    /// Notes whether the disk is too full to take more. Deliveries go on: they make room.
    pub(super) fn watch_disk(&self) {
        let shortage = match self.disk.free_bytes(&self.dir) {
            Ok(free) if free < self.min_free_disk => {
                Some(format!("{free} bytes are free, min_free_disk is {} bytes", self.min_free_disk))
            }
            Ok(free) => {
                self.grow_ballast(free - self.min_free_disk);
                None
            }
            Err(error) => Some(format!("its free space can't be read: {error}")),
        };
        self.health.set_low_disk(shortage);
    }

    fn note_size(&self) {
        let (now, bytes) = (self.clock.now(), self.reader.disk_bytes());
        self.growth.lock().unwrap_or_else(PoisonError::into_inner).note(now, bytes);
    }

    /// Free bytes, and how long it takes at the present rate until no more events are accepted.
    pub(super) fn outlook(&self) -> (Option<u64>, Option<Duration>) {
        let free = self.disk.free_bytes(&self.dir).ok();
        let growth = self.growth.lock().unwrap_or_else(PoisonError::into_inner);
        (free, free.and_then(|free| growth.fills(free.saturating_sub(self.min_free_disk))))
    }

    fn grow_ballast(&self, spare: u64) {
        let mut ballast = self.ballast.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = ballast.grow(spare) {
            tracing::warn!("no ballast can be set aside for a full disk: {error}");
        }
    }

    /// Forgets a stretch of the events that have expired, the oldest first. Returns whether there may be more; after `patience`
    /// with others the next round goes on from there.
    fn purge(&self, patience: usize) -> Result<bool, HousekeepingError> {
        let now = self.clock.now();
        let start = self.purged_to().take();
        let from = start.map_or(Bound::Unbounded, |start| Bound::Included(start.as_bytes().to_vec()));
        let end = EventId::lowest_at(self.retention.received_before_to_expire(now));
        let (mut expired, mut found, mut in_vain) = (Vec::new(), 0, 0);
        for item in self.reader.index.scan(Table::Event, (from, before(end).1)) {
            let (key, value) = item?;
            let entry = super::index::decode(&value)?;
            let Some(event) = event_at_end(&key) else { continue };
            if in_vain >= patience || found >= STRETCH || self.is_stopping() {
                *self.purged_to() = Some(event);
                break;
            }
            if self.retention.is_expired(event, &entry, now) {
                expired.push(event);
                found += 1;
            } else {
                in_vain += 1;
            }
            if expired.len() >= SLICE {
                self.ask(|reply| Command::Purge(std::mem::take(&mut expired), reply))?;
            }
        }
        self.ask(|reply| Command::Purge(expired, reply))?;
        // At the end of a search that didn't begin at the start, what lies before is next.
        let is_interrupted = self.purged_to().is_some();
        Ok(if is_interrupted { found >= STRETCH && !self.is_stopping() } else { start.is_some() })
    }

    fn purged_to(&self) -> MutexGuard<'_, Option<EventId>> {
        self.purged_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) -> Result<(), HousekeepingError> {
        let end = EventId::lowest_at(self.retention.received_before_to_forget(self.clock.now()));
        let mut forgotten = Vec::new();
        for item in self.reader.index.scan(Table::Remembered, before(end)) {
            forgotten.extend(event_at_end(&item?.0));
            if self.is_stopping() {
                break;
            }
            if forgotten.len() >= SLICE {
                self.ask(|reply| Command::Forget(std::mem::take(&mut forgotten), reply))?;
            }
        }
        Ok(self.ask(|reply| Command::Forget(forgotten, reply))?)
    }

    /// Removes segments from the oldest on: those without live events, and, while more than half of the journal is dead,
    /// also those whose few live events have to be carried along.
    fn reclaim(&self) -> Result<(), HousekeepingError> {
        // Bounded by what is there now: what is carried goes into new segments, and each turn removes one.
        for segment in self.reader.segments.numbers() {
            let live = lock(&self.reader.totals).segments.get(&segment).copied().unwrap_or_default();
            if Some(segment) == self.reader.segments.last() || live.events > 0 && !self.is_wasteful()? {
                return Ok(());
            }
            let events = self.events_of(segment)?;
            for slice in events.chunks(SLICE) {
                if self.is_stopping() {
                    return Ok(());
                }
                if live.events > 0 {
                    self.ask(|reply| Command::Carry(segment, slice.to_vec(), reply))?;
                }
                self.ask(|reply| Command::Remember(slice.to_vec(), reply))?;
            }
            // The index must not bring back, after a crash, what points into a file that is gone.
            self.reader.index.flush()?;
            self.ask(|reply| Command::Drop(segment, reply))?;
            if self.reader.segments.numbers().contains(&segment) {
                // Something in it couldn't be carried. Segments go from the oldest on, so the others have to wait.
                return Ok(());
            }
        }
        Ok(())
    }

    /// Gives back what the index's files once needed.
    fn compact(&self) -> Result<(), HousekeepingError> {
        let events = lock(&self.reader.totals).counts.events;
        if !self.reader.index.is_bloated(events, self.index_floor) {
            return Ok(());
        }
        let before = self.reader.index.bytes();
        let free = self.disk.free_bytes(&self.dir).unwrap_or_default();
        if free < self.min_free_disk.saturating_add(before) {
            // There are two of them for a while, and events come first.
            return Ok(());
        }
        self.reader.index.compact(|| self.is_stopping())?;
        tracing::info!("the index's files were made smaller: {before} bytes, now {}", self.reader.index.bytes());
        Ok(())
    }

    /// Has it leave for the next start what takes long.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    fn is_wasteful(&self) -> Result<bool, HousekeepingError> {
        let live = lock(&self.reader.totals).live_bytes();
        let bytes = self.reader.segments.bytes().map_err(ReadError::from)?;
        Ok(bytes > 2 * live + 2 * self.segment_bytes)
    }

    /// The events that a segment says anything about that is still needed: live ones and remembered ones.
    fn events_of(&self, segment: u64) -> Result<Vec<EventId>, HousekeepingError> {
        let mut events = Vec::new();
        let start = Position { segment, ..Position::START };
        let Some(mut walk) = self.reader.segments.walk(start).map_err(ReadError::from)? else { return Ok(events) };
        loop {
            match walk.step().map_err(ReadError::from)? {
                Step::Record { record, .. } => match *record {
                    Record::Kept(kept, _) => events.push(kept.id),
                    Record::Remembered(keys) => events.extend(keys.into_iter().map(|(event, _)| event)),
                    Record::Moved(_) | Record::Paused(..) | Record::Rendered(..) | Record::Routed(_) => {}
                },
                Step::Damage { .. } => {}
                Step::End { .. } => return Ok(events),
            }
        }
    }

    /// Witnesses what the index knows now.
    pub(super) fn checkpoint(&self) -> Result<(), HousekeepingError> {
        let applied: Option<Position> = self.reader.index.get(Table::Meta, meta::APPLIED)?;
        let Some(applied) = applied else { return Ok(()) };
        self.reader.index.flush()?;
        let checkpoint = Checkpoint { applied, boot_id: self.boot_id.clone(), closed: None };
        checkpoint.write(&*self.disk, &self.dir).map_err(HousekeepingError::Checkpoint)
    }

    fn ask(&self, command: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Command) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let ended = || self.health.failure().unwrap_or(StoreError::Closed);
        self.inbox.blocking_send(command(reply)).map_err(|_| ended())?;
        answer.blocking_recv().map_err(|_| ended())?
    }
}

/// The keys of the events that are older than `end`.
fn before(end: EventId) -> Range {
    (Bound::Unbounded, Bound::Excluded(end.as_bytes().to_vec()))
}
