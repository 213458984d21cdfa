//! Deliveries: their states, what happened to them, and the one place where a state changes.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Name, Timestamp};

/// Stands for the request of an attempt that never came to one.
const NO_REQUEST: &str = "no request";

/// One event on its way to one destination. It names the destination and nothing else: address, credentials and
/// templates are looked up at attempt time, so that a corrected config heals a backlog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The destination's name.
    pub destination: Name,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far, over all rounds.
    pub attempts: u32,
    /// When its present life began: at the receipt of the event, or when a person last sent it again. `give_up_after`
    /// counts from here, so that a replayed dead letter isn't given up at once for its age.
    pub since: Timestamp,
    /// Failed attempts of this life that led to a retry; the pause before the next one grows with them. Unlike
    /// `attempts` it starts again with each life and leaves out what decided nothing about this event.
    pub retries: u32,
    /// How often a *delivered* event was sent again on request. Part of the idempotency key: a destination that honours
    /// the key would swallow a wanted repetition otherwise.
    pub round: u32,
}

/// A delivery on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The destination's name.
    pub destination: Name,
    /// Why nobody can say what to send, in words for people: it is a dead letter from the start then, for a person to
    /// replay once the config is right. `None`: it is due at once.
    pub refused: Option<Arc<str>>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// Not there yet; not tried again before `due`.
    Waiting {
        /// The earliest time of the next attempt.
        due: Timestamp,
    },
    /// The destination has it.
    Delivered {
        /// When it said so.
        at: Timestamp,
    },
    /// Given up: a dead letter, until a person replays or discards it.
    Dead {
        /// When we gave up.
        at: Timestamp,
        /// Why.
        reason: DeadReason,
    },
    /// A dead letter that a person threw away.
    Discarded {
        /// When.
        at: Timestamp,
    },
    /// Retired because it came too late to be of use. No dead letter: nobody has to look after it.
    Expired {
        /// When.
        at: Timestamp,
    },
}

/// In which order a destination wants what comes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// In any.
    #[default]
    None,
    /// One after another, as the events came in: a delivery waits until no earlier event of its call waits for this
    /// destination. What comes in late, after a later one was delivered, waits for nothing.
    Call,
}

/// Why a delivery was given up. The last attempt has the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// The destination refused this event and would refuse it again.
    Rejected,
    /// Older than `give_up_after` and still failing.
    GaveUp,
    /// No request could be made of it.
    Unsendable,
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The destination has it.
    Done,
    /// Try again, not before this time.
    RetryAt(Timestamp),
    /// Give up.
    Dead(DeadReason),
    /// Too old to be of use: retire it.
    Expired,
    /// The attempt decided nothing about this event: its destination is wrong or we are stopping. It keeps its place.
    Release,
}

impl NewDelivery {
    /// A delivery that is due at once.
    #[must_use]
    pub const fn to(destination: Name) -> Self {
        Self { destination, refused: None }
    }

    /// How it begins, for an event received at `received_at`: the delivery, and the attempt that a refusal counts as.
    #[must_use]
    pub fn begin(&self, received_at: Timestamp) -> (Delivery, Option<Attempt>) {
        let mut delivery = Delivery::new(self.destination.clone(), received_at);
        let Some(refused) = &self.refused else { return (delivery, None) };
        delivery.state = DeliveryState::Dead { at: received_at, reason: DeadReason::Unsendable };
        delivery.attempts = 1;
        let outcome = Outcome::Failed { kind: FailureKind::Unsendable, detail: refused.to_string() };
        let request = NO_REQUEST.to_owned();
        let attempt = Attempt { number: 1, started_at: received_at, took: Duration::ZERO, request, outcome };
        (delivery, Some(attempt))
    }
}

impl Delivery {
    /// A delivery of an event received at `received_at`, due at once.
    #[must_use]
    pub const fn new(destination: Name, received_at: Timestamp) -> Self {
        let state = DeliveryState::Waiting { due: received_at };
        Self { destination, state, attempts: 0, since: received_at, retries: 0, round: 0 }
    }

    /// The delivery after a verdict reached at `now`; `attempt` is what led to it, `None` when nothing was tried.
    ///
    /// # Errors
    /// [`IllegalStep`] when there was nothing to decide: the delivery no longer waits.
    pub fn after(&self, verdict: Verdict, attempt: Option<&Attempt>, now: Timestamp) -> Result<Self, IllegalStep> {
        Ok(Self {
            destination: self.destination.clone(),
            state: self.state.after(verdict, now)?,
            attempts: self.attempts.saturating_add(attempt.is_some().into()),
            since: self.since,
            retries: self.retries.saturating_add(matches!(verdict, Verdict::RetryAt(_)).into()),
            round: self.round,
        })
    }

    /// The delivery when a person sends it again at `now`: due at once, with a whole life before it. A delivered one
    /// starts a new round; any other keeps its idempotency key, because the destination may have it already.
    #[must_use]
    pub fn replayed(&self, now: Timestamp) -> Self {
        let was_delivered = matches!(self.state, DeliveryState::Delivered { .. });
        Self {
            destination: self.destination.clone(),
            state: DeliveryState::Waiting { due: now },
            attempts: self.attempts,
            since: now,
            retries: 0,
            round: self.round.saturating_add(was_delivered.into()),
        }
    }
}

impl DeliveryState {
    /// The state after a verdict reached at `now`.
    ///
    /// # Errors
    /// [`IllegalStep`] when there was nothing to decide: the delivery no longer waits.
    pub fn after(self, verdict: Verdict, now: Timestamp) -> Result<Self, IllegalStep> {
        match (self, verdict) {
            (Self::Waiting { .. }, Verdict::Done) => Ok(Self::Delivered { at: now }),
            (Self::Waiting { .. }, Verdict::RetryAt(due)) | (Self::Waiting { due }, Verdict::Release) => {
                Ok(Self::Waiting { due })
            }
            (Self::Waiting { .. }, Verdict::Dead(reason)) => Ok(Self::Dead { at: now, reason }),
            (Self::Waiting { .. }, Verdict::Expired) => Ok(Self::Expired { at: now }),
            (Self::Delivered { .. } | Self::Dead { .. } | Self::Discarded { .. } | Self::Expired { .. }, _) => {
                Err(IllegalStep)
            }
        }
    }

    /// Whether the delivery still has to arrive.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Waiting { .. })
    }

    /// Whether it is a dead letter.
    #[must_use]
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Dead { .. })
    }

    /// Whether it was retired for its age.
    #[must_use]
    pub const fn is_expired(self) -> bool {
        matches!(self, Self::Expired { .. })
    }
}

/// A step that the life of a delivery doesn't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the delivery is settled already")]
pub struct IllegalStep;

/// One try, as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1, counted over all rounds.
    pub number: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// From the start to the outcome.
    #[serde(rename = "took_ms", with = "millis")]
    pub took: Duration,
    /// Method and address as a person may see them: without credentials, query or secret path.
    pub request: String,
    /// What it met.
    pub outcome: Outcome,
}

/// What an attempt met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The destination answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// The start of the body, as text; whoever shows it on a terminal escapes control characters.
        excerpt: String,
    },
    /// It did not.
    Failed {
        /// At which step.
        kind: FailureKind,
        /// The library's words, without the address.
        detail: String,
    },
    /// The destination answered, and a rule of the config says what that means.
    Judged {
        /// HTTP status.
        status: u16,
        /// The start of the body, as in `Answered`.
        excerpt: String,
        /// What the rule says.
        class: Class,
    },
}

/// What a rule of the config says of an answer, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The destination has the event.
    Success,
    /// It had it already.
    Duplicate,
    /// Not this time.
    Retry,
    /// The destination asks everybody to slow down.
    Throttled,
    /// It wants other credentials.
    Reauth,
    /// It refuses this event.
    RejectEvent,
    /// It refuses every event.
    StopDestination,
}

/// The step at which an attempt failed without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// No connection: unknown host, refused, unreachable, TLS.
    Connect,
    /// No whole answer in time.
    Timeout,
    /// The connection broke, or what came back was not HTTP.
    Broken,
    /// No request could be made of the event.
    Unsendable,
    /// The relay was stopping.
    Interrupted,
    /// The relay's own code failed.
    Bug,
    /// The address is one that may not be called.
    Forbidden,
    /// No access token could be had.
    Token,
    /// No access token is given for these credentials.
    Credentials,
    /// The body couldn't be kept for later attempts, so it wasn't sent.
    Unkept,
}

impl Outcome {
    /// The same under what a rule says of it; a failure has no answer that a rule could speak of.
    #[must_use]
    pub fn judged(self, class: Option<Class>) -> Self {
        match (self, class) {
            (Self::Answered { status, excerpt }, Some(class)) => Self::Judged { status, excerpt, class },
            (outcome, _) => outcome,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, .. } => write!(f, "answered {status}"),
            Self::Failed { kind, detail } => write!(f, "{kind}: {detail}"),
            Self::Judged { status, class, .. } => write!(f, "answered {status}, by a rule {class}"),
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "success",
            Self::Duplicate => "duplicate",
            Self::Retry => "retry",
            Self::Throttled => "throttled",
            Self::Reauth => "reauth",
            Self::RejectEvent => "reject_event",
            Self::StopDestination => "stop_destination",
        })
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Timeout => "timed out",
            Self::Broken => "the connection broke",
            Self::Unsendable => "not sendable",
            Self::Interrupted => "interrupted by a stop of the relay",
            Self::Bug => "a bug in the relay, please report it",
            Self::Forbidden => "forbidden address",
            Self::Token => "no access token",
            Self::Credentials => "credentials refused",
            Self::Unkept => "not sent, because the body couldn't be kept",
        })
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rejected => "refused by the destination",
            Self::GaveUp => "given up after give_up_after",
            Self::Unsendable => "no request could be made of it",
        })
    }
}

/// A duration as whole milliseconds, in JSON as well as in the journal.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(5_000);
    const WAITING: DeliveryState = DeliveryState::Waiting { due: Timestamp::from_millis(1_000) };

    #[test]
    fn only_a_waiting_delivery_can_be_decided() {
        assert_eq!(WAITING.after(Verdict::Done, NOW), Ok(DeliveryState::Delivered { at: NOW }));
        let dead = DeliveryState::Dead { at: NOW, reason: DeadReason::Rejected };
        assert_eq!(WAITING.after(Verdict::Dead(DeadReason::Rejected), NOW), Ok(dead));
        assert_eq!(dead.after(Verdict::Done, NOW), Err(IllegalStep));
        let expired = DeliveryState::Expired { at: NOW };
        assert_eq!(WAITING.after(Verdict::Expired, NOW), Ok(expired));
        assert_eq!(expired.after(Verdict::Done, NOW), Err(IllegalStep));
        assert_eq!(DeliveryState::Delivered { at: NOW }.after(Verdict::Release, NOW), Err(IllegalStep));
    }

    #[test]
    fn a_released_delivery_keeps_its_place() {
        assert_eq!(WAITING.after(Verdict::Release, NOW), Ok(WAITING));
    }

    fn new() -> Delivery {
        Delivery::new(Name::new("crm").unwrap(), Timestamp::from_millis(1_000))
    }

    fn attempt(number: u32) -> Attempt {
        let outcome = Outcome::Answered { status: 503, excerpt: String::new() };
        Attempt { number, started_at: NOW, took: Duration::ZERO, request: "POST https://crm".into(), outcome }
    }

    #[test]
    fn what_is_refused_begins_as_a_dead_letter_that_says_why() {
        let received_at = Timestamp::from_millis(1_000);
        let refused = NewDelivery { destination: new().destination, refused: Some("no such field".into()) };
        let (delivery, attempt) = refused.begin(received_at);
        let state = DeliveryState::Dead { at: received_at, reason: DeadReason::Unsendable };
        assert_eq!((delivery.state, delivery.attempts), (state, 1));
        assert_eq!(attempt.unwrap().outcome.to_string(), "not sendable: no such field");
        assert_eq!(NewDelivery::to(new().destination).begin(received_at), (new(), None));
    }

    #[test]
    fn every_attempt_counts_but_only_retries_lengthen_the_pause() {
        let once = new().after(Verdict::RetryAt(NOW), Some(&attempt(1)), NOW).unwrap();
        assert_eq!((once.attempts, once.retries), (1, 1));
        let held = once.after(Verdict::Release, Some(&attempt(2)), NOW).unwrap();
        assert_eq!((held.attempts, held.retries), (2, 1));
        let untried = held.after(Verdict::Release, None, NOW).unwrap();
        assert_eq!(untried, held);
    }

    #[test]
    fn a_replayed_dead_letter_gets_a_whole_life_under_its_old_key() {
        let dead = new().after(Verdict::RetryAt(NOW), Some(&attempt(1)), NOW).unwrap();
        let dead = dead.after(Verdict::Dead(DeadReason::GaveUp), Some(&attempt(2)), NOW).unwrap();
        let later = NOW.plus(Duration::from_secs(60));
        let again = dead.replayed(later);
        assert_eq!((again.since, again.retries, again.round, again.attempts), (later, 0, 0, 2));
        assert_eq!(again.state, DeliveryState::Waiting { due: later });
    }

    #[test]
    fn an_expired_delivery_that_is_replayed_keeps_its_key() {
        let expired = new().after(Verdict::Expired, None, NOW).unwrap();
        assert_eq!((expired.replayed(NOW).round, expired.replayed(NOW).attempts), (0, 0));
    }

    #[test]
    fn a_delivered_event_is_sent_again_in_a_new_round() {
        let delivered = new().after(Verdict::Done, Some(&attempt(1)), NOW).unwrap();
        assert_eq!(delivered.replayed(NOW).round, 1);
    }
}
