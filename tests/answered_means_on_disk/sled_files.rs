//! What a power cut does to sled's files.
//!
//! sled writes them by itself, past the simulated disk, and never promises that they are synced. So they are copied when they
//! are known to be durable, which is after a power cut and when a store was closed, and once more at some moment in
//! between. At a cut each block of 4 KiB that is not what it was when it was durable is then as it was at one of these times,
//! or zeros, or what was written last; the lengths of the files and their very being there likewise. Or the whole folder
//! is an old one, or gone. What is durable is never harmed: that would be a broken disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use fastrand::Rng;

const BLOCK: usize = 4096;
/// How often a piece of what was written last survives, as for the simulated disk.
const SURVIVAL: [f64; 3] = [0.0, 0.5, 0.95];

/// The files of an index.
pub(crate) struct SledFiles {
    folder: PathBuf,
    durable: Contents,
    /// As they were at some moment since.
    between: Option<Contents>,
}

/// Files by their names.
type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// A block, or a length, of which there are several versions.
struct Versions<T> {
    durable: T,
    between: T,
    last: T,
}

impl<T: Copy + PartialEq> Versions<T> {
    /// One of them, or `lost`; `last` with the probability `survival`.
    fn after_cut(self, lost: T, survival: f64, dice: &mut Rng) -> T {
        let is_settled = self.durable == self.last && self.between == self.last;
        if is_settled || dice.f64() < survival {
            return self.last;
        }
        *dice.choice(&[self.durable, self.between, lost]).unwrap_or(&lost)
    }
}

impl SledFiles {
    pub(crate) fn below(queue: &Path) -> Self {
        Self { folder: queue.join("index"), durable: Contents::new(), between: None }
    }

    /// Notes that all of them are durable as they are.
    pub(crate) fn note_durable(&mut self) {
        (self.durable, self.between) = (contents(&self.folder), None);
    }

    /// Copies them as they are, to come back after a cut perhaps.
    pub(crate) fn note_moment(&mut self) {
        self.between = Some(contents(&self.folder));
    }

    /// Does to them what a power cut does. Whoever had them open is gone.
    pub(crate) fn cut_power(&mut self, dice: &mut Rng) {
        let last = contents(&self.folder);
        let between = self.between.take().unwrap_or_else(|| self.durable.clone());
        let after = match dice.u8(0..8) {
            0 => last,
            1 => self.durable.clone(),
            2 => between,
            3 => Contents::new(),
            _ => mixed(&Versions { durable: &self.durable, between: &between, last: &last }, dice),
        };
        replace(&self.folder, &after);
        self.durable = after;
    }
}

/// Each piece by itself.
fn mixed(of: &Versions<&Contents>, dice: &mut Rng) -> Contents {
    let survival = *dice.choice(&SURVIVAL).unwrap();
    let names: BTreeSet<&PathBuf> = of.durable.keys().chain(of.between.keys()).chain(of.last.keys()).collect();
    let mut after = Contents::new();
    for name in names {
        let version = |contents: &Contents| contents.get(name).cloned();
        let versions = [of.durable, of.between, of.last].map(version);
        let is_there =
            Versions { durable: versions[0].is_some(), between: versions[1].is_some(), last: versions[2].is_some() };
        if is_there.after_cut(false, survival, dice) {
            let [durable, between, last] = versions.map(Option::unwrap_or_default);
            after.insert(
                name.clone(),
                mixed_file(&Versions { durable: &durable, between: &between, last: &last }, survival, dice),
            );
        }
    }
    after
}

fn mixed_file(of: &Versions<&Vec<u8>>, survival: f64, dice: &mut Rng) -> Vec<u8> {
    let lengths = Versions { durable: of.durable.len(), between: of.between.len(), last: of.last.len() };
    let mut after = vec![0; lengths.after_cut(of.durable.len(), survival, dice)];
    for (n, block) in after.chunks_mut(BLOCK).enumerate() {
        let version = |bytes: &[u8]| padded(bytes.chunks(BLOCK).nth(n).unwrap_or_default());
        let versions = Versions { durable: version(of.durable), between: version(of.between), last: version(of.last) };
        let found = versions.after_cut([0; BLOCK], survival, dice);
        block.copy_from_slice(&found[..block.len()]);
    }
    after
}

fn padded(bytes: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..bytes.len()].copy_from_slice(bytes);
    block
}

/// The files of a folder; none when there is no folder. What sled removes meanwhile isn't there.
fn contents(folder: &Path) -> Contents {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    files.filter_map(|file| Some((file.file_name().into(), fs::read(file.path()).ok()?))).collect()
}

/// Has a folder hold these files, new ones; or not be there when there are none.
fn replace(folder: &Path, after: &Contents) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
    if !after.is_empty() {
        fs::create_dir_all(folder).unwrap();
    }
    for (name, bytes) in after {
        fs::write(folder.join(name), bytes).unwrap();
    }
}
