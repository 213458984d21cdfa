//! `store compact`: forgets what is past its retention and gives the space back, like a running relay does bit by bit.

use std::time::Duration;

use serde::Serialize;
use tokio::task;

use super::Place;
use crate::{
    cli::{
        failure::{Exit, Failure},
        progress::Progress,
        text::size,
    },
    store::{
        Store, StoreError,
        embedded::{Embedded, Options, Retention, offline::Stopped},
    },
};

/// Smaller than a relay's: waste is tolerated up to the size of what is needed, and two segments.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Serialize)]
struct CompactedView {
    bytes_before: u64,
    bytes_after: u64,
}

/// Runs `store compact`. The retention is the config's, also when the queue is elsewhere.
pub(super) async fn run(place: &Place<'_>) -> Result<(), Failure> {
    let clock = &place.session.clock;
    let queue = place.session.config()?.queue;
    let path = place.path.as_ref().unwrap_or(&queue.path);
    let bytes_before = Stopped::open(path, clock.clone())?.bytes()?;
    let retention = Retention {
        delivered: queue.retention,
        dead_letters: queue.dead_letter_retention,
        deduplication: queue.deduplication,
    };
    let options = Options {
        segment_bytes: SEGMENT_BYTES,
        housekeeping_every: Duration::MAX,
        ..Options::new(path, retention, queue.min_free_disk, clock.clone())
    };
    let progress = Progress::new();
    progress.announce("forgetting what is past its retention, and moving what is left together …");
    tidy(options).await?;
    let stopped = Stopped::open(path, clock.clone())?;
    stopped.shrink_index()?;
    stopped.remove_set_aside()?;
    drop(progress);
    let view = CompactedView { bytes_before, bytes_after: stopped.bytes()? };
    place
        .session
        .console
        .show(&view, |view, _| format!("{} before, {} after.", size(view.bytes_before), size(view.bytes_after)))
}

async fn tidy(options: Options) -> Result<(), Failure> {
    let opened = task::spawn_blocking(move || Embedded::open(options)).await;
    let store = opened.map_err(|error| Failure::new(Exit::Software, error))??;
    let tidied = store.tidy().await;
    let closed = store.close().await;
    tidied.and(closed).map_err(|error: StoreError| Failure::new(Exit::Io, error))
}
