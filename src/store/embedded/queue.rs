//! Which deliveries of a destination are next: claims, and when to look again.
//!
//! Due deliveries lie in three lists, each by due time: those that stand where they began (`Due`), those that were sent again or
//! rerouted by a person (`Replayed`), and all others (`Again`). A claim goes through four stretches of them, as
//! [`super::turns`] says: what came in within the last minute, what came in before, and the other lists.
//!
//! With [`Order::Call`] a delivery has to wait for the first one of its call that still waits, the *head*:
//!
//! - The head is held: the delivery is passed over, and that is remembered until the head is let go of.
//! - The head is due later: the delivery is written down as due just after it, so that no later claim meets it before.
//! - The head could be claimed: it is, in the delivery's place. So a live event brings along what its call still has in the
//!   backlog, and nothing waits for a head that others keep from its turn.
//!
//! A clock may be set back between two runs. What seems to have come in later than now is live, and what seems to be put off
//! for longer than anything can be ([`FARTHEST`]) is due.
//!
//! A claim therefore looks at what it claims, what is held, what waits for something held, and, once for each attempt of its
//! head, what waits for a failed one; not at what lies behind. The lists' [`super::fronts`] are in memory.

use std::{
    collections::HashMap,
    ops::{Bound, Range},
    sync::Arc,
    time::Duration,
};

use super::{
    draft::call_of,
    front::Place,
    fronts::Stretch,
    index::{Entry, IndexError, Table, call_key, call_prefix, event_at_end, prefixed},
    leases,
    reader::{ReadError, Reader},
    turns::Kind,
};
use crate::{
    model::{DeliveryId, DeliveryState, EventId, Name, Order, Timestamp},
    store::{Claim, ClaimToken},
};

/// For how long after its receipt an event counts as live.
const LIVE: Duration = Duration::from_secs(60);
/// How far off a delivery can be due. A day is the most for the configured pause and for `Retry-After`, and the dice add a
/// fifth to it.
const FARTHEST: Duration = Duration::from_secs(30 * 60 * 60);
/// Deliveries that one claim puts behind their heads at most: each is a record to be written, and the claims wait for it.
const MAX_PUT_BEHIND: usize = 256;

/// What a claim came to.
pub(super) struct Claimed {
    pub(super) claims: Vec<Claim>,
    /// What has to be put behind an earlier event of its call.
    pub(super) behind: Vec<(DeliveryId, EventId)>,
}

/// What a claim asks for.
pub(super) struct Wanted {
    pub(super) destination: Name,
    pub(super) max: usize,
    pub(super) lease: Duration,
    pub(super) order: Order,
}

/// One claim on its way through what is due.
struct Search<'a> {
    reader: &'a Reader,
    wanted: &'a Wanted,
    now: Timestamp,
    /// How far it has come in each stretch.
    passed: [Option<Place>; Stretch::ALL.len()],
    /// The heads that were found so far, by call.
    heads: HashMap<String, EventId>,
    behind: Vec<(DeliveryId, EventId)>,
}

/// A delivery that was taken, before its bodies are read.
struct Taken {
    token: ClaimToken,
    event: EventId,
    entry: Entry,
}

/// The first delivery of a call that still waits.
struct Head {
    event: EventId,
    entry: Entry,
    due: Timestamp,
    is_free: bool,
}

impl Reader {
    /// See [`crate::store::Store::claim`].
    pub(super) fn claim(&self, wanted: &Wanted, now: Timestamp) -> Result<Claimed, ReadError> {
        let mut search = Search {
            reader: self,
            wanted,
            now,
            passed: [None; Stretch::ALL.len()],
            heads: HashMap::new(),
            behind: Vec::new(),
        };
        let mut claims = Vec::new();
        while claims.len() < wanted.max
            && let Some(taken) = search.next()?
        {
            claims.extend(self.claim_of(taken, &wanted.destination)?);
        }
        Ok(Claimed { claims, behind: search.behind })
    }

    /// What is handed out of a delivery that was taken; `None` when its event can't be read. It stays leased then, so that the
    /// queue goes on behind it, and comes up again when the lease has passed.
    fn claim_of(&self, taken: Taken, destination: &Name) -> Result<Option<Claim>, ReadError> {
        let Taken { token, event: id, entry } = taken;
        let Some(tracked) = entry.delivery(destination) else { return Ok(None) };
        let Some(event) = self.event_of(&entry)? else {
            self.damage.note_event(id);
            return Ok(None);
        };
        let kept_body = self.rendered(tracked)?;
        Ok(Some(Claim { token, event: Arc::new(event), delivery: tracked.delivery.clone(), kept_body }))
    }

    /// See [`crate::store::Store::next_due`].
    pub(super) fn next_due(&self, destination: &Name, now: Timestamp) -> Result<Option<Timestamp>, ReadError> {
        let mut earliest = None;
        for stretch in Stretch::FROM_THE_FIRST {
            let is_free = |event| {
                let leases = self.leases.lock();
                leases.is_free(destination, event, now) && !leases.is_blocked(destination, event, now)
            };
            let next = self.first(destination, stretch, is_free)?;
            earliest = earliest.into_iter().chain(next.map(|place| place.due)).min();
        }
        Ok(earliest)
    }

    /// When the event was received whose delivery to a destination is due first.
    pub(super) fn oldest(&self, destination: &Name) -> Option<Timestamp> {
        let firsts = Stretch::FROM_THE_FIRST.map(|stretch| self.first(destination, stretch, |_| true).ok().flatten());
        Some(firsts.into_iter().flatten().min()?.event.timestamp())
    }

    /// The first delivery of a list whose event is `wanted`.
    fn first(
        &self,
        destination: &Name,
        stretch: Stretch,
        wanted: impl Fn(EventId) -> bool,
    ) -> Result<Option<Place>, IndexError> {
        let mut passed = None;
        loop {
            let next =
                self.fronts.next(&self.index, destination, stretch, &(Timestamp::EPOCH..Timestamp::MAX), passed)?;
            match next {
                Some(place) if !wanted(place.event) => passed = next,
                found => return Ok(found),
            }
        }
    }

    /// The events of the same call that came in after an event.
    pub(super) fn later_of_call(&self, entry: &Entry, event: EventId) -> Result<Vec<EventId>, IndexError> {
        let Some(call) = call_of(entry) else { return Ok(Vec::new()) };
        let (_, end) = prefixed(call_prefix(call));
        let later = self.index.scan(Table::Call, (Bound::Excluded(call_key(call, event)), end));
        later.filter_map(|item| item.map(|(key, _)| event_at_end(&key)).transpose()).collect()
    }
}

impl Search<'_> {
    /// The next delivery, taken; `None` when there is no other.
    fn next(&mut self) -> Result<Option<Taken>, ReadError> {
        let kinds = self.reader.leases.lock().turns(&self.wanted.destination).preference();
        for kind in kinds {
            if let Some(taken) = self.next_of(kind)? {
                self.reader.leases.lock().turns(&self.wanted.destination).advance();
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    fn next_of(&mut self, kind: Kind) -> Result<Option<Taken>, ReadError> {
        for stretch in stretches(kind) {
            while self.behind.len() < MAX_PUT_BEHIND
                && let Some(Place { due, event }) = self.next_place(*stretch)?
            {
                if let Some(taken) = self.take(event, due)? {
                    return Ok(Some(taken));
                }
            }
        }
        Ok(None)
    }

    fn next_place(&mut self, stretch: Stretch) -> Result<Option<Place>, IndexError> {
        let Some(passed) = self.passed.get_mut(stretch as usize) else { return Ok(None) };
        let (reader, within) = (self.reader, due_within(stretch, self.now));
        let next = reader.fronts.next(&reader.index, &self.wanted.destination, stretch, &within, *passed)?;
        *passed = next.or(*passed);
        Ok(next)
    }

    /// Takes a delivery, or the head of its call; `None` when it is somebody else's, has to wait, or is no longer what its key
    /// said.
    fn take(&mut self, event: EventId, due: Timestamp) -> Result<Option<Taken>, ReadError> {
        let (reader, destination) = (self.reader, &self.wanted.destination);
        // The lock is held from the question until the answer: the committer ends a lease only after it has changed the
        // index, so whoever finds no lease here finds the new state below.
        let mut leases = reader.leases.lock();
        let is_ordered = self.wanted.order == Order::Call;
        if !leases.is_free(destination, event, self.now)
            || is_ordered && leases.is_blocked(destination, event, self.now)
        {
            return Ok(None);
        }
        let Some(entry) = reader.index.entry(event)? else { return Ok(None) };
        let state = entry.delivery(destination).map(|tracked| tracked.delivery.state);
        if state != Some(DeliveryState::Waiting { due }) {
            return Ok(None);
        }
        let until = self.now.plus(self.wanted.lease);
        let Some(head) = self.head(&leases, &entry, event)? else {
            return Ok(Some(Taken { token: leases.grant(destination, event, until), event, entry }));
        };
        if head.is_free && head.due > self.now && head.due.since(self.now) <= FARTHEST {
            self.behind.push((DeliveryId { event, destination: destination.clone() }, head.event));
            return Ok(None);
        }
        let taken = head.is_free.then(|| {
            let token = leases.grant(destination, head.event, until);
            Taken { token, event: head.event, entry: head.entry }
        });
        leases.block(destination, event, head.event);
        Ok(taken)
    }

    /// What a delivery has to wait for, if anything.
    fn head(&mut self, leases: &leases::Table, entry: &Entry, event: EventId) -> Result<Option<Head>, ReadError> {
        let Some(call) = call_of(entry).filter(|_| self.wanted.order == Order::Call) else { return Ok(None) };
        // Of a call with very many events only the first look goes through all that are settled.
        let from = self.heads.get(call).map_or_else(|| call_prefix(call), |head| call_key(call, *head));
        let earlier = (Bound::Included(from), Bound::Excluded(call_key(call, event)));
        for item in self.reader.index.scan(Table::Call, earlier) {
            let Some(earlier) = event_at_end(&item?.0) else { continue };
            let is_free = leases.is_free(&self.wanted.destination, earlier, self.now);
            let Some(entry) = self.reader.index.entry(earlier)? else { continue };
            let state = entry.delivery(&self.wanted.destination).map(|tracked| tracked.delivery.state);
            if let Some(DeliveryState::Waiting { due }) = state
                && !self.reader.damage.holds(earlier)
            {
                self.heads.insert(call.to_owned(), earlier);
                return Ok(Some(Head { event: earlier, entry, due, is_free }));
            }
        }
        Ok(None)
    }
}

/// Where a kind of deliveries is looked for, misdated ones last.
fn stretches(kind: Kind) -> &'static [Stretch] {
    match kind {
        Kind::Live => &[Stretch::Live],
        Kind::Backlog => &[Stretch::Backlog],
        Kind::Again => &[Stretch::Again, Stretch::AgainMisdated],
        Kind::Replayed => &[Stretch::Replayed, Stretch::ReplayedMisdated],
    }
}

/// When the deliveries of a stretch are due that may be claimed at `now`.
fn due_within(stretch: Stretch, now: Timestamp) -> Range<Timestamp> {
    let live_from = now.minus(LIVE);
    match stretch {
        Stretch::Live => live_from..Timestamp::MAX,
        Stretch::Backlog => Timestamp::EPOCH..live_from,
        Stretch::Again | Stretch::Replayed => Timestamp::EPOCH..just_after(now),
        Stretch::AgainMisdated | Stretch::ReplayedMisdated => now.plus(FARTHEST)..Timestamp::MAX,
    }
}

/// The end of a stretch that reaches to `time` and includes it.
fn just_after(time: Timestamp) -> Timestamp {
    time.plus(Duration::from_millis(1))
}
