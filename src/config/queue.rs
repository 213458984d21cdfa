//! `[queue]`: where events are kept, and for how long.

use std::{path::PathBuf, time::Duration};

use super::{
    Queue,
    reader::Reader,
    section::{Keys, Section},
    units::{Bounds, DAY},
};

pub(super) const KEYS: Keys =
    Keys { known: &["path", "retention", "dead_letter_retention", "min_free_disk", "deduplication"], later: &[] };

const DEFAULT_PATH: &str = "data";
const DEFAULT_RETENTION: Duration = DAY.saturating_mul(7);
const DEFAULT_DEAD_LETTER_RETENTION: Duration = DAY.saturating_mul(30);
const DEFAULT_DEDUPLICATION: Duration = DAY.saturating_mul(30);
const DEFAULT_MIN_FREE_DISK: u64 = 1 << 30;

/// What is done with an event is done: keeping nothing of it is a choice.
const RETENTION: Bounds<Duration> = Bounds {
    least: Duration::ZERO,
    most: TEN_YEARS,
    reason: "the disk has to hold all events of that time",
    example: "\"7d\"",
};

const DEAD_LETTER_RETENTION: Bounds<Duration> = Bounds {
    least: Duration::from_secs(1),
    most: TEN_YEARS,
    reason: "a dead letter that is thrown away at once is a lost event",
    example: "\"30d\"",
};

const DEDUPLICATION: Bounds<Duration> = Bounds {
    least: Duration::from_secs(1),
    most: TEN_YEARS,
    reason: "without it a request that is sent twice is delivered twice",
    example: "\"30d\"",
};

const MIN_FREE_DISK: Bounds<u64> =
    Bounds { least: 0, most: 1 << 50, reason: "beyond that nothing would ever be accepted", example: "\"1GiB\"" };

/// Longer than anybody keeps calls, and far from where sums of times overflow.
const TEN_YEARS: Duration = DAY.saturating_mul(3652);

/// Reads the section.
pub(super) fn read(section: &Section<'_>, reader: &mut Reader<'_>) -> Queue {
    let mut duration =
        |key, bounds, default| section.field(key).and_then(|field| field.duration(bounds, reader)).unwrap_or(default);
    let retention = duration("retention", &RETENTION, DEFAULT_RETENTION);
    let dead_letter_retention =
        duration("dead_letter_retention", &DEAD_LETTER_RETENTION, DEFAULT_DEAD_LETTER_RETENTION);
    let deduplication = duration("deduplication", &DEDUPLICATION, DEFAULT_DEDUPLICATION);
    let min_free_disk = section.field("min_free_disk").and_then(|field| field.size(&MIN_FREE_DISK, reader));
    Queue {
        path: read_path(section, reader),
        retention,
        dead_letter_retention,
        deduplication,
        min_free_disk: min_free_disk.unwrap_or(DEFAULT_MIN_FREE_DISK),
    }
}

fn read_path(section: &Section<'_>, reader: &mut Reader<'_>) -> PathBuf {
    let default = reader.resolve(DEFAULT_PATH);
    let Some(field) = section.field("path") else { return default };
    match field.text("\"data\"", reader) {
        Some("") => {
            reader.report(field.error("is empty", "\"data\""));
            default
        }
        Some(path) => reader.resolve(path),
        None => default,
    }
}
