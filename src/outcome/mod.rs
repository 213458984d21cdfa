//! What does this reply mean? From what an attempt met to its [`Meaning`].
//!
//! The table is total and has one question behind it: whom does the answer speak of? Of this event (it will be refused
//! again: a dead letter), of the destination's state (try again), of its pace (slow down), or of its address and
//! credentials (every event would meet the same, so nothing more is sent and nothing is lost).
//! In doubt it retries: a retry in vain costs a request, a dead letter costs a person's time.
//!
//! Before the table come a destination's own [rules](Rules), for the table can't know who says 200 and means 429.
//!
//! When to try again is [`crate::retry`]'s to say, what it means for the other deliveries [`crate::breaker`]'s.

mod reply;
mod rules;

use std::time::Duration;

use http::{HeaderMap, header};

pub use self::{
    reply::Reply,
    rules::{Class, Rule, Rules, Undecided},
};
use crate::model::{self, FailureKind, Outcome, Timestamp};

/// The longest `Retry-After` we follow. Daily quotas and migrations of real services (`HubSpot`) ask for up to a day;
/// more would eat the three days that a delivery lives by default because of somebody's typing error.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// At which step.
    pub kind: FailureKind,
    /// In readable words, without the address.
    pub detail: String,
}

/// What an attempt means, for its delivery and for its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The destination has it.
    Success,
    /// It had it already.
    Duplicate,
    /// Not this time.
    Retry(Fault),
    /// The destination asks everybody to slow down.
    Throttled {
        /// Until when, if it said so.
        until: Option<Timestamp>,
    },
    /// It doesn't take the credentials any more; others may do. Whoever can't get others, or has just got them, makes it
    /// one of [`Self::CREDENTIALS_REFUSED`] and [`Self::FRESH_CREDENTIALS_REFUSED`].
    Reauth,
    /// It refuses this event and would refuse it again.
    RejectEvent,
    /// No request can be made of this event.
    Unsendable,
    /// Its address or its credentials are wrong: every event would meet the same.
    StopDestination {
        /// What to do about it, for people.
        advice: &'static str,
    },
    /// The relay stopped before anything came back.
    Undecided,
}

/// What an attempt means, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What it means.
    pub meaning: Meaning,
    /// What a rule says of the answer; `None` where the built-in table decided.
    pub class: Option<model::Class>,
    /// The rules that couldn't be asked.
    pub undecided: Vec<Undecided>,
}

/// Whose trouble a retry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This event's, for now; the destination is well.
    Event,
    /// The destination's: other events would meet the same now.
    Destination,
}

impl Meaning {
    /// The credentials are constant, and wrong.
    pub const CREDENTIALS_REFUSED: Self = stop("it doesn't take the credentials, correct them");
    /// Others were got, and are as wrong.
    pub const FRESH_CREDENTIALS_REFUSED: Self =
        stop("it doesn't take a fresh token either, correct `auth` or the rights behind it");

    /// What a reply or a failure at `now` means.
    #[must_use]
    pub fn of(sent: &Result<Reply, Failure>, rules: &Rules, now: Timestamp) -> Judgement {
        let reply = match sent {
            Ok(reply) => reply,
            Err(failure) => {
                return Judgement { meaning: of_failure(failure.kind), class: None, undecided: Vec::new() };
            }
        };
        let (class, undecided) = rules.judge(reply);
        let meaning = class.map_or_else(|| of_status(reply.status.as_u16()), |class| rules::meaning(class, reply, now));
        let meaning = meaning.with_retry_after(&reply.headers, now);
        Judgement { meaning, class: class.map(Class::name), undecided }
    }

    /// A destination that names a time means its pace, whatever the status of its refusal.
    fn with_retry_after(self, headers: &HeaderMap, now: Timestamp) -> Self {
        match (self, retry_after(headers, now)) {
            (Self::Throttled { until: Some(until) }, Some(asked)) => Self::Throttled { until: Some(until.max(asked)) },
            (Self::Retry(_) | Self::Throttled { .. }, until @ Some(_)) => Self::Throttled { until },
            (meaning, _) => meaning,
        }
    }
}

/// The built-in table.
fn of_status(status: u16) -> Meaning {
    match status {
        200..=299 => Meaning::Success,
        // Not followed: the new address is not the configured one, and a redirected POST may turn into a GET.
        300..=399 => stop("redirects are never followed, correct `url`"),
        401 => Meaning::Reauth,
        402 => stop("the account there wants a payment"),
        403 => stop("it forbids the access, correct the credentials or the rights behind them"),
        407 => stop("a proxy on the way wants credentials"),
        410 => stop("the address is gone for good, correct `url`"),
        426 => stop("it wants another protocol, correct `url`"),
        431 => stop("the headers are too large for it, configure fewer"),
        // It gave up waiting (408), was reached by a connection that was meant for another (421).
        408 | 421 => Meaning::Retry(Fault::Destination),
        // An earlier attempt is still at work (409, also by the draft of Idempotency-Key), something is locked (423) or
        // failed that this depends on (424), or it came too early (425): this event's, and it passes.
        409 | 423..=425 => Meaning::Retry(Fault::Event),
        429 => Meaning::Throttled { until: None },
        // 400, 404, 405, 413, 415, 422 and, as RFC 9110 15 asks, whatever is new: treated as 400.
        400..=499 => Meaning::RejectEvent,
        // 5xx; what is no final status or none at all is a broken server as well.
        _ => Meaning::Retry(Fault::Destination),
    }
}

const fn stop(advice: &'static str) -> Meaning {
    Meaning::StopDestination { advice }
}

const fn of_failure(kind: FailureKind) -> Meaning {
    match kind {
        FailureKind::Connect | FailureKind::Timeout | FailureKind::Broken | FailureKind::Token => {
            Meaning::Retry(Fault::Destination)
        }
        // A name that leads where it shouldn't is put right in the DNS, without anybody touching the relay. Meanwhile the
        // breaker sees to it that it is looked up now and then only.
        FailureKind::Forbidden => Meaning::Retry(Fault::Destination),
        FailureKind::Credentials => stop("the token endpoint refuses the credentials, correct `auth`"),
        FailureKind::Bug | FailureKind::Unkept => Meaning::Retry(Fault::Event),
        FailureKind::Unsendable => Meaning::Unsendable,
        FailureKind::Interrupted => Meaning::Undecided,
    }
}

/// When `Retry-After` ends: seconds or an HTTP date (RFC 9110 10.2.3), bounded by [`MAX_RETRY_AFTER`]. `None` when there
/// is none, it can't be read or it is over already.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let until = match text.parse::<u64>() {
        Ok(seconds) => now.plus(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).map(Timestamp::from).ok()?,
    };
    (until > now).then(|| until.min(now.plus(MAX_RETRY_AFTER)))
}

impl From<Result<Reply, Failure>> for Outcome {
    fn from(sent: Result<Reply, Failure>) -> Self {
        match sent {
            Ok(reply) => Self::Answered { status: reply.status.as_u16(), excerpt: reply.excerpt() },
            Err(Failure { kind, detail }) => Self::Failed { kind, detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderValue, StatusCode};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_012_345_000);

    fn reply(status: u16, retry_after: Option<&str>) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        }
        Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::new() }
    }

    fn meaning(status: u16, retry_after: Option<&str>) -> Meaning {
        Meaning::of(&Ok(reply(status, retry_after)), &Rules::default(), NOW).meaning
    }

    fn name(meaning: Meaning) -> &'static str {
        match meaning {
            Meaning::Success => "success",
            Meaning::Retry(Fault::Event) => "retry this event",
            Meaning::Retry(Fault::Destination) => "retry",
            Meaning::Throttled { .. } => "slow down",
            Meaning::RejectEvent => "reject",
            Meaning::StopDestination { .. } => "stop",
            Meaning::Reauth => "other credentials",
            Meaning::Duplicate | Meaning::Unsendable | Meaning::Undecided => "never from a reply",
        }
    }

    #[test]
    fn every_status_has_one_meaning() {
        let mut table = Vec::new();
        let mut from = 100;
        for status in 100..=599 {
            let now = name(meaning(status, None));
            if status == 599 || now != name(meaning(status + 1, None)) {
                table.push(format!("{from}-{status} {now}"));
                from = status + 1;
            }
        }
        let expected = [
            "100-199 retry",
            "200-299 success",
            "300-399 stop",
            "400-400 reject",
            "401-401 other credentials",
            "402-403 stop",
            "404-406 reject",
            "407-407 stop",
            "408-408 retry",
            "409-409 retry this event",
            "410-410 stop",
            "411-420 reject",
            "421-421 retry",
            "422-422 reject",
            "423-425 retry this event",
            "426-426 stop",
            "427-428 reject",
            "429-429 slow down",
            "430-430 reject",
            "431-431 stop",
            "432-499 reject",
            "500-599 retry",
        ];
        assert_eq!(table, expected);
    }

    #[test]
    fn every_failure_has_one_meaning() {
        let of = |kind| Meaning::of(&Err(Failure { kind, detail: String::new() }), &Rules::default(), NOW).meaning;
        for kind in [
            FailureKind::Connect,
            FailureKind::Timeout,
            FailureKind::Broken,
            FailureKind::Token,
            FailureKind::Forbidden,
        ] {
            assert_eq!(of(kind), Meaning::Retry(Fault::Destination));
        }
        assert_eq!(name(of(FailureKind::Credentials)), "stop");
        assert_eq!(of(FailureKind::Bug), Meaning::Retry(Fault::Event));
        assert_eq!(of(FailureKind::Unsendable), Meaning::Unsendable);
        assert_eq!(of(FailureKind::Interrupted), Meaning::Undecided);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let until = |seconds| Meaning::Throttled { until: Some(NOW.plus(Duration::from_secs(seconds))) };
        assert_eq!(meaning(429, Some("93")), until(93));
        assert_eq!(meaning(503, Some(" 5 ")), until(5));
        let date = httpdate::fmt_http_date(NOW.plus(Duration::from_secs(120)).into());
        assert_eq!(meaning(503, Some(&date)), until(120));
    }

    #[test]
    fn a_retry_after_without_end_is_bounded() {
        let day = Meaning::Throttled { until: Some(NOW.plus(MAX_RETRY_AFTER)) };
        assert_eq!(meaning(429, Some("18446744073709551615")), day);
        assert_eq!(meaning(429, Some("Fri, 31 Dec 9999 23:59:59 GMT")), day);
    }

    #[test]
    fn a_retry_after_that_is_over_or_unreadable_says_nothing() {
        for nothing in ["0", "Sun, 06 Nov 1994 08:49:37 GMT", "soon", "-5", "1.5", "18446744073709551616"] {
            assert_eq!(meaning(503, Some(nothing)), Meaning::Retry(Fault::Destination), "{nothing}");
            assert_eq!(meaning(429, Some(nothing)), Meaning::Throttled { until: None }, "{nothing}");
        }
    }

    #[test]
    fn retry_after_changes_nothing_where_nothing_is_tried_again() {
        assert_eq!(meaning(400, Some("5")), Meaning::RejectEvent);
        assert_eq!(meaning(200, Some("5")), Meaning::Success);
        assert_eq!(name(meaning(301, Some("5"))), "stop");
    }
}
