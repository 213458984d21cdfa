//! The store and the audit trail beside it, opened as `[queue]` wants them, and what is to be said of that.

use std::{path::PathBuf, sync::Arc};

use tokio::task;

use super::StartError;
use crate::{
    audit::Trail,
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

/// Opens the audit trail in the queue's folder, which has to be ours: [`open`] comes first.
pub(super) async fn open_trail(folder: PathBuf) -> Result<Arc<Trail>, StartError> {
    let opened = task::spawn_blocking(move || Trail::open(&folder)).await;
    let (trail, cut_off) = opened.map_err(|_| StartError::Bug("the audit trail"))??;
    if cut_off > 0 {
        tracing::warn!("the last entry of the audit trail was not whole: {cut_off} bytes of it were cut off");
    }
    Ok(Arc::new(trail))
}

fn tell(report: &Report) {
    if let Some(reason) = &report.rebuilt {
        tracing::warn!("the queue's index was rebuilt from the journal ({} records): {reason}", report.replayed);
    } else if report.replayed > 0 {
        tracing::info!("the queue's index caught up with {} records of the journal", report.replayed);
    }
}
