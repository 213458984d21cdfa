//! The attempts of one lane that are on their way: each a task of its own, all owned here.
//!
//! Whatever happens to such a task, its delivery comes back exactly once, as an [`Ended`]: also when it panics, and when it
//! is cut short.

use std::{collections::HashMap, mem, sync::Arc};

use tokio::{
    task::{self, JoinError, JoinSet},
    time::Instant,
};

use super::messages::Ended;
use crate::{
    clock::{self, Clock},
    model::{Attempt, FailureKind, Timestamp},
    outcome::{Failure, Meaning},
    send::{Client, Sent},
    store::Claim,
    transform::{self, Occasion, Target},
};

/// The attempts on their way to one destination.
pub(super) struct Attempts {
    target: Arc<Target>,
    client: Client,
    clock: Clock,
    tasks: JoinSet<Tried>,
    running: HashMap<task::Id, Running>,
}

/// What has to be known of an attempt if its task doesn't come back.
struct Running {
    claim: Claim,
    started_at: Timestamp,
    started: Instant,
}

/// What a task comes back with.
struct Tried {
    request: String,
    sent: Sent,
}

impl Attempts {
    /// None yet.
    pub(super) fn new(target: Target, client: Client, clock: Clock) -> Self {
        Self { target: Arc::new(target), client, clock, tasks: JoinSet::new(), running: HashMap::new() }
    }

    /// Begins an attempt.
    pub(super) fn start(&mut self, claim: Claim) {
        let attempt = tried(self.client.clone(), self.target.clone(), claim.clone(), self.clock.now());
        self.spawn(claim, attempt);
    }

    fn spawn(&mut self, claim: Claim, attempt: impl Future<Output = Tried> + Send + 'static) {
        let running = Running { claim, started_at: self.clock.now(), started: Instant::now() };
        let id = self.tasks.spawn(attempt).id();
        self.running.insert(id, running);
    }

    /// Waits for the next ones that are over and returns them all; forever while none is on its way. Nothing is lost when
    /// the caller stops waiting.
    pub(super) async fn ended(&mut self) -> Vec<Ended> {
        let Some(first) = self.tasks.join_next_with_id().await else { return std::future::pending().await };
        let mut ended = Vec::from_iter(self.over(first));
        while let Some(next) = self.tasks.try_join_next_with_id() {
            ended.extend(self.over(next));
        }
        ended
    }

    /// Cuts all short; they still come back by [`Self::ended`].
    pub(super) fn interrupt(&mut self) {
        self.tasks.abort_all();
    }

    fn over(&mut self, joined: Result<(task::Id, Tried), JoinError>) -> Option<Ended> {
        let (id, tried) = match joined {
            Ok((id, tried)) => (id, tried),
            Err(error) => (error.id(), self.lost(&error)),
        };
        let Running { claim, started_at, started } = self.running.remove(&id)?;
        let id = claim.id();
        let meaning = Meaning::of(&tried.sent, self.clock.now());
        let attempt = Attempt {
            number: next_number(&claim),
            started_at,
            took: started.elapsed(),
            request: tried.request,
            outcome: tried.sent.into(),
        };
        tracing::debug!(delivery = %id, attempt = attempt.number, took = ?attempt.took, "{}", attempt.outcome);
        Some(Ended { id, token: claim.token, delivery: claim.delivery, attempt, meaning, roll: clock::roll() })
    }

    fn lost(&self, error: &JoinError) -> Tried {
        let (kind, detail) = if error.is_cancelled() {
            (FailureKind::Interrupted, "it may have arrived")
        } else {
            (FailureKind::Bug, "the attempt panicked")
        };
        Tried { request: self.target.shown(), sent: Err(Failure { kind, detail: detail.to_owned() }) }
    }
}

/// The number of the attempt that a claim is for, from 1.
fn next_number(claim: &Claim) -> u32 {
    claim.delivery.attempts.saturating_add(1)
}

/// Shows who we are, makes the request and sends it.
async fn tried(client: Client, target: Arc<Target>, claim: Claim, now: Timestamp) -> Tried {
    let credentials = match client.credentials().await {
        Ok(credentials) => credentials,
        Err(failure) => return Tried { request: target.shown(), sent: Err(failure) },
    };
    let occasion = Occasion {
        event: &claim.event,
        delivery: &claim.delivery,
        attempt: next_number(&claim),
        now,
        auth: credentials.captured(),
        kept_body: None,
    };
    match transform::outbound(&target, &occasion) {
        Ok(mut request) => {
            Tried { request: mem::take(&mut request.shown), sent: client.send(request, &credentials).await }
        }
        Err(reason) => {
            let failure = Failure { kind: FailureKind::Unsendable, detail: reason.to_string() };
            Tried { request: target.shown(), sent: Err(failure) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::{
        address::Policy,
        model::{Delivery, Event, EventId, Name, OriginalHeaders, Outcome, Reading},
        outcome::Fault,
        send::{Settings, Timeouts, Trust},
        store::ClaimToken,
        transform::Address,
    };

    fn attempts() -> Attempts {
        let url: url::Url = "http://127.0.0.1:1/hook".parse().unwrap();
        let client = Client::new(Settings {
            timeouts: Timeouts { connect: Duration::from_secs(9), total: Duration::from_secs(9) },
            trust: Trust::Nobody,
            identity: None,
            policy: Policy::AllowPrivate,
            grant: None,
        });
        let target = Target::new(Address::fixed(url));
        Attempts::new(target, client.unwrap(), Clock::from_fn(|| Timestamp::from_millis(1_000)))
    }

    fn claim(headers: OriginalHeaders) -> Claim {
        let event = Event {
            id: EventId::from_bytes([7; 16]),
            source: Name::new("atoms").unwrap(),
            received_at: Timestamp::EPOCH,
            reading: Reading::Quarantined("not read here".into()),
            headers,
            body: Bytes::from_static(b"{}"),
        };
        let delivery = Delivery { attempts: 4, ..Delivery::new(Name::new("crm").unwrap(), Timestamp::EPOCH) };
        Claim { token: ClaimToken(1), event: Arc::new(event), delivery, kept_body: None }
    }

    async fn only(attempts: &mut Attempts) -> Ended {
        let mut ended = attempts.ended().await;
        assert_eq!(ended.len(), 1);
        ended.pop().unwrap()
    }

    #[tokio::test]
    async fn an_attempt_that_panics_comes_back_as_a_bug_and_the_event_is_tried_again() {
        let mut attempts = attempts();
        attempts.spawn(claim(OriginalHeaders::default()), async { panic!("this panic is the test's") });
        let ended = only(&mut attempts).await;
        assert_eq!(ended.meaning, Meaning::Retry(Fault::Event));
        assert_eq!(ended.attempt.number, 5);
        assert_eq!(ended.attempt.request, "POST http://127.0.0.1:1/hook");
        assert_eq!(ended.attempt.outcome.to_string(), "a bug in the relay, please report it: the attempt panicked");
    }

    #[tokio::test]
    async fn an_attempt_that_is_cut_short_decides_nothing() {
        let mut attempts = attempts();
        attempts.spawn(claim(OriginalHeaders::default()), std::future::pending());
        attempts.interrupt();
        let ended = only(&mut attempts).await;
        assert_eq!(ended.meaning, Meaning::Undecided);
        assert!(matches!(ended.attempt.outcome, Outcome::Failed { kind: FailureKind::Interrupted, .. }));
    }

    #[tokio::test]
    async fn what_cannot_be_sent_says_why() {
        let mut attempts = attempts();
        attempts.start(claim(OriginalHeaders { content_type: Some(b"a\nb".to_vec()), signature: None }));
        let ended = only(&mut attempts).await;
        assert_eq!(ended.meaning, Meaning::Unsendable);
        let reason = "not sendable: the Content-Type header holds characters that HTTP doesn't allow";
        assert_eq!(ended.attempt.outcome.to_string(), reason);
    }

    #[tokio::test]
    async fn what_ends_together_comes_back_together() {
        let mut attempts = attempts();
        for _ in 0..3 {
            attempts.spawn(claim(OriginalHeaders::default()), std::future::pending());
        }
        attempts.interrupt();
        tokio::task::yield_now().await;
        assert_eq!(attempts.ended().await.len(), 3);
        assert!(attempts.running.is_empty());
    }
}
