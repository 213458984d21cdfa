//! The store, opened as `[queue]` wants it, and what is to be said of that.

use std::sync::Arc;

use tokio::task;

use super::StartError;
use crate::{
    clock::Clock,
    config::Queue,
    store::{
        Store,
        embedded::{Embedded, Options, Report, Retention},
    },
    telemetry::Metrics,
};

/// Opens the queue, and makes good what a crash left behind.
pub(super) async fn open(queue: &Queue, clock: &Clock, metrics: &mut Metrics) -> Result<Arc<dyn Store>, StartError> {
    let retention = Retention {
        delivered: queue.retention,
        dead_letters: queue.dead_letter_retention,
        deduplication: queue.deduplication,
    };
    let options = Options::new(&queue.path, retention, queue.min_free_disk, clock.clone());
    let options = Options { syncs: metrics.syncs(), ..options };
    let opened = task::spawn_blocking(move || Embedded::open(options)).await;
    let store = opened.map_err(|_| StartError::Bug("the queue"))??;
    let report = store.report();
    tell(report);
    metrics.store_opened(report.rebuilt.is_some().into());
    Ok(Arc::new(store))
}

fn tell(report: &Report) {
    if let Some(reason) = &report.rebuilt {
        tracing::warn!("the queue's index was rebuilt from the journal ({} records): {reason}", report.replayed);
    } else if report.replayed > 0 {
        tracing::info!("the queue's index caught up with {} records of the journal", report.replayed);
    }
}
