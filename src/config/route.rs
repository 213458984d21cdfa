//! `[[route]]`: which events go where. References to sources and destinations are checked here.

use std::{collections::BTreeSet, time::Duration};

use super::{
    alerts, entries,
    field::Field,
    problem::{Problem, Span},
    reader::Reader,
    section::{Keys, Section},
    suggestion, template,
    units::{Bounds, DAY},
};
use crate::{
    model::{Name, OWN_SOURCE},
    route::{Route, Routes},
};

pub(super) const KEYS: Keys =
    Keys { known: &["name", "sources", "agents", "events", "when", "max_age", "to"], later: &[] };

/// The age at which nobody wants an event any more.
pub(super) const MAX_AGE: Bounds<Duration> = Bounds {
    least: Duration::from_millis(1),
    most: DAY.saturating_mul(365),
    reason: "what is older is never sent",
    example: "\"2m\"",
};

const WHEN_EXAMPLE: &str = "\"call.status == 'completed'\"";

/// The event types that Atoms sends (as of 2026-08). Others pass, but a route for one is more likely a slip.
const EVENT_TYPES: &[&str] = &["pre-conversation", "post-conversation", "analytics-completed"];

/// The event type of joined call records, which a later version makes.
const CALL_RECORD: &str = "call-completed";

/// Reads all routes of the file.
pub(super) fn read_all(root: &Section<'_>, reader: &mut Reader<'_>) -> Routes {
    let mut routes = Vec::new();
    for (number, field) in (1..).zip(items(root, reader)) {
        let title = format!("[[route]] number {number}");
        if let Some(section) = Section::of(title, &field, &KEYS, reader) {
            routes.extend(read_one(number, &section, root, reader));
        }
    }
    warn_of_unused(root, reader);
    Routes::new(routes)
}

fn items<'t>(root: &Section<'t>, reader: &mut Reader<'_>) -> Vec<Field<'t>> {
    let Some(field) = root.field("route") else { return Vec::new() };
    let items = field.items();
    if items.is_none() {
        let message = "there can be several routes, so each has its header in double brackets";
        reader.report(Problem::error(field.span(), message).help("write `[[route]]`"));
    }
    items.unwrap_or_default()
}

fn read_one(number: usize, section: &Section<'_>, root: &Section<'_>, reader: &mut Reader<'_>) -> Option<Route> {
    let name = section.field("name").and_then(|field| field.text("\"finished calls to the CRM\"", reader));
    let mut condition = |key| section.field(key).inspect(|field| check_condition(field, reader));
    let (sources, agents, events) = (condition("sources"), condition("agents"), condition("events"));
    let sources = sources.map(|field| read_names(&field, "source", root, reader).into_iter().collect());
    let agents = agents.map(|field| read_agents(&field, reader));
    let events = events.map(|field| read_events(&field, reader));
    let when =
        section.field("when").and_then(|field| template::condition(&field, template::DOCUMENT, WHEN_EXAMPLE, reader));
    let max_age = section.field("max_age").and_then(|field| field.duration(&MAX_AGE, reader));
    let to = read_to(section, root, reader)?;
    let name = name.map_or_else(|| format!("route {number}"), str::to_owned);
    Some(Route { name, sources, agents, events, when, max_age, to })
}

/// An absent condition fits all events; an empty one would fit none.
fn check_condition(field: &Field<'_>, reader: &mut Reader<'_>) {
    if field.items().is_some_and(|items| items.is_empty()) {
        let message = format!("`{}` is an empty list, which no event fits", field.key());
        let help = format!("leave `{}` out to take all", field.key());
        reader.report(Problem::error(field.span(), message).help(help));
    }
}

fn read_to(section: &Section<'_>, root: &Section<'_>, reader: &mut Reader<'_>) -> Option<Vec<Name>> {
    let field = section.required("to", "[\"crm\"]", reader)?;
    if field.items().is_some_and(|items| items.is_empty()) {
        reader.report(field.error("names nobody", "[\"crm\"]"));
    }
    Some(read_names(&field, "destination", root, reader))
}

fn read_agents(field: &Field<'_>, reader: &mut Reader<'_>) -> BTreeSet<String> {
    let agents = field.texts("[\"68c1f0aa41d2b7e5903c11a4\"]", reader).unwrap_or_default();
    agents.into_iter().map(|(agent, _)| agent.to_owned()).collect()
}

/// The names in a list, each of a section `[kind.NAME]`. Those of no section are reported and left out.
pub(super) fn read_names(field: &Field<'_>, kind: &str, root: &Section<'_>, reader: &mut Reader<'_>) -> Vec<Name> {
    let known = entries::names(kind, root);
    let example = known.first().map_or_else(|| format!("[\"{kind}\"]"), |first| format!("[\"{}\"]", first.key()));
    let names = field.texts(&example, reader).unwrap_or_default();
    let known: Vec<&str> = known.iter().map(Field::key).collect();
    names.into_iter().filter_map(|(name, span)| read_reference(name, span, kind, &known, reader)).collect()
}

/// The name at `span`, if there is a section `[kind.NAME]` of it among the `known`.
pub(super) fn read_reference(
    name: &str,
    span: Span,
    kind: &str,
    known: &[&str],
    reader: &mut Reader<'_>,
) -> Option<Name> {
    if known.contains(&name) {
        return Name::new(name).ok(); // A name that can't be one was reported where it is given.
    }
    let help = match suggestion::nearest(name, known.iter().copied()) {
        _ if name == OWN_SOURCE => {
            "that is the relay's own, for alerts: they go where `to` of [alerts] says".to_owned()
        }
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("write a section `[{kind}.{name}]`"),
        None => format!("there are {}; for a new one write a section `[{kind}.{name}]`", suggestion::list(known)),
    };
    reader.report_absence(Problem::error(span, format!("there is no {kind} `{name}`")).help(help));
    None
}

fn read_events(field: &Field<'_>, reader: &mut Reader<'_>) -> BTreeSet<String> {
    let events = field.texts("[\"post-conversation\"]", reader).unwrap_or_default();
    for (event, span) in &events {
        check_event(event, span.clone(), reader);
    }
    events.into_iter().map(|(event, _)| event.to_owned()).collect()
}

fn check_event(event: &str, span: Span, reader: &mut Reader<'_>) {
    if event == CALL_RECORD {
        let problem = Problem::error(span, format!("`{CALL_RECORD}` is not in this version"));
        reader.report(problem.help("route the three events of a call one by one; they share its `callId`"));
    } else if !EVENT_TYPES.contains(&event) {
        let help = match suggestion::nearest(event, EVENT_TYPES.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it sends {}", suggestion::list(EVENT_TYPES)),
        };
        reader.report(Problem::warning(span, format!("Atoms is not known to send `{event}`")).help(help));
    }
}

fn warn_of_unused(root: &Section<'_>, reader: &mut Reader<'_>) {
    let Some(routes) = root.field("route") else {
        let problem = Problem::warning_of_file("there is no route: events will be kept, and none delivered");
        reader.report_absence(problem.help("write a section `[[route]]` with `to`"));
        return;
    };
    let mut used: BTreeSet<&str> = routes.items().iter().flatten().flat_map(named_in).collect();
    used.extend(alerts::named_in(root));
    for destination in entries::names("destination", root) {
        if destination.value().is_table() && !used.contains(destination.key()) {
            let message = format!("no route leads to the destination `{}`", destination.key());
            let help = format!("write a section `[[route]]` with `to = [\"{}\"]`", destination.key());
            reader.report_absence(Problem::warning(destination.key_span(), message).help(help));
        }
    }
}

/// Whom a route names, rightly or not.
fn named_in<'t>(route: &Field<'t>) -> Vec<&'t str> {
    let to = Section::with_free_keys(String::new(), route).ok().and_then(|section| section.field("to"));
    let items = to.and_then(|to| to.items()).unwrap_or_default();
    items.iter().filter_map(|item| item.value().as_str()).collect()
}
