//! `store rebuild`: the index anew, from the journal.

use std::time::Instant;

use serde::Serialize;

use super::{Place, Walk};
use crate::cli::{
    failure::Failure,
    text::{count, size},
};

#[derive(Serialize)]
struct RebuiltView {
    records: u64,
    events: u64,
    waiting: u64,
    damaged_bytes: u64,
    took_ms: u64,
}

/// Runs `store rebuild`.
pub(super) fn run(place: &Place<'_>) -> Result<(), Failure> {
    let stopped = place.open()?;
    let (started, mut walk) = (Instant::now(), Walk::new());
    let rebuilt = stopped.rebuild(|walked| walk.show(walked));
    drop(walk);
    let rebuilt = rebuilt?;
    let view = RebuiltView {
        records: rebuilt.records,
        events: rebuilt.events,
        waiting: rebuilt.waiting,
        damaged_bytes: rebuilt.damaged_bytes,
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    place.session.console.show(&view, |view, _| words(view))
}

fn words(view: &RebuiltView) -> String {
    let events = count(view.events, "event", "events");
    let waiting = count(view.waiting, "delivery waits", "deliveries wait");
    let records = count(view.records, "record", "records");
    let mut lines = vec![
        format!("The index was made anew from {records} of the journal, in {} ms: {events}, {waiting}.", view.took_ms),
        "The old one is in index.set-aside: nothing needs it.".to_owned(),
    ];
    if view.damaged_bytes > 0 {
        let damaged = size(view.damaged_bytes);
        lines.push(format!(
            "{damaged} of the journal are damaged and were skipped: `atoms-relay store verify` says where."
        ));
    }
    lines.join("\n")
}
