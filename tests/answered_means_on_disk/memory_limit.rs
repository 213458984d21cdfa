//! The real program with less memory than its backlog: a control group of Linux that kills whoever takes more.
//!
//! Where this test may not make a control group, it limits the data of the process instead (`ulimit -d`), which counts what was
//! set aside, used or not, and says so.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{process::Command, task::JoinSet};

use crate::{
    process::{Home, Relay},
    support::{
        eventually, fixtures,
        scripted::{Behaviour, Got, Scripted},
        wire::Request,
    },
};

const MIB: usize = 1024 * 1024;
/// What the relay gets: what it promises to stay below, and half as much again for what the system keeps for it (pages of files
/// count until the system wants them back) and for a build that wasn't made small.
const LIMIT: usize = 96 * MIB;
/// Where there is no control group. Threads set 2 MiB aside for each stack, and sled maps tables that it hardly uses.
const DATA_LIMIT: usize = 512 * MIB;
/// More than [`LIMIT`] has room for, in as many events as a debug build takes in some seconds.
const EVENTS: usize = 2_600;
const EVENT_BYTES: usize = 40 * 1024;
const SENDERS: usize = 8;
/// Retries within the test's patience.
const SETTINGS: &str = r#"retry = { initial = "20ms", max = "200ms", give_up_after = "1h" }"#;

/// A control group with a limit of its own. It is removed when this is dropped; its processes have to be gone then.
struct Group(PathBuf);

impl Group {
    fn new() -> io::Result<Self> {
        let name = format!("atoms-relay-test-{}", std::process::id());
        let (root, limit) = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        } else {
            (Path::new("/sys/fs/cgroup/memory"), "memory.limit_in_bytes")
        };
        let group = Self(root.join(name));
        fs::create_dir(&group.0)?;
        // Not `fs::write`: that would create a file where there is none.
        fs::File::options()
            .write(true)
            .open(group.0.join(limit))
            .and_then(|mut file| io::Write::write_all(&mut file, LIMIT.to_string().as_bytes()))?;
        fs::File::options().write(true).open(group.0.join("cgroup.procs"))?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

/// What keeps a relay from taking more memory than it should.
enum Limit {
    Group(Group),
    Data,
}

impl Limit {
    /// A control group, where one can be made and a process may enter it.
    async fn find() -> Self {
        let group = match Group::new() {
            Ok(group) => group,
            Err(error) => return Self::data(&error.to_string()),
        };
        let enter = format!("echo $$ > {}/cgroup.procs", group.0.display());
        let entered = Command::new("sh").args(["-c", &enter]).stderr(Stdio::null()).status().await.unwrap();
        if entered.success() { Self::Group(group) } else { Self::data("nobody may enter it") }
    }

    #[expect(clippy::print_stdout, reason = "cargo shows it with --nocapture, and when the test fails")]
    fn data(why: &str) -> Self {
        println!("memory_limit: no control group can be used here ({why}): the data of the process is limited instead");
        Self::Data
    }

    /// Shell commands that put the shell under the limit.
    fn commands(&self) -> String {
        match self {
            Self::Group(Group(folder)) => format!("echo $$ > {}/cgroup.procs", folder.display()),
            Self::Data => format!("ulimit -d {}", DATA_LIMIT / 1024),
        }
    }
}

async fn start(home: &Home, limit: &Limit) -> Relay {
    let mut relay = home.start_after(&limit.commands());
    relay.ready().await;
    relay
}

/// Sends all events over some connections at a time.
async fn send_all(home: &Home) {
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let address = home.public();
        senders.spawn(async move {
            for number in (sender..EVENTS).step_by(SENDERS) {
                let mut body = fixtures::event(&format!("{number:024}"));
                body.resize(EVENT_BYTES, b' ');
                let answer = Request::signed(body).send(address).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.unwrap();
    }
}

#[tokio::test]
async fn a_backlog_that_is_larger_than_the_memory_comes_in_and_is_delivered() {
    let arrived: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let is_up = Arc::new(AtomicBool::new(false));
    let script = {
        let (arrived, is_up) = (Arc::clone(&arrived), Arc::clone(&is_up));
        move |_: usize, got: &Got| {
            if !is_up.load(Ordering::SeqCst) {
                return Behaviour::Answers(503);
            }
            arrived.lock().unwrap().insert(got.header("x-relay-event").to_owned());
            Behaviour::Answers(200)
        }
    };
    let sink = Scripted::forgetful(script).await;
    let home = Home::new(&[("crm", sink.url("/"), SETTINGS)]);
    let limit = Limit::find().await;

    let relay = start(&home, &limit).await;
    send_all(&home).await;
    let loading = relay.peak_memory();
    relay.stop().await;
    is_up.store(true, Ordering::SeqCst);
    let relay = start(&home, &limit).await;
    let count = || arrived.lock().unwrap().len();
    while let before @ 0..EVENTS = count() {
        eventually("the next event", async || (count() > before).then_some(())).await;
    }
    println!(
        "{EVENTS} events of {EVENT_BYTES} bytes: at most {} MiB while they came in, {} MiB while they went",
        loading / MIB,
        relay.peak_memory() / MIB
    );
    relay.stop().await;
}
