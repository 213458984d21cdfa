//! Opening sled's files, making them durable, and letting go of them.

use std::{
    fs::{self, File},
    io,
    panic::{self, AssertUnwindSafe},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Memory that sled may use for its pages. It keeps one node of some 32 kB in each of its 256 caches whatever this says, and that
/// is enough: the whole relay is to stay within 64 MiB.
const CACHE_BYTES: u64 = 1024 * 1024;
/// How often sled writes its log by itself. What it hasn't written when the process dies is replayed from the journal.
const FLUSH_EVERY_MS: u64 = 500;
/// How long sled's threads may hold the lock of an index that nobody uses any more. They need milliseconds; on a machine
/// without a free processor, more.
const LET_GO_WITHIN: Duration = Duration::from_secs(10);
/// How often to look whether they did.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Lets go of sled last of all. sled panics when it is let go of on a disk that fails. What it could not write then is in the
/// journal, or was synced before, and the next start finds out.
pub(super) struct LastHandle(pub(super) Option<sled::Db>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        let db = self.0.take();
        if panic::catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            tracing::warn!("the index could not write its last bytes; what they said is in the journal");
        }
    }
}

/// Opens sled, and waits for its threads in this process to let go of the same index: they hold its lock for some moments
/// after the last handle is gone. Other processes are kept out by the queue's own lock.
pub(super) fn open_when_let_go_of(path: &Path) -> Result<sled::Db, sled::Error> {
    let config = sled::Config::new()
        .path(path)
        .mode(sled::Mode::LowSpace)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(Some(FLUSH_EVERY_MS));
    let deadline = Instant::now() + LET_GO_WITHIN;
    loop {
        match config.open() {
            Err(error) if is_locked(&error) && Instant::now() < deadline => thread::sleep(LOOK_AGAIN_AFTER),
            opened => return opened,
        }
    }
}

/// sled wraps what the system said in an error of its own; only the text is left.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// Syncs all files below a folder, and the folder. What sled removes in the meantime needs no sync.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folder(&entry.path())?;
        } else {
            match File::open(entry.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => file?.sync_all()?,
            }
        }
    }
    File::open(folder)?.sync_all()
}
