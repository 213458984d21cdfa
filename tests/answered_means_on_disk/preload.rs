//! What stands between the relay's program and its C library, to make its disk fail or its clock jump: the Rust side of
//! `preload.c`, which is compiled here and talked to by a file that both have in memory.
//!
//! It works on the program as it is shipped, from outside. Its limits: the program has to call the C library (rustix
//! doesn't), and `cc` has to be there, which building the relay takes as well.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
    time::Duration,
};

use tempfile::NamedTempFile;

/// The compiled library. Each process compiles it for itself, and puts it where the others have theirs: they are the same.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(folder).unwrap();
    let (unfinished, library) = (NamedTempFile::new_in(folder).unwrap(), folder.join("preload.so"));
    let source = NamedTempFile::new_in(folder).unwrap();
    fs::write(source.path(), include_str!("preload.c")).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(unfinished.path()).args(["-x", "c"]).arg(source.path());
    let said = cc.stdin(Stdio::null()).output().expect("cc has to be there");
    assert!(said.status.success(), "cc: {}", String::from_utf8_lossy(&said.stderr));
    unfinished.persist(&library).unwrap();
    library
});

/// The fields of `struct control` in `preload.c`, in its order.
#[derive(Debug, Clone, Copy)]
enum Field {
    ClockShift,
    SyncDelay,
    FailAt,
    FailForGood,
    FailErrno,
    FailHalfway,
    Operations,
    Failures,
}

const FIELDS: u64 = 8;
const FIELD_BYTES: u64 = 8;

/// The system's numbers for what disks say.
const EIO: i64 = 5;
const ENOSPC: i64 = 28;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The device fails once. A sync then gives up what it should have written.
    Io,
    /// The device fails, and goes on failing.
    IoForGood,
    /// There is no room any more.
    NoSpace,
    /// Half of what should be written is, then the device fails.
    Halfway,
}

/// One process's bad hours.
pub(crate) struct Preload {
    control: NamedTempFile,
}

impl Preload {
    /// Nothing is wrong so far.
    pub(crate) fn new() -> Self {
        let control = NamedTempFile::new().unwrap();
        control.as_file().set_len(FIELDS * FIELD_BYTES).unwrap();
        Self { control }
    }

    /// Has a program preload it, with its files below `folder` at its mercy.
    pub(crate) fn attach(&self, program: &mut tokio::process::Command, folder: &Path) {
        self.attach_to(program, &folder.join(""));
    }

    /// As [`Self::attach`], with only those files at its mercy whose paths begin with `start`.
    pub(crate) fn attach_to(&self, program: &mut tokio::process::Command, start: &Path) {
        program.env("LD_PRELOAD", &*LIBRARY).env("RELAY_TEST_CONTROL", self.control.path());
        program.env("RELAY_TEST_FOLDER", start);
    }

    /// Has the n-th operation fail, counted from 1 over the whole life of the program.
    pub(crate) fn fail(&self, at: u64, failure: Failure) {
        let (for_good, errno, halfway) = match failure {
            Failure::Io => (0, EIO, 0),
            Failure::IoForGood => (1, EIO, 0),
            Failure::NoSpace => (1, ENOSPC, 0),
            Failure::Halfway => (0, EIO, 1),
        };
        self.set(Field::FailForGood, for_good);
        self.set(Field::FailErrno, errno);
        self.set(Field::FailHalfway, halfway);
        self.set(Field::FailAt, at.try_into().unwrap());
    }

    /// Has all go well again from now on.
    pub(crate) fn mend(&self) {
        self.set(Field::FailAt, 0);
    }

    /// What every sync takes longer from now on, those included that wait at this moment.
    pub(crate) fn delay_syncs(&self, by: Duration) {
        self.set(Field::SyncDelay, by.as_millis().try_into().unwrap());
    }

    /// Sets the wall clock: so many seconds after the true time.
    pub(crate) fn shift_clock(&self, seconds: i64) {
        self.set(Field::ClockShift, seconds * 1000);
    }

    /// How many operations there were.
    pub(crate) fn operations(&self) -> u64 {
        self.get(Field::Operations)
    }

    /// How many of them failed.
    pub(crate) fn failures(&self) -> u64 {
        self.get(Field::Failures)
    }

    fn set(&self, field: Field, value: i64) {
        self.file().write_all_at(&value.to_ne_bytes(), field as u64 * FIELD_BYTES).unwrap();
    }

    fn get(&self, field: Field) -> u64 {
        let mut bytes = [0; 8];
        self.file().read_exact_at(&mut bytes, field as u64 * FIELD_BYTES).unwrap();
        u64::from_ne_bytes(bytes)
    }

    fn file(&self) -> &File {
        self.control.as_file()
    }
}
