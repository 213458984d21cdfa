//! The life of a store on a simulated disk: many processes, one after another, that do random things to it and end in bad ways.

mod deliveries;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use atoms_relay::{
    clock::Clock,
    model::{DeliveryId, DeliveryState, EventId, Name, NewEvent, Timestamp},
    store::{
        Acceptance, Claim, Pause, Rerouted, Rerouting, Store, StoreError,
        embedded::{Embedded, Options},
    },
};
use fastrand::Rng;

use crate::{
    bench::{destination, numbered_event, open, wait_until_left},
    ledger::{Before, Ledger, RETENTION},
    made_anew,
    sim_disk::{Fault, SimDisk},
    sled_files::SledFiles,
    trials::{Broken, folder},
};

/// Different events that come in, so that many come in twice.
const EVENTS: u8 = 24;
/// So small that a process fills several.
const SEGMENT_BYTES: u64 = 8 * 1024;
/// Commands to a store that has failed: enough to see that it means it.
const COMMANDS_AFTER_FAILURE: usize = 3;

/// Every so many stores make their index's files smaller whenever they are tidied up. All of them would take much longer.
const COMPACTING_EVERY: u64 = 4;

/// A store's life.
pub(crate) struct Life {
    pub(crate) disk: SimDisk,
    pub(crate) ledger: Ledger,
    /// What the index is written to: past the simulated disk.
    index: SledFiles,
    dir: tempfile::TempDir,
    dice: Rng,
    time: Arc<AtomicU64>,
    boots: u64,
    /// Whether the power was cut after the last process.
    was_cut: bool,
    /// From how many bytes on the index's files are made smaller.
    index_floor: u64,
    /// What the present process holds.
    claims: Vec<Claim>,
    /// Whether the present process has said that the store failed.
    failed: bool,
}

impl Life {
    pub(crate) fn new(seed: u64) -> Self {
        let dir = folder();
        Self {
            disk: SimDisk::default(),
            index_floor: if seed.is_multiple_of(COMPACTING_EVERY) { 0 } else { u64::MAX },
            ledger: Ledger::default(),
            index: SledFiles::below(dir.path()),
            dir,
            dice: Rng::with_seed(seed),
            time: Arc::new(1_790_000_000_000.into()),
            boots: 1,
            was_cut: false,
            claims: Vec::new(),
            failed: false,
        }
    }

    pub(crate) fn dice(&mut self) -> &mut Rng {
        &mut self.dice
    }

    fn options(&self) -> Options {
        let time = Arc::clone(&self.time);
        let clock = Clock::from_fn(move || Timestamp::from_millis(time.load(Ordering::SeqCst)));
        let mut options = Options::new(self.dir.path(), RETENTION, 0, clock);
        options.disk = Arc::new(self.disk.clone());
        options.boot_id = self.boots.to_string();
        options.segment_bytes = SEGMENT_BYTES;
        options.index_floor = self.index_floor;
        options.housekeeping_every = Duration::from_secs(1_000_000_000);
        options
    }

    /// One process: it opens the store, compares it with the ledger, does up to `actions` random things, and stops in good
    /// order or just ends. `fault` happens on the way.
    pub(crate) async fn process(&mut self, fault: Option<Fault>, actions: usize) -> Result<(), Broken> {
        let before = if self.disk.has_failed() { Before::DiskFailed } else { Before::Sound };
        self.disk.set_fault(fault);
        self.claims.clear();
        self.failed = false;
        let store = match open(&self.options()) {
            Ok(store) => store,
            Err(_) if self.disk.has_failed() => return Ok(()),
            Err(refusal) => return Err(Broken::Unopenable(refusal.to_string())),
        };
        self.ledger.expire(self.now());
        if !self.ledger.check(&store, before).await? && !self.disk.has_failed() {
            return Err(Broken::Wrong("the store opened, but can't be read".into()));
        }
        self.compare_index(&store).await?;
        self.work(&store, actions).await?;
        if self.dice.u8(0..3) == 0 {
            self.close(&store).await?;
        }
        Ok(())
    }

    /// An index that is believed after a power cut must be like one that is made anew.
    async fn compare_index(&mut self, store: &Embedded) -> Result<(), Broken> {
        let was_cut = std::mem::take(&mut self.was_cut);
        if !was_cut || store.report().rebuilt.is_some() || self.disk.has_failed() {
            return Ok(());
        }
        let dir = folder();
        let mut options = self.options();
        options.disk = Arc::new(self.disk.copy(self.dir.path(), dir.path()));
        options.path = dir.path().to_owned();
        let anew = open(&options).map_err(|refusal| Broken::Unopenable(refusal.to_string()))?;
        let compared = made_anew::compare(store, &anew, |event| self.ledger.may_be_gone(&event)).await;
        drop(anew);
        wait_until_left(dir.path());
        // The power may go meanwhile: a store syncs what its start has purged.
        if self.disk.has_failed() { Ok(()) } else { compared }
    }

    async fn work(&mut self, store: &Embedded, actions: usize) -> Result<(), Broken> {
        let mut after_failure = 0;
        let moment = self.dice.usize(0..=actions);
        for action in 0..actions {
            if action == moment {
                self.index.note_moment();
            }
            self.act(store).await?;
            // One millisecond between actions keeps ids in order.
            self.time.fetch_add(1, Ordering::SeqCst);
            after_failure += usize::from(self.disk.has_failed());
            if after_failure > COMMANDS_AFTER_FAILURE {
                break;
            }
        }
        match store.fault() {
            Some(fault) if fault.contains("unexpectedly") => Err(Broken::Wrong(fault)),
            _ => Ok(()),
        }
    }

    /// Waits until the last process is gone, then cuts the power: each piece of what wasn't synced survives with this
    /// probability, and of the index's files what luck would have it.
    pub(crate) fn cut_power(&mut self, survival: f64) {
        wait_until_left(self.dir.path());
        let dice = &mut self.dice;
        self.disk.cut_power(|| dice.f64() < survival);
        // What is in these files depends on sled's threads, too: how often the dice are rolled for them is to change nothing else.
        self.index.cut_power(&mut dice.fork());
        (self.boots, self.was_cut) = (self.boots + 1, true);
    }

    async fn act(&mut self, store: &Embedded) -> Result<(), Broken> {
        match self.dice.u8(0..42) {
            0..10 => self.accept(store).await,
            10..12 => self.accept_three(store).await,
            12..18 => self.claim(store).await,
            18..25 => self.settle(store).await,
            25..27 => self.keep_body(store).await,
            27..30 => self.replay(store).await,
            30..32 => self.discard(store).await,
            32..34 => self.pause(store).await,
            34..36 => self.reroute(store).await,
            36..39 => {
                self.time.fetch_add(self.dice.u64(1..60) * 3_600_000, Ordering::SeqCst);
                Ok(())
            }
            _ => self.tidy(store).await,
        }
    }

    async fn accept(&mut self, store: &Embedded) -> Result<(), Broken> {
        let number = self.dice.u8(0..EVENTS);
        let new = self.offer(number);
        let id = new.event.id;
        let answer = store.accept(new).await;
        self.accepted(number, id, answer)
    }

    /// Three at once, different ones: they may share a batch.
    async fn accept_three(&mut self, store: &Embedded) -> Result<(), Broken> {
        let first = self.dice.u8(0..EVENTS);
        let numbers = [0, 1, 2].map(|more| (first + more) % EVENTS);
        let [one, two, three] = numbers.map(|number| self.offer(number));
        let ids = [one.event.id, two.event.id, three.event.id];
        let (one, two, three) = tokio::join!(store.accept(one), store.accept(two), store.accept(three));
        let answers = numbers.into_iter().zip(ids).zip([one, two, three]);
        // Those that were answered first: an error of one says nothing about the others.
        let (done, failed): (Vec<_>, Vec<_>) = answers.partition(|(_, answer)| answer.is_ok());
        done.into_iter().chain(failed).try_for_each(|((number, id), answer)| self.accepted(number, id, answer))
    }

    fn accepted(&mut self, number: u8, id: EventId, answer: Result<Acceptance, StoreError>) -> Result<(), Broken> {
        if let Some(answer) = self.acknowledged(answer)? {
            return self.ledger.answered(number, id, answer);
        }
        self.ledger.unanswered(number, id);
        Ok(())
    }

    fn offer(&mut self, number: u8) -> NewEvent {
        let size = if self.dice.u8(0..5) == 0 { 3_000 + 100 * usize::from(number) } else { 10 * usize::from(number) };
        let kinds = if self.dice.u8(0..4) == 0 { 64 } else { 8 };
        let to = self.dice.u8(0..kinds);
        let new = numbered_event(number, size, self.now(), to);
        self.ledger.offer(&new);
        new
    }

    async fn reroute(&mut self, store: &Embedded) -> Result<(), Broken> {
        let (number, to) = (self.dice.u8(0..EVENTS), self.dice.u8(0..64));
        let Some(event) = self.ledger.event(number) else { return Ok(()) };
        let (now, new) = (self.now(), numbered_event(number, 0, self.now(), to));
        let asked = Rerouting { event, reading: new.event.reading, deliveries: new.deliveries.clone() };
        let rerouted = store.reroute(vec![asked]).await;
        let rerouted = self.acknowledged(rerouted)?;
        if rerouted.as_deref() == Some(&[Rerouted::Unknown]) {
            let is_excused = self.ledger.may_be_gone(&event);
            return if is_excused { Ok(()) } else { Err(Broken::Lost(format!("{event} isn't there to reroute"))) };
        }
        let mut created = 0;
        for new in new.deliveries {
            let (state, id) = (new.begin(now).0.state, DeliveryId { event, destination: new.destination });
            created += usize::from(self.ledger.note_delivery(&id, state));
        }
        match rerouted.as_deref() {
            Some([Rerouted::Created(found)]) if *found == created => self.ledger.bind_deliveries(event),
            Some(found) => return Err(Broken::Wrong(format!("{found:?} were created, not {created}"))),
            None => {}
        }
        if rerouted.is_some() && created > 0 {
            self.ledger.make_durable();
        }
        Ok(())
    }

    async fn discard(&mut self, store: &Embedded) -> Result<(), Broken> {
        let (mut ids, now) = (self.some_deliveries(), self.now());
        // Nobody knows whether those are still there to be discarded.
        ids.retain(|id| !self.ledger.may_be_gone(&id.event));
        let state_of = |id: &DeliveryId| self.ledger.state(&id.event, &id.destination);
        let dead = ids.iter().filter(|id| state_of(id).is_some_and(DeliveryState::is_dead));
        let dead: Vec<&DeliveryId> = dead.collect();
        let discarded = store.discard(ids.clone()).await;
        let discarded = self.acknowledged(discarded)?;
        if discarded.is_some_and(|discarded| discarded != dead.len()) {
            return Err(Broken::Wrong(format!("{discarded:?} were discarded, of {} dead ones", dead.len())));
        }
        for id in dead {
            self.ledger.note(id, DeliveryState::Discarded { at: now });
        }
        if discarded.is_some_and(|discarded| discarded > 0) {
            self.ledger.make_durable();
        }
        Ok(())
    }

    async fn pause(&mut self, store: &Embedded) -> Result<(), Broken> {
        let (name, on) = (self.destination(), self.dice.bool());
        let pause = on.then(|| Pause { since: self.now(), until: None, reason: String::new() });
        let paused = store.set_pause(&name, pause).await;
        self.ledger.note_pause(&name, on);
        if self.acknowledged(paused)?.is_some() {
            self.ledger.make_durable();
        }
        Ok(())
    }

    async fn tidy(&mut self, store: &Embedded) -> Result<(), Broken> {
        self.ledger.expire(self.now());
        match store.tidy().await {
            Ok(()) => Ok(()),
            Err(error) => self.excused(&error.to_string()),
        }
    }

    async fn close(&mut self, store: &Embedded) -> Result<(), Broken> {
        let closed = store.close().await;
        // Also when it failed: that may have been after the index was synced, and what says so may be on the disk.
        self.index.note_durable();
        match closed {
            Ok(()) => {
                self.ledger.make_durable();
                Ok(())
            }
            Err(error) => self.excused(&error.to_string()),
        }
    }

    /// The answer, if it is one. An error needs a disk that has failed, and nothing may be acknowledged after one.
    fn acknowledged<T>(&mut self, answer: Result<T, StoreError>) -> Result<Option<T>, Broken> {
        match answer {
            Ok(_) if self.failed => Err(Broken::Wrong("acknowledged by a store that has failed".into())),
            Ok(answer) => {
                self.ledger.acknowledged += 1;
                Ok(Some(answer))
            }
            Err(error) => {
                self.failed |= matches!(error, StoreError::Failed(_));
                self.excused(&error.to_string()).map(|()| None)
            }
        }
    }

    /// Errors need a reason.
    fn excused(&self, error: &str) -> Result<(), Broken> {
        if self.disk.has_failed() { Ok(()) } else { Err(Broken::Wrong(format!("without a fault: {error}"))) }
    }

    fn some_deliveries(&mut self) -> Vec<DeliveryId> {
        let mut ids: Vec<DeliveryId> = Vec::new();
        for _ in 0..3 {
            let (number, name) = (self.dice.u8(0..EVENTS), self.destination());
            ids.extend(self.ledger.delivery(number, &name).filter(|id| !ids.contains(id)));
        }
        ids
    }

    fn destination(&mut self) -> Name {
        destination(self.dice.u8(0..3))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.load(Ordering::SeqCst))
    }
}
