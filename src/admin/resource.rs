//! What an address of the admin API names, and which methods it takes.

use std::fmt::Display;

use http::{Method, Request};
use hyper::body::Incoming;

use super::{
    Admin,
    answer::{Answer, Problem},
    change::Change,
    guard,
    read::Read,
};
use crate::model::{DeliveryId, EventId, Name};

/// Something to be read with GET or changed with POST.
#[derive(Debug, PartialEq, Eq)]
enum Resource {
    Read(Read),
    Change(Change),
    /// In the format that the client accepts.
    Metrics,
}

impl Admin {
    /// Answers a request, whatever it is.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        self.try_answer(request).await.unwrap_or_else(Problem::into_answer)
    }

    async fn try_answer(&self, request: Request<Incoming>) -> Result<Answer, Problem> {
        let host = guard::check_host(request.headers())?;
        match (Resource::named_by(request.uri().path())?, request.method()) {
            (Resource::Read(what), &Method::GET | &Method::HEAD) => self.read(what, request.uri().query()).await,
            (Resource::Change(what), &Method::POST) => {
                guard::check_origin(request.headers(), &host)?;
                self.change(what, request).await
            }
            (Resource::Metrics, &Method::GET | &Method::HEAD) => self.show_metrics(request.headers()).await,
            (Resource::Read(_) | Resource::Metrics, _) => Err(Problem::method_not_allowed("GET, HEAD")),
            (Resource::Change(_), _) => Err(Problem::method_not_allowed("POST")),
        }
    }
}

impl Resource {
    fn named_by(path: &str) -> Result<Self, Problem> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match segments.as_slice() {
            ["healthz"] => Ok(Self::Read(Read::Health)),
            ["readyz"] => Ok(Self::Read(Read::Readiness)),
            ["metrics"] => Ok(Self::Metrics),
            ["api", "v1", rest @ ..] => Self::of_api(rest),
            _ => Err(Problem::not_found("nothing is here: see /healthz, /readyz, /metrics and /api/v1/status")),
        }
    }

    fn of_api(segments: &[&str]) -> Result<Self, Problem> {
        Ok(match *segments {
            ["status"] => Self::Read(Read::Status),
            ["destinations"] => Self::Read(Read::Destinations),
            ["destinations", name, "pause"] => Self::Change(Change::Pause(destination(name)?)),
            ["destinations", name, "resume"] => Self::Change(Change::Resume(destination(name)?)),
            ["events"] => Self::Read(Read::Events),
            ["events", id] => Self::Read(Read::Event(event(id)?)),
            ["events", id, "body"] => Self::Read(Read::Body(event(id)?)),
            ["deliveries"] => Self::Read(Read::Deliveries),
            ["deliveries", id, "retry"] => Self::Change(Change::Retry(delivery(id)?)),
            ["dead-letters"] => Self::Read(Read::DeadLetters),
            ["dead-letters", "discard"] => Self::Change(Change::Discard),
            ["replays"] => Self::Change(Change::Replay),
            _ => return Err(Problem::not_found("the API has no such address")),
        })
    }
}

fn event(id: &str) -> Result<EventId, Problem> {
    id.parse().map_err(nothing_named)
}

fn delivery(id: &str) -> Result<DeliveryId, Problem> {
    id.parse().map_err(nothing_named)
}

fn destination(name: &str) -> Result<Name, Problem> {
    Name::new(name).map_err(nothing_named)
}

fn nothing_named(why: impl Display) -> Problem {
    Problem::not_found(format!("there can't be such a thing: {why}"))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn an_id_that_cannot_be_is_not_found_and_says_why() {
        let problem = Resource::named_by("/api/v1/events/..%2f..%2fetc").unwrap_err();
        assert_eq!(problem.status, StatusCode::NOT_FOUND);
        assert!(problem.detail.contains("an event id looks like"), "{}", problem.detail);
    }

    #[test]
    fn addresses_are_exact() {
        assert_eq!(Resource::named_by("/api/v1/status"), Ok(Resource::Read(Read::Status)));
        for wrong in ["/", "", "/api/v1", "/api/v1/status/", "//api/v1/status", "/api/v2/status", "/healthz/x"] {
            assert_eq!(Resource::named_by(wrong).unwrap_err().status, StatusCode::NOT_FOUND, "{wrong}");
        }
    }
}
