//! What happens, as it happens: server-sent events for whoever listens.
//!
//! | event | its document | when |
//! | --- | --- | --- |
//! | `accepted` | [`EventView`] | an event is stored |
//! | `attempt` | [`AttemptNewsView`] | an attempt is over |
//! | `settled` | [`SettledView`] | a delivery waits no more |
//! | `destination` | [`DestinationView`](super::view::DestinationView) | how a destination is doing has changed |
//! | `lagged` | [`LaggedView`] | the listener was too slow: so much is missing |
//! | `stopping` | an empty one | the relay stops, and the stream ends |
//!
//! A listener holds nothing up: what it doesn't take in time it misses. There is no body in here, and nothing of an answer.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body::{Body, Frame};
use serde::Serialize;
use tokio::{sync::OwnedSemaphorePermit, time::sleep};

use super::{
    Admin,
    answer::{Answer, Problem, streamed},
    query::Query,
    view::{AttemptNewsView, EventView, LaggedView, SettledView},
};
use crate::{
    model::{DeliveryId, EventId, Name},
    store::{EventFilter, EventSummary},
    telemetry::{About, Happening, Heard, Listener, News},
};

/// Streams at a time: people and dashboards. The rest of the connections is for questions.
pub(super) const MAX_STREAMS: usize = 16;
/// After so much silence a line says that all is well: proxies give up on connections that are silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

impl Admin {
    /// Tells what happens from now on.
    pub(super) fn stream(self: &Arc<Self>, query: &Query) -> Result<Answer, Problem> {
        let (filter, destination) = (query.event_filter()?, query.word("destination")?);
        let too_many = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many listen already: end one of them");
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(too_many)?;
        let (admin, listener) = (Arc::clone(self), self.metrics.feed().listen());
        let telling = Telling { admin, listener, filter, destination, state: State::Beginning, _place: place };
        Ok(streamed(HeaderValue::from_static("text/event-stream"), Pieces(Some(Box::pin(telling.next())))))
    }
}

/// A stream that goes on.
struct Telling {
    admin: Arc<Admin>,
    listener: Listener,
    filter: EventFilter,
    destination: Option<Name>,
    state: State,
    _place: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Beginning,
    Listening,
    /// All has been said.
    Over,
}

impl Telling {
    /// The next piece, and what goes on then; `None` at the end.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let piece = match self.state {
            State::Over => return None,
            State::Beginning => Bytes::from_static(b": listening\n\n"),
            State::Listening => self.listen().await?,
        };
        if self.state == State::Beginning {
            self.state = State::Listening;
        }
        Some((piece, self))
    }

    async fn listen(&mut self) -> Option<Bytes> {
        let stopping = self.admin.controls.stopping.clone();
        loop {
            let heard = tokio::select! {
                () = stopping.cancelled() => {
                    self.state = State::Over;
                    return Some(Bytes::from_static(b"event: stopping\ndata: {}\n\n"));
                }
                heard = self.listener.next() => heard?,
                () = sleep(HEARTBEAT) => return Some(Bytes::from_static(b": all is well\n\n")),
            };
            let piece = match heard {
                Heard::Missed(missed) => piece("lagged", None, &LaggedView { missed }),
                Heard::News(news) => self.piece_of(&news),
            };
            if piece.is_some() {
                return piece;
            }
        }
    }

    /// What is told of some news; `None` when it isn't asked for.
    fn piece_of(&self, news: &News) -> Option<Bytes> {
        let number = Some(news.number);
        match &news.what {
            Happening::Accepted { id, source, reading, body_len, deliveries } => {
                let (id, source, reading, body_len) = (*id, source.clone(), reading.clone(), *body_len);
                let event = EventSummary { id, source, reading, body_len, deliveries: deliveries.clone() };
                let goes_there = |name: &Name| event.deliveries.iter().any(|delivery| delivery.destination == *name);
                let is_wanted = self.filter.matches(&event) && self.destination.as_ref().is_none_or(goes_there);
                is_wanted.then(|| piece("accepted", number, &EventView::from(event))).flatten()
            }
            Happening::Attempted { id, about, attempt } => {
                let view = || AttemptNewsView::new(id.clone(), about, attempt.clone());
                self.wants(id, about).then(|| piece("attempt", number, &view())).flatten()
            }
            Happening::Settled { id, about, at, end } => {
                let view = || SettledView::new(id.clone(), about, *at, *end);
                self.wants(id, about).then(|| piece("settled", number, &view())).flatten()
            }
            Happening::Destination(name) => {
                let mut views = self.admin.destinations().into_iter();
                let view = views.find(|view| view.name == *name && self.is_meant(name))?;
                piece("destination", number, &view)
            }
        }
    }

    fn wants(&self, id: &DeliveryId, about: &About) -> bool {
        self.is_meant(&id.destination) && self.filter.matches(&summary(id.event, about))
    }

    fn is_meant(&self, name: &Name) -> bool {
        self.destination.as_ref().is_none_or(|wanted| wanted == name)
    }
}

fn summary(id: EventId, about: &About) -> EventSummary {
    let (source, reading) = (about.source.clone(), about.reading.clone());
    EventSummary { id, source, reading, body_len: 0, deliveries: Vec::new() }
}

/// An event of the stream; `None` when it has no JSON, which is a bug that must not end the stream.
fn piece(event: &str, number: Option<u64>, document: &impl Serialize) -> Option<Bytes> {
    let id = number.map_or_else(String::new, |number| format!("id: {number}\n"));
    let document = serde_json::to_string(document).ok()?;
    Some(Bytes::from(format!("event: {event}\n{id}data: {document}\n\n")))
}

/// The next piece on its way.
type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Telling)>> + Send>>;

/// The pieces as a body: none is made before the connection has room for it.
struct Pieces(Option<Next>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.0 else { return Poll::Ready(None) };
        let told = ready!(next.as_mut().poll(context));
        let (piece, rest) = told.map_or((None, None), |(piece, telling)| (Some(piece), Some(telling)));
        self.0 = rest.map(|telling| -> Next { Box::pin(telling.next()) });
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}
