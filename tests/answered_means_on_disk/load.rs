//! Senders that never rest, and that know what was answered 200.
//!
//! Atoms would send an event once. These send it until it is answered, so that each event is accepted sooner or later,
//! and those whose first answer was lost with the relay are sent twice.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use atoms_relay::verify;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    fixtures,
    wire::{Answer, Request, Wire},
    within,
};

/// Enough that every kill finds requests at each stage of their work.
const SENDERS: u64 = 6;

/// Between two events of one sender: together they send 300 events a second at most. More would only make the queue longer
/// that is waited for at the end.
const PACE: Duration = Duration::from_millis(20);

/// Before an event is sent again to a relay that is gone.
const RECONNECT_PAUSE: Duration = Duration::from_millis(5);

/// One event of so many has the body of a fixture; every eleventh of those is the one of 50 KB.
const FIXTURE_EVERY: u64 = 8;

/// An event that was answered 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The relay's id for it.
    pub(crate) id: String,
    /// Its signature, which no other body has.
    pub(crate) signature: String,
    /// Whether the relay had it already when it answered.
    pub(crate) was_known: bool,
}

/// The answers that were not 200. While the relay is gone, nobody answers; so these are of one that runs and can't work.
type Refusals = Arc<Mutex<Vec<Answer>>>;

/// Senders at work. They stop when this is dropped.
pub(crate) struct Load {
    senders: JoinSet<Vec<Accepted>>,
    refusals: Refusals,
    stop: CancellationToken,
}

impl Load {
    /// Starts to send events to a relay at `address`, whether or not one runs there.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let (stop, fixtures) = (CancellationToken::new(), Arc::new(fixtures::around_ids()));
        let refusals = Refusals::default();
        let mut senders = JoinSet::new();
        for number in 0..SENDERS {
            let (fixtures, refusals) = (Arc::clone(&fixtures), Arc::clone(&refusals));
            let sender = Sender { number, address, wire: None, fixtures, refusals };
            senders.spawn(sender.send_until(stop.clone()));
        }
        Self { senders, refusals, stop }
    }

    /// The answers so far that were not 200.
    pub(crate) fn refusals(&self) -> Vec<Answer> {
        self.refusals.lock().unwrap().clone()
    }

    /// Stops when all that was sent is answered with 200; returns that.
    pub(crate) async fn stop(self) -> Vec<Accepted> {
        self.stop.cancel();
        self.senders.join_all().await.concat()
    }
}

struct Sender {
    number: u64,
    address: SocketAddr,
    wire: Option<Wire>,
    fixtures: Arc<Vec<(Vec<u8>, Vec<u8>)>>,
    refusals: Refusals,
}

impl Sender {
    async fn send_until(mut self, stop: CancellationToken) -> Vec<Accepted> {
        let mut accepted = Vec::new();
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(pace.tick()).await.is_some() {
            let body = self.body(accepted.len() as u64);
            let signature = verify::sign(fixtures::SECRET, &body).unwrap();
            let answer = self.post(&Request::signed_with(&signature, body).bytes()).await;
            let was_known = answer.text("status") == "duplicate";
            accepted.push(Accepted { id: answer.text("id"), signature, was_known });
        }
        accepted
    }

    /// The body of the n-th event.
    fn body(&self, n: u64) -> Vec<u8> {
        let id = format!("{:08x}{n:016x}", self.number);
        if !n.is_multiple_of(FIXTURE_EVERY) {
            return fixtures::event(&id);
        }
        let fixture = usize::try_from(n / FIXTURE_EVERY).unwrap() % self.fixtures.len();
        let (before, after) = &self.fixtures[fixture];
        [before, id.as_bytes(), after].concat()
    }

    /// Posts it until it is answered with 200, over one connection as long as that lasts.
    async fn post(&mut self, request: &[u8]) -> Answer {
        within("an answer to an event", async {
            loop {
                if let Some(answer) = self.try_post(request).await {
                    return answer;
                }
                sleep(RECONNECT_PAUSE).await;
            }
        })
        .await
    }

    async fn try_post(&mut self, request: &[u8]) -> Option<Answer> {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::try_connect(self.address).await.ok()?,
        };
        wire.try_send(request).await.ok()?;
        let answer = wire.try_answer().await?;
        if answer.header("connection") != Some("close") {
            self.wire = Some(wire);
        }
        if answer.status != 200 {
            self.refusals.lock().unwrap().push(answer);
            return None;
        }
        Some(answer)
    }
}
