//! Replaying and discarding: one delivery, several, or all dead letters, step by step.
//!
//! Each step is whole and durable by itself. When the one who asked hangs up in between, the steps done stay done, and
//! asking again does the rest.

use std::fmt;

use super::{
    Admin,
    answer::Problem,
    view::{ChangedView, SelectionRequest},
};
use crate::{
    model::{DeliveryId, Name, Timestamp},
    store::{DeadCursor, Page, Replayed, StoreError},
};

/// Deliveries in one step: few enough that other commits get their turn in between.
const STEP: usize = 500;

/// What happens to the selected deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// They become due at once.
    Replay,
    /// Those that are dead letters are thrown away.
    Discard,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replay => "replayed",
            Self::Discard => "discarded",
        })
    }
}

impl Admin {
    /// Does `action` to what was asked for, or counts what it would be done to.
    pub(super) async fn apply(&self, action: Action, asked: SelectionRequest) -> Result<ChangedView, Problem> {
        let mut done = ChangedView { dry_run: asked.dry_run, deliveries: 0, skipped: 0 };
        let mut selection = Selection::of(asked, self.clock.now())?;
        while let Some(step) = selection.next_step(self).await? {
            let asked = step.len();
            let changed = match (done.dry_run, &selection) {
                (false, _) => self.carry_out(action, step).await?,
                (true, Selection::These(_)) => self.rehearse(action, step).await?,
                (true, Selection::DeadLetters { .. }) => asked,
            };
            done.deliveries += changed as u64;
            done.skipped += asked.saturating_sub(changed) as u64;
        }
        if !done.dry_run {
            tracing::info!(deliveries = done.deliveries, "{action} by a person");
        }
        Ok(done)
    }

    async fn carry_out(&self, action: Action, ids: Vec<DeliveryId>) -> Result<usize, StoreError> {
        match action {
            Action::Discard => self.store.discard(ids).await,
            Action::Replay => {
                let answers = self.store.replay(ids).await?;
                Ok(answers.into_iter().filter(|answer| *answer == Replayed::Due).count())
            }
        }
    }

    async fn rehearse(&self, action: Action, ids: Vec<DeliveryId>) -> Result<usize, StoreError> {
        let mut count = 0;
        for id in ids {
            let Some(stored) = self.store.event(id.event).await? else { continue };
            let mut deliveries = stored.deliveries.iter().map(|(delivery, _)| delivery);
            let found = deliveries.find(|delivery| delivery.destination == id.destination);
            count += usize::from(found.is_some_and(|found| action == Action::Replay || found.state.is_dead()));
        }
        Ok(count)
    }
}

/// What is left of the deliveries that were asked for.
enum Selection {
    These(Vec<DeliveryId>),
    DeadLetters {
        destination: Option<Name>,
        /// Only those that were dead when we began: what dies again meanwhile is not sent round and round.
        until: Timestamp,
        position: Position,
    },
}

enum Position {
    After(Option<DeadCursor>),
    End,
}

impl Selection {
    fn of(asked: SelectionRequest, now: Timestamp) -> Result<Self, Problem> {
        match (asked.deliveries.is_empty(), asked.all) {
            (false, false) if asked.destination.is_none() => Ok(Self::These(asked.deliveries)),
            (true, true) => {
                let position = Position::After(None);
                Ok(Self::DeadLetters { destination: asked.destination, until: now, position })
            }
            _ => Err(Problem::bad_request(
                "say which: either `deliveries` with their ids, or `all` = true, with a `destination` if you like",
            )),
        }
    }

    /// The next ids, at most [`STEP`]; `None` when all have been given.
    async fn next_step(&mut self, admin: &Admin) -> Result<Option<Vec<DeliveryId>>, StoreError> {
        match self {
            Self::These(ids) if ids.is_empty() => Ok(None),
            Self::These(ids) => Ok(Some(ids.drain(..STEP.min(ids.len())).collect())),
            Self::DeadLetters { destination, until, position } => {
                let Position::After(after) = position else { return Ok(None) };
                let page = Page { after: after.take(), limit: STEP };
                let listing = admin.store.dead_letters(destination.as_ref(), page).await?;
                *position = listing.next.map_or(Position::End, |next| Position::After(Some(next)));
                let were_dead = listing.items.into_iter().filter(|letter| letter.at <= *until);
                Ok(Some(were_dead.map(|letter| letter.id).collect()))
            }
        }
    }
}

impl From<DeliveryId> for SelectionRequest {
    fn from(id: DeliveryId) -> Self {
        Self { deliveries: vec![id], ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(body: &str) -> bool {
        Selection::of(serde_json::from_str(body).unwrap(), Timestamp::EPOCH).is_ok()
    }

    #[test]
    fn a_selection_has_to_say_what_it_means() {
        let id = "0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f.crm";
        assert!(is_taken(&format!(r#"{{"deliveries":["{id}"]}}"#)));
        assert!(is_taken(r#"{"all":true,"destination":"crm"}"#));
        assert!(is_taken(r#"{"all":true,"dry_run":true}"#));
        for vague in ["{}", r#"{"destination":"crm"}"#, r#"{"deliveries":[]}"#, r#"{"deliveries":[],"dry_run":true}"#] {
            assert!(!is_taken(vague), "{vague}");
        }
        assert!(!is_taken(&format!(r#"{{"deliveries":["{id}"],"all":true}}"#)));
        assert!(!is_taken(&format!(r#"{{"deliveries":["{id}"],"destination":"crm"}}"#)));
    }
}
