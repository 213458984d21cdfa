//! A disk in memory that keeps what was written and what was synced apart, so that the power can be cut.
//!
//! At a cut each unsynced 4 KiB block, each change of a file's size and each unsynced change of a directory survives or not, by
//! the roll of the dice. It can also fail its Nth operation: once, as a bad disk does, or with all that follow, as one does whose
//! power is gone.

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
    fault: Option<Fault>,
    /// Operations that the fault has hit.
    failed: u64,
}

/// Which operation fails, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// Its number, from 1, counted from when the fault was set.
    pub(crate) at: u64,
    pub(crate) counted: Counted,
    pub(crate) lasts: Lasts,
    pub(crate) failure: Failure,
}

/// Which operations count; each kind is part of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    All,
    /// Those that change what is on disk: between two reads the power can't be cut in a way of its own.
    Changes,
    /// Those that make the bytes of a file durable.
    Syncs,
}

/// For how long operations fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasts {
    Once,
    ForGood,
}

/// What a failing operation says and leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// EIO; nothing was done.
    Io,
    /// ENOSPC; nothing was done.
    NoSpace,
    /// ENOSPC; the first half of what was to be written is there.
    Short,
}

impl Failure {
    fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            Self::Io => 5,
            Self::NoSpace | Self::Short => 28,
        })
    }
}

impl Fault {
    /// The power goes at a change. What is being written then may get there in part.
    pub(crate) fn power_off(at: u64) -> Self {
        Self { at, counted: Counted::Changes, lasts: Lasts::ForGood, failure: Failure::Short }
    }
}

type Inode = Arc<Mutex<Content>>;

#[derive(Default, Clone)]
struct Content {
    live: Vec<u8>,
    synced: Vec<u8>,
    /// Blocks that a failed sync gave up: the system shows them as they are in `live`, takes them for written, and never tries
    /// again. So does Linux.
    given_up: BTreeSet<usize>,
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
                after.insert(name, Arc::new(Mutex::new(Content::on_disk(bytes))));
            }
        }
        *state = State { live: after.clone(), durable: after, ..State::default() };
    }

    /// Makes an operation from now on fail.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.0.lock().unwrap();
        (state.operations, state.failed) = (0, 0);
        state.fault = fault;
    }

    /// Whether the fault has hit an operation since it was set.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.lock().unwrap().failed > 0
    }

    /// All files.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.0.lock().unwrap();
        state.live.iter().map(|(name, inode)| (name.clone(), inode.lock().unwrap().live.clone())).collect()
    }

    /// A disk of its own with the same files, those below `from` below `to`.
    pub(crate) fn copy(&self, from: &Path, to: &Path) -> Self {
        let copied = |(name, bytes): (PathBuf, Vec<u8>)| {
            let name = name.strip_prefix(from).map_or(name.clone(), |below| to.join(below));
            (name, Arc::new(Mutex::new(Content::on_disk(bytes))))
        };
        let live: BTreeMap<PathBuf, Inode> = self.files().into_iter().map(copied).collect();
        Self(Arc::new(Mutex::new(State { durable: live.clone(), live, ..State::default() })))
    }

    /// Replaces what is in a file, behind everybody's back.
    pub(crate) fn replace(&self, name: &Path, bytes: Vec<u8>) {
        let state = self.0.lock().unwrap();
        *state.live[name].lock().unwrap() = Content::on_disk(bytes);
    }

    /// Reads, unless the fault hits.
    fn look<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        match state.hit(Counted::All) {
            Some(failure) => Err(failure.error()),
            None => act(&mut state),
        }
    }

    /// Changes something, unless the fault hits.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        match state.hit(Counted::Changes) {
            Some(failure) => Err(failure.error()),
            None => act(&mut state),
        }
    }

    fn file(&self, inode: &Inode) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), inode: Arc::clone(inode) })
    }
}

impl State {
    /// Counts an operation, and tells how it fails if it does. `kind` is the narrowest count that it is part of.
    fn hit(&mut self, kind: Counted) -> Option<Failure> {
        let fault = self.fault?;
        let counts = kind >= fault.counted;
        self.operations += u64::from(counts);
        let fails = match fault.lasts {
            Lasts::Once => counts && self.operations == fault.at,
            Lasts::ForGood => self.operations >= fault.at,
        };
        self.failed += u64::from(fails);
        fails.then_some(fault.failure)
    }
}

impl Content {
    fn on_disk(bytes: Vec<u8>) -> Self {
        Self { live: bytes.clone(), synced: bytes, given_up: BTreeSet::new() }
    }

    fn write(&mut self, bytes: &[u8], start: usize) {
        let end = start + bytes.len();
        self.live.resize(self.live.len().max(end), 0);
        self.live[start..end].copy_from_slice(bytes);
        self.given_up.retain(|block| !(start / BLOCK..end.div_ceil(BLOCK)).contains(block));
    }

    fn sync(&mut self) {
        self.synced.resize(self.live.len(), 0);
        let blocks = self.synced.chunks_mut(BLOCK).zip(self.live.chunks(BLOCK)).enumerate();
        blocks.filter(|(n, _)| !self.given_up.contains(n)).for_each(|(_, (to, from))| to.copy_from_slice(from));
    }

    fn give_up(&mut self) {
        let synced = |n| self.synced.chunks(BLOCK).nth(n);
        let unsynced = self.live.chunks(BLOCK).enumerate().filter(|(n, block)| synced(*n) != Some(block));
        self.given_up = unsynced.map(|(n, _)| n).collect();
    }

    fn forget_what_was_given_up(&mut self) {
        let synced = &self.synced;
        for n in std::mem::take(&mut self.given_up) {
            let Some(block) = self.live.chunks_mut(BLOCK).nth(n) else { continue };
            block.fill(0);
            let on_disk = synced.chunks(BLOCK).nth(n).unwrap_or_default();
            block.iter_mut().zip(on_disk).for_each(|(to, from)| *to = *from);
        }
    }

    fn after_cut(&self, survives: &mut impl FnMut() -> bool) -> Vec<u8> {
        let size = if self.live.len() == self.synced.len() || survives() { self.live.len() } else { self.synced.len() };
        let padded = |of: &[u8]| [&of[..of.len().min(size)], &vec![0; size.saturating_sub(of.len())]].concat();
        let (mut bytes, live) = (padded(&self.synced), padded(&self.live));
        for (n, (block, live)) in bytes.chunks_mut(BLOCK).zip(live.chunks(BLOCK)).enumerate() {
            if block != live && !self.given_up.contains(&n) && survives() {
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
        let inode = self.change(|state| {
            if state.live.contains_key(path) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            Ok(Arc::clone(state.live.entry(path.to_owned()).or_default()))
        })?;
        Ok(self.file(&inode))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.look(|state| state.live.get(path).cloned().ok_or_else(not_found))?;
        Ok(self.file(&inode))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.look(|state| {
            let here = state.live.keys().filter(|file| file.parent() == Some(path));
            Ok(here.map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let inode = state.live.remove(from).ok_or_else(not_found)?;
            state.live.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|state| state.live.remove(path).map(drop).ok_or_else(not_found))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
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
        self.disk.look(|_| {
            let content = self.inode.lock().unwrap();
            let rest = content.live.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let read = rest.len().min(buffer.len());
            buffer[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let failure = self.disk.0.lock().unwrap().hit(Counted::Changes);
        let written = match failure {
            None => bytes,
            Some(Failure::Short) => &bytes[..bytes.len() / 2],
            Some(Failure::Io | Failure::NoSpace) => &[],
        };
        self.inode.lock().unwrap().write(written, start);
        failure.map_or(Ok(()), |failure| Err(failure.error()))
    }

    fn sync(&self) -> io::Result<()> {
        let failure = self.disk.0.lock().unwrap().hit(Counted::Syncs);
        let mut content = self.inode.lock().unwrap();
        if let Some(failure) = failure {
            // When the power goes, nobody gives up anything: pieces may have got there.
            if failure == Failure::Io {
                content.give_up();
            }
            return Err(failure.error());
        }
        content.sync();
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.disk.look(|_| {
            self.inode.lock().unwrap().forget_what_was_given_up();
            Ok(())
        })
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.inode.lock().unwrap().live.len() as u64)
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        self.disk.change(|_| {
            self.inode.lock().unwrap().live.resize(usize::try_from(bytes).unwrap(), 0);
            Ok(())
        })
    }
}
