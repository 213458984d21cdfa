//! What the committer can be asked to do.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    model::{DeliveryId, EventId, Name, NewEvent},
    store::{Acceptance, ClaimToken, Pause, Replayed, Rerouted, Rerouting, Settled, Settlement, StoreError},
};

/// Says how a command went once its batch is durable.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the committer can be asked to do.
pub(super) enum Command {
    /// See [`crate::store::Store::accept`].
    Accept(Box<NewEvent>, Reply<Acceptance>),
    /// See [`crate::store::Store::settle`].
    Settle(Vec<Settlement>, Reply<Vec<Settled>>),
    /// See [`crate::store::Store::keep_body`].
    KeepBody(DeliveryId, ClaimToken, Bytes, Reply<Result<Settled, StoreError>>),
    /// Have these deliveries wait until just after an earlier event of their call is due.
    PutBehind(Vec<(DeliveryId, EventId)>, Reply<()>),
    /// See [`crate::store::Store::replay`].
    Replay(Vec<DeliveryId>, Reply<Vec<Replayed>>),
    /// See [`crate::store::Store::reroute`].
    Reroute(Vec<Rerouting>, Reply<Vec<Rerouted>>),
    /// See [`crate::store::Store::discard`].
    Discard(Vec<DeliveryId>, Reply<usize>),
    /// See [`crate::store::Store::set_pause`].
    Pause(Name, Option<Pause>, Reply<()>),
    /// Make durable what was only written.
    Sync(Reply<()>),
    /// Forget these events where nothing needs them any more.
    Purge(Vec<EventId>, Reply<()>),
    /// Forget that these events were ever there.
    Forget(Vec<EventId>, Reply<()>),
    /// Write these events once more at the journal's end, as far as they are still in this segment.
    Carry(u64, Vec<EventId>, Reply<()>),
    /// Write down again which of these events, that are gone, are still remembered.
    Remember(Vec<EventId>, Reply<()>),
    /// Remove a segment without live events, of which all that is still remembered was written down again.
    Drop(u64, Reply<()>),
    /// End the journal's segment when it is older than this.
    Roll(Duration, Reply<()>),
    /// Make everything durable and end.
    Close(Reply<()>),
}

/// Answers all commands with an error. Returns whether one of them closes the store.
pub(super) fn refuse_all(commands: impl Iterator<Item = Command>, failure: &StoreError) -> bool {
    let mut closes = false;
    for command in commands {
        closes |= command.refuse(failure);
    }
    closes
}

impl Command {
    /// Answers with an error. Returns whether it was the last command all the same.
    fn refuse(self, error: &StoreError) -> bool {
        let closes = matches!(self, Self::Close(_));
        let error = error.clone();
        match self {
            Self::Accept(_, reply) => drop(reply.send(Err(error))),
            Self::Settle(_, reply) => drop(reply.send(Err(error))),
            Self::KeepBody(.., reply) => drop(reply.send(Err(error))),
            Self::Replay(_, reply) => drop(reply.send(Err(error))),
            Self::Reroute(_, reply) => drop(reply.send(Err(error))),
            Self::Discard(_, reply) => drop(reply.send(Err(error))),
            Self::PutBehind(_, reply)
            | Self::Pause(_, _, reply)
            | Self::Sync(reply)
            | Self::Purge(_, reply)
            | Self::Forget(_, reply)
            | Self::Carry(_, _, reply)
            | Self::Remember(_, reply)
            | Self::Drop(_, reply)
            | Self::Roll(_, reply)
            | Self::Close(reply) => drop(reply.send(Err(error))),
        }
        closes
    }
}
