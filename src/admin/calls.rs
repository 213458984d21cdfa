//! Calls: the events that share a call id, as a list of calls and as one call in full.
//!
//! Nothing is stored of a call but its events, so a call is found wherever one of its events is.

use http::StatusCode;

use super::{
    Admin,
    answer::{Answer, Problem, json},
    query::Query,
    view::{CallEventView, CallSummaryView, CallView, EventView, PageView},
};
use crate::{
    model::{EventId, OWN_SOURCE},
    store::{EventFilter, EventSummary, Listing, Page, StoreError},
};

/// What Atoms sends of a call that is answered.
const EXPECTED: [&str; 3] = ["pre-conversation", "post-conversation", "analytics-completed"];
/// Events of one call that are shown: Atoms sends three, and a sender that repeats itself under new ids must not make an
/// answer without end.
const MAX_EVENTS: usize = 100;

impl Admin {
    /// The calls that have an event the query asks for, those with the newest such event first.
    pub(super) async fn list_calls(&self, query: &Query) -> Result<Answer, Problem> {
        let mut filter = query.event_filter()?;
        filter.state = query.word("state")?;
        let Page { mut after, limit } = query.page()?;
        let mut page = PageView { items: Vec::new(), next: None };
        loop {
            let found = self.store.events(filter.clone(), Page { after, limit: limit - page.items.len() }).await?;
            after = found.next;
            page.items.extend(self.calls_of(found, &filter).await?);
            page.next = after.map(|next: EventId| next.to_string());
            if page.next.is_none() || !page.items.is_empty() {
                return json(StatusCode::OK, &page);
            }
        }
    }

    /// The calls whose newest event of those that are asked for is among these: so each call has one place in the list. Alerts
    /// of the relay's own share a call's id, and are none.
    async fn calls_of(
        &self,
        found: Listing<EventSummary, EventId>,
        filter: &EventFilter,
    ) -> Result<Vec<CallSummaryView>, StoreError> {
        let mut calls = Vec::new();
        for event in found.items.into_iter().filter(|event| event.source.as_str() != OWN_SOURCE) {
            let Some(call) = event.reading.envelope().and_then(|envelope| envelope.call.as_deref()) else { continue };
            let events = self.events_of_call(call).await?;
            let newest = events.iter().find(|other| filter.matches(other));
            if newest.is_none_or(|newest| newest.id == event.id) {
                calls.extend(summary(call, events));
            }
        }
        Ok(calls)
    }

    /// The events of a call, newest first.
    async fn events_of_call(&self, call: &str) -> Result<Vec<EventSummary>, StoreError> {
        let filter = EventFilter { call: Some(call.to_owned()), ..EventFilter::default() };
        Ok(self.store.events(filter, Page { after: None, limit: MAX_EVENTS }).await?.items)
    }

    /// One call with all that is known of its events.
    pub(super) async fn show_call(&self, call: String) -> Result<Answer, Problem> {
        let mut events = Vec::new();
        for event in self.events_of_call(&call).await?.into_iter().rev() {
            // What can't be read any more is left out here, and counted where damage is.
            events.extend(self.store.event(event.id).await?.map(EventView::from));
        }
        if events.is_empty() {
            return Err(Problem::not_found("no event of such a call is kept"));
        }
        let has = |event_type: &str| events.iter().any(|event| event.event_type.as_deref() == Some(event_type));
        let missing: Vec<String> = EXPECTED.into_iter().filter(|expected| !has(expected)).map(str::to_owned).collect();
        let agent = events.iter().find_map(|event| event.agent.clone());
        json(StatusCode::OK, &CallView { call, agent, complete: missing.is_empty(), missing, events })
    }
}

/// `None` when its events are gone by now.
fn summary(call: &str, newest_first: Vec<EventSummary>) -> Option<CallSummaryView> {
    let first_received_at = newest_first.last()?.id.timestamp();
    let last_received_at = newest_first.first()?.id.timestamp();
    let events: Vec<EventView> = newest_first.into_iter().rev().map(EventView::from).collect();
    Some(CallSummaryView {
        call: call.to_owned(),
        agent: events.iter().find_map(|event| event.agent.clone()),
        first_received_at,
        last_received_at,
        events: events.into_iter().map(CallEventView::from).collect(),
    })
}
