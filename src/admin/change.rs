//! What people can change through the admin listener.

use http::StatusCode;
use hyper::body::Incoming;

use super::{
    Admin,
    answer::{Answer, Problem, json},
    body::{self, Nothing},
    resource::Asked,
    selection::Action,
    view::{ConditionName, DestinationView, PauseRequest},
};
use crate::{
    model::{DeliveryId, Name},
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
}

impl Admin {
    /// Does what was asked.
    pub(super) async fn change(&self, what: Change, asked: &Asked, sent: Incoming) -> Result<Answer, Problem> {
        let Asked { named, headers, .. } = asked;
        match what {
            Change::Pause => self.pause(&named.parsed()?, body::read_json(headers, sent).await?).await,
            Change::Resume => {
                let Nothing {} = body::read_json(headers, sent).await?;
                self.resume(&named.parsed()?).await
            }
            Change::Retry => {
                let Nothing {} = body::read_json(headers, sent).await?;
                self.retry(named.parsed()?).await
            }
            Change::Replay => {
                let done = self.replay(body::read_json(headers, sent).await?).await?;
                json(StatusCode::OK, &done)
            }
            Change::Discard => {
                let done = self.apply(Action::Discard, body::read_json(headers, sent).await?).await?;
                json(StatusCode::OK, &done)
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

    async fn retry(&self, id: DeliveryId) -> Result<Answer, Problem> {
        let done = self.apply(Action::Replay, id.into()).await?;
        if done.deliveries == 0 {
            return Err(Problem::not_found("there is no such delivery, or the retention of its event is over"));
        }
        json(StatusCode::OK, &done)
    }

    /// The destination, which has to stand in the config: another has nothing that could be held back or go on.
    fn configured(&self, name: &Name) -> Result<DestinationView, Problem> {
        let is_it = |view: &DestinationView| view.name == *name && view.condition != ConditionName::Unconfigured;
        let missing = || Problem::not_found(format!("the config has no destination `{name}`"));
        self.destinations().into_iter().find(is_it).ok_or_else(missing)
    }
}
