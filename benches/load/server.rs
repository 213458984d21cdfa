//! The servers: processes of their own, so that their CPU time can be told from the generator's.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::{bodies::SECRET, generator::Target};

/// The argument by which this program, started again, is the floor.
pub(crate) const FLOOR_MODE: &str = "--be-the-floor";

/// In the floor's directory: where it has to listen.
pub(crate) const ADDRESS_FILE: &str = "address";

/// Until a server serves.
const START: Duration = Duration::from_secs(20);

/// What the kernel counts CPU time in, on every Linux that there is.
const TICKS_PER_SECOND: u64 = 100;

/// Where the relay delivers to.
pub(crate) enum Destination {
    /// Nobody listens there.
    Down,
    /// A sink.
    Up(SocketAddr),
    /// A sink that isn't there yet; what it has got is forgotten soon.
    Later(SocketAddr),
}

/// A running server with a directory of its own. It is killed when it is dropped.
pub(crate) struct Server {
    command: Command,
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

/// How a server ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// It is asked to, and closes its queue.
    Asked,
    /// It is killed.
    Killed,
}

/// What a process has of the machine's memory, in MB.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

impl Server {
    /// The floor.
    pub(crate) async fn floor() -> Self {
        let (directory, address) = (directory(), free_address());
        fs::write(directory.path().join(ADDRESS_FILE), address.to_string()).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(FLOOR_MODE).arg(directory.path());
        Self::start(command, directory, address).await
    }

    /// The relay, with everything routed to one destination.
    pub(crate) async fn relay(destination: &Destination) -> Self {
        let (directory, address) = (directory(), free_address());
        let config = directory.path().join("relay.toml");
        fs::write(&config, configuration(directory.path(), address, destination)).unwrap();
        let mut command = Command::new(binary());
        command.arg("serve").arg("--config").arg(config);
        Self::start(command, directory, address).await
    }

    async fn start(mut command: Command, directory: TempDir, address: SocketAddr) -> Self {
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut server = Self { command, child, address, directory };
        server.wait(START).await;
        server
    }

    /// Waits until it serves.
    async fn wait(&mut self, limit: Duration) {
        let end = Instant::now() + limit;
        while !serves(self.address).await {
            if self.child.try_wait().unwrap().is_some() || Instant::now() > end {
                let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
                panic!("{:?} does not serve:\n{log}", self.command);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the process. Its directory stays.
    pub(crate) fn end(&mut self, how: End) {
        match how {
            End::Asked => {
                let pid = self.child.id().to_string();
                assert!(Command::new("kill").arg(pid).status().unwrap().success());
            }
            End::Killed => self.child.kill().unwrap(),
        }
        self.child.wait().unwrap();
    }

    /// Starts the process again in its directory, and says how long it took until it served.
    pub(crate) async fn again(&mut self, limit: Duration) -> Duration {
        let start = Instant::now();
        self.child = self.command.spawn().unwrap();
        self.wait(limit).await;
        start.elapsed()
    }

    /// Where its queue is.
    pub(crate) fn queue(&self) -> PathBuf {
        self.directory.path().join("queue")
    }

    /// The memory that it takes.
    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let of = |field: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
        };
        Memory { now: of("VmRSS:"), peak: of("VmHWM:") }
    }

    pub(crate) fn target(&self) -> Target {
        self.address
    }

    /// The CPU time that it has used, in user and kernel mode.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // After the name in parentheses: the state is field 3, utime and stime are 14 and 15.
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// On the disk that the build is on: `/tmp` may be memory.
fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is not configured by relay.toml")]
fn binary() -> String {
    std::env::var("RELAY_BENCH_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_atoms-relay").into())
}

fn configuration(directory: &Path, address: SocketAddr, destination: &Destination) -> String {
    let retention = if matches!(destination, Destination::Later(_)) { "1s" } else { "7d" };
    let destination = match destination {
        Destination::Down => free_address(),
        Destination::Up(address) | Destination::Later(address) => *address,
    };
    format!(
        r#"
[server]
listen = "{address}"

[admin]
listen = "{admin}"

[queue]
path = "{queue}"
retention = "{retention}"

[source.atoms]
path = "/webhook"
secrets = ["{SECRET}"]

[destination.sink]
url = "http://{destination}/"

[[route]]
name = "everything"
to = ["sink"]
"#,
        admin = free_address(),
        queue = directory.join("queue").display(),
    )
}

async fn serves(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let request = b"GET /healthz HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
