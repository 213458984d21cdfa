//! The addresses of the admin listener, all in one table: what each answers or changes, what it takes, and who may ask.
//!
//! What the listener does with a request is read from here, and so is what it says of itself; whatever has no row is not
//! there. A row is a promise: within `/api/v1` none is renamed or removed.

use http::Method;
use percent_encoding::percent_decode_str;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::{
    answer::Problem,
    body::Nothing,
    change::Change,
    guard::Access,
    query::{
        DELIVERY_STATE, DESTINATION, EVENT_FILTERS, EVENT_STATE, MASK, PAGING, Parameter, STREAM_FILTERS, VERBOSE,
    },
    read::Read,
    view::{
        AuditView, CallSummaryView, CallView, ChangedView, ConfigView, DeadLetterView, DeliveryView, DestinationView,
        EventView, HistoryView, PageView, PauseRequest, ReadinessView, ReloadView, ReplayRequest, ReplayedView,
        SelectionRequest, StatusView,
    },
};

/// All of them, in the order in which people read about them.
pub(super) const ROUTES: &[Route] = &[
    Route::read("/healthz", Read::Health, "Whether the process answers", TEXT).open_to_all(),
    Route::read("/readyz", Read::Readiness, "Whether events are taken, and if not, why", json::<ReadinessView>())
        .with(&[&[VERBOSE]])
        .open_to_all(),
    Route::read("/metrics", Read::Metrics, "The metrics, as OpenMetrics or in Prometheus' older format", TEXT),
    Route::read("/api/v1/openapi.json", Read::OpenApi, "This document", json::<Map<String, Value>>()),
    Route::read("/api/v1/status", Read::Status, "How the relay and its destinations are", json::<StatusView>()),
    Route::read("/api/v1/config", Read::Config, "The config as it runs, without its secrets", json::<ConfigView>()),
    Route::change::<Nothing, ReloadView>(
        "/api/v1/reload",
        Change::Reload,
        "Reads the config again, all of it or nothing",
    ),
    Route::read(
        "/api/v1/destinations",
        Read::Destinations,
        "How each destination is",
        json::<PageView<DestinationView>>(),
    ),
    Route::read("/api/v1/history", Read::History, "The last hour, by minute", json::<HistoryView>()),
    Route::change::<PauseRequest, DestinationView>(
        "/api/v1/destinations/{name}/pause",
        Change::Pause,
        "Holds a destination back, also over restarts",
    ),
    Route::change::<Nothing, DestinationView>(
        "/api/v1/destinations/{name}/resume",
        Change::Resume,
        "Lets a paused or stopped destination go on",
    ),
    Route::read("/api/v1/events", Read::Events, "Events, newest first", json::<PageView<EventView>>()).with(&[
        EVENT_FILTERS,
        &[EVENT_STATE],
        PAGING,
    ]),
    Route::read(
        "/api/v1/events/{id}",
        Read::Event,
        "An event with its deliveries and their attempts",
        json::<EventView>(),
    ),
    Route::read(
        "/api/v1/events/{id}/body",
        Read::Body,
        "The body of an event, byte for byte, or with phone numbers masked",
        Content::Other("*/*"),
    )
    .with(&[&[MASK]]),
    Route::read(
        "/api/v1/calls",
        Read::Calls,
        "Calls, those with the newest event first",
        json::<PageView<CallSummaryView>>(),
    )
    .with(&[EVENT_FILTERS, &[EVENT_STATE], PAGING]),
    Route::read(
        "/api/v1/calls/{call}",
        Read::Call,
        "A call with its events, their deliveries and attempts",
        json::<CallView>(),
    ),
    Route::read(
        "/api/v1/deliveries",
        Read::Deliveries,
        "Deliveries, newest event first",
        json::<PageView<DeliveryView>>(),
    )
    .with(&[EVENT_FILTERS, &[DESTINATION, DELIVERY_STATE], PAGING]),
    Route::change::<Nothing, ChangedView>(
        "/api/v1/deliveries/{id}/retry",
        Change::Retry,
        "Sends a delivery again, also when it has arrived",
    ),
    Route::read(
        "/api/v1/stream",
        Read::Stream,
        "What happens, as it happens, as server-sent events: accepted, attempt, settled, destination, lagged, stopping",
        Content::Other("text/event-stream"),
    )
    .with(&[STREAM_FILTERS, &[DESTINATION]]),
    Route::read(
        "/api/v1/dead-letters",
        Read::DeadLetters,
        "Deliveries that were given up, oldest first",
        json::<PageView<DeadLetterView>>(),
    )
    .with(&[&[DESTINATION], PAGING]),
    Route::change::<SelectionRequest, ChangedView>(
        "/api/v1/dead-letters/discard",
        Change::Discard,
        "Throws dead letters away",
    ),
    Route::change::<ReplayRequest, ReplayedView>(
        "/api/v1/replays",
        Change::Replay,
        "Sends deliveries again, or events to where they go today",
    ),
    Route::change::<Nothing, EventView>(
        "/api/v1/alerts/test",
        Change::TestAlert,
        "Sends a test alert to all of `[alerts]`",
    ),
    Route::read("/api/v1/audit", Read::Audit, "Who changed what, newest first", json::<PageView<AuditView>>())
        .with(&[PAGING]),
];

const TEXT: Content = Content::Other("text/plain");

/// A row of the table.
pub(super) struct Route {
    /// The path. A segment in braces stands for whatever the request has there; there is one at most.
    pub(super) pattern: &'static str,
    pub(super) what: What,
    /// What it is for, in a few words.
    pub(super) summary: &'static str,
    /// The query parameters that it knows, in groups.
    pub(super) parameters: &'static [&'static [Parameter]],
    /// The document that it wants.
    pub(super) takes: Option<SchemaOf>,
    /// What it answers when all went well.
    pub(super) answer: Content,
    /// Who may ask.
    pub(super) access: Access,
}

/// What an answer holds.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// A JSON document.
    Json(SchemaOf),
    /// Something else, of this media type.
    Other(&'static str),
}

/// Writes down what a document looks like.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a `T` looks like as JSON.
pub(super) fn json_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A `T` as JSON.
const fn json<T: JsonSchema>() -> Content {
    Content::Json(json_of::<T>)
}

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Something is looked at, with GET or HEAD.
    Read(Read),
    /// Something is changed, with POST.
    Change(Change),
}

impl What {
    /// Its name, for programs: the audit trail has it, and clients that are generated call it so.
    pub(super) fn name(self) -> String {
        let name = match self {
            Self::Read(what) => format!("{what:?}"),
            Self::Change(what) => format!("{what:?}"),
        };
        let mut letters = name.chars();
        letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
    }
}

impl Route {
    const fn read(pattern: &'static str, what: Read, summary: &'static str, answer: Content) -> Self {
        let access = Access::TokenHolders;
        Self { pattern, what: What::Read(what), summary, parameters: &[], takes: None, answer, access }
    }

    /// A change that takes a `Q` and answers with an `A`.
    const fn change<Q: JsonSchema, A: JsonSchema>(pattern: &'static str, what: Change, summary: &'static str) -> Self {
        let (takes, answer) = (Some(json_of::<Q> as SchemaOf), json::<A>());
        let access = Access::TokenHolders;
        Self { pattern, what: What::Change(what), summary, parameters: &[], takes, answer, access }
    }

    const fn with(self, parameters: &'static [&'static [Parameter]]) -> Self {
        Self { parameters, ..self }
    }

    const fn open_to_all(self) -> Self {
        Self { access: Access::Everyone, ..self }
    }

    /// The route that a request is for, and what its path has in the place of the pattern's parameter.
    pub(super) fn of(method: &Method, path: &str) -> Result<(&'static Self, String), Problem> {
        let mut found = ROUTES.iter().filter_map(|route| Some((route, route.matched(path)?))).peekable();
        if found.peek().is_none() {
            return Err(nothing_at(path));
        }
        let (fitting, others): (Vec<_>, Vec<_>) = found.partition(|(route, _)| route.methods().contains(method));
        let allowed = || others.iter().flat_map(|(route, _)| route.methods()).map(Method::as_str).collect::<Vec<_>>();
        fitting.into_iter().next().ok_or_else(|| Problem::method_not_allowed(&allowed().join(", ")))
    }

    /// The methods that it takes.
    pub(super) fn methods(&self) -> &'static [Method] {
        match self.what {
            What::Read(_) => &[Method::GET, Method::HEAD],
            What::Change(_) => &[Method::POST],
        }
    }

    /// The name of the pattern's parameter.
    pub(super) fn parameter(&self) -> Option<&'static str> {
        self.pattern.split('/').find_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// What `path` has in the place of the pattern's parameter, nothing for a pattern without one; `None` when the path is
    /// another.
    fn matched(&self, path: &str) -> Option<String> {
        let (mut value, mut given) = (String::new(), path.split('/'));
        for wanted in self.pattern.split('/') {
            let segment = given.next()?;
            if wanted.starts_with('{') {
                value = percent_decode_str(segment).decode_utf8().ok()?.into_owned();
            } else if wanted != segment {
                return None;
            }
        }
        given.next().is_none().then_some(value)
    }
}

fn nothing_at(path: &str) -> Problem {
    Problem::not_found(match path.strip_prefix("/api/v1/") {
        Some(_) => "the API has no such address",
        None => "nothing is here: see /healthz, /readyz, /metrics and /api/v1/status",
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn get(path: &str) -> Result<(What, String), StatusCode> {
        Route::of(&Method::GET, path).map(|(route, value)| (route.what, value)).map_err(|problem| problem.status)
    }

    #[test]
    fn addresses_are_exact() {
        assert_eq!(get("/api/v1/status"), Ok((What::Read(Read::Status), String::new())));
        for wrong in ["/", "", "/api/v1", "/api/v1/status/", "//api/v1/status", "/api/v2/status", "/healthz/x"] {
            assert_eq!(get(wrong), Err(StatusCode::NOT_FOUND), "{wrong}");
        }
    }

    #[test]
    fn a_parameter_is_what_stands_in_its_place_without_escapes() {
        assert_eq!(get("/api/v1/events/a%2Fb%20c/body"), Ok((What::Read(Read::Body), "a/b c".to_owned())));
        assert_eq!(get("/api/v1/events/%ff/body"), Err(StatusCode::NOT_FOUND));
    }

    #[test]
    fn another_method_is_told_which_would_be_right() {
        for (method, path, right) in
            [(Method::GET, "/api/v1/replays", "POST"), (Method::POST, "/api/v1/events", "GET, HEAD")]
        {
            let problem = Route::of(&method, path).err().unwrap();
            assert_eq!(problem.status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(problem.detail, format!("this address takes {right} only"));
        }
    }

    #[test]
    fn a_path_has_one_parameter_at_most_and_belongs_to_one_row_for_each_method() {
        for (place, route) in ROUTES.iter().enumerate() {
            assert!(route.pattern.matches('{').count() <= 1, "{}", route.pattern);
            let mut before = ROUTES.iter().take(place);
            let is_same = |other: &Route| other.pattern == route.pattern && other.methods() == route.methods();
            assert!(!before.any(is_same), "{} stands there twice", route.pattern);
        }
    }
}
