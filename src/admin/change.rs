//! What people can change through the admin listener.

use http::StatusCode;

use super::{
    Admin,
    answer::{Answer, Problem, json},
    body::{Nothing, Sent},
    record::{changed, replayed},
    resource::Asked,
    selection::Action,
    view::{ConditionName, DestinationView, EventView, PauseRequest},
};
use crate::{
    clock,
    model::{DeliveryId, EventId, Name, NewEvent},
    store::Pause,
};

/// Something to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Pause,
    Resume,
    Retry,
    Replay,
    Discard,
    TestAlert,
    Reload,
}

impl Admin {
    /// Does what was asked.
    pub(super) async fn change(&self, what: Change, asked: &Asked, sent: &Sent) -> Result<Answer, Problem> {
        let named = &asked.named;
        match what {
            Change::Pause => self.pause(&named.parsed()?, sent.json()?).await,
            Change::Resume => {
                let Nothing {} = sent.json()?;
                self.resume(&named.parsed()?).await
            }
            Change::Retry => {
                let Nothing {} = sent.json()?;
                self.retry(named.parsed()?).await
            }
            Change::Replay => {
                let done = self.replay(sent.json()?).await?;
                replayed(&done)
            }
            Change::Reload => {
                let Nothing {} = sent.json()?;
                self.reload().await
            }
            Change::Discard => {
                let done = self.apply(Action::Discard, sent.json()?).await?;
                changed(&done)
            }
            Change::TestAlert => {
                let Nothing {} = sent.json()?;
                self.test_alert().await
            }
        }
    }

    async fn pause(&self, name: &Name, asked: PauseRequest) -> Result<Answer, Problem> {
        self.configured(name)?;
        let PauseRequest { reason, until } = asked;
        let since = self.clock.now();
        if until.is_some_and(|until| until <= since) {
            return Err(Problem::bad_request("`until` is over already: name a time that is still to come"));
        }
        let pause = Pause { since, until, reason };
        self.store.set_pause(name, Some(pause)).await?;
        tracing::info!(destination = %name, "paused by a person");
        json(StatusCode::OK, &self.configured(name)?)
    }

    async fn resume(&self, name: &Name) -> Result<Answer, Problem> {
        self.configured(name)?;
        self.store.set_pause(name, None).await?;
        (self.controls.resume)(name);
        tracing::info!(destination = %name, "resumed by a person");
        json(StatusCode::OK, &self.configured(name)?)
    }

    /// Sends a test alert. Where it has got to is seen at its event.
    async fn test_alert(&self) -> Result<Answer, Problem> {
        let none = || Problem::new(StatusCode::CONFLICT, "nobody would get it: the config has no `[alerts]`");
        let (body, to) = (self.controls.test_alert)().ok_or_else(none)?;
        let dice = clock::random_bytes()
            .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("no random numbers: {error}")))?;
        let id = EventId::new(self.clock.now(), dice);
        self.store.accept(NewEvent::own(id, body, to)).await?;
        tracing::info!(event = %id, "a person sends a test alert");
        json(StatusCode::OK, &EventView::from(self.stored(id).await?))
    }

    async fn retry(&self, id: DeliveryId) -> Result<Answer, Problem> {
        let done = self.apply(Action::Replay, id.into()).await?;
        if done.deliveries == 0 {
            return Err(Problem::not_found("there is no such delivery, or the retention of its event is over"));
        }
        changed(&done)
    }

    /// The destination, which has to stand in the config: another has nothing that could be held back or go on.
    fn configured(&self, name: &Name) -> Result<DestinationView, Problem> {
        let is_it = |view: &DestinationView| view.name == *name && view.condition != ConditionName::Unconfigured;
        let missing = || Problem::not_found(format!("the config has no destination `{name}`"));
        self.destinations().into_iter().find(is_it).ok_or_else(missing)
    }
}
