//! A start: from what the last process left to a store whose threads run.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use tokio::sync::mpsc;

use super::{
    Embedded, OpenError, Options,
    ballast::Ballast,
    checkpoint::Witness,
    committer::Committer,
    damage::Damage,
    disk::Disk,
    health::Health,
    housekeeping::Housekeeping,
    journal::{Foreign, Journal, Segments},
    leases::Leases,
    lock::Lock,
    reader::Reader,
    recovery,
    threads::Threads,
    wakes::Wakes,
};

/// Commands that wait for the committer at most; whoever comes then waits for a place. Four full batches: enough that the
/// committer never idles, little enough that a settlement doesn't wait behind seconds of accepts.
const MAX_WAITING: usize = 4096;

impl Embedded {
    /// Opens the store, recovering what the last process left.
    ///
    /// # Errors
    /// [`OpenError`]; nothing on disk was made worse.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let Options { path, retention, min_free_disk, segment_bytes, index_floor, housekeeping_every, .. } = options;
        let Options { disk, boot_id, clock, syncs, .. } = options;
        disk.create_dir_all(&path).map_err(|error| OpenError::io("create", &path, error))?;
        let lock = Arc::new(Lock::take(&path).map_err(|error| OpenError::lock(&path, error))?);
        let ballast = open_ballast(&disk, &path, min_free_disk)?;
        let segments = open_segments(&disk, &path)?;
        let recovery::Recovered { index, totals, report } = recovery::recover(&*disk, &path, &segments, &boot_id)?;
        let journal = Journal::start(Arc::clone(&segments), segment_bytes, clock.now())
            .map_err(|error| OpenError::io("start a journal segment in", &path, error))?;

        let (inbox, commands) = mpsc::channel(MAX_WAITING);
        let (leases, totals) = (Arc::new(Leases::default()), Arc::new(Mutex::new(totals)));
        let health = Health::new(Witness { disk: Arc::clone(&disk), dir: path.clone() });
        let wakes = Arc::new(Wakes::default());
        let reader = Reader {
            index: index.clone(),
            segments: Arc::clone(&segments),
            totals: Arc::clone(&totals),
            leases: Arc::clone(&leases),
            fronts: Arc::default(),
            damage: Arc::new(Damage::found_by(&report)),
            _lock: lock,
        };
        let housekeeping = Housekeeping {
            inbox: inbox.clone(),
            reader: reader.clone(),
            health: Arc::clone(&health),
            retention,
            min_free_disk,
            ballast: Arc::new(Mutex::new(ballast)),
            growth: Arc::default(),
            rounds: Arc::default(),
            segment_bytes,
            index_floor,
            purged_to: Arc::default(),
            is_stopping: Arc::default(),
            disk: Arc::clone(&disk),
            dir: path.clone(),
            boot_id: boot_id.clone(),
            clock: clock.clone(),
        };
        // From here on the store counts as in use: what a crash leaves is not what was closed in good order.
        housekeeping
            .checkpoint()
            .map_err(|error| OpenError::Housekeeping { path: path.clone(), reason: error.to_string() })?;
        housekeeping.watch_disk();

        let committer = Committer {
            journal,
            segments,
            index,
            totals,
            leases,
            wakes: Arc::clone(&wakes),
            reader: reader.clone(),
            health: Arc::clone(&health),
            clock: clock.clone(),
            retention,
            disk,
            dir: path.clone(),
            boot_id,
            syncs,
        };
        let (forgotten, wait_for_it) = std::sync::mpsc::channel();
        let forgotten = (report.rebuilt.is_some() || report.replayed > 0).then_some(forgotten);
        let threads = Threads::start(committer, commands, housekeeping.clone(), housekeeping_every, forgotten)
            .map_err(|error| OpenError::io("start the threads for", &path, error))?;
        // Nothing is ever sent. This ends when the other side is dropped: at once when there was nothing to forget.
        while wait_for_it.recv().is_ok() {}
        let threads = Mutex::new(threads);
        Ok(Self { inbox, reader, health, wakes, clock, report, housekeeping, threads })
    }
}

/// The ballast, after it has made the room that this start needs.
fn open_ballast(disk: &Arc<dyn Disk>, path: &Path, min_free_disk: u64) -> Result<Ballast, OpenError> {
    let find = || {
        let mut ballast = Ballast::find(Arc::clone(disk), path, min_free_disk)?;
        if ballast.release_if_needed(disk.free_bytes(path)?)? {
            tracing::warn!("the disk is full: the ballast was given up, to start and to deliver what waits");
        }
        io::Result::Ok(ballast)
    };
    find().map_err(|error| OpenError::io("make room in", path, error))
}

/// The journal's segments.
pub(super) fn open_segments(disk: &Arc<dyn Disk>, path: &Path) -> Result<Arc<Segments>, OpenError> {
    let dir = path.join("journal");
    let opened =
        Segments::open(Arc::clone(disk), &dir).map_err(|error| OpenError::io("read the journal in", &dir, error));
    opened?.map_err(|Foreign { file, format }| OpenError::Foreign { file: dir.join(file), format })
}
