//! The store against a naive model of it, through crashes, power cuts and time.
//!
//! The model keeps, for each delivery, the state that must survive anything and the states that the store has acknowledged since
//! without promising durability. After a power cut any of them may be found; after everything else only the last.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use atoms_relay::{
    clock::Clock,
    model::{
        Attempt, DeadReason, DeliveryId, DeliveryState, Event, EventId, Name, NewDelivery, NewEvent, Order, Outcome,
        Timestamp, Verdict,
    },
    store::{
        Acceptance, Claim, EventFilter, Pause, Rerouted, Rerouting, Settled, Settlement, Store,
        embedded::{Embedded, Options, Retention},
    },
};
use bytes::Bytes;
use proptest::prelude::*;

use crate::{
    bench::{LONG_LEASE, call_of, destination, everything, is_long_run, numbered_event, open},
    sim_disk::SimDisk,
};

const RETENTION: Retention = Retention {
    delivered: Duration::from_secs(2 * 86_400),
    dead_letters: Duration::from_secs(4 * 86_400),
    deduplication: Duration::from_secs(6 * 86_400),
};

/// What can happen to a store.
#[derive(Debug, Clone)]
enum Action {
    Accept { event: u8, to: u8, size: u16 },
    Claim { destination: u8, max: u8, order: Order },
    KeepBody { claim: u8, size: u16 },
    Settle { claim: u8, how: How },
    Replay { event: u8, destination: u8 },
    Reroute { event: u8, to: u8 },
    Discard { event: u8, destination: u8 },
    Pause { destination: u8, on: bool },
    Pass { hours: u8 },
    Tidy,
    Reopen,
    Kill,
    CutPower { survival: u8, dice: u64 },
}

#[derive(Debug, Clone, Copy)]
enum How {
    Done,
    Retry,
    Dead,
    Expired,
    Release,
}

fn action() -> impl Strategy<Value = Action> {
    let how = prop_oneof![3 => Just(How::Done), 2 => Just(How::Retry), 2 => Just(How::Dead), 1 => Just(How::Expired), 1 => Just(How::Release)];
    prop_oneof![
        10 => (0u8..24, prop_oneof![3 => 0u8..8, 1 => 0u8..64], prop_oneof![4 => 0u16..300, 1 => 3_000u16..20_000])
            .prop_map(|(event, to, size)| Action::Accept { event, to, size }),
        6 => (0u8..3, 1u8..5, prop_oneof![Just(Order::None), Just(Order::Call)])
            .prop_map(|(destination, max, order)| Action::Claim { destination, max, order }),
        2 => (any::<u8>(), 0u16..2_000).prop_map(|(claim, size)| Action::KeepBody { claim, size }),
        10 => (any::<u8>(), how).prop_map(|(claim, how)| Action::Settle { claim, how }),
        2 => (0u8..24, 0u8..3).prop_map(|(event, destination)| Action::Replay { event, destination }),
        1 => (0u8..24, prop_oneof![3 => 0u8..8, 1 => 0u8..64]).prop_map(|(event, to)| Action::Reroute { event, to }),
        1 => (0u8..24, 0u8..3).prop_map(|(event, destination)| Action::Discard { event, destination }),
        1 => (0u8..3, any::<bool>()).prop_map(|(destination, on)| Action::Pause { destination, on }),
        3 => (1u8..60).prop_map(|hours| Action::Pass { hours }),
        3 => Just(Action::Tidy),
        1 => Just(Action::Reopen),
        1 => Just(Action::Kill),
        2 => (prop_oneof![Just(0u8), Just(50), Just(95)], any::<u64>())
            .prop_map(|(survival, dice)| Action::CutPower { survival, dice }),
    ]
}

/// What the model knows of an event.
#[derive(Debug, Clone)]
struct Known {
    number: u8,
    body: Bytes,
    deliveries: BTreeMap<Name, Vec<DeliveryState>>,
    kept_bodies: BTreeMap<Name, Bytes>,
}

impl Known {
    /// Whether a start could forget it: whatever a recovery finds is judged by its age at once.
    fn may_have_expired(&self, id: EventId, now: Timestamp) -> bool {
        let may_be_settled = |states: &Vec<DeliveryState>| states.iter().any(|state| kept_until(*state) <= now);
        id.timestamp().plus(RETENTION.delivered) <= now && self.deliveries.values().all(may_be_settled)
    }
}

fn kept_until(state: DeliveryState) -> Timestamp {
    match state {
        DeliveryState::Waiting { .. } => Timestamp::MAX,
        DeliveryState::Delivered { at } | DeliveryState::Discarded { at } | DeliveryState::Expired { at } => {
            at.plus(RETENTION.delivered)
        }
        DeliveryState::Dead { at, .. } => at.plus(RETENTION.dead_letters),
    }
}

/// The store and the model side by side.
struct Pair {
    disk: SimDisk,
    dir: tempfile::TempDir,
    time: Arc<AtomicU64>,
    boots: u64,
    store: Option<Embedded>,
    claims: Vec<Claim>,
    /// Events that the store must have, by id.
    events: BTreeMap<EventId, Known>,
    /// The event that a second receipt of a number is told of.
    first: BTreeMap<u8, EventId>,
    pauses: BTreeMap<Name, bool>,
}

impl Pair {
    fn new() -> Self {
        let mut pair = Self {
            disk: SimDisk::default(),
            dir: tempfile::tempdir().unwrap(),
            time: Arc::new(1_790_000_000_000.into()),
            boots: 1,
            store: None,
            claims: Vec::new(),
            events: BTreeMap::new(),
            first: BTreeMap::new(),
            pauses: BTreeMap::new(),
        };
        pair.open();
        pair
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.load(Ordering::SeqCst))
    }

    fn open(&mut self) {
        let time = Arc::clone(&self.time);
        let clock = Clock::from_fn(move || Timestamp::from_millis(time.load(Ordering::SeqCst)));
        let mut options = Options::new(self.dir.path(), RETENTION, 0, clock);
        options.disk = Arc::new(self.disk.clone());
        options.boot_id = self.boots.to_string();
        options.segment_bytes = 8 * 1024;
        options.index_floor = 0;
        options.housekeeping_every = Duration::from_secs(1_000_000_000);
        self.store = Some(open(&options).unwrap());
    }

    fn store(&self) -> &Embedded {
        self.store.as_ref().unwrap()
    }

    async fn act(&mut self, action: &Action) {
        match *action {
            Action::Accept { event, to, size } => self.accept(event, to, size).await,
            Action::Claim { destination, max, order } => self.claim(destination, max, order).await,
            Action::KeepBody { claim, size } => self.keep_body(claim, size).await,
            Action::Settle { claim, how } => self.settle(claim, how).await,
            Action::Replay { event, destination } => self.replay(event, destination).await,
            Action::Reroute { event, to } => self.reroute(event, to).await,
            Action::Discard { event, destination } => self.discard(event, destination).await,
            Action::Pause { destination, on } => self.pause(destination, on).await,
            Action::Pass { hours } => {
                self.time.fetch_add(u64::from(hours) * 3_600_000 + 1, Ordering::SeqCst);
            }
            Action::Tidy => self.tidy().await,
            Action::Reopen => {
                self.store().close().await.unwrap();
                self.make_durable();
                self.reopen();
            }
            Action::Kill => {
                self.reopen();
                self.make_durable();
                self.purge_what_is_back().await;
            }
            Action::CutPower { survival, dice } => {
                self.store = None;
                let mut dice = fastrand::Rng::with_seed(dice);
                self.disk.cut_power(|| dice.u8(0..100) < survival);
                self.boots += 1;
                self.reopen();
                self.accept_what_survived().await;
            }
        }
        // One millisecond between actions keeps ids in order.
        self.time.fetch_add(1, Ordering::SeqCst);
    }

    fn reopen(&mut self) {
        self.claims.clear();
        self.store = None;
        self.open();
    }

    /// Everything acknowledged so far survives a power cut from now on.
    fn make_durable(&mut self) {
        for states in self.events.values_mut().flat_map(|known| known.deliveries.values_mut()) {
            states.drain(..states.len() - 1);
        }
    }

    async fn accept(&mut self, number: u8, to: u8, size: u16) {
        let new = numbered_event(number, size.into(), self.now(), to);
        let (id, body) = (new.event.id, new.event.body.clone());
        let deliveries = new.deliveries.clone();
        let known =
            self.first.get(&number).filter(|first| first.timestamp().plus(RETENTION.deduplication) > self.now());
        let expected = known.map_or(Acceptance::Created, |first| Acceptance::Duplicate(*first));
        assert_eq!(self.store().accept(new).await.unwrap(), expected);
        if expected == Acceptance::Created {
            let begin = |new: NewDelivery| (new.destination.clone(), vec![new.begin(id.timestamp()).0.state]);
            let deliveries = deliveries.into_iter().map(begin).collect();
            self.events.insert(id, Known { number, body, deliveries, kept_bodies: BTreeMap::new() });
            self.first.insert(number, id);
            self.make_durable();
        }
    }

    async fn claim(&mut self, to: u8, max: u8, order: Order) {
        let name = destination(to);
        let claimable = self.claimable(&name, order);
        let claims = self.store().claim(&name, max.into(), LONG_LEASE, order).await.unwrap();
        assert_eq!(claims.len(), claimable.len().min(max.into()), "claims of {name}");
        for claim in &claims {
            assert!(claimable.contains(&claim.event.id), "{} has to wait", claim.event.id);
            let known = &self.events[&claim.event.id];
            assert_eq!(claim.event.body, known.body);
            assert_eq!(Some(&claim.delivery.state), known.deliveries[&name].last());
            assert_eq!(claim.kept_body.as_ref(), known.kept_bodies.get(&name));
        }
        self.claims.extend(claims);
        if order == Order::Call {
            self.note_what_was_put_behind(&name).await;
            let next_due = self.store().next_due(&name).await.unwrap();
            let is_looked_at_again = next_due.is_some_and(|due| due <= self.now());
            let is_left = !self.claimable(&name, order).is_empty();
            assert!(is_left || !is_looked_at_again || self.claims.len() >= max.into(), "an idle lane would look again");
        }
    }

    /// The deliveries to a destination that are due, and that nobody has and, by the order of calls, nothing holds up.
    fn claimable(&self, name: &Name, order: Order) -> Vec<EventId> {
        let due = |id: &EventId| matches!(self.waits_until(id, name), Some(due) if due <= self.now());
        let held =
            |id: &EventId| self.claims.iter().any(|claim| claim.event.id == *id && claim.delivery.destination == *name);
        let waits = |id: &EventId| order == Order::Call && self.head(id, name).is_some();
        self.events.keys().copied().filter(|id| due(id) && !held(id) && !waits(id)).collect()
    }

    fn waits_until(&self, id: &EventId, name: &Name) -> Option<Timestamp> {
        match self.events.get(id)?.deliveries.get(name)?.last()? {
            DeliveryState::Waiting { due } => Some(*due),
            _ => None,
        }
    }

    /// The first earlier event of the same call that waits for this destination, too.
    fn head(&self, id: &EventId, name: &Name) -> Option<EventId> {
        let call = call_of(self.events[id].number);
        let mut earlier = self.events.range(..id).filter(|(_, known)| call_of(known.number) == call);
        earlier.find(|(id, _)| self.waits_until(id, name).is_some()).map(|(id, _)| *id)
    }

    /// Takes over what the store has put behind an earlier event, and nothing else.
    async fn note_what_was_put_behind(&mut self, name: &Name) {
        for (id, states) in self.list().await {
            let (Some(state), Some(known)) = (states.get(name), self.waits_until(&id, name)) else { continue };
            if *state == (DeliveryState::Waiting { due: known }) {
                continue;
            }
            let head = self.head(&id, name).and_then(|head| self.waits_until(&head, name));
            let behind = head.filter(|due| *due > self.now()).map(|due| due.plus(Duration::from_millis(1)));
            assert_eq!(Some(*state), behind.map(|due| DeliveryState::Waiting { due }), "{id} was moved");
            let id = DeliveryId { event: id, destination: name.clone() };
            self.note(&id, |_| Some(*state));
        }
    }

    async fn keep_body(&mut self, which: u8, size: u16) {
        if self.claims.is_empty() {
            return;
        }
        let claim = &self.claims[usize::from(which) % self.claims.len()];
        let (id, body) = (claim.id(), Bytes::from(vec![which; size.into()]));
        assert_eq!(self.store().keep_body(&id, claim.token, body.clone()).await.unwrap(), Settled::Recorded);
        self.events.get_mut(&id.event).unwrap().kept_bodies.insert(id.destination, body);
        self.make_durable();
    }

    async fn settle(&mut self, which: u8, how: How) {
        if self.claims.is_empty() {
            return;
        }
        let claim = self.claims.swap_remove(usize::from(which) % self.claims.len());
        let now = self.now();
        let verdict = match how {
            How::Done => Verdict::Done,
            How::Retry => Verdict::RetryAt(now.plus(Duration::from_secs(3600))),
            How::Dead => Verdict::Dead(DeadReason::Rejected),
            How::Expired => Verdict::Expired,
            How::Release => Verdict::Release,
        };
        let number = claim.delivery.attempts + 1;
        let outcome = Outcome::Answered { status: 500, excerpt: "no".into() };
        let attempt = Attempt { number, started_at: now, took: Duration::ZERO, request: "POST".into(), outcome };
        let settlement = Settlement { id: claim.id(), token: claim.token, verdict, attempt: Some(attempt) };
        self.store().settle(vec![settlement]).await.unwrap();
        self.note(&claim.id(), |state| state.after(verdict, now).ok());
        if matches!(how, How::Dead) {
            self.make_durable();
        }
    }

    async fn replay(&mut self, event: u8, to: u8) {
        let Some(id) = self.delivery(event, to) else { return };
        self.store().replay(vec![id.clone()]).await.unwrap();
        let (due, waited_until) = (self.now(), self.waits_until(&id.event, &id.destination));
        self.note(&id, |_| Some(DeliveryState::Waiting { due }));
        if let Some(waited_until) = waited_until.filter(|until| *until > due) {
            self.bring_forward(&id, waited_until, due);
        }
        self.make_durable();
    }

    async fn reroute(&mut self, number: u8, to: u8) {
        let Some(event) = self.first.get(&number).copied() else { return };
        let NewEvent { event: Event { reading, .. }, deliveries, .. } = numbered_event(number, 0, self.now(), to);
        let asked = Rerouting { event, reading, deliveries: deliveries.clone() };
        let (rerouted, now) = (self.store().reroute(vec![asked]).await.unwrap(), self.now());
        let Some(known) = self.events.get_mut(&event) else { return assert_eq!(rerouted, [Rerouted::Unknown]) };
        let before = known.deliveries.len();
        for new in deliveries {
            known.deliveries.entry(new.destination.clone()).or_insert_with(|| vec![new.begin(now).0.state]);
        }
        let created = known.deliveries.len() - before;
        assert_eq!(rerouted, [Rerouted::Created(created)]);
        if created > 0 {
            self.make_durable();
        }
    }

    /// What was put behind a delivery that waited until then comes along.
    fn bring_forward(&mut self, id: &DeliveryId, waited_until: Timestamp, due: Timestamp) {
        let just_after = |time: Timestamp| time.plus(Duration::from_millis(1));
        let call = call_of(self.events[&id.event].number);
        let later = self.events.range(id.event..).skip(1).filter(|(_, known)| call_of(known.number) == call);
        let later: Vec<EventId> = later.map(|(later, _)| *later).collect();
        for later in later {
            if self.waits_until(&later, &id.destination) == Some(just_after(waited_until)) {
                let id = DeliveryId { event: later, destination: id.destination.clone() };
                self.note(&id, |_| Some(DeliveryState::Waiting { due: just_after(due) }));
            }
        }
    }

    async fn discard(&mut self, event: u8, to: u8) {
        let Some(id) = self.delivery(event, to) else { return };
        let discarded = self.store().discard(vec![id.clone()]).await.unwrap();
        let at = self.now();
        let mut was_dead = 0;
        self.note(&id, |state| {
            was_dead = state.is_dead().into();
            state.is_dead().then_some(DeliveryState::Discarded { at })
        });
        assert_eq!(discarded, was_dead);
        if was_dead == 1 {
            self.make_durable();
        }
    }

    async fn pause(&mut self, to: u8, on: bool) {
        let name = destination(to);
        let pause = on.then(|| Pause { since: self.now(), until: None, reason: String::new() });
        self.store().set_pause(&name, pause).await.unwrap();
        self.pauses.insert(name, on);
        self.make_durable();
    }

    async fn tidy(&mut self) {
        self.store().tidy().await.unwrap();
        let now = self.now();
        self.events.retain(|id, known| {
            let ends = known.deliveries.values().filter_map(|states| states.last()).map(|state| kept_until(*state));
            ends.chain([id.timestamp().plus(RETENTION.delivered)]).max().unwrap() > now
        });
    }

    /// After a power cut: what the store found must be something it had acknowledged, and is the truth from then on.
    async fn accept_what_survived(&mut self) {
        let (found, now) = (self.list().await, self.now());
        self.events.retain(|id, known| {
            let Some(states) = found.get(id) else {
                assert!(known.may_have_expired(*id, now), "event {id} was acknowledged and is gone");
                return false;
            };
            for (destination, possible) in &mut known.deliveries {
                let state = states[destination];
                assert!(possible.contains(&state), "{id} to {destination}: {state:?} is none of {possible:?}");
                *possible = vec![state];
            }
            true
        });
        self.purge_what_is_back().await;
    }

    /// After a crash events that had been purged are in the journal still. They aren't seen again, though the start may have
    /// purged more.
    async fn purge_what_is_back(&mut self) {
        for id in self.list().await.keys() {
            assert!(self.events.contains_key(id), "event {id} came back, or from nowhere");
        }
        self.tidy().await;
    }

    /// What the store has must be what the model has.
    async fn compare(&self) {
        let found = self.list().await;
        let known = self.events.iter().map(|(id, known)| {
            let states = known.deliveries.iter().map(|(name, states)| (name.clone(), *states.last().unwrap()));
            (*id, states.collect::<BTreeMap<_, _>>())
        });
        assert_eq!(found, known.collect::<BTreeMap<_, _>>());

        let stats = self.store().stats();
        assert_eq!(stats.events, found.len() as u64);
        for numbers in stats.destinations {
            let there = || found.values().filter_map(|states| states.get(&numbers.destination));
            assert_eq!(numbers.waiting, there().filter(|state| state.is_waiting()).count() as u64);
            assert_eq!(numbers.dead, there().filter(|state| state.is_dead()).count() as u64);
            let listed = self.store().dead_letters(Some(&numbers.destination), everything()).await.unwrap();
            assert_eq!(numbers.dead, listed.items.len() as u64);
        }
        for (name, on) in &self.pauses {
            assert_eq!(self.store().pause_of(name).is_some(), *on, "pause of {name}");
        }
        for (id, known) in self.events.iter().take(2) {
            let stored = self.store().event(*id).await.unwrap().unwrap();
            assert_eq!(stored.event.body, known.body);
        }
    }

    async fn list(&self) -> BTreeMap<EventId, BTreeMap<Name, DeliveryState>> {
        let listing = self.store().events(EventFilter::default(), everything()).await.unwrap();
        let states = |event: atoms_relay::store::EventSummary| {
            let deliveries = event.deliveries.into_iter();
            (event.id, deliveries.map(|delivery| (delivery.destination, delivery.state)).collect())
        };
        listing.items.into_iter().map(states).collect()
    }

    /// The delivery of the newest event with this number that the model knows, if it goes there.
    fn delivery(&self, number: u8, to: u8) -> Option<DeliveryId> {
        let (event, name) = (*self.first.get(&number)?, destination(to));
        let known = self.events.get(&event)?;
        known.deliveries.contains_key(&name).then_some(DeliveryId { event, destination: name })
    }

    fn note(&mut self, id: &DeliveryId, step: impl FnOnce(DeliveryState) -> Option<DeliveryState>) {
        let Some(known) = self.events.get_mut(&id.event) else { return };
        let states = known.deliveries.get_mut(&id.destination).unwrap();
        states.extend(step(*states.last().unwrap()));
    }
}

fn cases() -> u32 {
    if is_long_run() { 2_000 } else { 40 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_a_naive_model_does(actions in proptest::collection::vec(action(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new();
            for action in &actions {
                pair.act(action).await;
                pair.compare().await;
            }
        });
    }
}
