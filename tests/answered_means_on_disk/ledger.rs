//! What a store has promised, and whether it keeps it.
//!
//! Of each delivery and each pause the ledger has every state that may be found after a power cut: the last one that must
//! survive anything, those that were acknowledged since without promising durability, and those that were asked for in
//! vain, for an error says that it may have happened. Of each event it has the body.

mod calls;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use atoms_relay::{
    model::{DeliveryId, DeliveryState, EventId, Name, NewDelivery, NewEvent, Timestamp},
    store::{
        Acceptance, Claim, EventFilter, EventSummary, Store,
        embedded::{Embedded, Retention},
    },
};
use bytes::Bytes;

use crate::{bench::everything, trials::Broken};

pub(crate) const RETENTION: Retention = Retention {
    delivered: Duration::from_secs(2 * 86_400),
    dead_letters: Duration::from_secs(4 * 86_400),
    deduplication: Duration::from_secs(6 * 86_400),
};

/// All promises.
#[derive(Default)]
pub(crate) struct Ledger {
    events: BTreeMap<EventId, Promise>,
    /// The ids under which an event came in, by its number.
    receipts: BTreeMap<u8, Vec<EventId>>,
    pauses: BTreeMap<Name, Vec<bool>>,
    pub(crate) acknowledged: u64,
    pub(crate) duplicates: u64,
}

/// What was promised of an event.
struct Promise {
    body: Bytes,
    call: Option<Arc<str>>,
    /// Whether it must be there. Until then it may be.
    binding: bool,
    /// Whether the last start found it, or it came in since.
    found: bool,
    /// Whether it has been old enough to be purged. Until a crash is over it may come back then.
    expired: bool,
    deliveries: BTreeMap<Name, Vec<DeliveryState>>,
    /// The bodies that may be kept for a delivery: the last one that was acknowledged, and those asked for in vain since.
    kept_bodies: BTreeMap<Name, Vec<Bytes>>,
    /// For which deliveries one must be kept.
    bound_bodies: BTreeSet<Name>,
    /// Deliveries that were asked for later, with whether they must be there. Until then they may be.
    rerouted: BTreeMap<Name, bool>,
}

impl Promise {
    /// What was asked for later is there where that was acknowledged; where it isn't there it never was.
    fn check_rerouted(&mut self, id: EventId, found: &EventSummary) -> Result<(), Broken> {
        let is_there = |name: &Name| found.deliveries.iter().any(|delivery| delivery.destination == *name);
        let missing: Vec<Name> = self.rerouted.keys().filter(|name| !is_there(name)).cloned().collect();
        for name in missing {
            if self.rerouted.remove(&name) == Some(true) {
                return Err(Broken::Lost(format!("that {id} was rerouted to {name}")));
            }
            self.deliveries.remove(&name);
        }
        self.rerouted.values_mut().for_each(|binding| *binding = true);
        Ok(())
    }
}

/// How the process before went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Its disk worked, or the power was cut and nothing but the disk is left of it.
    Sound,
    /// Its disk failed. The index may know of settlements that the journal couldn't take: they are true, and not durable.
    DiskFailed,
}

impl Ledger {
    /// Everything that was acknowledged so far must survive a power cut from now on.
    pub(crate) fn make_durable(&mut self) {
        for states in self.events.values_mut().flat_map(|promise| promise.deliveries.values_mut()) {
            keep_last(states);
        }
        self.pauses.values_mut().for_each(keep_last);
    }

    /// Notes an event that is about to be sent in.
    pub(crate) fn offer(&mut self, new: &NewEvent) {
        let begin = |one: &NewDelivery| (one.destination.clone(), vec![one.begin(new.event.received_at).0.state]);
        let deliveries = new.deliveries.iter().map(begin).collect();
        let (body, kept_bodies, bound_bodies) = (new.event.body.clone(), BTreeMap::new(), BTreeSet::new());
        let (call, rerouted) =
            (new.event.reading.envelope().and_then(|envelope| envelope.call.clone()), BTreeMap::new());
        let (binding, found, expired) = (false, true, false);
        let promise = Promise { body, call, binding, found, expired, deliveries, kept_bodies, bound_bodies, rerouted };
        self.events.insert(new.event.id, promise);
    }

    /// Notes the answer to an event that was sent in under a number.
    pub(crate) fn answered(&mut self, number: u8, id: EventId, answer: Acceptance) -> Result<(), Broken> {
        let receipts = self.receipts.entry(number).or_default();
        let known = receipts.iter().rfind(|known| self.events.get(known).is_some_and(|promise| promise.binding));
        let known = known.filter(|known| known.timestamp().plus(RETENTION.deduplication) > id.timestamp()).copied();
        match answer {
            Acceptance::Created if known.is_none() => {
                receipts.push(id);
                self.make_durable();
                self.bind(id)
            }
            Acceptance::Created => {
                Err(Broken::Lost(format!("event {id} was taken for new, and {known:?} was here before")))
            }
            Acceptance::Duplicate(first) if receipts.contains(&first) && known.is_none_or(|known| known <= first) => {
                self.duplicates += 1;
                self.events.remove(&id);
                self.bind(first)
            }
            Acceptance::Duplicate(first) => {
                Err(Broken::Wrong(format!("event {id} was taken for {first}, but the first one was {known:?}")))
            }
        }
    }

    /// Notes that an event was sent in under a number, and that nobody knows whether it got there.
    pub(crate) fn unanswered(&mut self, number: u8, id: EventId) {
        self.receipts.entry(number).or_default().push(id);
    }

    fn bind(&mut self, id: EventId) -> Result<(), Broken> {
        let promise = self.events.get_mut(&id);
        let promise = promise.ok_or_else(|| Broken::Lost(format!("event {id}, which is said to be there")))?;
        promise.binding = true;
        Ok(())
    }

    /// The delivery of the newest event with this number that is in here, if it goes there.
    pub(crate) fn delivery(&self, number: u8, destination: &Name) -> Option<DeliveryId> {
        let id = self.receipts.get(&number)?.last()?;
        self.state(id, destination)?;
        Some(DeliveryId { event: *id, destination: destination.clone() })
    }

    /// Where a delivery stands after all that was acknowledged.
    pub(crate) fn state(&self, id: &EventId, destination: &Name) -> Option<DeliveryState> {
        self.events.get(id)?.deliveries.get(destination)?.last().copied()
    }

    /// Whether an event may be gone.
    pub(crate) fn may_be_gone(&self, id: &EventId) -> bool {
        self.events.get(id).is_none_or(|promise| promise.expired || !promise.binding)
    }

    /// Notes another state of a delivery, reached or asked for.
    pub(crate) fn note(&mut self, id: &DeliveryId, state: DeliveryState) {
        let promise = self.events.get_mut(&id.event);
        let states = promise.and_then(|promise| promise.deliveries.get_mut(&id.destination));
        if let Some(states) = states {
            states.push(state);
        }
    }

    /// Notes a state that a delivery may have been given. Where it stands after all that was acknowledged stays as it is.
    fn note_perhaps(&mut self, id: &DeliveryId, state: DeliveryState) {
        let Some(acknowledged) = self.state(&id.event, &id.destination) else { return };
        self.note(id, state);
        self.note(id, acknowledged);
    }

    /// Notes that a delivery is due again by a person's wish: its event must be kept, however old.
    fn revive(&mut self, id: &DeliveryId, now: Timestamp) {
        self.note(id, DeliveryState::Waiting { due: now });
        if let Some(promise) = self.events.get_mut(&id.event) {
            (promise.binding, promise.expired) = (true, false);
        }
    }

    /// The newest event with this number that is in here.
    pub(crate) fn event(&self, number: u8) -> Option<EventId> {
        self.receipts.get(&number)?.iter().rfind(|id| self.events.contains_key(id)).copied()
    }

    /// Notes that an event is to go to another destination, too. `false` when it does so already, for sure or perhaps.
    pub(crate) fn note_delivery(&mut self, id: &DeliveryId, state: DeliveryState) -> bool {
        let Some(promise) = self.events.get_mut(&id.event) else { return false };
        if promise.deliveries.contains_key(&id.destination) {
            return false;
        }
        promise.deliveries.insert(id.destination.clone(), vec![state]);
        promise.rerouted.insert(id.destination.clone(), false);
        true
    }

    /// Notes that all deliveries of an event are there, and so it is, however old.
    pub(crate) fn bind_deliveries(&mut self, id: EventId) {
        if let Some(promise) = self.events.get_mut(&id) {
            promise.rerouted.values_mut().for_each(|binding| *binding = true);
            (promise.binding, promise.expired) = (true, false);
        }
    }

    /// Notes a body that is to be kept for a delivery.
    pub(crate) fn note_body(&mut self, id: &DeliveryId, body: Bytes) {
        if let Some(promise) = self.events.get_mut(&id.event) {
            promise.kept_bodies.entry(id.destination.clone()).or_default().push(body);
        }
    }

    /// Notes that the last body of a delivery is kept for sure.
    pub(crate) fn bind_body(&mut self, id: &DeliveryId) {
        if let Some(promise) = self.events.get_mut(&id.event) {
            promise.kept_bodies.get_mut(&id.destination).into_iter().for_each(keep_last);
            promise.bound_bodies.insert(id.destination.clone());
        }
    }

    /// Notes that a destination was paused or resumed, or was to be.
    pub(crate) fn note_pause(&mut self, destination: &Name, on: bool) {
        self.pauses.entry(destination.clone()).or_insert_with(|| vec![false]).push(on);
    }

    /// Notes that what has expired may be purged. A delivery that was asked for in vain may not be there: it keeps nothing.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        for (id, promise) in &mut self.events {
            let received = id.timestamp().plus(RETENTION.delivered);
            let settled = |states: &Vec<DeliveryState>| states.iter().copied().any(|state| kept_until(state) <= now);
            let mut deliveries = promise.deliveries.iter();
            let keeps_nothing = |name: &Name| promise.rerouted.get(name) == Some(&false);
            promise.expired |=
                received <= now && deliveries.all(|(name, states)| keeps_nothing(name) || settled(states));
        }
    }

    /// Compares a claim with what was promised.
    pub(crate) fn check_claim(&self, claim: &Claim) -> Result<(), Broken> {
        let (id, state) = (claim.event.id, claim.delivery.state);
        let Some(promise) = self.events.get(&id) else {
            return Err(Broken::Wrong(format!("nobody has ever sent event {id}, and it was claimed")));
        };
        let possible = promise.deliveries.get(&claim.delivery.destination);
        if !possible.is_some_and(|possible| possible.contains(&state)) {
            return Err(Broken::Wrong(format!("{id} was claimed in {state:?}, none of {possible:?}")));
        }
        let kept = promise.kept_bodies.get(&claim.delivery.destination);
        let is_kept = match &claim.kept_body {
            Some(body) => kept.is_some_and(|kept| kept.contains(body)),
            None => kept.is_none_or(|_| !promise.bound_bodies.contains(&claim.delivery.destination)),
        };
        if !is_kept {
            return Err(Broken::Lost(format!("the body that was kept for {}", claim.id())));
        }
        let same = promise.body == claim.event.body;
        if same { Ok(()) } else { Err(Broken::Lost(format!("{id} was claimed with another body"))) }
    }

    /// Compares a store that has just been opened with what was promised. What it has holds from then on, but for the states
    /// that were never promised to be durable, where the disk has failed under the process before.
    ///
    /// `Ok(false)` when the store couldn't be read to the end.
    pub(crate) async fn check(&mut self, store: &Embedded, before: Before) -> Result<bool, Broken> {
        let Ok(listing) = store.events(EventFilter::default(), everything()).await else { return Ok(false) };
        let found: BTreeMap<EventId, EventSummary> = listing.items.into_iter().map(|event| (event.id, event)).collect();
        for (id, promise) in &mut self.events {
            promise.found = found.contains_key(id);
            if promise.binding && !promise.expired && !promise.found {
                return Err(Broken::Lost(format!("event {id}")));
            }
        }
        for (id, summary) in &found {
            if !self.check_event(store, *id, summary, before).await? {
                return Ok(false);
            }
        }
        // What nobody was told of may have been there, and purged by this start for its age: it is still recognised then.
        self.events.retain(|_, promise| promise.binding || promise.expired || promise.found);
        check_numbers(store, &found)?;
        self.check_pauses(store)?;
        Ok(true)
    }

    async fn check_event(
        &mut self,
        store: &Embedded,
        id: EventId,
        summary: &EventSummary,
        before: Before,
    ) -> Result<bool, Broken> {
        let Some(promise) = self.events.get_mut(&id) else {
            return Err(Broken::Wrong(format!("nobody has ever sent event {id}")));
        };
        let Ok(stored) = store.event(id).await else { return Ok(false) };
        if stored.is_none_or(|stored| stored.event.body != promise.body) {
            return Err(Broken::Lost(format!("the body of event {id}")));
        }
        for delivery in &summary.deliveries {
            let possible = promise.deliveries.entry(delivery.destination.clone()).or_default();
            let Some(found) = possible.iter().rposition(|state| *state == delivery.state) else {
                let (name, state) = (&delivery.destination, delivery.state);
                return Err(Broken::Lost(format!("{id} to {name} is {state:?}, none of {possible:?}")));
            };
            possible.truncate(found + 1);
            if before == Before::Sound {
                keep_last(possible);
            }
        }
        promise.check_rerouted(id, summary)?;
        promise.binding = true;
        Ok(true)
    }

    fn check_pauses(&mut self, store: &Embedded) -> Result<(), Broken> {
        for (name, possible) in &mut self.pauses {
            let on = store.pause_of(name).is_some();
            if !possible.contains(&on) {
                return Err(Broken::Lost(format!("whether {name} is paused: found {on}")));
            }
            *possible = vec![on];
        }
        Ok(())
    }
}

fn check_numbers(store: &Embedded, found: &BTreeMap<EventId, EventSummary>) -> Result<(), Broken> {
    let stats = store.stats();
    let there = || found.values().flat_map(|event| &event.deliveries).map(|delivery| delivery.state);
    let counted = [found.len(), there().filter(|s| s.is_waiting()).count(), there().filter(|s| s.is_dead()).count()];
    let sum = |of: fn(&atoms_relay::store::DestinationStats) -> u64| stats.destinations.iter().map(of).sum();
    let said: [u64; 3] = [stats.events, sum(|one| one.waiting), sum(|one| one.dead)];
    if said == counted.map(|number| number as u64) {
        Ok(())
    } else {
        Err(Broken::Wrong(format!("the store counts {said:?} events, waiting and dead, and has {counted:?}")))
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

fn keep_last<T>(states: &mut Vec<T>) {
    states.drain(..states.len().saturating_sub(1));
}
