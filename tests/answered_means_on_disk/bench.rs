//! A store in a folder of its own, under a clock that tests set.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use atoms_relay::{
    clock::Clock,
    model::{
        Attempt, DedupKey, Event, EventId, Name, NewDelivery, NewEvent, Order, OriginalHeaders, Outcome, Reading,
        Timestamp, Verdict,
    },
    store::{
        Claim, Page, Settlement, Store,
        embedded::{Embedded, OpenError, Options, Retention},
    },
};
use bytes::Bytes;

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
const RETENTION: Retention = Retention {
    delivered: Duration::from_secs(7 * 86_400),
    dead_letters: Duration::from_secs(30 * 86_400),
    deduplication: Duration::from_secs(60 * 86_400),
};

pub(crate) struct Bench {
    dir: tempfile::TempDir,
    time: Arc<AtomicU64>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::new_in(tempfile::tempdir().unwrap())
    }

    pub(crate) fn new_in(dir: tempfile::TempDir) -> Self {
        Self { dir, time: Arc::new(1_790_000_000_000.into()) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.load(Ordering::SeqCst))
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.time.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Sets the clock back.
    pub(crate) fn set_back(&self, time: Duration) {
        self.time.fetch_sub(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn options(&self) -> Options {
        let time = Arc::clone(&self.time);
        let clock = Clock::from_fn(move || Timestamp::from_millis(time.load(Ordering::SeqCst)));
        Options::new(self.path(), RETENTION, 0, clock)
    }

    pub(crate) fn open(&self) -> Embedded {
        open(&self.options()).unwrap()
    }

    /// An event of which every third belongs to the same call.
    pub(crate) fn event(&self, number: u32, to: &[&str]) -> NewEvent {
        let call = number / 3;
        let body = format!(
            r#"{{"id":"{number:024}","event":"a.post-conversation","metadata":{{"agentId":"a","callId":"CALL-{call}"}}}}"#
        );
        self.event_with(body.into_bytes(), to)
    }

    pub(crate) fn event_with(&self, body: Vec<u8>, to: &[&str]) -> NewEvent {
        let (source, received_at, reading) = (name("atoms"), self.now(), Reading::of(&body));
        let dedup_key = DedupKey::of(&source, &reading, &body);
        let dice = *dedup_key.as_bytes().first_chunk().unwrap();
        let headers = OriginalHeaders {
            content_type: Some(b"application/json".to_vec()),
            signature: Some(("x-signature".into(), b"00ff".to_vec())),
        };
        let (id, body) = (EventId::new(received_at, dice), Bytes::from(body));
        let event = Event { id, source, received_at, reading, headers, body };
        NewEvent { event, dedup_key, deliveries: to.iter().map(|to| NewDelivery::to(name(to))).collect() }
    }
}

/// Opens a store; one that was dropped is locked until its threads have ended.
pub(crate) fn open(options: &Options) -> Result<Embedded, OpenError> {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        match Embedded::open(options.clone()) {
            Err(OpenError::Locked { .. }) if std::time::Instant::now() < deadline => {
                std::thread::park_timeout(Duration::from_millis(2));
            }
            opened => return opened,
        }
    }
}

/// Waits until the threads of a store that was dropped have ended, and sled's.
pub(crate) fn wait_until_left(dir: &Path) {
    let locks = [dir.join("lock"), dir.join("index/db")];
    let is_locked = || locks.iter().any(|file| File::open(file).is_ok_and(|lock| lock.try_lock().is_err()));
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while is_locked() {
        assert!(std::time::Instant::now() < deadline, "the threads of the store don't end");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Where the random tests send their events.
pub(crate) const DESTINATIONS: [&str; 3] = ["crm", "slack", "api"];
/// Longer than any random test: leases that pass are the conformance suite's matter.
pub(crate) const LONG_LEASE: Duration = Duration::from_secs(10_000 * 86_400);

/// How many calls the numbered events belong to.
const CALLS: u8 = 5;

/// The event with this number, padded by `size` bytes, received at `at`. Each of the lower bits of `to` stands for a
/// destination; the bit three above says that the delivery there is refused.
pub(crate) fn numbered_event(number: u8, size: usize, at: Timestamp, to: u8) -> NewEvent {
    let (call, pad) = (call_of(number), "x".repeat(size));
    let body = format!(r#"{{"id":"{number}","event":"a.b","metadata":{{"callId":"{call}"}},"pad":"{pad}"}}"#);
    let (source, received_at, body) = (name("atoms"), at, Bytes::from(body));
    let reading = Reading::of(&body);
    let dedup_key = DedupKey::of(&source, &reading, &body);
    let (id, headers) = (EventId::new(received_at, [number; 10]), OriginalHeaders::default());
    let delivery = |bit: u8| {
        let refused = (to & (8 << bit) != 0).then(|| "no such field".into());
        NewDelivery { refused, ..NewDelivery::to(destination(bit)) }
    };
    let deliveries = (0..3).filter(|bit| to & (1 << bit) != 0).map(delivery).collect();
    NewEvent { event: Event { id, source, received_at, reading, headers, body }, dedup_key, deliveries }
}

/// The call of a numbered event.
pub(crate) fn call_of(number: u8) -> u8 {
    number % CALLS
}

/// A destination by its number.
pub(crate) fn destination(number: u8) -> Name {
    name(DESTINATIONS[usize::from(number) % DESTINATIONS.len()])
}

/// The first page of a list, large enough for all that a test makes.
pub(crate) fn everything<C>() -> Page<C> {
    Page { after: None, limit: 10_000 }
}

pub(crate) fn settlement(claim: &Claim, verdict: Verdict, at: Timestamp) -> Settlement {
    let number = claim.delivery.attempts + 1;
    let outcome = Outcome::Answered { status: 503, excerpt: format!("attempt {number}") };
    let request = "POST https://crm.example".into();
    let attempt = Attempt { number, started_at: at, took: Duration::from_millis(5), request, outcome };
    Settlement { id: claim.id(), token: claim.token, verdict, attempt: Some(attempt) }
}

pub(crate) async fn claim_one(store: &Embedded, destination: &str) -> Claim {
    let mut claims = store.claim(&name(destination), 1, LEASE, Order::None).await.unwrap();
    claims.pop().expect("nothing is due")
}

/// Whether there is time for all cases: set `RELAY_TEST_LONG` for that.
#[expect(clippy::disallowed_methods, reason = "a switch of the test run, not of the relay")]
pub(crate) fn is_long_run() -> bool {
    std::env::var_os("RELAY_TEST_LONG").is_some_and(|value| !value.is_empty())
}
