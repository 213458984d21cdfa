//! `atoms-relay serve` as a process of its own, with a config and a queue in a folder that outlives it.
//!
//! Signals go to exactly the process that was started here.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpSocket,
    process::{Child, ChildStdout, Command},
};

use crate::support::{
    eventually, fixtures,
    wire::{Answer, Request, Wire},
    within,
};

/// What the relay says when it has started.
const GREETING: &str = "takes events";

/// Where a relay lives: its config, its queue, its log and its addresses, the same over all its starts.
pub(crate) struct Home {
    folder: TempDir,
    public: Reserved,
    admin: Reserved,
}

impl Home {
    /// A home for relays that take events from Atoms and deliver all of them to `destinations`: name, address, further
    /// settings.
    pub(crate) fn new(destinations: &[(&str, String, &str)]) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap(), public: Reserved::new(), admin: Reserved::new() };
        let mut config = vec![settings(home.public.address, home.admin.address)];
        config.extend(destinations.iter().map(|(name, url, settings)| destination(name, url, settings)));
        let names: Vec<_> = destinations.iter().map(|(name, ..)| name).collect();
        config.push(format!("[[route]]\nto = {names:?}\n"));
        fs::write(home.config(), config.concat()).unwrap();
        home
    }

    /// Adds a line to a section of the config, for the relays that are started from now on.
    pub(crate) fn configure(&self, section: &str, line: &str) {
        let (config, head) = (fs::read_to_string(self.config()).unwrap(), format!("[{section}]\n"));
        assert!(config.contains(&head), "{config}");
        fs::write(self.config(), config.replace(&head, &format!("{head}{line}\n"))).unwrap();
    }

    /// Where events are taken.
    pub(crate) fn public(&self) -> SocketAddr {
        self.public.address
    }

    /// The folder of the queue.
    pub(crate) fn queue(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// All that the relays of this home have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Starts a relay, and doesn't wait for it.
    pub(crate) fn start(&self) -> Relay {
        self.start_with(|_| {})
    }

    /// Starts a relay in an environment that `adjust` has changed, and doesn't wait for it.
    pub(crate) fn start_with(&self, adjust: impl FnOnce(&mut Command)) -> Relay {
        let mut program = serve(&self.config());
        adjust(&mut program);
        self.spawn(program)
    }

    /// Starts a relay that may open so many files and connections, and doesn't wait for it.
    pub(crate) fn start_with_descriptors(&self, descriptors: u32) -> Relay {
        self.start_after(&format!("ulimit -n {descriptors}"))
    }

    /// Starts a relay in a shell that has run these commands before it becomes the relay, and doesn't wait for it.
    pub(crate) fn start_after(&self, commands: &str) -> Relay {
        let limited = format!("{commands} && exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(limited).arg(env!("CARGO_BIN_EXE_atoms-relay"));
        self.spawn(serving(shell, &self.config()))
    }

    /// Starts a relay to which `listener` is passed as systemd does it, and doesn't wait for it. systemd counts from
    /// descriptor 3 and names the process, which the shell becomes.
    pub(crate) fn start_inheriting(&self, listener: &TcpListener) -> Relay {
        let passed = "export LISTEN_FDS=1 LISTEN_FDNAMES=ingest LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 </dev/null";
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(passed).arg(env!("CARGO_BIN_EXE_atoms-relay"));
        let mut program = serving(shell, &self.config());
        program.stdin(OwnedFd::from(listener.try_clone().unwrap()));
        self.spawn(program)
    }

    /// Listens for the relays of this home, as systemd's socket units do.
    pub(crate) fn listen(&self) -> TcpListener {
        TcpListener::bind(self.public()).unwrap()
    }

    fn spawn(&self, mut program: Command) -> Relay {
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut child = program.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Relay { child, said, is_ready: false }
    }

    /// Starts a relay that can't run, and waits for its end.
    pub(crate) async fn start_in_vain(&self) -> Output {
        within("a start in vain", serve(&self.config()).output()).await.unwrap()
    }

    /// Starts a relay that wants the same queue, though no address of this home, and waits for its end.
    pub(crate) async fn start_beside(&self) -> Output {
        let (anywhere, file) = (SocketAddr::from(([127, 0, 0, 1], 0)), self.folder.path().join("beside.toml"));
        fs::write(&file, settings(anywhere, anywhere)).unwrap();
        within("a start beside another", serve(&file).output()).await.unwrap()
    }

    /// Whether the relay that runs says that it is ready.
    pub(crate) async fn readiness(&self) -> u16 {
        let request = Request::new("GET /readyz HTTP/1.1").without("Host").header("Host", "localhost");
        request.send(self.admin.address).await.status
    }

    /// Asks the admin API of the relay that runs: `what` is the method and the address below `/api/v1/`.
    pub(crate) async fn ask(&self, what: (&str, &str)) -> Answer {
        let (method, address) = what;
        let request = Request::new(&format!("{method} /api/v1/{address} HTTP/1.1")).without("Host");
        request.header("Host", "localhost").header("Content-Type", "application/json").send(self.admin.address).await
    }

    /// How the relay that runs says that it is.
    pub(crate) async fn status(&self) -> serde_json::Value {
        let answer = self.ask(("GET", "status")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Waits until nobody listens for events any more.
    pub(crate) async fn wait_until_closed(&self) {
        let is_closed = async || Wire::try_connect(self.public()).await.is_err().then_some(());
        eventually("the end of listening", is_closed).await;
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("relay.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("relay.log")
    }
}

fn settings(public: SocketAddr, admin: SocketAddr) -> String {
    format!(
        "[server]\nlisten = \"{public}\"\n\
         [admin]\nlisten = \"{admin}\"\n\
         [queue]\npath = \"data\"\nmin_free_disk = \"1MiB\"\n\
         [source.atoms]\npath = \"/webhook\"\nsecrets = [{{ env = \"ATOMS_WEBHOOK_SECRET\" }}]\n"
    )
}

fn destination(name: &str, url: &str, settings: &str) -> String {
    format!("[destination.{name}]\nurl = \"{url}\"\n{settings}\n")
}

fn serve(config: &Path) -> Command {
    serving(Command::new(env!("CARGO_BIN_EXE_atoms-relay")), config)
}

/// A command that becomes `atoms-relay` when it has got the rest of its arguments.
fn serving(mut command: Command, config: &Path) -> Command {
    command.arg("serve").arg("--config").arg(config).args(["--log", "info"]);
    command.env("ATOMS_WEBHOOK_SECRET", fixtures::SECRET).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// An address on loopback that nobody else gets, whether or not a relay listens there.
///
/// Held by a socket that is bound and never listens: the kernel gives its port to nobody who asks for any port, and not to
/// outgoing connections either (one that got it while nobody listens would be connected to itself); but whoever asks
/// for exactly this address may listen there.
struct Reserved {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl Reserved {
    fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self { address: socket.local_addr().unwrap(), _socket: socket }
    }
}

/// A relay's process. It is killed when it is dropped.
pub(crate) struct Relay {
    child: Child,
    said: BufReader<ChildStdout>,
    is_ready: bool,
}

impl Relay {
    /// Waits until it takes events.
    pub(crate) async fn ready(&mut self) {
        assert!(self.has_started().await, "the relay ended before it had started: {:?}", self.child.wait().await);
    }

    /// Waits until it takes events, or ends without having done so.
    pub(crate) async fn has_started(&mut self) -> bool {
        let mut line = String::new();
        while !self.is_ready {
            if within("the start of the relay", self.said.read_line(&mut line)).await.unwrap() == 0 {
                return false;
            }
            self.is_ready = line.contains(GREETING);
        }
        true
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The number of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// The most memory that the process has had so far, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
    }

    /// Sends SIGTERM.
    pub(crate) fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        within("the end of the relay", self.child.wait()).await.unwrap()
    }

    /// Sends SIGTERM and waits for the end: a relay that was ready has to stop in good order.
    pub(crate) async fn stop(self) {
        self.ask_to_stop();
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "{status}");
    }

    /// Sends SIGKILL and waits until the process is gone. Returns whether it had been ready.
    pub(crate) async fn kill(mut self) -> bool {
        self.child.start_kill().unwrap();
        within("the end of a killed relay", self.child.wait()).await.unwrap();
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).await.unwrap();
        self.is_ready || rest.contains(GREETING)
    }
}
