//! A disk in memory that keeps what was written and what was synced apart, so that the power can be cut.
//!
//! At a cut each unsynced 4 KiB block, each change of a file's size and each unsynced change of a directory survives or not, by
//! the roll of the dice. It can also fail its Nth operation.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use atoms_relay::store::embedded::disk::{Disk, DiskFile};

const BLOCK: usize = 4096;

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What a running process sees.
    live: BTreeMap<PathBuf, Inode>,
    /// What is there after a power cut, whatever the dice say.
    durable: BTreeMap<PathBuf, Inode>,
    operations: u64,
    /// The operation that fails, and whether all after it fail as well.
    fault: Option<Fault>,
}

/// Which operation fails.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    /// Its number, from 1, counted from when the fault was set.
    pub(crate) at: u64,
    /// Whether everything fails from then on.
    pub(crate) for_good: bool,
}

type Inode = Arc<Mutex<Content>>;

#[derive(Default, Clone)]
struct Content {
    live: Vec<u8>,
    synced: Vec<u8>,
}

struct SimFile {
    disk: SimDisk,
    inode: Inode,
}

impl SimDisk {
    /// Cuts the power: what wasn't synced survives, piece by piece, when `survives` says so. Files that are still open
    /// belong to the world before.
    pub(crate) fn cut_power(&self, mut survives: impl FnMut() -> bool) {
        let mut state = self.0.lock().unwrap();
        let names: BTreeSet<PathBuf> = state.live.keys().chain(state.durable.keys()).cloned().collect();
        let mut after = BTreeMap::new();
        for name in names {
            let (live, durable) = (state.live.get(&name), state.durable.get(&name));
            let same = matches!((live, durable), (Some(live), Some(durable)) if Arc::ptr_eq(live, durable));
            let entry = if same || survives() { live } else { durable };
            if let Some(inode) = entry {
                let bytes = inode.lock().unwrap().after_cut(&mut survives);
                after.insert(name, Arc::new(Mutex::new(Content { live: bytes.clone(), synced: bytes })));
            }
        }
        *state = State { live: after.clone(), durable: after, operations: 0, fault: None };
    }

    /// Makes an operation from now on fail.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.0.lock().unwrap();
        state.operations = 0;
        state.fault = fault;
    }

    /// Operations since the fault was set, or the power cut.
    pub(crate) fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// Flips a bit of a file.
    pub(crate) fn flip(&self, name: &Path, byte: usize, bit: u8) {
        let state = self.0.lock().unwrap();
        let mut content = state.live[name].lock().unwrap();
        content.live[byte] ^= 1 << bit;
    }

    /// Names and sizes of all files.
    pub(crate) fn files(&self) -> Vec<(PathBuf, usize)> {
        let state = self.0.lock().unwrap();
        state.live.iter().map(|(name, inode)| (name.clone(), inode.lock().unwrap().live.len())).collect()
    }

    fn operate<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        state.operations += 1;
        let number = state.operations;
        match state.fault {
            Some(fault) if number == fault.at || (fault.for_good && number > fault.at) => {
                Err(io::Error::from_raw_os_error(5))
            }
            _ => act(&mut state),
        }
    }

    fn file(&self, inode: &Inode) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), inode: Arc::clone(inode) })
    }
}

impl Content {
    fn after_cut(&self, survives: &mut impl FnMut() -> bool) -> Vec<u8> {
        let size = if self.live.len() == self.synced.len() || survives() { self.live.len() } else { self.synced.len() };
        let padded = |of: &[u8]| [&of[..of.len().min(size)], &vec![0; size.saturating_sub(of.len())]].concat();
        let (mut bytes, live) = (padded(&self.synced), padded(&self.live));
        for (block, live) in bytes.chunks_mut(BLOCK).zip(live.chunks(BLOCK)) {
            if block != live && survives() {
                block.copy_from_slice(live);
            }
        }
        bytes
    }
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Disk for SimDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        // Locks and the index live on the real disk, in a folder of the same name.
        std::fs::create_dir_all(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.operate(|state| {
            if state.live.contains_key(path) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            Ok(Arc::clone(state.live.entry(path.to_owned()).or_default()))
        })?;
        Ok(self.file(&inode))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.operate(|state| state.live.get(path).cloned().ok_or_else(not_found))?;
        Ok(self.file(&inode))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.operate(|state| {
            let here = state.live.keys().filter(|file| file.parent() == Some(path));
            Ok(here.map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|state| {
            let inode = state.live.remove(from).ok_or_else(not_found)?;
            state.live.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| state.live.remove(path).map(drop).ok_or_else(not_found))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| {
            let inside = |file: &PathBuf| file.parent() == Some(path);
            state.durable.retain(|file, _| !inside(file));
            let here = state.live.iter().filter(|(file, _)| inside(file));
            state.durable.extend(here.map(|(file, inode)| (file.clone(), Arc::clone(inode))));
            Ok(())
        })
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.operate(|_| {
            let content = self.inode.lock().unwrap();
            let rest = content.live.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let read = rest.len().min(buffer.len());
            buffer[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut content = self.inode.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let size = content.live.len().max(start + bytes.len());
        content.live.resize(size, 0);
        // A write that fails may have been made in part.
        let done = self.disk.operate(|_| Ok(()));
        let written = if done.is_ok() { bytes.len() } else { bytes.len() / 2 };
        content.live[start..start + written].copy_from_slice(&bytes[..written]);
        done
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.operate(|_| {
            let mut content = self.inode.lock().unwrap();
            let live = content.live.clone();
            content.synced = live;
            Ok(())
        })
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.inode.lock().unwrap().live.len() as u64)
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        self.disk.operate(|_| {
            self.inode.lock().unwrap().live.resize(usize::try_from(bytes).unwrap(), 0);
            Ok(())
        })
    }
}
