//! From a request to its answer: the checks at the door, then the row of the table that it is for.

use std::{fmt::Display, str::FromStr, sync::Arc};

use http::{HeaderMap, Request};
use hyper::body::Incoming;

use super::{
    Admin,
    answer::{Answer, Problem},
    body::Sent,
    guard::Access,
    listener::Caller,
    pages,
    query::Query,
    record::Actor,
    routes::{Route, What},
};

/// What a request asks for, apart from its body.
pub(super) struct Asked {
    /// What the path has in the place of its pattern's parameter.
    pub(super) named: Named,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// Who asks.
    pub(super) actor: Actor,
}

/// The text by which a path names something.
pub(super) struct Named(String);

impl Named {
    /// As it stands there; `None` when the path has no such text.
    pub(super) fn text(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.clone())
    }

    /// As what it has to be; a text that can't be one names nothing.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self) -> Result<T, Problem> {
        self.0.parse().map_err(|why| Problem::not_found(format!("there can't be such a thing: {why}")))
    }
}

impl Admin {
    /// Answers a request of `caller`, whatever it is.
    pub(super) async fn answer(self: &Arc<Self>, request: Request<Incoming>, caller: Caller) -> Answer {
        self.try_answer(request, caller).await.unwrap_or_else(Problem::into_answer)
    }

    async fn try_answer(self: &Arc<Self>, request: Request<Incoming>, caller: Caller) -> Result<Answer, Problem> {
        let (head, body) = request.into_parts();
        if let Some(answer) = pages::answer(&head.method, head.uri.path(), &head.headers) {
            self.guard.borrow().check(&head.headers, caller, Access::Everyone)?;
            return answer;
        }
        let (route, named) = Route::of(&head.method, head.uri.path())?;
        self.guard.borrow().check(&head.headers, caller, route.access)?;
        let query = Query::parse(head.uri.query(), route.parameters)?;
        let actor = self.actor(&head.headers, caller);
        let asked = Asked { named: Named(named), query, headers: head.headers, actor };
        match route.what {
            What::Read(what) => self.read(what, &asked).await,
            What::Change(what) => self.change_on_record(what, &asked, Sent::read(&asked.headers, body).await?).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::model::EventId;

    #[test]
    fn an_id_that_cannot_be_is_not_found_and_says_why() {
        let problem = Named("../../etc".to_owned()).parsed::<EventId>().unwrap_err();
        assert_eq!(problem.status, StatusCode::NOT_FOUND);
        assert!(problem.detail.contains("an event id looks like"), "{}", problem.detail);
    }
}
