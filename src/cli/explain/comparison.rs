//! What two configurations make of one event: where it goes with each, and what differs in the requests.
//!
//! Secrets have masks on both sides, so that one was exchanged for another is no difference here. Addresses are compared as a
//! whole, for what is hidden of them may lead elsewhere.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::{RouteView, route_line, routes};
use crate::{
    cli::{
        difference::{self, Line, difference},
        preview::{Preview, previews},
        table::Tone,
        text::harmless,
    },
    config::{Colour, Config},
    model::{Event, Name},
};

/// What another configuration would do differently with an event.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// The other configuration.
    with: String,
    is_same: bool,
    /// The routes, a line for each; empty when they do the same.
    routes: Vec<Line>,
    destinations: Vec<DestinationView>,
}

/// What becomes of one destination.
#[derive(Debug, Serialize)]
struct DestinationView {
    destination: Name,
    change: Change,
    /// The request line by line, when it is another one.
    request: Vec<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    /// It gets the same.
    None,
    /// It gets something else.
    Request,
    /// It gets the event, and didn't.
    Gained,
    /// It doesn't get the event, and did.
    Lost,
}

impl Comparison {
    /// What `other`, the configuration at `path`, would do differently than `config`.
    pub(super) fn of(event: &Event, config: &Config, other: &Config, path: &Path) -> Self {
        let lines = |config| routes(event, config).iter().map(route_text).collect::<Vec<_>>().join("\n");
        let routes = difference(&lines(config), &lines(other));
        let destinations = destinations(&previews(event, config), &previews(event, other));
        let is_same = routes.is_empty() && destinations.iter().all(|view| view.change == Change::None);
        Self { with: path.display().to_string(), is_same, routes, destinations }
    }
}

fn route_text(route: &RouteView) -> String {
    route_line(route, Colour::Plain)
}

/// Whoever gets the event with either configuration, first those that get it now.
fn destinations(now: &[Preview], then: &[Preview]) -> Vec<DestinationView> {
    let gained = then.iter().filter(|preview| find(now, &preview.destination).is_none());
    let all = now.iter().chain(gained).map(|preview| &preview.destination);
    all.map(|name| compared(name, find(now, name), find(then, name))).collect()
}

fn find<'p>(previews: &'p [Preview], name: &Name) -> Option<&'p Preview> {
    previews.iter().find(|preview| preview.destination == *name)
}

fn compared(name: &Name, now: Option<&Preview>, then: Option<&Preview>) -> DestinationView {
    let request = changed_lines(now, then);
    let change = match (now, then) {
        (None, _) => Change::Gained,
        (_, None) => Change::Lost,
        _ if request.is_empty() => Change::None,
        _ => Change::Request,
    };
    DestinationView { destination: name.clone(), change, request }
}

/// The difference, which is in what people may not see where it is nowhere else in the address.
fn changed_lines(now: Option<&Preview>, then: Option<&Preview>) -> Vec<Line> {
    let text = |preview: Option<&Preview>| preview.map(text).unwrap_or_default();
    let (before, mut after) = (text(now), text(then));
    if differ_in_what_is_hidden(now, then) {
        after = after.replacen('\n', ", otherwise in what is hidden\n", 1); // The address ends the first line.
    }
    difference(&before, &after)
}

fn differ_in_what_is_hidden(now: Option<&Preview>, then: Option<&Preview>) -> bool {
    let [now, then] = [now, then].map(|preview| preview.and_then(|preview| preview.request.as_ref().ok()));
    now.zip(then).is_some_and(|(now, then)| now.address == then.address && now.whole_address != then.whole_address)
}

/// All of a request, in lines that can be compared.
fn text(preview: &Preview) -> String {
    match &preview.request {
        Err(why) => format!("no request can be made: {why}"),
        Ok(request) => {
            let mut headers: Vec<_> =
                request.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            headers.sort();
            format!("{}\n{}\n{}", request.line(), headers.concat(), body(&request.body))
        }
    }
}

/// JSON in lines; anything else as it is.
fn body(bytes: &[u8]) -> String {
    let pretty = serde_json::from_slice::<Value>(bytes).and_then(|json| serde_json::to_string_pretty(&json));
    pretty.unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned())
}

/// The comparison for people.
pub(super) fn words(comparison: &Comparison, colour: Colour) -> String {
    let with = harmless(&comparison.with);
    if comparison.is_same {
        return format!("No difference: with {with} the same would become of this event. Secrets are not compared.");
    }
    let mut lines = vec![format!("With {with} this would change:"), String::new()];
    let routes = if comparison.routes.is_empty() { "routes: no difference" } else { "routes:" };
    lines.push(routes.to_owned());
    lines.extend(difference::words(&comparison.routes, "  ", colour));
    for view in &comparison.destinations {
        let name = Tone::Strong.paint(view.destination.as_str(), colour);
        lines.extend([String::new(), format!("{name}: {}", view.change.words())]);
        lines.extend(difference::words(&view.request, "  ", colour));
    }
    lines.join("\n")
}

impl Change {
    fn words(self) -> &'static str {
        match self {
            Self::None => "no difference",
            Self::Request => "gets another request:",
            Self::Gained => "gets the event, too:",
            Self::Lost => "no longer gets the event:",
        }
    }
}
