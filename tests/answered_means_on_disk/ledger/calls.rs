//! The order of calls: which delivery waits for which, and when it is due then.
//!
//! A claim in that order puts what it meets behind the first delivery of its call that still waits, the *head*, when that is due
//! later: a millisecond after it. When the head is replayed, what was put behind it comes along. What a claim does so is
//! true from then on and not promised to be durable; after an error it may have happened to any of them.

use std::time::Duration;

use atoms_relay::{
    model::{DeliveryId, DeliveryState, EventId, Name, Timestamp},
    store::{Claim, EventFilter, Store, embedded::Embedded},
};

use super::Ledger;
use crate::{bench::everything, trials::Broken};

impl Ledger {
    /// Compares a claim in the order of calls with it.
    pub(crate) fn check_order(&self, claim: &Claim) -> Result<(), Broken> {
        let (id, name) = (claim.event.id, &claim.delivery.destination);
        match self.head(id, name) {
            Some((head, _)) => Err(Broken::Wrong(format!("{id} to {name} was claimed before {head} of its call"))),
            None => Ok(()),
        }
    }

    /// Takes over what a claim has put behind heads, and nothing else.
    pub(crate) async fn note_what_was_put_behind(
        &mut self,
        store: &Embedded,
        destination: &Name,
        now: Timestamp,
    ) -> Result<(), Broken> {
        let Ok(listing) = store.events(EventFilter::default(), everything()).await else {
            self.note_what_may_be_behind(destination, now);
            return Ok(());
        };
        let deliveries =
            listing.items.into_iter().flat_map(|event| event.deliveries.into_iter().map(move |one| (event.id, one)));
        for (event, found) in deliveries.filter(|(_, found)| found.destination == *destination) {
            let known = self.state(&event, destination);
            if known == Some(found.state) {
                continue;
            }
            if self.behind(event, destination, now) != Some(found.state) {
                return Err(Broken::Wrong(format!("{event} to {destination} was {known:?} and is {:?}", found.state)));
            }
            self.note(&DeliveryId { event, destination: destination.clone() }, found.state);
        }
        Ok(())
    }

    /// Whether a claim that got less than it wanted has left nothing that the next one would meet in vain.
    pub(crate) fn check_nothing_is_left(
        &self,
        destination: &Name,
        held: &[Claim],
        now: Timestamp,
    ) -> Result<(), Broken> {
        let is_free =
            |event| !held.iter().any(|claim| claim.id() == DeliveryId { event, destination: destination.clone() });
        let is_due = |event| self.waits_until(event, destination).is_some_and(|due| due <= now);
        let mut left = self.events.keys().filter(|event| is_due(**event) && is_free(**event));
        match left.find(|event| self.behind(**event, destination, now).is_some()) {
            Some(event) => {
                Err(Broken::Wrong(format!("{event} to {destination} isn't put behind the first of its call")))
            }
            None => Ok(()),
        }
    }

    /// Notes what a claim that failed may have put behind heads.
    pub(crate) fn note_what_may_be_behind(&mut self, destination: &Name, now: Timestamp) {
        let events: Vec<EventId> = self.events.keys().copied().collect();
        for event in events {
            if let Some(state) = self.behind(event, destination, now) {
                self.note_perhaps(&DeliveryId { event, destination: destination.clone() }, state);
            }
        }
    }

    /// Notes that a delivery is replayed, and so is what was put behind it.
    pub(crate) fn replayed(&mut self, id: &DeliveryId, now: Timestamp) {
        let later = self.put_behind(id, now);
        self.revive(id, now);
        for id in later {
            self.note(&id, just_after(now));
        }
    }

    /// Notes that a delivery may be replayed, and so may be what was put behind it.
    pub(crate) fn replayed_perhaps(&mut self, id: &DeliveryId, now: Timestamp) {
        let later = self.put_behind(id, now);
        self.note(id, DeliveryState::Waiting { due: now });
        for id in later {
            self.note_perhaps(&id, just_after(now));
        }
    }

    /// What has been put behind a delivery that isn't due yet.
    fn put_behind(&self, id: &DeliveryId, now: Timestamp) -> Vec<DeliveryId> {
        let Some(due) = self.waits_until(id.event, &id.destination).filter(|due| *due > now) else { return Vec::new() };
        let later = self.events.range(id.event..).skip(1).map(|(later, _)| *later);
        let later = later.filter(|later| self.are_of_one_call(id.event, *later));
        let behind = later.filter(|later| self.state(later, &id.destination) == Some(just_after(due)));
        behind.map(|event| DeliveryId { event, destination: id.destination.clone() }).collect()
    }

    /// Where a claim leaves a delivery that has to wait for its head to become due.
    fn behind(&self, id: EventId, destination: &Name, now: Timestamp) -> Option<DeliveryState> {
        let own = self.waits_until(id, destination)?;
        let (_, due) = self.head(id, destination)?;
        (own <= due && due > now).then(|| just_after(due))
    }

    /// The first earlier event of the same call that waits for this destination, too, and when it is due.
    fn head(&self, id: EventId, destination: &Name) -> Option<(EventId, Timestamp)> {
        let mut earlier = self.events.range(..id).map(|(earlier, _)| *earlier);
        earlier.find_map(|earlier| {
            let due = self.waits_until(earlier, destination).filter(|_| self.are_of_one_call(earlier, id))?;
            Some((earlier, due))
        })
    }

    fn waits_until(&self, id: EventId, destination: &Name) -> Option<Timestamp> {
        self.events.get(&id).filter(|promise| promise.found)?;
        match self.state(&id, destination)? {
            DeliveryState::Waiting { due } => Some(due),
            _ => None,
        }
    }

    fn are_of_one_call(&self, one: EventId, other: EventId) -> bool {
        let call = |id| self.events.get(&id).and_then(|promise| promise.call.as_ref());
        call(one).is_some() && call(one) == call(other)
    }
}

fn just_after(due: Timestamp) -> DeliveryState {
    DeliveryState::Waiting { due: due.plus(Duration::from_millis(1)) }
}
