//! The attempts of one lane that are on their way: each a task of its own, all owned here.
//!
//! Whatever happens to such a task, its delivery comes back exactly once, as an [`Ended`]: also when it panics, and when it
//! is cut short.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    mem,
    sync::Arc,
};

use bytes::Bytes;
use tokio::{
    task::{self, JoinError, JoinSet},
    time::Instant,
};

use super::{
    budget::Permit,
    messages::{Ended, Taken},
};
use crate::{
    clock::{self, Clock},
    model::{Attempt, FailureKind, Outcome, Sampling, Timestamp},
    outcome::{Failure, Judgement, Meaning, Rules, Undecided},
    send::{Client, Credentials, Sent},
    store::{Claim, Settled, Store, StoreError},
    transform::{self, Occasion, OutboundRequest, Target},
};

/// The attempts on their way to one destination.
pub(super) struct Attempts {
    way: Arc<Way>,
    tasks: JoinSet<Tried>,
    running: HashMap<task::Id, Running>,
    /// Rules that people were told can't always be asked.
    told: HashSet<Arc<str>>,
}

/// How one destination is called, and how its answers are read.
pub(super) struct Way {
    /// Where and how it wants to be called.
    pub(super) target: Target,
    /// Calls it.
    pub(super) client: Client,
    /// What is known of its answers.
    pub(super) rules: Rules,
    /// Keeps bodies for later attempts.
    pub(super) store: Arc<dyn Store>,
    /// The time.
    pub(super) clock: Clock,
    /// Which traces we record.
    pub(super) sampling: Sampling,
}

/// What has to be known of an attempt if its task doesn't come back.
struct Running {
    /// The way that it goes.
    way: Arc<Way>,
    claim: Claim,
    started_at: Timestamp,
    started: Instant,
    /// Spent until the attempt is over.
    _permit: Permit,
}

/// What a task comes back with.
struct Tried {
    request: String,
    outcome: Outcome,
    meaning: Meaning,
    undecided: Vec<Undecided>,
}

impl Attempts {
    /// None yet.
    pub(super) fn new(way: Way) -> Self {
        Self { way: Arc::new(way), tasks: JoinSet::new(), running: HashMap::new(), told: HashSet::new() }
    }

    /// Takes another way from now on. What is on its way stays on the one that it began on.
    pub(super) fn go(&mut self, way: Way) {
        self.way = Arc::new(way);
        self.told.clear();
    }

    /// Begins an attempt, which spends `permit`.
    pub(super) fn start(&mut self, claim: Claim, mut permit: Permit) {
        permit.spend();
        let (way, attempted) = (Arc::clone(&self.way), claim.clone());
        self.spawn(claim, permit, async move { way.attempt(attempted).await });
    }

    fn spawn(&mut self, claim: Claim, permit: Permit, attempt: impl Future<Output = Tried> + Send + 'static) {
        let (way, started_at) = (Arc::clone(&self.way), self.way.clock.now());
        let running = Running { way, claim, started_at, started: Instant::now(), _permit: permit };
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
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Running { way, claim, started_at, started, .. } = self.running.remove(&id)?;
        let tried = joined.map_or_else(|error| way.lost(&error), |(_, tried)| tried);
        let Tried { request, outcome, meaning, undecided } = tried;
        self.tell(undecided);
        let id = claim.id();
        let attempt = Attempt { number: next_number(&claim), started_at, took: started.elapsed(), request, outcome };
        tracing::debug!(delivery = %id, attempt = attempt.number, took = ?attempt.took, "{}", attempt.outcome);
        let way = if Arc::ptr_eq(&way, &self.way) { Taken::Present } else { Taken::Former };
        Some(Ended { id, token: claim.token, delivery: claim.delivery, attempt, meaning, way, roll: clock::roll() })
    }

    /// Tells of rules that couldn't be asked, of each once: it is likely to be so for many answers.
    fn tell(&mut self, undecided: Vec<Undecided>) {
        for Undecided { rule, status, reason } in undecided {
            if self.told.insert(Arc::clone(&rule)) {
                tracing::warn!(%rule, status, "a rule of `outcome` can't be asked of an answer, so it doesn't hold: {reason}");
            }
        }
    }
}

impl Way {
    /// Shows who we are, makes the request and sends it. When the credentials aren't taken any more, the same goes out again
    /// at once with others: that is part of the attempt.
    async fn attempt(&self, mut claim: Claim) -> Tried {
        let credentials = match self.client.credentials().await {
            Ok(credentials) => credentials,
            Err(failure) => return self.read(self.target.shown(), Err(failure)),
        };
        let tried = self.request(&mut claim, &credentials).await;
        if tried.meaning != Meaning::Reauth {
            return tried;
        }
        if !self.client.can_refresh() {
            return Tried { meaning: Meaning::CREDENTIALS_REFUSED, ..tried };
        }
        match self.client.refresh(&credentials).await {
            Ok(fresh) => self.request(&mut claim, &fresh).await.last(),
            Err(failure) => self.read(tried.request, Err(failure)),
        }
    }

    async fn request(&self, claim: &mut Claim, credentials: &Credentials) -> Tried {
        match self.prepare(claim, credentials).await {
            Ok(mut request) => {
                let shown = mem::take(&mut request.shown);
                self.read(shown, self.client.send(request, credentials).await)
            }
            Err(failure) => self.read(self.target.shown(), Err(failure)),
        }
    }

    /// The request. A body that later attempts have to repeat is on disk before this returns.
    async fn prepare(&self, claim: &mut Claim, credentials: &Credentials) -> Result<OutboundRequest, Failure> {
        let occasion = Occasion {
            event: &claim.event,
            delivery: &claim.delivery,
            attempt: next_number(claim),
            now: self.clock.now(),
            auth: credentials.captured(),
            kept_body: claim.kept_body.clone(),
            sampling: self.sampling,
        };
        let request = transform::outbound(&self.target, &occasion).map_err(|reason| unsendable(&reason))?;
        if request.must_be_kept {
            self.keep(claim, &request.body).await?;
        }
        Ok(request)
    }

    async fn keep(&self, claim: &mut Claim, body: &Bytes) -> Result<(), Failure> {
        match self.store.keep_body(&claim.id(), claim.token, body.clone()).await {
            Ok(Settled::Recorded) => {
                claim.kept_body = Some(body.clone());
                Ok(())
            }
            Ok(Settled::LeaseLost) => {
                let detail = "its lease had passed before it was sent".to_owned();
                Err(Failure { kind: FailureKind::Interrupted, detail })
            }
            Err(error @ StoreError::TooLarge(_)) => Err(unsendable(&error)),
            Err(error) => Err(Failure { kind: FailureKind::Unkept, detail: error.to_string() }),
        }
    }

    /// What comes of an attempt whose task was ended.
    fn lost(&self, error: &JoinError) -> Tried {
        let (kind, detail) = if error.is_cancelled() {
            (FailureKind::Interrupted, "it may have arrived")
        } else {
            (FailureKind::Bug, "the attempt panicked")
        };
        self.failed(kind, detail)
    }

    fn failed(&self, kind: FailureKind, detail: &str) -> Tried {
        self.read(self.target.shown(), Err(Failure { kind, detail: detail.to_owned() }))
    }

    fn read(&self, request: String, sent: Sent) -> Tried {
        let Judgement { meaning, class, undecided } = Meaning::of(&sent, &self.rules, self.clock.now());
        Tried { request, outcome: Outcome::from(sent).judged(class), meaning, undecided }
    }
}

impl Tried {
    /// As the end of an attempt: credentials that were got for it and aren't taken are wrong.
    fn last(self) -> Self {
        match self.meaning {
            Meaning::Reauth => Self { meaning: Meaning::FRESH_CREDENTIALS_REFUSED, ..self },
            _ => self,
        }
    }
}

/// The number of the attempt that a claim is for, from 1.
fn next_number(claim: &Claim) -> u32 {
    claim.delivery.attempts.saturating_add(1)
}

fn unsendable(reason: &dyn Error) -> Failure {
    Failure { kind: FailureKind::Unsendable, detail: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::{
        address::Policy,
        model::{Delivery, Event, EventId, Name, OriginalHeaders, Outcome, Reading},
        outcome::Fault,
        send::{Settings, Timeouts, Trust},
        store::{
            ClaimToken,
            embedded::{Embedded, Options, Retention},
        },
        transform::Address,
    };

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// None yet, and the folder of the store.
    fn attempts() -> (Attempts, TempDir) {
        let url: url::Url = "http://127.0.0.1:1/hook".parse().unwrap();
        let client = Client::new(Settings {
            timeouts: Timeouts { connect: Duration::from_secs(9), total: Duration::from_secs(9) },
            trust: Trust::Nobody,
            identity: None,
            policy: Policy::AllowPrivate,
            grant: None,
        });
        let target = Target::new(Address::fixed(url));
        let clock = Clock::from_fn(|| Timestamp::from_millis(1_000));
        let folder = tempfile::tempdir().unwrap();
        let retention = Retention { delivered: DAY, dead_letters: DAY, deduplication: DAY };
        let store = Embedded::open(Options::new(folder.path(), retention, 0, clock.clone())).unwrap();
        let way = Way {
            target,
            client: client.unwrap(),
            rules: Rules::default(),
            store: Arc::new(store),
            clock,
            sampling: Sampling::ALL,
        };
        (Attempts::new(way), folder)
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
        let (mut attempts, _folder) = attempts();
        attempts
            .spawn(claim(OriginalHeaders::default()), Permit::default(), async { panic!("this panic is the test's") });
        let ended = only(&mut attempts).await;
        assert_eq!(ended.meaning, Meaning::Retry(Fault::Event));
        assert_eq!(ended.attempt.number, 5);
        assert_eq!(ended.attempt.request, "POST http://127.0.0.1:1/hook");
        assert_eq!(ended.attempt.outcome.to_string(), "a bug in the relay, please report it: the attempt panicked");
    }

    #[tokio::test]
    async fn an_attempt_that_is_cut_short_decides_nothing() {
        let (mut attempts, _folder) = attempts();
        attempts.spawn(claim(OriginalHeaders::default()), Permit::default(), std::future::pending());
        attempts.interrupt();
        let ended = only(&mut attempts).await;
        assert_eq!(ended.meaning, Meaning::Undecided);
        assert!(matches!(ended.attempt.outcome, Outcome::Failed { kind: FailureKind::Interrupted, .. }));
    }

    #[tokio::test]
    async fn what_cannot_be_sent_says_why() {
        let (mut attempts, _folder) = attempts();
        attempts
            .start(claim(OriginalHeaders { content_type: Some(b"a\nb".to_vec()), signature: None }), Permit::default());
        let ended = only(&mut attempts).await;
        assert_eq!(ended.meaning, Meaning::Unsendable);
        let reason = "not sendable: the Content-Type header holds characters that HTTP doesn't allow";
        assert_eq!(ended.attempt.outcome.to_string(), reason);
    }

    #[tokio::test]
    async fn what_ends_together_comes_back_together() {
        let (mut attempts, _folder) = attempts();
        for _ in 0..3 {
            attempts.spawn(claim(OriginalHeaders::default()), Permit::default(), std::future::pending());
        }
        attempts.interrupt();
        tokio::task::yield_now().await;
        assert_eq!(attempts.ended().await.len(), 3);
        assert!(attempts.running.is_empty());
    }
}
