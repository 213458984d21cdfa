//! A disk with the troubles that disks have: no room, and syncs that take their time.

use std::{
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex},
};

use atoms_relay::store::embedded::disk::{Disk, DiskFile, RealDisk};

/// The real disk, until trouble is made.
#[derive(Clone, Default)]
pub struct TroubledDisk(Arc<State>);

#[derive(Default)]
struct State {
    trouble: Mutex<Trouble>,
    changed: Condvar,
}

#[derive(Default)]
struct Trouble {
    is_full: bool,
    is_stuck: bool,
}

impl TroubledDisk {
    /// Whether there is no room left.
    pub fn set_full(&self, is_full: bool) {
        self.0.trouble.lock().unwrap().is_full = is_full;
    }

    /// Whether syncs have to wait until this is taken back.
    pub fn set_stuck(&self, is_stuck: bool) {
        self.0.trouble.lock().unwrap().is_stuck = is_stuck;
        self.0.changed.notify_all();
    }

    fn wait_while_stuck(&self) {
        let trouble = self.0.trouble.lock().unwrap();
        drop(self.0.changed.wait_while(trouble, |trouble| trouble.is_stuck).unwrap());
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(TroubledFile { file, disk: self.clone() })
    }
}

impl Disk for TroubledDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(RealDisk.open(path)?))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        if self.0.trouble.lock().unwrap().is_full { Ok(0) } else { RealDisk.free_bytes(path) }
    }
}

struct TroubledFile {
    file: Arc<dyn DiskFile>,
    disk: TroubledDisk,
}

impl DiskFile for TroubledFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.wait_while_stuck();
        self.file.sync()
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.file.drop_cache()
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        self.file.set_size(bytes)
    }
}
