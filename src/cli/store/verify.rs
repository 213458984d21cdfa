//! `store verify`: what is in a queue, what is wrong with it, and what to do.

use serde::Serialize;

use super::{Place, Walk};
use crate::{
    cli::{
        failure::{Exit, Failure},
        table::{Cell, Side, Table, Tone},
        text::{count, grouped, size},
    },
    config::Colour,
    model::Name,
    store::embedded::offline::{Contents, DeliveryCounts, Finding, SegmentContents, Severity, Verification},
};

#[derive(Serialize)]
struct VerificationView {
    damaged: bool,
    events: u64,
    unrouted: u64,
    quarantined: u64,
    destinations: Vec<DestinationView>,
    segments: Vec<SegmentView>,
    findings: Vec<FindingView>,
}

#[derive(Serialize)]
struct DestinationView {
    name: Name,
    paused: bool,
    waiting: u64,
    delivered: u64,
    dead: u64,
    discarded: u64,
    expired: u64,
}

#[derive(Serialize)]
struct SegmentView {
    number: u64,
    bytes: u64,
    events: u64,
    moves: u64,
    remembered: u64,
    pauses: u64,
    rendered: u64,
    rerouted: u64,
    damaged_bytes: u64,
}

#[derive(Serialize)]
struct FindingView {
    severity: &'static str,
    what: String,
    advice: &'static str,
    segment: Option<u64>,
    offset: Option<u64>,
    bytes: Option<u64>,
}

/// Runs `store verify`.
pub(super) fn run(place: &Place<'_>) -> Result<(), Failure> {
    let stopped = place.open()?;
    let scratch = tempfile::tempdir()
        .map_err(|error| Failure::new(Exit::Io, format_args!("can't make a scratch folder: {error}")))?;
    let mut walk = Walk::new();
    let verified = stopped.verify(scratch.path(), |walked| walk.show(walked));
    drop(walk);
    let view = VerificationView::of(verified?);
    place.session.console.show(&view, words)?;
    if view.damaged { Err(Failure::told(Exit::Data)) } else { Ok(()) }
}

impl VerificationView {
    fn of(verified: Verification) -> Self {
        let Contents { events, unrouted, quarantined, destinations, paused } = verified.contents;
        let destination = |(name, counts): (Name, DeliveryCounts)| DestinationView {
            paused: paused.contains(&name),
            name,
            waiting: counts.waiting,
            delivered: counts.delivered,
            dead: counts.dead,
            discarded: counts.discarded,
            expired: counts.expired,
        };
        Self {
            damaged: verified.findings.iter().any(|finding| finding.severity() == Severity::Damage),
            events,
            unrouted,
            quarantined,
            destinations: destinations.into_iter().map(destination).collect(),
            segments: verified.segments.into_iter().map(SegmentView::from).collect(),
            findings: verified.findings.iter().map(FindingView::from).collect(),
        }
    }
}

impl From<SegmentContents> for SegmentView {
    fn from(contents: SegmentContents) -> Self {
        let SegmentContents { number, bytes, kept, moved, remembered, paused, rendered, routed, damaged_bytes } =
            contents;
        let (events, moves, pauses, rerouted) = (kept, moved, paused, routed);
        Self { number, bytes, events, moves, remembered, pauses, rendered, rerouted, damaged_bytes }
    }
}

impl From<&Finding> for FindingView {
    fn from(finding: &Finding) -> Self {
        let severity = match finding.severity() {
            Severity::Note => "note",
            Severity::Damage => "damage",
        };
        let (segment, offset, bytes) = finding.place();
        Self { severity, what: finding.to_string(), advice: finding.advice(), segment, offset, bytes }
    }
}

fn words(view: &VerificationView, colour: Colour) -> String {
    let mut parts = vec![segments(&view.segments).render(colour), holdings(view, colour)];
    parts.extend(view.findings.iter().map(|finding| finding_words(finding, colour)));
    parts.push(if view.damaged {
        Tone::Bad.paint("Damage was found.", colour)
    } else {
        Tone::Good.paint("All is well.", colour)
    });
    parts.join("\n")
}

fn segments(segments: &[SegmentView]) -> Table {
    let mut table = Table::new([
        ("SEGMENT", Side::Right),
        ("BYTES", Side::Right),
        ("EVENTS", Side::Right),
        ("MOVES", Side::Right),
        ("REMEMBERED", Side::Right),
        ("PAUSES", Side::Right),
        ("RENDERED", Side::Right),
        ("REROUTED", Side::Right),
        ("DAMAGED", Side::Right),
    ]);
    for segment in segments {
        let damaged = match segment.damaged_bytes {
            0 => Cell(Tone::Faint, "-".to_owned()),
            bytes => Cell(Tone::Bad, size(bytes)),
        };
        table.row([
            segment.number.to_string().into(),
            size(segment.bytes).into(),
            grouped(segment.events).into(),
            grouped(segment.moves).into(),
            grouped(segment.remembered).into(),
            grouped(segment.pauses).into(),
            grouped(segment.rendered).into(),
            grouped(segment.rerouted).into(),
            damaged,
        ]);
    }
    table
}

fn holdings(view: &VerificationView, colour: Colour) -> String {
    let events = count(view.events, "event", "events");
    let mut lines = vec![format!("{events}, {} unrouted, {} in quarantine", view.unrouted, view.quarantined)];
    let mut table = Table::new([
        ("DESTINATION", Side::Left),
        ("WAITING", Side::Right),
        ("DELIVERED", Side::Right),
        ("DEAD", Side::Right),
        ("DISCARDED", Side::Right),
        ("EXPIRED", Side::Right),
        ("", Side::Left),
    ]);
    for destination in &view.destinations {
        table.row([
            destination.name.to_string().into(),
            grouped(destination.waiting).into(),
            grouped(destination.delivered).into(),
            grouped(destination.dead).into(),
            grouped(destination.discarded).into(),
            grouped(destination.expired).into(),
            Cell(Tone::Warning, if destination.paused { "paused" } else { "" }.to_owned()),
        ]);
    }
    if !table.is_empty() {
        lines.push(table.render(colour));
    }
    lines.join("\n")
}

fn finding_words(finding: &FindingView, colour: Colour) -> String {
    let tone = if finding.severity == "damage" { Tone::Bad } else { Tone::Warning };
    format!("{} {}\n  {}", tone.paint(&format!("{}:", finding.severity), colour), finding.what, finding.advice)
}
