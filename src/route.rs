//! Which destinations get an event?
//!
//! A route matches when each of its conditions holds; an absent condition always does. An event goes to every
//! destination of every matching route, once each. Events in quarantine match nothing: what can't be read can't be
//! routed, it waits for a person. Nor do the relay's own alerts: they go where `[alerts]` says, and to no CRM that is to get
//! all events.
//!
//! `when` is asked last, for it alone has to look into the body. One that can't be decided (a name that the event doesn't
//! have) is a mistake of the config, and no reason to lose an event: the deliveries of its route become dead letters, which
//! say why and can be sent when it is mended.

use std::{cell::OnceCell, collections::BTreeSet, fmt, sync::Arc, time::Duration};

use crate::{
    model::{Envelope, Event, Name, NewDelivery, Normalized},
    template::{Expression, RenderError, Scope},
};

/// A rule from events to destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What people call it.
    pub name: String,
    /// Sources it takes events from; `None`: every source.
    pub sources: Option<BTreeSet<Name>>,
    /// Agents it takes events of; `None`: every agent, also an unknown one.
    pub agents: Option<BTreeSet<String>>,
    /// Event types it takes; `None`: every type.
    pub events: Option<BTreeSet<String>>,
    /// What has to be true of the normalized document; `None`: nothing.
    pub when: Option<Expression>,
    /// The age at which its deliveries are of no use any more; `None`: they never are.
    pub max_age: Option<Duration>,
    /// Where the events go.
    pub to: Vec<Name>,
}

/// An event as routes look at it. Its document is made when the first `when` asks for it, and once.
#[derive(Debug)]
pub struct Subject<'e> {
    event: &'e Event,
    scope: OnceCell<Scope>,
}

impl<'e> Subject<'e> {
    /// `event`, as routes look at it.
    #[must_use]
    pub fn of(event: &'e Event) -> Self {
        Self { event, scope: OnceCell::new() }
    }

    /// What conditions see of it.
    pub fn scope(&self) -> &Scope {
        self.scope.get_or_init(|| Scope::of_document(&Normalized::of(self.event)))
    }
}

/// Whether a route wants an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Wanted,
    /// It doesn't.
    Unwanted(Mismatch),
    /// Its `when` can't be decided.
    Undecided(RenderError),
}

impl Route {
    /// Whether this route wants an event. The conditions are asked in the order of the fields.
    #[must_use]
    pub fn fit(&self, subject: &Subject<'_>) -> Fit {
        let Some(envelope) = subject.event.reading.envelope() else { return Fit::Unwanted(Mismatch::Quarantined) };
        if subject.event.is_own() {
            return Fit::Unwanted(Mismatch::Own);
        }
        if let Some(mismatch) = self.mismatch(&subject.event.source, envelope) {
            return Fit::Unwanted(mismatch);
        }
        match self.when.as_ref().map(|when| when.holds(subject.scope())) {
            None | Some(Ok(true)) => Fit::Wanted,
            Some(Ok(false)) => Fit::Unwanted(Mismatch::When),
            Some(Err(error)) => Fit::Undecided(error),
        }
    }

    /// The condition on the envelope that isn't met.
    fn mismatch(&self, source: &Name, envelope: &Envelope) -> Option<Mismatch> {
        if self.sources.as_ref().is_some_and(|sources| !sources.contains(source)) {
            return Some(Mismatch::Source);
        }
        let is_listed =
            |agents: &BTreeSet<String>| envelope.agent.as_deref().is_some_and(|agent| agents.contains(agent));
        if self.agents.as_ref().is_some_and(|agents| !is_listed(agents)) {
            return Some(Mismatch::Agent);
        }
        if self.events.as_ref().is_some_and(|events| !events.contains(&*envelope.event_type)) {
            return Some(Mismatch::EventType);
        }
        None
    }

    /// Why deliveries of this route are dead letters from the start.
    fn refusal(&self, error: &RenderError) -> Arc<str> {
        format!("`when` of the route `{}` can't be decided: {error}", self.name).into()
    }
}

/// The condition of a route that an event doesn't meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// That it can be read.
    Quarantined,
    /// That it is no alert of the relay's own.
    Own,
    /// `sources`.
    Source,
    /// `agents`.
    Agent,
    /// `events`.
    EventType,
    /// `when`.
    When,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quarantined => "it can't be read",
            Self::Own => "it is an alert, which goes where `[alerts]` says",
            Self::Source => "its source is not in `sources`",
            Self::Agent => "its agent is not in `agents`",
            Self::EventType => "its type is not in `events`",
            Self::When => "its `when` is false",
        })
    }
}

/// All routes, in the order of the config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// These routes.
    #[must_use]
    pub fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// The routes, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Route] {
        &self.0
    }

    /// What is to be made of an event: a delivery to each destination of a route that wants it, once, in the order in which
    /// the routes name them. Where no route wants it and one can't decide, the delivery is refused.
    #[must_use]
    pub fn deliveries(&self, event: &Event) -> Vec<NewDelivery> {
        let subject = Subject::of(event);
        let mut deliveries: Vec<NewDelivery> = Vec::new();
        for route in &self.0 {
            let refused = match route.fit(&subject) {
                Fit::Wanted => None,
                Fit::Unwanted(_) => continue,
                Fit::Undecided(error) => Some(route.refusal(&error)),
            };
            for destination in &route.to {
                add(&mut deliveries, NewDelivery { destination: destination.clone(), refused: refused.clone() });
            }
        }
        deliveries
    }

    /// The age at which the delivery of an event to `destination` is of no use to any of the routes that want it there, the
    /// longest of theirs; `None` when it never is. A route that can't decide counts as one that wants it.
    #[must_use]
    pub fn max_age(&self, event: &Event, destination: &Name) -> Option<Duration> {
        let leads_there = |route: &&Route| route.to.contains(destination);
        if !self.0.iter().filter(leads_there).any(|route| route.max_age.is_some()) {
            return None;
        }
        let subject = Subject::of(event);
        let wanting =
            self.0.iter().filter(leads_there).filter(|route| !matches!(route.fit(&subject), Fit::Unwanted(_)));
        wanting.map(|route| route.max_age).reduce(|longest, age| Some(longest?.max(age?))).flatten()
    }
}

/// Adds a delivery, unless its destination has one. Who is wanted by one route isn't refused by another.
fn add(deliveries: &mut Vec<NewDelivery>, new: NewDelivery) {
    match deliveries.iter_mut().find(|known| known.destination == new.destination) {
        Some(known) if new.refused.is_none() => known.refused = None,
        Some(_) => {}
        None => deliveries.push(new),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::{EventId, OWN_SOURCE, OriginalHeaders, Reading, Timestamp};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn route(agents: Option<&[&str]>, events: Option<&[&str]>, to: &[&str]) -> Route {
        let set = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Route {
            name: "r".into(),
            sources: None,
            agents: agents.map(set),
            events: events.map(set),
            when: None,
            max_age: None,
            to: to.iter().map(|to| name(to)).collect(),
        }
    }

    fn when(condition: &str, to: &[&str]) -> Route {
        Route { when: Some(Expression::compile(condition).unwrap()), ..route(None, None, to) }
    }

    fn event(agent: Option<&str>, event_type: &str) -> Event {
        let envelope = Envelope { event_type: event_type.into(), agent: agent.map(Into::into), call: None, id: None };
        Event {
            id: EventId::lowest_at(Timestamp::EPOCH),
            source: name("atoms"),
            received_at: Timestamp::EPOCH,
            reading: Reading::Read(envelope),
            headers: OriginalHeaders::default(),
            body: Bytes::from_static(br#"{"metadata":{"callData":{"callStatus":"no-answer","callDuration":31.5}}}"#),
        }
    }

    fn to(routes: Vec<Route>, event: &Event) -> Vec<Name> {
        let deliveries = Routes::new(routes).deliveries(event);
        assert!(deliveries.iter().all(|delivery| delivery.refused.is_none()), "{deliveries:?}");
        deliveries.into_iter().map(|delivery| delivery.destination).collect()
    }

    #[test]
    fn every_matching_route_counts_and_each_destination_once() {
        let routes = vec![
            route(Some(&["a"]), None, &["crm", "slack"]),
            route(None, Some(&["post-conversation"]), &["archive", "crm"]),
            route(Some(&["b"]), None, &["other"]),
        ];
        let to = to(routes, &event(Some("a"), "post-conversation"));
        assert_eq!(to, [name("crm"), name("slack"), name("archive")]);
    }

    #[test]
    fn an_event_without_an_agent_matches_only_routes_for_every_agent() {
        let routes = vec![route(Some(&["a"]), None, &["crm"]), route(None, None, &["archive"])];
        assert_eq!(to(routes, &event(None, "x")), [name("archive")]);
    }

    #[test]
    fn a_route_can_be_for_some_sources_only() {
        let only_eu = Route { sources: Some([name("atoms-eu")].into()), ..route(None, None, &["crm"]) };
        assert!(to(vec![only_eu.clone()], &event(None, "x")).is_empty());
        let from_eu = Event { source: name("atoms-eu"), ..event(None, "x") };
        assert_eq!(to(vec![only_eu], &from_eu), [name("crm")]);
    }

    #[test]
    fn what_is_in_quarantine_goes_nowhere() {
        let unreadable = Event { reading: Reading::Quarantined("why".into()), ..event(None, "x") };
        assert!(to(vec![route(None, None, &["crm"]), when("true", &["slack"])], &unreadable).is_empty());
    }

    #[test]
    fn an_alert_of_the_relay_fits_no_route() {
        let alert = Event { source: name(OWN_SOURCE), ..event(None, "relay-alert") };
        let named = Route { sources: Some([name(OWN_SOURCE)].into()), ..route(None, None, &["slack"]) };
        assert!(to(vec![route(None, None, &["crm"]), named], &alert).is_empty());
    }

    #[test]
    fn a_condition_is_asked_of_the_normalized_document() {
        let routes = vec![
            when("call.status == 'no_answer' and call.duration_seconds > 31", &["crm"]),
            when("call.status == 'completed'", &["slack"]),
        ];
        assert_eq!(to(routes, &event(None, "x")), [name("crm")]);
    }

    #[test]
    fn a_condition_is_not_asked_of_events_that_other_conditions_keep_out() {
        let undecidable = Route { events: Some(["y".into()].into()), ..when("call.typo", &["crm"]) };
        assert!(to(vec![undecidable], &event(None, "x")).is_empty());
    }

    #[test]
    fn a_condition_that_cannot_be_decided_makes_a_dead_letter_that_says_why() {
        let routes = Routes::new(vec![when("call.stauts == 'completed'", &["crm"]), route(None, None, &["archive"])]);
        let deliveries = routes.deliveries(&event(None, "x"));
        let refused = "`when` of the route `r` can't be decided: `call.stauts` is undefined".into();
        let dead = NewDelivery { destination: name("crm"), refused: Some(refused) };
        assert_eq!(deliveries, [dead, NewDelivery::to(name("archive"))]);
    }

    #[test]
    fn a_route_that_wants_an_event_wins_over_one_that_cannot_decide() {
        let routes = [when("call.typo", &["crm"]), route(None, None, &["crm"])];
        assert_eq!(to(routes.to_vec(), &event(None, "x")), [name("crm")]);
        assert_eq!(to(routes.into_iter().rev().collect(), &event(None, "x")), [name("crm")]);
    }

    #[test]
    fn the_document_is_made_once_and_only_for_a_condition() {
        let event = event(None, "x");
        let subject = Subject::of(&event);
        assert_eq!(route(None, None, &["crm"]).fit(&subject), Fit::Wanted);
        assert!(subject.scope.get().is_none());
        assert_eq!(when("false", &["crm"]).fit(&subject), Fit::Unwanted(Mismatch::When));
        assert!(subject.scope.get().is_some());
    }

    #[test]
    fn a_delivery_is_of_use_as_long_as_one_of_its_routes_says() {
        const MINUTE: Duration = Duration::from_secs(60);
        let aged = |minutes, route: Route| Route { max_age: Some(minutes * MINUTE), ..route };
        let max_age = |routes| Routes::new(routes).max_age(&event(None, "x"), &name("screen"));
        let to_screen = || route(None, None, &["screen"]);
        assert_eq!(max_age(vec![aged(2, to_screen()), aged(5, to_screen())]), Some(5 * MINUTE));
        assert_eq!(max_age(vec![aged(2, to_screen()), to_screen()]), None);
        let unwanted = aged(9, route(Some(&["other"]), None, &["screen"]));
        let elsewhere = aged(9, route(None, None, &["crm"]));
        assert_eq!(max_age(vec![aged(2, to_screen()), unwanted, elsewhere]), Some(2 * MINUTE));
        assert_eq!(max_age(vec![aged(2, to_screen()), aged(3, when("call.typo", &["screen"]))]), Some(3 * MINUTE));
        assert_eq!(max_age(Vec::new()), None);
    }
}
