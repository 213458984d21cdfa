//! A relay that gets its socket from a service manager is restarted under load: senders notice nothing of it.
//!
//! The socket stays open while nobody serves it, and who connects then waits in the kernel for the next relay. So no
//! connection is refused, however a relay ends. Nor does a request stay without an answer when a relay stops in good order;
//! one that a killed relay had in work may, and its sender can't know what became of it.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    bench::is_long_run,
    process::{Home, Relay},
    support::{
        eventually, fixtures,
        scripted::{Behaviour, Scripted},
        wire::{Request, Wire},
        within,
    },
};

/// Every second one opens a connection for each event, the others use theirs again.
const SENDERS: usize = 6;

/// How long a sender believes in a connection. Clients do so for seconds, but a test has to hold on a machine that stands still
/// now and then: at a stop a relay waits for a second.
const BELIEF: Duration = Duration::from_millis(250);

/// Events that a relay has to take before it is ended.
const EVENTS_PER_LIFE: usize = 40;

/// What became of the events of all senders. Nothing is ever sent twice.
#[derive(Debug, Default)]
struct Outcomes {
    answered: Vec<String>,
    refused: usize,
    /// Their relay was killed.
    killed: usize,
    /// Nobody was killed, and yet.
    unanswered: usize,
    not_taken: Vec<u16>,
}

impl Outcomes {
    fn add(&mut self, other: Self) {
        self.answered.extend(other.answered);
        self.not_taken.extend(other.not_taken);
        self.refused += other.refused;
        self.killed += other.killed;
        self.unanswered += other.unanswered;
    }
}

/// What senders and the test know of each other.
#[derive(Debug, Default)]
struct Counts {
    answers: AtomicUsize,
    /// How often a kill has begun or has ended: odd while a relay is dying.
    kills: AtomicUsize,
}

/// A connection, when it was heard of last, and how far the kills had got when it was opened.
struct Believed {
    wire: Wire,
    at: Instant,
    kills: usize,
}

struct Sender {
    number: usize,
    address: SocketAddr,
    counts: Arc<Counts>,
    believed: Option<Believed>,
    outcomes: Outcomes,
}

impl Sender {
    async fn send_until(mut self, stop: CancellationToken) -> Outcomes {
        for n in 0.. {
            if stop.is_cancelled() {
                break;
            }
            let body = fixtures::event(&format!("{:08x}{n:016x}", self.number));
            within("what becomes of an event", self.send(&Request::signed(body).bytes())).await;
        }
        self.outcomes
    }

    async fn send(&mut self, request: &[u8]) {
        let Some(Believed { mut wire, kills, .. }) = self.connection().await else {
            self.outcomes.refused += 1;
            return;
        };
        let sent = wire.try_send(request).await;
        let answer = if sent.is_ok() { wire.try_answer().await } else { None };
        let kills_now = self.counts.kills.load(Ordering::SeqCst);
        match answer {
            Some(answer) if answer.status == 200 => {
                self.outcomes.answered.push(answer.text("id"));
                self.counts.answers.fetch_add(1, Ordering::SeqCst);
                let is_last = answer.header("connection") == Some("close") || self.number.is_multiple_of(2);
                self.believed = (!is_last).then(|| Believed { wire, at: Instant::now(), kills });
            }
            Some(answer) => self.outcomes.not_taken.push(answer.status),
            None if kills_now > kills || !kills.is_multiple_of(2) => self.outcomes.killed += 1,
            None => self.outcomes.unanswered += 1,
        }
    }

    async fn connection(&mut self) -> Option<Believed> {
        if let Some(believed) = self.believed.take().filter(|believed| believed.at.elapsed() < BELIEF) {
            return Some(believed);
        }
        let kills = self.counts.kills.load(Ordering::SeqCst);
        let wire = Wire::try_connect(self.address).await.ok()?;
        Some(Believed { wire, at: Instant::now(), kills })
    }
}

/// Senders at work.
struct Senders {
    tasks: JoinSet<Outcomes>,
    stop: CancellationToken,
    counts: Arc<Counts>,
}

impl Senders {
    fn start(address: SocketAddr) -> Self {
        let (mut tasks, stop, counts) = (JoinSet::new(), CancellationToken::new(), Arc::<Counts>::default());
        for number in 0..SENDERS {
            let (counts, outcomes) = (Arc::clone(&counts), Outcomes::default());
            tasks.spawn(Sender { number, address, counts, believed: None, outcomes }.send_until(stop.clone()));
        }
        Self { tasks, stop, counts }
    }

    async fn wait_for_answers(&self) {
        let enough = self.counts.answers.load(Ordering::SeqCst) + EVENTS_PER_LIFE;
        let has_enough = async || (self.counts.answers.load(Ordering::SeqCst) >= enough).then_some(());
        eventually("answers to events", has_enough).await;
    }

    /// Kills a relay, so that nobody is blamed for what it had in work.
    async fn kill(&self, relay: Relay) {
        self.counts.kills.fetch_add(1, Ordering::SeqCst);
        relay.kill().await;
        self.counts.kills.fetch_add(1, Ordering::SeqCst);
    }

    async fn stop(self) -> Outcomes {
        self.stop.cancel();
        let mut all = Outcomes::default();
        self.tasks.join_all().await.into_iter().for_each(|outcomes| all.add(outcomes));
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_on_a_socket_that_stays_open_is_restarted_and_no_sender_is_refused() {
    let restarts = if is_long_run() { 50 } else { 6 };
    let sink = Scripted::always(Behaviour::Answers(200)).await;
    let home = Home::new(&[("crm", sink.url("/"), "")]);
    let listener = home.listen();
    let mut relay = home.start_inheriting(&listener);
    let senders = Senders::start(home.public());
    for n in 0..restarts {
        relay.ready().await;
        senders.wait_for_answers().await;
        if n % 2 == 0 {
            relay.stop().await;
        } else {
            senders.kill(relay).await;
        }
        relay = home.start_inheriting(&listener);
    }
    relay.ready().await;
    senders.wait_for_answers().await;
    let Outcomes { answered, refused, killed, unanswered, not_taken } = senders.stop().await;

    let accepted: HashSet<&str> = answered.iter().map(String::as_str).collect();
    let lost = eventually("the delivery of all that was accepted", async || {
        let got = sink.got();
        let arrived: HashSet<_> = got.iter().map(|got| got.header("x-relay-event").to_owned()).collect();
        accepted.iter().all(|event| arrived.contains(*event)).then_some(0)
    })
    .await;
    relay.stop().await;
    println!(
        "{restarts} restarts, {} events answered, {refused} refused, {unanswered} unanswered, {killed} in work of a killed \
         relay, {lost} lost",
        accepted.len(),
    );
    assert_eq!((refused, unanswered, not_taken), (0, 0, Vec::new()), "{}", home.log());
    assert!(home.log().contains("the service manager listens for us"), "{}", home.log());
}
