//! Sending the past again: the events that a filter chooses, step by step, to where they went or to where they go today.
//!
//! A step is a page of events, and whole and durable by itself. After each the store is left alone for as long as the step
//! took, so that what comes in meanwhile never has to share it with more than one step; and what is due then waits behind
//! whatever is live ([`Store::claim`](crate::store::Store::claim)).
//!
//! Rerouting makes deliveries where there are none and leaves those that are there: what has arrived isn't sent twice because
//! the routes have changed.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Admin,
    answer::Problem,
    selection::Action,
    view::{DeliveryStateName, EventSelection, ReplayRequest, ReplayedView, SelectionRequest},
};
use crate::{
    model::{Delivery, DeliveryId, Event, EventId, Name, Reading, Timestamp},
    route::Routes,
    store::{EventFilter, EventState, EventSummary, Page, Replayed, Rerouted, Rerouting, StoreError, StoredEvent},
};

/// Events in one step: few enough that it is a batch of the store like any other.
const STEP: usize = 200;
/// The resolution of [`Timestamp`]: what came in just now is there, too.
const ONE_MILLISECOND: Duration = Duration::from_millis(1);
/// The longest that the store is left alone between two steps.
const MAX_REST: Duration = Duration::from_secs(1);

/// What happens to the chosen events.
enum Wanted {
    /// Their deliveries become due again.
    Replay(Chosen),
    /// They get the deliveries that these routes would make of them, and that they don't have.
    Reroute(Arc<Routes>),
}

/// Which deliveries of the chosen events.
struct Chosen {
    state: Option<DeliveryStateName>,
    /// Those that the config names; nothing is sent to others.
    configured: BTreeSet<Name>,
}

/// A replay under way.
struct Replay<'a> {
    admin: &'a Admin,
    wanted: Wanted,
    /// Only these destinations; empty: all.
    only: BTreeSet<Name>,
    filter: EventFilter,
    /// What is left of the events that are named, where they are.
    named: Option<Vec<EventId>>,
    position: Option<Position>,
    done: ReplayedView,
}

/// Where the next step begins.
struct Position(Option<EventId>);

impl Admin {
    /// Sends again what was asked for, or says how much it would be.
    pub(super) async fn replay(&self, asked: ReplayRequest) -> Result<ReplayedView, Problem> {
        let Some(filter) = asked.filter.clone().or_else(|| asked.reroute.then(EventSelection::default)) else {
            let done = self.apply(Action::Replay, named_deliveries(asked)?).await?;
            return Ok(done.into());
        };
        let limit = asked.limit.unwrap_or(u64::MAX);
        let mut replay = Replay::new(self, &asked, filter)?;
        while replay.position.is_some() && (replay.named.is_some() || replay.done.chosen < limit) {
            replay.step().await?;
        }
        Ok(replay.finish())
    }
}

/// Deliveries that are named, or all dead letters.
fn named_deliveries(asked: ReplayRequest) -> Result<SelectionRequest, Problem> {
    if !asked.destinations.is_empty() || asked.limit.is_some() || asked.cursor.is_some() {
        return Err(Problem::bad_request("`destinations`, `limit` and `cursor` belong to a `filter` or to `reroute`"));
    }
    let ReplayRequest { deliveries, all, destination, dry_run, .. } = asked;
    Ok(SelectionRequest { deliveries, all, destination, dry_run })
}

impl<'a> Replay<'a> {
    fn new(admin: &'a Admin, asked: &ReplayRequest, selection: EventSelection) -> Result<Self, Problem> {
        let configured: BTreeSet<Name> = (admin.controls.conditions)().into_keys().collect();
        let only = asked.destinations.iter().chain(&selection.destination).cloned().collect();
        check(asked, &selection, &only, &configured)?;
        let mut filter = filter(&selection, admin.clock.now());
        let wanted = if asked.reroute {
            filter.state = selection.state;
            Wanted::Reroute((admin.controls.routes)())
        } else {
            Wanted::Replay(Chosen { state: selection.state.and_then(of_a_delivery), configured })
        };
        let named = (!selection.event.is_empty()).then_some(selection.event);
        let position = Some(Position(asked.cursor));
        let done = ReplayedView { dry_run: asked.dry_run, ..ReplayedView::default() };
        Ok(Self { admin, wanted, only, filter, named, position, done })
    }

    async fn step(&mut self) -> Result<(), StoreError> {
        let began = Instant::now();
        let events = self.next_events().await?;
        self.done.chosen += events.len() as u64;
        match &self.wanted {
            Wanted::Replay(chosen) => {
                let ids: Vec<Vec<DeliveryId>> = events.iter().map(|event| chosen.of(event, &self.only)).collect();
                self.send_again(ids).await?;
            }
            Wanted::Reroute(routes) => {
                let routes = Arc::clone(routes);
                self.reroute(events, &routes).await?;
            }
        }
        if !self.done.dry_run {
            sleep(began.elapsed().min(MAX_REST)).await;
        }
        Ok(())
    }

    async fn next_events(&mut self) -> Result<Vec<EventSummary>, StoreError> {
        let Some(Position(after)) = self.position.take() else { return Ok(Vec::new()) };
        if let Some(named) = &mut self.named {
            let step: Vec<EventId> = named.drain(..STEP.min(named.len())).collect();
            self.position = (!named.is_empty()).then_some(Position(None));
            return self.named_events(step).await;
        }
        let listing = self.admin.store.events(self.filter.clone(), Page { after, limit: STEP }).await?;
        self.position = listing.next.map(|next| Position(Some(next)));
        Ok(listing.items)
    }

    async fn named_events(&mut self, ids: Vec<EventId>) -> Result<Vec<EventSummary>, StoreError> {
        let mut events = Vec::with_capacity(ids.len());
        for id in ids {
            let found = self.admin.store.event(id).await?.map(|stored| summary(&stored));
            self.done.skipped += u64::from(found.is_none());
            events.extend(found.filter(|event| self.filter.matches(event)));
        }
        Ok(events)
    }

    async fn send_again(&mut self, ids: Vec<Vec<DeliveryId>>) -> Result<(), StoreError> {
        self.done.events += ids.iter().filter(|ids| !ids.is_empty()).count() as u64;
        let ids: Vec<DeliveryId> = ids.into_iter().flatten().collect();
        let count = if self.done.dry_run {
            ids.len()
        } else {
            let answers = self.admin.store.replay(ids).await?;
            answers.into_iter().filter(|answer| *answer == Replayed::Due).count()
        };
        self.done.deliveries += count as u64;
        Ok(())
    }

    async fn reroute(&mut self, events: Vec<EventSummary>, routes: &Routes) -> Result<(), StoreError> {
        let mut reroutings = Vec::new();
        for event in events {
            let Some(stored) = self.admin.store.event(event.id).await? else { continue };
            reroutings.extend(rerouting(stored, routes, &self.only));
        }
        self.done.events += reroutings.len() as u64;
        let created = if self.done.dry_run {
            reroutings.iter().map(|rerouting| rerouting.deliveries.len()).sum()
        } else {
            let answers = self.admin.store.reroute(reroutings).await?;
            answers
                .into_iter()
                .map(|answer| if let Rerouted::Created(count) = answer { count } else { 0 })
                .sum::<usize>()
        };
        self.done.created += created as u64;
        self.done.deliveries += created as u64;
        Ok(())
    }

    fn finish(self) -> ReplayedView {
        let Self { position, done, .. } = self;
        if !done.dry_run {
            tracing::info!(deliveries = done.deliveries, created = done.created, "replayed by a person");
        }
        let next = position.and_then(|Position(after)| after);
        ReplayedView { next, ..done }
    }
}

/// Refuses what would mean everything by accident, or nothing.
fn check(
    asked: &ReplayRequest,
    selection: &EventSelection,
    only: &BTreeSet<Name>,
    configured: &BTreeSet<Name>,
) -> Result<(), Problem> {
    let problem = |detail: &str| Err(Problem::bad_request(detail));
    if !asked.deliveries.is_empty() || asked.all || asked.destination.is_some() {
        return problem("a `filter` chooses events: `deliveries`, `all` and `destination` don't go with it");
    }
    if *selection == EventSelection::default() && only.is_empty() {
        return problem("say which events: a `filter` has at least one condition; `since` alone can mean all");
    }
    if asked.limit == Some(0) {
        return problem("`limit` is 1 or more");
    }
    if !asked.reroute && matches!(selection.state, Some(EventState::Unrouted | EventState::Quarantined)) {
        return problem(
            "such events have no deliveries to be sent again: add `reroute`, for today's routes to find some",
        );
    }
    match only.difference(configured).next() {
        Some(name) => problem(&format!("the config has no destination `{name}`")),
        None => Ok(()),
    }
}

/// The events of a selection that are there now; what comes in from now on has today's routes already.
fn filter(selection: &EventSelection, now: Timestamp) -> EventFilter {
    let end = now.plus(ONE_MILLISECOND);
    EventFilter {
        agent: selection.agent.clone(),
        event_type: selection.event_type.clone(),
        call: selection.call.clone(),
        source: selection.source.as_ref().map(Name::to_string),
        state: None,
        since: selection.since,
        until: Some(selection.until.map_or(end, |until| until.min(end))),
    }
}

fn of_a_delivery(state: EventState) -> Option<DeliveryStateName> {
    Some(match state {
        EventState::Waiting => DeliveryStateName::Waiting,
        EventState::Dead => DeliveryStateName::Dead,
        EventState::Expired => DeliveryStateName::Expired,
        EventState::Delivered => DeliveryStateName::Delivered,
        EventState::Unrouted | EventState::Quarantined => return None,
    })
}

impl Chosen {
    /// The deliveries of an event that are to be sent again.
    fn of(&self, event: &EventSummary, only: &BTreeSet<Name>) -> Vec<DeliveryId> {
        let is_meant = |delivery: &&Delivery| {
            let name = &delivery.destination;
            self.configured.contains(name) && (only.is_empty() || only.contains(name)) && self.takes(delivery)
        };
        let id = |delivery: &Delivery| DeliveryId { event: event.id, destination: delivery.destination.clone() };
        event.deliveries.iter().filter(is_meant).map(id).collect()
    }

    /// What still waits is on its way: it is sent again only where that is asked for.
    fn takes(&self, delivery: &Delivery) -> bool {
        match self.state {
            Some(state) => DeliveryStateName::of(delivery.state) == state,
            None => !delivery.state.is_waiting(),
        }
    }
}

/// What today's reading and routes make of an event that it doesn't have; `None` when that is nothing.
fn rerouting(stored: StoredEvent, routes: &Routes, only: &BTreeSet<Name>) -> Option<Rerouting> {
    let StoredEvent { event, deliveries: present } = stored;
    let was_readable = event.reading.envelope().is_some();
    let reading = if was_readable { event.reading.clone() } else { Reading::of(&event.body) };
    let is_news = !was_readable && reading.envelope().is_some();
    let event = Event { reading, ..event };
    let is_new = |name: &Name| !present.iter().any(|(delivery, _)| delivery.destination == *name);
    let mut deliveries = routes.deliveries(&event);
    deliveries.retain(|new| is_new(&new.destination) && (only.is_empty() || only.contains(&new.destination)));
    let is_anything = is_news || !deliveries.is_empty();
    is_anything.then_some(Rerouting { event: event.id, reading: event.reading, deliveries })
}

fn summary(stored: &StoredEvent) -> EventSummary {
    let StoredEvent { event, deliveries } = stored;
    EventSummary {
        id: event.id,
        source: event.source.clone(),
        reading: event.reading.clone(),
        body_len: u32::try_from(event.body.len()).unwrap_or(u32::MAX),
        deliveries: deliveries.iter().map(|(delivery, _)| delivery.clone()).collect(),
    }
}
