//! A store's index next to one that is made anew from the same journal: whatever people and destinations get to see is the same.

use std::{collections::BTreeMap, fmt::Debug};

use atoms_relay::{
    model::{Delivery, EventId, Name, Order, Verdict},
    store::{Claim, EventFilter, Settlement, Store, StoreError, embedded::Embedded},
};
use bytes::Bytes;

use crate::{
    bench::{DESTINATIONS, LONG_LEASE, everything, name},
    trials::Broken,
};

/// What is to be seen of a store: texts, by what they tell of.
type View = BTreeMap<String, String>;
/// A delivery that was claimed, and the body that was kept for it.
type Claimed = (EventId, Delivery, Option<Bytes>);

/// Compares a store that has just been opened with one that was opened without an index. What may be gone may be in one of them
/// and not in the other: a start that makes nothing anew forgets nothing.
pub(crate) async fn compare(
    store: &Embedded,
    anew: &Embedded,
    may_be_gone: impl Fn(EventId) -> bool,
) -> Result<(), Broken> {
    let failed = |error: StoreError| Broken::Wrong(format!("an index can't be compared: {error}"));
    let found = view(store, &may_be_gone).await.map_err(failed)?;
    let expected = view(anew, &may_be_gone).await.map_err(failed)?;
    let all = found.keys().chain(expected.keys());
    match all.into_iter().find(|what| found.get(*what) != expected.get(*what)) {
        None => Ok(()),
        Some(what) => {
            let (found, expected) = (found.get(what), expected.get(what));
            Err(Broken::Wrong(format!("an index was believed that has {what} as {found:?}; made anew: {expected:?}")))
        }
    }
}

async fn view(store: &Embedded, may_be_gone: &impl Fn(EventId) -> bool) -> Result<View, StoreError> {
    let mut view = View::new();
    let mut note = |what: String, found: &dyn Debug| view.insert(what, format!("{found:?}"));
    for destination in DESTINATIONS.map(name) {
        note(format!("when {destination} is due"), &store.next_due(&destination).await?);
        note(format!("the claims of {destination}"), &claimed(store, &destination).await?);
        note(format!("the pause of {destination}"), &store.pause_of(&destination));
    }
    for event in store.events(EventFilter::default(), everything()).await?.items {
        if !may_be_gone(event.id) {
            note(format!("event {}", event.id), &event);
        }
    }
    for letter in store.dead_letters(None, everything()).await?.items {
        if !may_be_gone(letter.id.event) {
            note(format!("the dead letter {}", letter.id), &letter);
        }
    }
    Ok(view)
}

/// What a claim of all that is due gets, in its order. Nobody holds it afterwards.
async fn claimed(store: &Embedded, destination: &Name) -> Result<Vec<Claimed>, StoreError> {
    let claims = store.claim(destination, usize::MAX, LONG_LEASE, Order::None).await?;
    let release =
        |claim: &Claim| Settlement { id: claim.id(), token: claim.token, verdict: Verdict::Release, attempt: None };
    store.settle(claims.iter().map(release).collect()).await?;
    Ok(claims.into_iter().map(|claim| (claim.event.id, claim.delivery, claim.kept_body)).collect())
}
