//! The questions that the admin listener answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::{
    Admin,
    answer::{Answer, Problem, json, typed},
    openapi,
    query::Query,
    resource::Asked,
    view::{
        CheckView, DeadLetterView, DeliveryStateName, DeliveryView, DestinationView, EventView, Mask, PageView,
        QueueView, ReadinessView, StatusView,
    },
};
use crate::{
    model::{EventId, Name},
    phone,
    store::{EventState, StoredEvent},
};

/// Something to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Health,
    Readiness,
    Metrics,
    OpenApi,
    Status,
    Config,
    Destinations,
    History,
    Events,
    Event,
    Body,
    Calls,
    Call,
    Deliveries,
    DeadLetters,
    Audit,
    Stream,
}

impl Admin {
    /// Answers a question.
    pub(super) async fn read(self: &Arc<Self>, what: Read, asked: &Asked) -> Result<Answer, Problem> {
        match what {
            Read::Health => {
                Ok(typed(StatusCode::OK, HeaderValue::from_static("text/plain"), Bytes::from_static(b"ok\n")))
            }
            Read::Readiness => self.show_readiness(),
            Read::Metrics => self.show_metrics(&asked.headers).await,
            Read::OpenApi => json(StatusCode::OK, &openapi::document()),
            Read::Status => json(StatusCode::OK, &self.status()),
            Read::Config => self.show_config(),
            Read::Destinations => json(StatusCode::OK, &PageView { items: self.destinations(), next: None }),
            Read::History => self.show_history(),
            Read::Events => self.list_events(&asked.query).await,
            Read::Event => json(StatusCode::OK, &EventView::from(self.stored(asked.named.parsed()?).await?)),
            Read::Body => self.show_body(asked).await,
            Read::Calls => self.list_calls(&asked.query).await,
            Read::Call => self.show_call(asked.named.parsed()?).await,
            Read::Deliveries => self.list_deliveries(&asked.query).await,
            Read::Stream => self.stream(&asked.query),
            Read::DeadLetters => self.list_dead_letters(&asked.query).await,
            Read::Audit => self.list_audit(asked.query.page()?).await,
        }
    }

    fn show_readiness(&self) -> Result<Answer, Problem> {
        let readiness = self.readiness();
        let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        json(status, &readiness)
    }

    pub(super) fn readiness(&self) -> ReadinessView {
        let stopping = self.controls.stopping.is_cancelled().then(|| "the relay is stopping".to_owned());
        let checks = [("store", self.store.fault()), ("running", stopping)];
        let checks = checks.map(|(check, reason)| CheckView { check: check.to_owned(), ok: reason.is_none(), reason });
        ReadinessView { ready: checks.iter().all(|check| check.ok), checks: checks.into() }
    }

    fn status(&self) -> StatusView {
        let stats = self.store.stats();
        let destinations = self.destinations();
        let sum = |of: fn(&DestinationView) -> u64| destinations.iter().map(of).sum();
        StatusView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: self.clock.now(),
            started_at: self.started_at,
            readiness: self.readiness(),
            config: (self.controls.config)().into(),
            queue: QueueView {
                events: stats.events,
                unrouted: stats.unrouted,
                quarantined: stats.quarantined,
                waiting: destinations.iter().map(|destination| destination.waiting).sum(),
                dead: destinations.iter().map(|destination| destination.dead).sum(),
                disk_bytes: stats.disk_bytes,
                disk_free_bytes: stats.disk_free,
                damaged_places: stats.damage.places,
                damaged_bytes: stats.damage.bytes,
                damaged_events: stats.damage.events,
                disk_full_in_seconds: stats.disk_full_in.map(|left| left.as_secs()),
            },
            accepted_total: self.metrics.total_stored(),
            attempts_total: sum(|view| view.attempts_total),
            delivered_total: sum(|view| view.delivered_total),
            failed_total: sum(|view| view.failed_total),
            destinations,
        }
    }

    async fn list_events(&self, query: &Query) -> Result<Answer, Problem> {
        let mut filter = query.event_filter()?;
        filter.state = query.word("state")?;
        let listing = self.store.events(filter, query.page()?).await?;
        json(StatusCode::OK, &PageView::<EventView>::new(listing))
    }

    async fn list_deliveries(&self, query: &Query) -> Result<Answer, Problem> {
        let wanted = WantedDeliveries { destination: query.word("destination")?, state: query.word("state")? };
        let mut filter = query.event_filter()?;
        if wanted.state == Some(DeliveryStateName::Waiting) {
            filter.state = Some(EventState::Waiting);
        }
        let page = query.page()?;
        let events = PageView::new(self.store.events(filter, page).await?);
        json(StatusCode::OK, &wanted.of(events, page.limit))
    }

    async fn list_dead_letters(&self, query: &Query) -> Result<Answer, Problem> {
        let destination: Option<Name> = query.word("destination")?;
        let listing = self.store.dead_letters(destination.as_ref(), query.page()?).await?;
        json(StatusCode::OK, &PageView::<DeadLetterView>::new(listing))
    }

    /// A body holds what people said on the phone: who looks is written down first.
    async fn show_body(&self, asked: &Asked) -> Result<Answer, Problem> {
        let mask = asked.query.word("mask")?;
        let stored = self.stored(asked.named.parsed()?).await?;
        match mask {
            Some(Mask::Phones) => {
                self.look_on_record("masked body", asked).await?;
                Ok(masked(&stored))
            }
            None => {
                self.look_on_record("body", asked).await?;
                Ok(download(stored))
            }
        }
    }

    pub(super) async fn stored(&self, id: EventId) -> Result<StoredEvent, Problem> {
        let gone = || Problem::not_found("there is no such event, or its retention is over");
        self.store.event(id).await?.ok_or_else(gone)
    }
}

/// Which deliveries a list wants.
struct WantedDeliveries {
    destination: Option<Name>,
    state: Option<DeliveryStateName>,
}

impl WantedDeliveries {
    /// The deliveries of a page of events. The page ends between two events, so that its cursor can be an event's id; it
    /// is longer than `limit` only for an event with more deliveries than that.
    fn of(&self, events: PageView<EventView>, limit: usize) -> PageView<DeliveryView> {
        let mut found = PageView { items: Vec::new(), next: events.next };
        let mut last = None;
        for event in events.items {
            let deliveries: Vec<DeliveryView> = event.deliveries.into_iter().filter(|one| self.takes(one)).collect();
            if !found.items.is_empty() && found.items.len() + deliveries.len() > limit {
                found.next = last;
                break;
            }
            found.items.extend(deliveries);
            last = Some(event.id.to_string());
        }
        found
    }

    fn takes(&self, delivery: &DeliveryView) -> bool {
        self.destination.as_ref().is_none_or(|name| *name == delivery.destination)
            && self.state.is_none_or(|state| state == delivery.state)
    }
}

/// The body as people may look at it: a text in which nobody can be called.
fn masked(stored: &StoredEvent) -> Answer {
    let text = phone::masked_within(&String::from_utf8_lossy(&stored.event.body));
    typed(StatusCode::OK, HeaderValue::from_static("text/plain; charset=utf-8"), text.into())
}

/// The body as it came. It is a stranger's: a browser must neither show nor run it, so it is a file to be saved.
fn download(stored: StoredEvent) -> Answer {
    let event = stored.event;
    let content_type = event.headers.content_type.and_then(|value| HeaderValue::from_bytes(&value).ok());
    let unknown = HeaderValue::from_static("application/octet-stream");
    let mut answer = typed(StatusCode::OK, content_type.unwrap_or(unknown), event.body);
    if let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{}\"", event.id)) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Delivery, Reading, Timestamp},
        store::EventSummary,
    };

    fn event(millis: u64, destinations: &[&str]) -> EventView {
        let at = Timestamp::from_millis(millis);
        let delivery = |name: &&str| Delivery::new(Name::new(name).unwrap(), at);
        EventView::from(EventSummary {
            id: EventId::lowest_at(at),
            source: Name::new("atoms").unwrap(),
            reading: Reading::of(br#"{"event":"a.b"}"#),
            body_len: 1,
            deliveries: destinations.iter().map(delivery).collect(),
        })
    }

    fn listed(destination: Option<&str>, limit: usize) -> (Vec<String>, Option<String>) {
        let events = vec![event(3, &["crm", "slack"]), event(2, &["crm", "slack"]), event(1, &["crm", "slack"])];
        let wanted = WantedDeliveries { destination: destination.map(|name| Name::new(name).unwrap()), state: None };
        let page = wanted.of(PageView { items: events, next: Some("older".into()) }, limit);
        let shown = |view: &DeliveryView| format!("{} {}", view.event.timestamp().as_millis(), view.destination);
        (page.items.iter().map(shown).collect(), page.next)
    }

    #[test]
    fn a_page_of_deliveries_ends_between_two_events() {
        let second = Some(EventId::lowest_at(Timestamp::from_millis(2)).to_string());
        assert_eq!(listed(None, 5), (["3 crm", "3 slack", "2 crm", "2 slack"].map(str::to_owned).to_vec(), second));
        assert_eq!(listed(None, 6).1.as_deref(), Some("older"));
    }

    #[test]
    fn an_event_with_more_deliveries_than_fit_on_a_page_is_shown_all_the_same() {
        let third = Some(EventId::lowest_at(Timestamp::from_millis(3)).to_string());
        assert_eq!(listed(None, 1), (["3 crm", "3 slack"].map(str::to_owned).to_vec(), third));
    }

    #[test]
    fn what_is_not_wanted_takes_no_room_on_a_page() {
        assert_eq!(
            listed(Some("slack"), 3),
            (["3 slack", "2 slack", "1 slack"].map(str::to_owned).to_vec(), Some("older".into()))
        );
        assert_eq!(listed(Some("billing"), 3), (Vec::new(), Some("older".into())));
    }
}
