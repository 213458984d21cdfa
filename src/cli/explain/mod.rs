//! `explain`: where an event would go, why not elsewhere, and what exactly would be sent, or what of that another
//! configuration would change. Nothing is sent or stored.

mod comparison;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use sha2::{Digest, Sha256};

use self::comparison::Comparison;
use super::{
    Session,
    failure::{Exit, Failure},
    preview::{Preview, alert, previews, received},
    send::chosen_source,
    table::Tone,
    text::{harmless, harmless_lines, hex, size},
    usable,
};
use crate::{
    config::{Colour, Config},
    model::{DedupKey, Event, Name, OWN_SOURCE, Reading, Timestamp},
    route::{Fit, Mismatch, Route, Subject},
};

/// The arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atoms-relay explain event.json
  atoms-relay explain event.json --diff new.toml
  atoms-relay events show 0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f --body | atoms-relay explain -")]
pub(super) struct ExplainArgs {
    /// A file with the body of an event or of an alert; `-` reads standard input.
    file: PathBuf,
    /// The source that it would come from; not needed when the config has one only.
    #[arg(long, value_name = "NAME")]
    source: Option<Name>,
    /// Show what this other configuration would do differently.
    #[arg(long, value_name = "FILE")]
    diff: Option<PathBuf>,
}

/// All that would happen to an event.
#[derive(Debug, Serialize)]
struct ExplanationView {
    source: Name,
    #[serde(rename = "type")]
    event_type: Option<String>,
    agent: Option<String>,
    call: Option<String>,
    source_id: Option<String>,
    quarantine_reason: Option<String>,
    /// Two events of a source with the same key are one event.
    deduplication_key: String,
    body_bytes: u64,
    body_sha256: String,
    routes: Vec<RouteView>,
    requests: Vec<RequestView>,
}

#[derive(Debug, Serialize)]
struct RouteView {
    name: String,
    matches: bool,
    mismatch: Option<String>,
    to: Vec<Name>,
}

#[derive(Debug, Serialize)]
struct RequestView {
    destination: Name,
    /// Method and address, without anything secret.
    request: Option<String>,
    headers: Vec<(String, String)>,
    /// The body, with masks for secrets; nothing when it goes out as it came.
    body: Option<String>,
    /// Why no request can be made of it.
    unsendable: Option<String>,
}

/// Runs `explain`.
pub(super) fn run(args: &ExplainArgs, session: &Session) -> Result<(), Failure> {
    let body = read_file(&args.file)?;
    let config = session.config()?;
    let event = event(args, body, &config, session.clock.now())?;
    match &args.diff {
        None => session.console.show(&explanation(&event, &config), words),
        Some(path) => {
            let comparison = Comparison::of(&event, &config, &usable(Some(path))?.1, path);
            session.console.show(&comparison, comparison::words)
        }
    }
}

/// The event that has this body: the relay's own, where it is of an alert and nobody names another source.
fn event(args: &ExplainArgs, body: Vec<u8>, config: &Config, now: Timestamp) -> Result<Event, Failure> {
    let own = if args.source.is_none() { alert(&body, now)? } else { None };
    own.map_or_else(|| received(chosen_source(config, args.source.as_ref())?, body, now), Ok)
}

/// The bytes of a file; `-` stands for standard input.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| Failure::new(Exit::Io, format_args!("can't read {}: {error}", path.display())))
}

fn explanation(event: &Event, config: &Config) -> ExplanationView {
    let envelope = event.reading.envelope();
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
    ExplanationView {
        source: event.source.clone(),
        event_type: envelope.map(|envelope| envelope.event_type.to_string()),
        agent: envelope.and_then(|envelope| text(&envelope.agent)),
        call: envelope.and_then(|envelope| text(&envelope.call)),
        source_id: envelope.and_then(|envelope| text(&envelope.id)),
        quarantine_reason: match &event.reading {
            Reading::Quarantined(reason) => Some(reason.to_string()),
            Reading::Read(_) => None,
        },
        deduplication_key: format!("{:?}", DedupKey::of(&event.source, &event.reading, &event.body)),
        body_bytes: event.body.len() as u64,
        body_sha256: hex(&Sha256::digest(&event.body)),
        routes: routes(event, config),
        requests: previews(event, config).into_iter().map(RequestView::of).collect(),
    }
}

fn routes(event: &Event, config: &Config) -> Vec<RouteView> {
    if event.reading.envelope().is_none() {
        return Vec::new();
    }
    let subject = Subject::of(event);
    let view = |route: &Route| {
        let mismatch = mismatch(route, &subject);
        RouteView { name: route.name.clone(), matches: mismatch.is_none(), mismatch, to: route.to.clone() }
    };
    config.routes.as_slice().iter().map(view).collect()
}

/// Why a route doesn't want an event.
fn mismatch(route: &Route, subject: &Subject<'_>) -> Option<String> {
    match route.fit(subject) {
        Fit::Wanted => None,
        Fit::Unwanted(Mismatch::When) => Some(false_parts(route, subject)),
        Fit::Unwanted(mismatch) => Some(mismatch.to_string()),
        Fit::Undecided(error) => Some(format!("its `when` can't be decided: {error}")),
    }
}

/// Which parts of a route's `when` are false. The rest of it is true, or nobody asked.
fn false_parts(route: &Route, subject: &Subject<'_>) -> String {
    let parts = route.when.iter().flat_map(|when| when.parts(subject.scope()));
    let parts: Vec<String> =
        parts.filter(|part| part.value == Ok(false)).map(|part| format!("`{}`", part.source)).collect();
    format!("{} {} false", parts.join(" and "), if parts.len() == 1 { "is" } else { "are" })
}

impl RequestView {
    fn of(preview: Preview) -> Self {
        let Preview { destination, request } = preview;
        match request {
            Ok(request) => Self {
                destination,
                request: Some(request.line()),
                body: (!request.is_raw()).then(|| request.text()),
                headers: request.headers,
                unsendable: None,
            },
            Err(why) => Self { destination, request: None, headers: Vec::new(), body: None, unsendable: Some(why) },
        }
    }
}

fn words(view: &ExplanationView, colour: Colour) -> String {
    let fact = |name: &str, text: Option<&str>| {
        format!(
            "{} {}",
            Tone::Faint.paint(&format!("{name:<12}"), colour),
            text.map_or_else(|| "-".to_owned(), harmless)
        )
    };
    let mut lines = match &view.quarantine_reason {
        Some(reason) => vec![fact("quarantined", Some(reason))],
        None => vec![fact("type", view.event_type.as_deref())],
    };
    lines.extend([
        fact("source", Some(view.source.as_str())),
        fact("agent", view.agent.as_deref()),
        fact("call", view.call.as_deref()),
        fact("sender's id", view.source_id.as_deref()),
        fact("dedup key", Some(&view.deduplication_key)),
        fact("body", Some(&format!("{}, SHA-256 {}", size(view.body_bytes), view.body_sha256))),
        String::new(),
    ]);
    lines.extend(view.routes.iter().map(|route| route_line(route, colour)));
    if !view.routes.is_empty() {
        lines.push(String::new());
    }
    lines.push(where_to(view));
    lines.extend(view.requests.iter().map(|request| request_lines(request, colour)));
    lines.join("\n")
}

fn route_line(route: &RouteView, colour: Colour) -> String {
    let name = harmless(&route.name);
    match &route.mismatch {
        None => {
            let to: Vec<&str> = route.to.iter().map(Name::as_str).collect();
            format!("{} {name} → {}", Tone::Good.paint("yes", colour), to.join(", "))
        }
        Some(mismatch) => format!("{} {name}: {mismatch}", Tone::Faint.paint("no ", colour)),
    }
}

fn where_to(view: &ExplanationView) -> String {
    match (&view.quarantine_reason, view.requests.len()) {
        (Some(_), _) => "It would be stored in quarantine, answered 200 and sent nowhere.".to_owned(),
        (None, 0) if view.source.as_str() == OWN_SOURCE => "`[alerts]` names nobody who would get it.".to_owned(),
        (None, 0) => "It would be stored as unrouted, answered 200 and sent nowhere.".to_owned(),
        (None, _) => "These requests would be sent:".to_owned(),
    }
}

fn request_lines(view: &RequestView, colour: Colour) -> String {
    let name = Tone::Strong.paint(view.destination.as_str(), colour);
    let mut lines = vec![String::new()];
    match (&view.request, &view.unsendable) {
        (Some(request), _) => lines.push(format!("{name}: {}", harmless(request))),
        (None, why) => lines.push(format!("{name}: no request can be made: {}", why.as_deref().unwrap_or("unknown"))),
    }
    lines.extend(view.headers.iter().map(|(header, value)| format!("  {header}: {}", harmless(value))));
    if view.request.is_some() {
        lines.extend([String::new(), body_lines(view)]);
    }
    lines.join("\n")
}

fn body_lines(view: &RequestView) -> String {
    match &view.body {
        Some(body) => harmless_lines(body).lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"),
        None => "  and the body as it is".to_owned(),
    }
}
