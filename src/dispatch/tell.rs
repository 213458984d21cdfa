//! What a lane tells whoever listens to the relay: attempts, and what becomes of deliveries.
//!
//! A settlement names its delivery only, so what is known of the events on their way is remembered from the look that brought
//! them until they are settled; and only while somebody listens.

use std::collections::HashMap;

use super::messages::{Ended, Input};
use crate::{
    breaker::Condition,
    model::{EventId, Name, Timestamp, Verdict},
    store::{Claim, Pause, Settled, Settlement},
    telemetry::{About, End, Feed, Happening},
};

/// Tells of one lane.
pub(super) struct Teller {
    feed: Feed,
    on_their_way: HashMap<EventId, About>,
    /// How the destination was doing when it was told last, and whether people held it back.
    told: Option<(Condition, Option<Pause>)>,
}

impl Teller {
    /// Tells `feed`.
    pub(super) fn new(feed: Feed) -> Self {
        Self { feed, on_their_way: HashMap::new(), told: None }
    }

    /// Tells of what has happened until `now`.
    pub(super) fn input(&mut self, input: &Input, now: Timestamp) {
        if !self.feed.is_heard() {
            return self.on_their_way.clear();
        }
        match input {
            Input::Looked(Ok(found)) => found.claims.iter().for_each(|claim| self.remember(claim)),
            Input::Ended(ended) => ended.iter().for_each(|ended| self.attempted(ended)),
            Input::Settled(settlements, Ok(answers)) => {
                settlements.iter().zip(answers).for_each(|(done, answer)| self.settled(done, *answer, now));
            }
            _ => {}
        }
    }

    /// Tells how the destination is doing when that has changed, or when people have begun or ended a pause.
    pub(super) fn condition(&mut self, destination: &Name, condition: &Condition, pause: Option<&Pause>) {
        let is_so = |(told, paused): &(Condition, Option<Pause>)| told == condition && paused.as_ref() == pause;
        if self.told.as_ref().is_some_and(is_so) {
            return;
        }
        self.told = Some((condition.clone(), pause.cloned()));
        if self.feed.is_heard() {
            self.feed.tell(Happening::Destination(destination.clone()));
        }
    }

    fn remember(&mut self, claim: &Claim) {
        let about = About { source: claim.event.source.clone(), reading: claim.event.reading.clone() };
        self.on_their_way.insert(claim.event.id, about);
    }

    fn attempted(&self, ended: &Ended) {
        let Some(about) = self.on_their_way.get(&ended.id.event).cloned() else { return };
        self.feed.tell(Happening::Attempted { id: ended.id.clone(), about, attempt: ended.attempt.clone() });
    }

    fn settled(&mut self, done: &Settlement, answer: Settled, at: Timestamp) {
        let about = self.on_their_way.remove(&done.id.event);
        let (Settled::Recorded, Some(about)) = (answer, about) else { return };
        let end = match done.verdict {
            Verdict::Done => End::Delivered,
            Verdict::Dead(reason) => End::Dead(reason),
            Verdict::Expired => End::Expired,
            Verdict::RetryAt(_) | Verdict::Release => return,
        };
        self.feed.tell(Happening::Settled { id: done.id.clone(), about, at, end });
    }
}
