//! How to open a store, and what is derived rather than asked.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    Retention,
    disk::{Disk, RealDisk},
};
use crate::{clock::Clock, telemetry::Durations};

/// Segments are about this long. Small enough that space comes back soon, large enough that a million events make 90 files.
pub(super) const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Not worth the while: sled's files begin with some megabytes, and grow and shrink with a day's traffic.
const INDEX_FLOOR: u64 = 64 * 1024 * 1024;
/// How often expired events are looked for. The shortest retention that makes sense is minutes.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// The folder of the queue; created when it is missing.
    pub path: PathBuf,
    /// How long what is kept.
    pub retention: Retention,
    /// With less than this many bytes free, no event is accepted.
    pub min_free_disk: u64,
    /// About how long a journal segment is, in bytes.
    pub segment_bytes: u64,
    /// Below this many bytes the index's files aren't made smaller, whatever they hold.
    pub index_floor: u64,
    /// How often expired events are looked for.
    pub housekeeping_every: Duration,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// Names the present boot of the machine: another one means that unsynced data may be gone.
    pub boot_id: String,
    /// The time.
    pub clock: Clock,
    /// Where it is noted how long syncs take.
    pub syncs: Durations,
}

impl Options {
    /// A store in `path` on the real disk.
    ///
    /// Where the system doesn't name its boots, each start counts as one: the index is rebuilt whenever the store wasn't
    /// closed in good order.
    #[must_use]
    pub fn new(path: &Path, retention: Retention, min_free_disk: u64, clock: Clock) -> Self {
        Self {
            path: path.to_owned(),
            retention,
            min_free_disk,
            segment_bytes: SEGMENT_BYTES,
            index_floor: INDEX_FLOOR,
            housekeeping_every: HOUSEKEEPING_EVERY,
            disk: Arc::new(RealDisk),
            boot_id: present_boot(&clock),
            clock,
            syncs: Durations::default(),
        }
    }
}

/// Names the present boot of the machine.
pub(super) fn present_boot(clock: &Clock) -> String {
    let unnamed = || format!("unnamed boot, process {} at {}", std::process::id(), clock.now());
    fs::read_to_string(BOOT_ID_FILE).unwrap_or_else(|_| unnamed())
}
