//! Query parameters: each is known, stands there once and reads as what it is, or the answer says which are known.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use schemars::JsonSchema;

use super::{
    answer::Problem,
    routes::{SchemaOf, json_of},
    view::{DeliveryStateName, Mask},
};
use crate::{
    model::{Name, Timestamp},
    store::{EventFilter, EventState, Page},
};

/// A query parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// What it does.
    pub(super) about: &'static str,
    /// What it has to look like.
    pub(super) form: SchemaOf,
}

impl Parameter {
    /// A parameter that reads as a `T`.
    pub(super) const fn new<T: JsonSchema>(name: &'static str, about: &'static str) -> Self {
        Self { name, about, form: json_of::<T> }
    }
}

/// Parameters that choose events.
pub(super) const EVENT_FILTERS: &[Parameter] = &[
    Parameter::new::<String>("agent", "Only events of this agent."),
    Parameter::new::<String>("type", "Only events of this type."),
    Parameter::new::<String>("call", "Only events of this call."),
    Parameter::new::<Name>("source", "Only events from this source."),
    Parameter::new::<Timestamp>("since", "Only events received since then."),
    Parameter::new::<Timestamp>("until", "Only events received before then."),
];
/// Parameters that choose events that are still to come.
pub(super) const STREAM_FILTERS: &[Parameter] = EVENT_FILTERS.split_at(4).0;
/// Parameters that choose a part of a list.
pub(super) const PAGING: &[Parameter] = &[
    Parameter::new::<String>("cursor", "Go on where a page ended: its `next`."),
    Parameter::new::<u16>("limit", "At most this many items, 1 to 500; 50 when nobody says."),
];
pub(super) const EVENT_STATE: Parameter = Parameter::new::<EventState>("state", "Only events in this state.");
pub(super) const DELIVERY_STATE: Parameter =
    Parameter::new::<DeliveryStateName>("state", "Only deliveries in this state.");
pub(super) const DESTINATION: Parameter = Parameter::new::<Name>("destination", "Only what goes to this destination.");
pub(super) const MASK: Parameter =
    Parameter::new::<Mask>("mask", "What is not shown; the body is a text then, not what was signed.");
/// For those who know it from elsewhere: what it asks for is always shown.
pub(super) const VERBOSE: Parameter =
    Parameter::new::<String>("verbose", "Changes nothing: every check is shown anyway.");

/// How many items a page has when nobody says.
const DEFAULT_LIMIT: usize = 50;
/// How many it can have.
const MAX_LIMIT: usize = 500;

/// The parameters of a request.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the query of an address that knows the given parameters.
    pub(super) fn parse(query: Option<&str>, known: &[&[Parameter]]) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if known.iter().copied().flatten().all(|parameter| parameter.name != name) {
                return Err(unknown(&name, &known.concat()));
            }
            if parameters.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(Problem::bad_request(format!("`{name}` is given twice")));
            }
        }
        Ok(Self(parameters))
    }

    /// A parameter as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// A parameter that reads as a `T`.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.read(name, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// A parameter that is one of the words of an enum in the answers.
    pub(super) fn word<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.read(name, |text| serde_json::from_value(text.into()).map_err(|error| error.to_string()))
    }

    /// The page that is asked for.
    pub(super) fn page<C: FromStr<Err: Display>>(&self) -> Result<Page<C>, Problem> {
        let limit = self.parsed("limit")?.unwrap_or(DEFAULT_LIMIT);
        if limit == 0 || limit > MAX_LIMIT {
            return Err(Problem::bad_request(format!("`limit` is 1 to {MAX_LIMIT}")));
        }
        Ok(Page { after: self.parsed("cursor")?, limit })
    }

    /// The events that are asked for, whatever their state.
    pub(super) fn event_filter(&self) -> Result<EventFilter, Problem> {
        Ok(EventFilter {
            agent: self.text("agent"),
            event_type: self.text("type"),
            call: self.text("call"),
            source: self.text("source"),
            state: None,
            since: self.time("since")?,
            until: self.time("until")?,
        })
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let wanted = "write a UTC time such as 2026-09-22T09:14:06Z, or a date";
        self.read(name, |text| Timestamp::parse(text).ok_or_else(|| wanted.to_owned()))
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, Problem> {
        let Some(text) = self.0.get(name) else { return Ok(None) };
        read(text).map(Some).map_err(|why| Problem::bad_request(format!("`{name}` can't be read: {why}")))
    }
}

fn unknown(name: &str, known: &[Parameter]) -> Problem {
    let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
    let known = if names.is_empty() { "it takes none".to_owned() } else { format!("it knows {}", names.join(", ")) };
    Problem::bad_request(format!("this address has no parameter `{name}`: {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;

    fn events(query: &str) -> Result<Query, Problem> {
        Query::parse(Some(query), &[EVENT_FILTERS, &[EVENT_STATE], PAGING])
    }

    #[test]
    fn an_unknown_parameter_is_an_error_that_names_the_known_ones() {
        let problem = events("agnt=a").err().unwrap();
        assert_eq!(
            problem.detail,
            "this address has no parameter `agnt`: it knows agent, type, call, source, since, until, state, cursor, limit"
        );
        let problem = Query::parse(Some("x"), &[]).err().unwrap();
        assert_eq!(problem.detail, "this address has no parameter `x`: it takes none");
    }

    #[test]
    fn a_parameter_stands_there_once() {
        assert_eq!(events("agent=a&agent=b").err().unwrap().detail, "`agent` is given twice");
    }

    #[test]
    fn a_filter_reads_all_its_parts() {
        let query = events("agent=a%20b&type=t&call=c&source=s&since=2026-09-22&until=2026-09-23T00:00:00Z&state=dead")
            .unwrap();
        let filter = query.event_filter().unwrap();
        assert_eq!(filter.agent.as_deref(), Some("a b"));
        assert_eq!(filter.since.unwrap().to_string(), "2026-09-22T00:00:00.000Z");
        assert_eq!(query.word("state").unwrap(), Some(EventState::Dead));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, word) in [
            ("since=yesterday", "`since`"),
            ("limit=x", "`limit`"),
            ("limit=0", "`limit`"),
            ("limit=501", "`limit`"),
            ("cursor=x", "`cursor`"),
            ("state=lost", "`state`"),
        ] {
            let query = events(query).unwrap();
            let problems =
                [query.event_filter().err(), query.page::<EventId>().err(), query.word::<EventState>("state").err()];
            let problem = problems.into_iter().flatten().next().unwrap();
            assert!(problem.detail.contains(word), "{}", problem.detail);
        }
    }
}
