//! Strangers at the public door of the real program, with all they can think of, and few descriptors to waste: whoever signs
//! its events gets them accepted all the same.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bench::is_long_run,
    process::Home,
    support::{
        eventually, fixtures,
        scripted::{Behaviour, Scripted},
        wire::{Answer, Request, Wire},
        within,
    },
};

/// A quarter of them is for connections: sixteen.
const DESCRIPTORS: u32 = 64;

/// Each kind of stranger, so many at a time: far more than there are places.
const STRANGERS: usize = 12;

/// Between two bytes of those that trickle.
const TRICKLE: Duration = Duration::from_millis(50);

/// How long one of them goes on when nobody stops it: longer than the relay would let any of them.
const PATIENCE: Duration = Duration::from_secs(120);

/// Half of what a source waits at most. A place is made within two or three seconds; without that, strangers with bodies
/// that trickle keep theirs for as long as a body may take, which is over 20 s here.
const LONG: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy)]
enum Stranger {
    /// Connects and says nothing.
    Silent,
    /// Sends a head, byte by byte, without end.
    SlowHead,
    /// Sends a whole head, then a long body, byte by byte.
    SlowBody,
    /// Sends the start of a long body at once, and no more.
    HalfBody,
    /// Sends events with a wrong signature, one after another.
    Forger,
}

impl Stranger {
    const ALL: [Self; 5] = [Self::Silent, Self::SlowHead, Self::SlowBody, Self::HalfBody, Self::Forger];

    /// Annoys the relay until it closes the connection.
    async fn annoy(self, address: SocketAddr) -> Option<()> {
        let mut wire = Wire::try_connect(address).await.ok()?;
        match self {
            Self::Silent => wire.closed().await.ok(),
            Self::SlowHead => {
                wire.try_send(b"POST /webhook HTTP/1.1\r\nHost: relay\r\nX-Long: ").await.ok()?;
                trickle(&mut wire).await
            }
            Self::SlowBody => {
                wire.try_send(&forged(7_000_000).head()).await.ok()?;
                trickle(&mut wire).await
            }
            Self::HalfBody => {
                let request = forged(7_000_000).bytes();
                wire.try_send(&request[..300_000]).await.ok()?;
                wire.try_answer().await.map(drop)
            }
            Self::Forger => {
                wire.try_send(&forged(500).bytes()).await.ok()?;
                let answer = wire.try_answer().await?;
                assert_eq!(answer.status, 401, "{answer:?}");
                Some(())
            }
        }
    }
}

fn forged(length: usize) -> Request {
    Request::signed_with(&"0".repeat(64), vec![b' '; length])
}

async fn trickle(wire: &mut Wire) -> Option<()> {
    loop {
        wire.try_send(b"x").await.ok()?;
        sleep(TRICKLE).await;
    }
}

/// Strangers of all kinds, each of which comes back as soon as it is thrown out.
fn flood(address: SocketAddr, stop: &CancellationToken) -> JoinSet<()> {
    let mut strangers = JoinSet::new();
    for stranger in (0..STRANGERS).flat_map(|_| Stranger::ALL) {
        let stop = stop.clone();
        strangers.spawn(async move {
            while stop.run_until_cancelled(timeout(PATIENCE, stranger.annoy(address))).await.is_some() {
                sleep(TRICKLE).await;
            }
        });
    }
    strangers
}

/// Someone who signs its events.
struct Source {
    number: usize,
    address: SocketAddr,
    /// Kept from event to event by some, made anew by others.
    wire: Option<Wire>,
    keeps: Keeps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Connection,
    Nothing,
}

/// What sources met.
#[derive(Default)]
struct Met {
    ids: Vec<String>,
    /// From before connecting to the answer, for those that kept their connection and for the others.
    took: [Vec<Duration>; 2],
    /// Connections that ended without an answer.
    broken: usize,
}

impl Met {
    fn add(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.took.iter_mut().zip(other.took).for_each(|(all, more)| all.extend(more));
        self.broken += other.broken;
    }
}

impl Source {
    async fn send(mut self, events: usize) -> Met {
        let mut met = Met::default();
        for n in 0..events {
            let (request, began) = (self.event(n).bytes(), Instant::now());
            let answer = loop {
                match self.try_send(&request).await {
                    Some(answer) => break answer,
                    None => met.broken += 1,
                }
            };
            assert_eq!(answer.status, 200, "{answer:?}");
            met.took[self.keeps as usize].push(began.elapsed());
            met.ids.push(answer.text("id"));
        }
        met
    }

    /// The n-th event. Some are longer than what is free: they need a share of the memory that strangers want as well.
    fn event(&self, n: usize) -> Request {
        let mut body = fixtures::event(&format!("{:08}{n:016}", self.number));
        if n % 4 == 3 {
            body.resize(100_000, b' ');
        }
        Request::signed(body)
    }

    async fn try_send(&mut self, request: &[u8]) -> Option<Answer> {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::try_connect(self.address).await.ok()?,
        };
        wire.try_send(request).await.ok()?;
        let answer = within("an answer to an authentic event", wire.try_answer()).await?;
        self.wire = (self.keeps == Keeps::Connection).then_some(wire);
        Some(answer)
    }
}

/// Within what time so many hundredths of requests were answered.
fn part(took: &[Duration], hundredths: usize) -> Duration {
    let mut took = took.to_vec();
    took.sort();
    took[(took.len() * hundredths / 100).min(took.len() - 1)]
}

/// How long requests took, in words.
fn told(took: &[Duration]) -> String {
    let [half, most, all] = [50, 99, 100].map(|hundredths| part(took, hundredths));
    format!("{half:.0?} (half of them), {most:.0?} (99 %), {all:.0?} (all)")
}

/// What authentic sources meet that send so many events each.
async fn sources_meet(address: SocketAddr, events: usize) -> Met {
    let mut sources = JoinSet::new();
    for number in 0..4 {
        let keeps = if number % 2 == 0 { Keeps::Connection } else { Keeps::Nothing };
        sources.spawn(Source { number, address, wire: None, keeps }.send(events));
    }
    let mut all = Met::default();
    sources.join_all().await.into_iter().for_each(|met| all.add(met));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_and_few_descriptors_keep_no_authentic_event_out() {
    let sink = Scripted::always(Behaviour::Answers(200)).await;
    let home = Home::new(&[("crm", sink.url("/"), "")]);
    // The most there is: who waits for the deadlines of so many strangers waits for longer than a source does.
    home.configure("server", "accept_deadline = \"29s\"");
    let mut relay = home.start_with_descriptors(DESCRIPTORS);
    relay.ready().await;
    let stop = CancellationToken::new();
    let strangers = flood(home.public(), &stop);

    let events = if is_long_run() { 25 } else { 5 };
    let Met { ids, took: [kept, new], broken } = sources_meet(home.public(), events).await;
    let health = Request::new("GET /healthz HTTP/1.1").send(home.public()).await;
    assert_eq!(health.status, 200);
    let has_arrived = |id: &String| sink.got().iter().any(|got| got.header("x-relay-event") == id.as_str());
    eventually("all deliveries", async || ids.iter().all(has_arrived).then_some(())).await;
    stop.cancel();
    strangers.join_all().await;

    let (told_kept, told_new) = (told(&kept), told(&new));
    println!(
        "torture: {} events beside {} strangers with {DESCRIPTORS} descriptors, 0 lost, 0 refused, {broken} sent again, answered \
         within {told_kept} over kept connections, {told_new} over new ones",
        ids.len(),
        STRANGERS * Stranger::ALL.len(),
    );
    assert!(part(&new, 50) < LONG, "new connections wait for strangers to go by themselves: {told_new}");
    relay.stop().await;
}
