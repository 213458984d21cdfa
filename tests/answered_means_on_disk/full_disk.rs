//! A disk that fills up, and has room again.
//!
//! On a real file system of 48 MiB (tmpfs). Mounting one takes root; for others the test says that it didn't run.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use atoms_relay::{
    model::{Order, Verdict},
    store::{
        Acceptance, Store, StoreError,
        embedded::{Embedded, Options},
    },
};

use crate::bench::{Bench, LEASE, name, open, settlement};

const MIB: u64 = 1024 * 1024;

/// A mounted tmpfs, unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    /// Takes all the room that is left. Removing the file gives it back.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("somebody-elses-file");
        let mut file = File::create(&path).unwrap();
        for slice in [vec![1; 65_536], vec![1; 512]] {
            let error = loop {
                if let Err(error) = file.write_all(&slice) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn accepts(bench: &Bench, store: &Embedded, number: u32) -> Option<()> {
    match store.accept(bench.event(number, &["crm"])).await {
        Ok(Acceptance::Created) => Some(()),
        Ok(Acceptance::Duplicate(_)) => panic!("{number} was refused before"),
        Err(StoreError::DiskFull(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_full_disk_is_noticed_before_it_is_reached_and_the_queue_drains_also_after_a_restart() {
    let bench = Bench::new();
    let Some(disk) = SmallDisk::mount(bench.path()) else {
        println!("not run: mounting a tmpfs takes root");
        return;
    };
    let options = Options { path: bench.path().join("queue"), min_free_disk: 16 * MIB, ..bench.options() };
    let store = open(&options).unwrap();
    for number in 0..50 {
        accepts(&bench, &store, number).await.unwrap();
    }
    let ballast = options.path.join("ballast");
    eventually("no ballast", async || (ballast.metadata().ok()?.len() == 4 * MIB).then_some(())).await;

    let filler = disk.fill();
    eventually("nobody noticed that the disk is full", async || store.fault()).await;
    assert!(matches!(store.accept(bench.event(50, &["crm"])).await, Err(StoreError::DiskFull(_))));
    drop(store);

    // Nothing can be written any more, but for what the ballast gives up.
    let store = open(&options).unwrap();
    assert!(!ballast.exists());
    assert!(store.fault().is_some());
    let claims = store.claim(&name("crm"), 100, LEASE, Order::None).await.unwrap();
    assert_eq!(claims.len(), 50);
    let done = claims.iter().map(|claim| settlement(claim, Verdict::Done, bench.now())).collect();
    store.settle(done).await.unwrap();
    assert_eq!(store.stats().destinations[0].waiting, 0);

    std::fs::remove_file(filler).unwrap();
    eventually("nobody noticed that there is room again", async || accepts(&bench, &store, 50).await).await;
    eventually("no ballast", async || (ballast.metadata().ok()?.len() == 4 * MIB).then_some(())).await;
    store.close().await.unwrap();
}
