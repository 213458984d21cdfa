//! `[alerts]`: who is told when something is wrong with the relay, and from where on.

use std::{
    collections::BTreeMap,
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

use super::{
    Destination, Queue, entries,
    field::Field,
    problem::Problem,
    rate,
    reader::Reader,
    route,
    section::{Keys, Section},
    units::{Bounds, DAY, HOUR, MINUTE},
};
use crate::{alert::Policy, model::Name, rate::Window, transform::Body};

pub(super) const KEYS: Keys = Keys {
    known: &[
        "to",
        "name",
        "dead_letters",
        "backlog_age",
        "failing",
        "disk_free",
        "disk_full_in",
        "signature_failures",
        "quiet",
        "repeat",
        "gather",
    ],
    later: &[],
};

const TO_EXAMPLE: &str = "[\"slack\"]";
const DEFAULT_NAME: &str = "atoms-relay";
const DEFAULT_BACKLOG_AGE: Duration = MINUTE.saturating_mul(15);
const DEFAULT_FAILING: Duration = MINUTE.saturating_mul(5);
const DEFAULT_DISK_FULL_IN: Duration = HOUR.saturating_mul(4);
const DEFAULT_REPEAT: Duration = HOUR.saturating_mul(4);
const DEFAULT_GATHER: Duration = Duration::from_secs(30);
/// A rotated secret refuses every event; one stranger's slip is no reason to wake anybody.
const DEFAULT_SIGNATURE_FAILURES: Window =
    Window { limit: NonZeroUsize::new(10).unwrap(), length: MINUTE.saturating_mul(5) };

/// Free bytes at which people are told, in units of `min_free_disk`, at which nothing is accepted any more: not even an alert.
const ROOM_TO_TELL: u64 = 2;

const WAIT: Bounds<Duration> = Bounds {
    least: Duration::from_secs(1),
    most: DAY.saturating_mul(30),
    reason: "an alert is for what a person can still mend",
    example: "\"15m\"",
};

const REPEAT: Bounds<Duration> = Bounds {
    least: MINUTE,
    most: DAY.saturating_mul(30),
    reason: "what is repeated more often isn't read any more",
    example: "\"4h\"",
};

const GATHER: Bounds<Duration> =
    Bounds { least: Duration::ZERO, most: HOUR, reason: "each message waits for so long", example: "\"30s\"" };

const FREE: Bounds<u64> =
    Bounds { least: 0, most: 1 << 50, reason: "beyond that it would always be told", example: "\"5GiB\"" };

/// Reads the section, if the file has one.
pub(super) fn read(
    root: &Section<'_>,
    queue: &Queue,
    destinations: &[Destination],
    reader: &mut Reader<'_>,
) -> Option<Policy> {
    root.field("alerts")?;
    let section = root.section("alerts", &KEYS, reader);
    let to = read_to(&section, root, destinations, reader);
    let mut duration =
        |key, bounds, default| section.field(key).and_then(|field| field.duration(bounds, reader)).unwrap_or(default);
    let backlog_age = duration("backlog_age", &WAIT, DEFAULT_BACKLOG_AGE);
    let failing = duration("failing", &WAIT, DEFAULT_FAILING);
    let disk_full_in = duration("disk_full_in", &WAIT, DEFAULT_DISK_FULL_IN);
    let repeat = duration("repeat", &REPEAT, DEFAULT_REPEAT);
    let gather = duration("gather", &GATHER, DEFAULT_GATHER);
    let disk_free = section.field("disk_free").and_then(|field| field.size(&FREE, reader));
    let forged = section.field("signature_failures").and_then(|field| rate::read_one(&field, reader));
    Some(Policy {
        relay: read_name(&section, reader),
        dead_letters: read_dead_letters(&section, reader),
        quiet: read_quiet(&section, root, reader),
        to: to?,
        backlog_age,
        failing,
        disk_free: disk_free.unwrap_or(queue.min_free_disk.saturating_mul(ROOM_TO_TELL)),
        disk_full_in,
        signature_failures: forged.unwrap_or(DEFAULT_SIGNATURE_FAILURES),
        repeat,
        gather,
    })
}

/// Whom `to` names, rightly or not: no route has to lead there.
pub(super) fn named_in<'t>(root: &Section<'t>) -> Vec<&'t str> {
    let section = root.field("alerts").and_then(|field| Section::with_free_keys(String::new(), &field).ok());
    let items = section.and_then(|section| section.field("to")).and_then(|to| to.items()).unwrap_or_default();
    items.iter().filter_map(|item| item.value().as_str()).collect()
}

fn read_to(
    section: &Section<'_>,
    root: &Section<'_>,
    destinations: &[Destination],
    reader: &mut Reader<'_>,
) -> Option<Vec<Name>> {
    let field = section.required("to", TO_EXAMPLE, reader)?;
    if field.items().is_some_and(|items| items.is_empty()) {
        reader.report(field.error("names nobody", TO_EXAMPLE));
    }
    let mut to: Vec<Name> = Vec::new();
    for name in route::read_names(&field, "destination", root, reader) {
        if !to.contains(&name) {
            to.push(name);
        }
    }
    for destination in destinations.iter().filter(|destination| to.contains(&destination.name)) {
        warn_of_shape(&field, destination, reader);
    }
    Some(to)
}

/// Warns when a destination wants a body of a shape that alerts don't have.
fn warn_of_shape(field: &Field<'_>, destination: &Destination, reader: &mut Reader<'_>) {
    let (target, name) = (&destination.target, &destination.name);
    if matches!(target.body, Body::Json(_) | Body::Text(_)) && matches!(target.alert, Body::Raw) {
        let message = format!("`{name}` gets alerts as `{{ text, alert }}`, not in the shape of its own body");
        let help = format!("write `alert = {{ … }}` into [destination.{name}] if it wants another shape");
        reader.report(Problem::warning(field.span(), message).help(help));
    }
}

fn read_name(section: &Section<'_>, reader: &mut Reader<'_>) -> String {
    let name = section.field("name").and_then(|field| field.text("\"relay in Frankfurt\"", reader));
    name.unwrap_or(DEFAULT_NAME).to_owned()
}

fn read_dead_letters(section: &Section<'_>, reader: &mut Reader<'_>) -> NonZeroU64 {
    let field = section.field("dead_letters");
    let count = field.and_then(|field| field.count(usize::MAX, "1", reader));
    count.and_then(|count| NonZeroU64::new(count.get() as u64)).unwrap_or(NonZeroU64::MIN)
}

fn read_quiet(section: &Section<'_>, root: &Section<'_>, reader: &mut Reader<'_>) -> BTreeMap<Name, Duration> {
    let known = entries::names("source", root);
    let known: Vec<&str> = known.iter().map(Field::key).collect();
    let mut quiet = BTreeMap::new();
    for field in section.free_table("quiet", "{ atoms = \"2h\" }", reader) {
        let source = route::read_reference(field.key(), field.key_span(), "source", &known, reader);
        let limit = field.duration(&WAIT, reader);
        quiet.extend(source.zip(limit));
    }
    quiet
}
