//! The life of a store on a simulated disk: many processes, one after another, that do random things to it and end in bad ways.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use atoms_relay::{
    clock::Clock,
    model::{
        Attempt, DeadReason, DeliveryId, DeliveryState, EventId, Name, NewEvent, Order, Outcome, Timestamp, Verdict,
    },
    store::{
        Acceptance, Claim, Pause, Replayed, Rerouted, Rerouting, Settled, Settlement, Store, StoreError,
        embedded::{Embedded, Options},
    },
};
use bytes::Bytes;
use fastrand::Rng;

use crate::{
    bench::{LONG_LEASE, destination, numbered_event, open, wait_until_left},
    ledger::{Before, Ledger, RETENTION},
    sim_disk::{Fault, SimDisk},
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
    dir: tempfile::TempDir,
    dice: Rng,
    time: Arc<AtomicU64>,
    boots: u64,
    /// From how many bytes on the index's files are made smaller.
    index_floor: u64,
    /// What the present process holds.
    claims: Vec<Claim>,
    /// Whether the present process has said that the store failed.
    failed: bool,
}

impl Life {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            disk: SimDisk::default(),
            index_floor: if seed.is_multiple_of(COMPACTING_EVERY) { 0 } else { u64::MAX },
            ledger: Ledger::default(),
            dir: folder(),
            dice: Rng::with_seed(seed),
            time: Arc::new(1_790_000_000_000.into()),
            boots: 1,
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
        self.work(&store, actions).await?;
        if self.dice.u8(0..3) == 0 {
            self.close(&store).await?;
        }
        Ok(())
    }

    async fn work(&mut self, store: &Embedded, actions: usize) -> Result<(), Broken> {
        let mut after_failure = 0;
        for _ in 0..actions {
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
    /// probability.
    pub(crate) fn cut_power(&mut self, survival: f64) {
        wait_until_left(self.dir.path());
        let dice = &mut self.dice;
        self.disk.cut_power(|| dice.f64() < survival);
        self.boots += 1;
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

    /// The event with a number; it is the same one, whatever is padded, as its id says.
    async fn claim(&mut self, store: &Embedded) -> Result<(), Broken> {
        let (name, max) = (self.destination(), self.dice.usize(1..5));
        let claims = store.claim(&name, max, LONG_LEASE, Order::None).await;
        // A claim that could not be read is no promise.
        let Ok(claims) = claims else { return self.excused("a claim failed") };
        for claim in claims {
            self.ledger.check_claim(&claim)?;
            self.claims.push(claim);
        }
        Ok(())
    }

    async fn keep_body(&mut self, store: &Embedded) -> Result<(), Broken> {
        if self.claims.is_empty() {
            return Ok(());
        }
        let claim = &self.claims[self.dice.usize(0..self.claims.len())];
        let (id, token) = (claim.id(), claim.token);
        let body = Bytes::from(vec![b'x'; self.dice.usize(0..2_000)]);
        self.ledger.note_body(&id, body.clone());
        let kept = store.keep_body(&id, token, body).await;
        if self.acknowledged(kept)? == Some(Settled::Recorded) {
            self.ledger.bind_body(&id);
            self.ledger.make_durable();
        }
        Ok(())
    }

    async fn settle(&mut self, store: &Embedded) -> Result<(), Broken> {
        let now = self.now();
        let mut settlements = Vec::new();
        for _ in 0..self.dice.usize(0..4).min(self.claims.len()) {
            let claim = self.claims.swap_remove(self.dice.usize(0..self.claims.len()));
            settlements.push(self.settlement(&claim, now));
        }
        let settled = store.settle(settlements.clone()).await;
        let settled = self.acknowledged(settled)?;
        let is_dead = |settlement: &Settlement| matches!(settlement.verdict, Verdict::Dead(_));
        let recorded = settled.iter().flatten().zip(&settlements).filter(|(settled, _)| **settled == Settled::Recorded);
        let is_durable = recorded.map(|(_, settlement)| settlement).any(is_dead);
        for (place, settlement) in settlements.iter().enumerate() {
            let counts = settled.as_ref().is_none_or(|settled| settled[place] == Settled::Recorded);
            let state = self.ledger.state(&settlement.id.event, &settlement.id.destination);
            let after = state.and_then(|state| state.after(settlement.verdict, now).ok());
            after.filter(|_| counts).into_iter().for_each(|after| self.ledger.note(&settlement.id, after));
        }
        if is_durable {
            self.ledger.make_durable();
        }
        Ok(())
    }

    fn settlement(&mut self, claim: &Claim, now: Timestamp) -> Settlement {
        let verdict = match self.dice.u8(0..8) {
            0..3 => Verdict::Done,
            3..5 => Verdict::RetryAt(even(now.plus(Duration::from_secs(3600)))),
            5 => Verdict::Expired,
            6 => Verdict::Dead(DeadReason::Rejected),
            _ => Verdict::Release,
        };
        let number = claim.delivery.attempts + 1;
        let outcome = Outcome::Answered { status: 500, excerpt: "no".into() };
        let attempt = Attempt { number, started_at: now, took: Duration::ZERO, request: "POST".into(), outcome };
        let attempt = (verdict != Verdict::Release).then_some(attempt);
        Settlement { id: claim.id(), token: claim.token, verdict, attempt }
    }

    async fn replay(&mut self, store: &Embedded) -> Result<(), Broken> {
        let (ids, now) = (self.some_deliveries(), self.now());
        let replayed = store.replay(ids.clone()).await;
        let replayed = self.acknowledged(replayed)?;
        for (place, id) in ids.iter().enumerate() {
            match replayed.as_ref().map(|replayed| replayed[place]) {
                Some(Replayed::Due) => self.ledger.revive(id, now),
                Some(Replayed::Unknown) if self.ledger.may_be_gone(&id.event) => {}
                Some(Replayed::Unknown) => return Err(Broken::Lost(format!("{} isn't there to replay", id.event))),
                None => self.ledger.note(id, DeliveryState::Waiting { due: now }),
            }
        }
        if replayed.is_some_and(|replayed| replayed.contains(&Replayed::Due)) {
            self.ledger.make_durable();
        }
        Ok(())
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
        match store.close().await {
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

/// No delivery is due a millisecond after another by chance: the store takes that for having been put behind it.
fn even(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis() & !1)
}
