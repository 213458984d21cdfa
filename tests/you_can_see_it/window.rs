//! An admin listener over the store of a running receiver, and the program that people use to look in.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use atoms_relay::{
    admin::{self, Admin, Controls, Guard, Listener, NotReloaded, view::ConfigView},
    audit::Trail,
    breaker::Condition,
    clock::Clock,
    model::{Attempt, DeadReason, EventId, Name, Order, Outcome, Timestamp, Verdict},
    route::{Route, Routes},
    store::{Pause, Settlement},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    task::{JoinSet, yield_now},
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    fixtures,
    receiver::{DESTINATION, Receiver},
    wire::{Answer, Request},
    within,
};

/// A receiver and the admin listener over its store. No lanes run: what becomes of deliveries, tests say.
pub(crate) struct Window {
    pub(crate) receiver: Receiver,
    pub(crate) address: SocketAddr,
    pub(crate) stopping: CancellationToken,
    pub(crate) conditions: Arc<Mutex<BTreeMap<Name, Condition>>>,
    pub(crate) resumed: Arc<Mutex<Vec<Name>>>,
    /// The routes of today.
    pub(crate) routes: Arc<Mutex<Arc<Routes>>>,
    /// Where the audit trail is.
    pub(crate) folder: TempDir,
    _serving: JoinSet<()>,
}

/// What the program did.
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Window {
    pub(crate) async fn open() -> Self {
        Self::over(Receiver::start().await, Clock::system()).await
    }

    /// Looks into a receiver, and tells the time by `clock`.
    pub(crate) async fn over(receiver: Receiver, clock: Clock) -> Self {
        Self::guarded(receiver, clock, Guard::default()).await
    }

    /// Looks into a receiver, and lets those in whom `guard` does.
    pub(crate) async fn guarded(receiver: Receiver, clock: Clock, guard: Guard) -> Self {
        let folder = TempDir::new().unwrap();
        let listener = Listener::on_network("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address().unwrap();
        let conditions = Arc::new(Mutex::new(BTreeMap::from([(crm(), Condition::Flowing)])));
        let (resumed, stopping) = (Arc::<Mutex<Vec<Name>>>::default(), CancellationToken::new());
        let routes = Arc::<Mutex<Arc<Routes>>>::default();
        let controls = Controls {
            test_alert: Box::new(|| Some(("{}".into(), vec![crm()]))),
            conditions: Box::new({
                let (conditions, store) = (Arc::clone(&conditions), Arc::clone(&receiver.store));
                move || {
                    let mut conditions = conditions.lock().unwrap().clone();
                    if let Some(Pause { since, until, reason }) = store.pause_of(&crm()) {
                        conditions.insert(crm(), Condition::Paused { since, until, reason });
                    }
                    conditions
                }
            }),
            routes: Box::new({
                let routes = Arc::clone(&routes);
                move || Arc::clone(&routes.lock().unwrap())
            }),
            resume: Box::new({
                let resumed = Arc::clone(&resumed);
                move |name| resumed.lock().unwrap().push(name.clone())
            }),
            config: Box::new(|| ConfigView {
                path: "relay.toml".into(),
                loaded_at: Timestamp::EPOCH,
                text: "[source.atoms]\n".into(),
                needs_restart: Vec::new(),
                last_reload: None,
            }),
            reload: Box::new(|| Box::pin(async { Err(NotReloaded::Unread("there is no file")) })),
            stopping: stopping.clone(),
        };
        let trail = Arc::new(Trail::open(folder.path()).unwrap().0);
        let (store, metrics) = (Arc::clone(&receiver.store), Arc::clone(&receiver.metrics));
        let admin = Arc::new(Admin::new(store, clock, controls, metrics, guard, trail));
        let mut serving = JoinSet::new();
        serving.spawn(admin::serve(listener, admin, CancellationToken::new()));
        Self { receiver, address, stopping, conditions, resumed, routes, folder, _serving: serving }
    }

    /// Has today's routes send every event to these destinations, which the config names from now on.
    pub(crate) fn route_all_to(&self, destinations: &[&str]) {
        let to: Vec<Name> = destinations.iter().map(|name| Name::new(name).unwrap()).collect();
        self.conditions.lock().unwrap().extend(to.iter().map(|name| (name.clone(), Condition::Flowing)));
        let (sources, agents, events, when, max_age) = (None, None, None, None, None);
        let route = Route { name: "all".into(), sources, agents, events, when, max_age, to };
        *self.routes.lock().unwrap() = Arc::new(Routes::new(vec![route]));
    }

    /// Lets an event in, and returns its id. The next one comes a millisecond later at least, so that ids have the order in
    /// which they came.
    pub(crate) async fn accept(&self, body: impl Into<Vec<u8>>) -> String {
        let answer = Request::signed(body).send(self.receiver.address).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let id: EventId = answer.text("id").parse().unwrap();
        while Clock::system().now() <= id.timestamp() {
            yield_now().await;
        }
        id.to_string()
    }

    /// Lets a number of events in.
    pub(crate) async fn accept_many(&self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for number in 0..count {
            ids.push(self.accept(fixtures::event(&format!("e{number}"))).await);
        }
        ids
    }

    /// Tries everything that is due, and meets this answer.
    pub(crate) async fn answer_all(&self, status: u16, excerpt: &str) {
        let verdict = if status < 300 { Verdict::Done } else { Verdict::Dead(DeadReason::Rejected) };
        let claims = self.receiver.store.claim(&crm(), 1000, Duration::from_secs(60), Order::None).await.unwrap();
        let settlements = claims.iter().map(|claim| Settlement {
            id: claim.id(),
            token: claim.token,
            verdict,
            attempt: Some(Attempt {
                number: 1,
                started_at: Timestamp::from_millis(1_790_012_345_678),
                took: Duration::from_millis(12),
                request: "POST http://crm.internal/calls".into(),
                outcome: Outcome::Answered { status, excerpt: excerpt.into() },
            }),
        });
        self.receiver.store.settle(settlements.collect()).await.unwrap();
    }

    /// Asks the admin API.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Request::new(&format!("GET {path} HTTP/1.1"))
            .without("Host")
            .header("Host", "localhost")
            .send(self.address)
            .await
    }

    /// Asks for JSON below `/api/v1`.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let answer = self.get(&format!("/api/v1/{path}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// A change that the admin API is asked for, not sent yet.
    pub(crate) fn change(path: &str, body: &str) -> Request {
        let request =
            Request::new(&format!("POST /api/v1/{path} HTTP/1.1")).without("Host").header("Host", "localhost");
        request.header("Content-Type", "application/json").body(body)
    }

    /// Asks for a change, which has to be made.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Value {
        let answer = Self::change(path, body).send(self.address).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Runs the program against this admin API on a terminal without colours, where a person types `answer`. Gives back what
    /// the terminal showed.
    pub(crate) async fn on_a_terminal(&self, arguments: &str, answer: &str) -> String {
        let program = env!("CARGO_BIN_EXE_atoms-relay");
        let line = format!("NO_COLOR=1 {program} --admin http://{} {arguments}", self.address);
        let mut script = Command::new("script");
        script
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut terminal = script.kill_on_drop(true).spawn().unwrap();
        terminal.stdin.as_mut().unwrap().write_all(answer.as_bytes()).await.unwrap();
        let output = within(arguments, terminal.wait_with_output()).await.unwrap();
        String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
    }

    /// Runs the program against this admin API.
    pub(crate) async fn run(&self, arguments: &str) -> Output {
        run(&format!("--admin http://{} {arguments}", self.address)).await
    }
}

/// The program with arguments of which none holds a space, in an environment with the secrets of the tests' configs.
pub(crate) fn command(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atoms-relay"));
    command.env("ATOMS_WEBHOOK_SECRET", fixtures::SECRET).env("CRM_TOKEN", "let-me-in");
    command.args(arguments.split_whitespace()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs the program to its end.
pub(crate) async fn run(arguments: &str) -> Output {
    let output = within(arguments, command(arguments).output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Output { status: output.status, out: text(output.stdout), err: text(output.stderr) }
}

impl Output {
    /// Standard output of a run that went well.
    pub(crate) fn ok(self) -> String {
        assert!(self.status.success(), "{}{}", self.out, self.err);
        self.out
    }
}

/// The destination of all events.
pub(crate) fn crm() -> Name {
    Name::new(DESTINATION).unwrap()
}
