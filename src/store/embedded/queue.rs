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
//! head, what waits for a failed one; not at what lies behind.

use std::{collections::HashMap, ops::Bound, sync::Arc, time::Duration};

use super::{
    draft::call_of,
    index::{
        Entry, IndexError, Item, Table, call_key, call_prefix, event_at_end, parse_timed_key, prefixed, timed_prefix,
    },
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

/// The lists of deliveries that wait.
const WAITING: [Table; 3] = [Table::Due, Table::Again, Table::Replayed];

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
struct Search<'a, F, A> {
    reader: &'a Reader,
    wanted: &'a Wanted,
    now: Timestamp,
    live: F,
    backlog: F,
    again: A,
    replayed: A,
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
        let live_from = now.minus(LIVE);
        let mut search = Search {
            reader: self,
            wanted,
            now,
            live: self.due(Table::Due, &wanted.destination, live_from, Timestamp::MAX),
            backlog: self.due(Table::Due, &wanted.destination, Timestamp::EPOCH, live_from),
            again: self.due_by(Table::Again, &wanted.destination, now),
            replayed: self.due_by(Table::Replayed, &wanted.destination, now),
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

    /// The items of a list of a destination's deliveries that are due, misdated ones last.
    fn due_by(
        &self,
        table: Table,
        destination: &Name,
        now: Timestamp,
    ) -> impl Iterator<Item = Result<Item, IndexError>> + use<> {
        let misdated = self.due(table, destination, now.plus(FARTHEST), Timestamp::MAX);
        self.due(table, destination, Timestamp::EPOCH, just_after(now)).chain(misdated)
    }

    /// The items of a list of a destination's deliveries that are due from `from` until before `to`.
    fn due(
        &self,
        table: Table,
        destination: &Name,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = Result<Item, IndexError>> + use<> {
        let at = |time: Timestamp| [timed_prefix(destination).as_slice(), &time.as_millis().to_be_bytes()].concat();
        self.index.scan(table, (Bound::Included(at(from)), Bound::Excluded(at(to))))
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
        for table in WAITING {
            let next = self.next_due_in(table, destination, now)?;
            earliest = earliest.into_iter().chain(next).min();
        }
        Ok(earliest)
    }

    fn next_due_in(&self, table: Table, destination: &Name, now: Timestamp) -> Result<Option<Timestamp>, ReadError> {
        for item in self.index.scan(table, prefixed(timed_prefix(destination))) {
            let (key, _) = item?;
            let Some((_, due, event)) = parse_timed_key(&key) else { continue };
            let leases = self.leases.lock();
            if leases.is_free(destination, event, now) && !leases.is_blocked(destination, event, now) {
                return Ok(Some(due));
            }
        }
        Ok(None)
    }

    /// When the event was received whose delivery to a destination is due first.
    pub(super) fn oldest(&self, destination: &Name) -> Option<Timestamp> {
        let first = |table| self.index.scan(table, prefixed(timed_prefix(destination))).next()?.ok();
        let firsts = WAITING.map(first).into_iter().flatten();
        let (_, event) =
            firsts.filter_map(|(key, _)| parse_timed_key(&key)).map(|(_, due, event)| (due, event)).min()?;
        Some(event.timestamp())
    }

    /// The events of the same call that came in after an event.
    pub(super) fn later_of_call(&self, entry: &Entry, event: EventId) -> Result<Vec<EventId>, IndexError> {
        let Some(call) = call_of(entry) else { return Ok(Vec::new()) };
        let (_, end) = prefixed(call_prefix(call));
        let later = self.index.scan(Table::Call, (Bound::Excluded(call_key(call, event)), end));
        later.filter_map(|item| item.map(|(key, _)| event_at_end(&key)).transpose()).collect()
    }
}

impl<F, A> Search<'_, F, A>
where
    F: Iterator<Item = Result<Item, IndexError>>,
    A: Iterator<Item = Result<Item, IndexError>>,
{
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
        while self.behind.len() < MAX_PUT_BEHIND {
            let item = match kind {
                Kind::Live => self.live.next(),
                Kind::Backlog => self.backlog.next(),
                Kind::Again => self.again.next(),
                Kind::Replayed => self.replayed.next(),
            };
            let Some(item) = item else { return Ok(None) };
            let (key, _) = item?;
            if let Some((_, due, event)) = parse_timed_key(&key)
                && let Some(taken) = self.take(event, due)?
            {
                return Ok(Some(taken));
            }
        }
        Ok(None)
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

/// The end of a stretch that reaches to `time` and includes it.
fn just_after(time: Timestamp) -> Timestamp {
    time.plus(Duration::from_millis(1))
}
