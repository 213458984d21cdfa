//! Which destinations get an event?
//!
//! A route matches when each of its conditions holds; an absent condition always does. An event goes to every
//! destination of every matching route, once each. Events in quarantine match nothing: what can't be read can't be
//! routed, it waits for a person.

use std::{collections::BTreeSet, fmt};

use crate::model::{Envelope, Name, Reading};

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
    /// Where the events go.
    pub to: Vec<Name>,
}

impl Route {
    /// Why this route doesn't want an event; `None` when it does. The conditions are asked in the order of the fields.
    #[must_use]
    pub fn mismatch(&self, source: &Name, envelope: &Envelope) -> Option<Mismatch> {
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
}

/// The condition of a route that an event doesn't meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// `sources`.
    Source,
    /// `agents`.
    Agent,
    /// `events`.
    EventType,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "its source is not in `sources`",
            Self::Agent => "its agent is not in `agents`",
            Self::EventType => "its type is not in `events`",
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

    /// Where an event goes: each destination once, in the order in which the routes name them.
    #[must_use]
    pub fn destinations(&self, source: &Name, reading: &Reading) -> Vec<Name> {
        let Some(envelope) = reading.envelope() else { return Vec::new() };
        let mut destinations: Vec<Name> = Vec::new();
        for name in self.0.iter().filter(|route| route.mismatch(source, envelope).is_none()).flat_map(|route| &route.to)
        {
            if !destinations.contains(name) {
                destinations.push(name.clone());
            }
        }
        destinations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            to: to.iter().map(|to| name(to)).collect(),
        }
    }

    fn event(agent: Option<&str>, event_type: &str) -> Reading {
        Reading::Read(Envelope { event_type: event_type.into(), agent: agent.map(Into::into), call: None, id: None })
    }

    #[test]
    fn every_matching_route_counts_and_each_destination_once() {
        let routes = Routes::new(vec![
            route(Some(&["a"]), None, &["crm", "slack"]),
            route(None, Some(&["post-conversation"]), &["archive", "crm"]),
            route(Some(&["b"]), None, &["other"]),
        ]);
        let to = routes.destinations(&name("atoms"), &event(Some("a"), "post-conversation"));
        assert_eq!(to, [name("crm"), name("slack"), name("archive")]);
    }

    #[test]
    fn an_event_without_an_agent_matches_only_routes_for_every_agent() {
        let routes = Routes::new(vec![route(Some(&["a"]), None, &["crm"]), route(None, None, &["archive"])]);
        assert_eq!(routes.destinations(&name("atoms"), &event(None, "x")), [name("archive")]);
    }

    #[test]
    fn a_route_can_be_for_some_sources_only() {
        let mut only_eu = route(None, None, &["crm"]);
        only_eu.sources = Some([name("atoms-eu")].into());
        let routes = Routes::new(vec![only_eu]);
        assert!(routes.destinations(&name("atoms"), &event(None, "x")).is_empty());
        assert_eq!(routes.destinations(&name("atoms-eu"), &event(None, "x")), [name("crm")]);
    }

    #[test]
    fn what_is_in_quarantine_goes_nowhere() {
        let routes = Routes::new(vec![route(None, None, &["crm"])]);
        assert!(routes.destinations(&name("atoms"), &Reading::Quarantined("why".into())).is_empty());
    }
}
