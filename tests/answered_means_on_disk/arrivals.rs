//! Destinations that write down what arrives, and the comparison of that with what was accepted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use atoms_relay::verify;

use crate::{
    load::Accepted,
    support::{
        fixtures,
        scripted::{Behaviour, Got, Scripted},
    },
};

/// What the slow destination takes for an answer. With eight at once it keeps up with the load, and attempts are under way
/// at any moment.
const SLOWNESS: Duration = Duration::from_millis(5);

/// The unsteady destination answers one of so many requests with 503: seldom enough that its breaker hardly ever trips.
const UNSTEADY_EVERY: usize = 8;

/// Retries within the test's patience. Whoever gives up makes a dead letter, which the test would miss as lost.
const SETTINGS: &str = r#"retry = { initial = "20ms", max = "200ms", give_up_after = "1h" }"#;

/// Three destinations: one that is always well, one that fails now and then, one that takes its time.
pub(crate) struct Destinations(Vec<Destination>);

struct Destination {
    name: &'static str,
    scripted: Scripted,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

/// One request that arrived, as far as it is needed.
#[derive(Debug, Clone)]
struct Arrival {
    event: String,
    /// Made anew from the body that arrived.
    made_signature: String,
    /// What the request said.
    told_signature: String,
    key: String,
    attempt: u32,
    is_taken: bool,
}

/// What became of everything that was accepted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) delivered: usize,
    /// Requests that were taken although the same delivery had been taken before.
    pub(crate) repeated: usize,
    pub(crate) lost: Vec<String>,
}

impl Destinations {
    pub(crate) async fn start() -> Self {
        let unsteady =
            |n: usize| if n % UNSTEADY_EVERY == 3 { Behaviour::Answers(503) } else { Behaviour::Answers(200) };
        Self(vec![
            Destination::start("steady", |_| Behaviour::Answers(200)).await,
            Destination::start("unsteady", unsteady).await,
            Destination::start("slow", |_| Behaviour::AnswersAfter(SLOWNESS, 200)).await,
        ])
    }

    /// What a config needs to know of them.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String, &'static str)> {
        self.0.iter().map(|destination| (destination.name, destination.scripted.url("/"), SETTINGS)).collect()
    }

    /// Waits until everything has arrived that a relay had sent before it ended.
    pub(crate) async fn wait_until_left(&self) {
        for destination in &self.0 {
            destination.scripted.wait_until_left().await;
        }
    }

    /// Compares what arrived with all that was accepted.
    ///
    /// # Panics
    /// When something arrived that should not have, or not in this way.
    pub(crate) fn judge(&self, accepted: &[Accepted]) -> Tally {
        let signatures: HashMap<_, _> =
            accepted.iter().map(|event| (event.id.as_str(), event.signature.as_str())).collect();
        assert_eq!(signatures.len(), accepted.len(), "two events were answered with one id");
        let mut tally = Tally::default();
        for destination in &self.0 {
            destination.judge(&signatures, &mut tally);
        }
        tally
    }
}

impl Destination {
    async fn start(name: &'static str, behaviour: impl Fn(usize) -> Behaviour + Send + Sync + 'static) -> Self {
        let arrivals = Arc::<Mutex<Vec<Arrival>>>::default();
        let written = Arc::clone(&arrivals);
        let script = move |n: usize, got: &Got| {
            let behaviour = behaviour(n);
            let is_taken = behaviour != Behaviour::Answers(503);
            written.lock().unwrap().push(Arrival::of(got, is_taken));
            behaviour
        };
        Self { name, scripted: Scripted::forgetful(script).await, arrivals }
    }

    fn judge(&self, signatures: &HashMap<&str, &str>, tally: &mut Tally) {
        let arrivals = self.arrivals.lock().unwrap();
        let mut deliveries = HashMap::<&str, Vec<&Arrival>>::new();
        for arrival in arrivals.iter() {
            deliveries.entry(&arrival.event).or_default().push(arrival);
        }
        for (event, arrivals) in &deliveries {
            let Some(signature) = signatures.get(event) else {
                panic!("{}: nobody was told that it was accepted, or nobody sent it: {arrivals:?}", self.name)
            };
            assert_unchanged(arrivals, signature);
            assert_one_delivery(arrivals, &format!("{event}.{}", self.name));
        }
        for event in signatures.keys() {
            let taken = deliveries.get(event).map_or(0, |arrivals| taken(arrivals));
            match taken {
                0 => tally.lost.push(format!("{event}.{}", self.name)),
                _ => tally.delivered += 1,
            }
            tally.repeated += taken.saturating_sub(1);
        }
    }
}

impl Arrival {
    fn of(got: &Got, is_taken: bool) -> Self {
        Self {
            event: got.header("x-relay-event").to_owned(),
            made_signature: verify::sign(fixtures::SECRET, &got.body).unwrap(),
            told_signature: got.header("x-signature").to_owned(),
            key: got.header("idempotency-key").to_owned(),
            attempt: got.header("x-relay-attempt").parse().unwrap(),
            is_taken,
        }
    }
}

fn taken(arrivals: &[&Arrival]) -> usize {
    arrivals.iter().filter(|arrival| arrival.is_taken).count()
}

/// A body with the signature of another one would be a forgery, so equal signatures mean equal bytes.
fn assert_unchanged(arrivals: &[&Arrival], signature: &str) {
    for arrival in arrivals {
        assert_eq!(arrival.made_signature, signature, "not the bytes that were sent: {arrival:?}");
        assert_eq!(arrival.told_signature, signature, "not the signature that was sent: {arrival:?}");
    }
}

/// One key. Attempts count from 1, and one that was killed before it was settled is made again under its number.
fn assert_one_delivery(arrivals: &[&Arrival], key: &str) {
    let mut last = 0;
    for arrival in arrivals {
        assert_eq!(arrival.key, key, "{arrivals:?}");
        let is_first = last == 0;
        let is_next = arrival.attempt == last + 1;
        let is_again = arrival.attempt == last && !is_first;
        assert!(is_next || is_again, "attempt {} after {last}: {arrivals:#?}", arrival.attempt);
        last = arrival.attempt;
    }
}
