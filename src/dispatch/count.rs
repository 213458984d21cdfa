//! What is counted of what happens to a lane.

use super::messages::{Ended, Input};
use crate::{
    model::{FailureKind, Outcome, Timestamp, Verdict},
    outcome::Meaning,
    store::Settled,
    telemetry::{AttemptEnd, LaneMetrics},
};

/// Counts what has happened until `now`.
pub(super) fn input(metrics: &LaneMetrics, input: &Input, now: Timestamp) {
    match input {
        Input::Ended(ended) => ended.iter().for_each(|ended| attempt(metrics, ended, now)),
        Input::Settled(settlements, Ok(answers)) => {
            let answered = settlements.iter().zip(answers);
            answered
                .filter(|(_, answer)| **answer == Settled::Recorded)
                .for_each(|(done, _)| verdict(metrics, done.verdict));
        }
        _ => {}
    }
}

fn attempt(metrics: &LaneMetrics, ended: &Ended, now: Timestamp) {
    let (event, end) = (ended.id.event, end(ended));
    metrics.attempted(event, end, ended.attempt.took);
    if end == AttemptEnd::Delivered {
        metrics.delivered(event, now.since(ended.delivery.since));
    }
}

fn verdict(metrics: &LaneMetrics, verdict: Verdict) {
    match verdict {
        Verdict::Dead(reason) => metrics.died(reason),
        Verdict::Expired => metrics.expired(),
        Verdict::Done | Verdict::RetryAt(_) | Verdict::Release => {}
    }
}

/// How an attempt ended: what an answer means, or why there was none.
fn end(ended: &Ended) -> AttemptEnd {
    match (&ended.attempt.outcome, ended.meaning) {
        (Outcome::Failed { kind, .. }, _) => failure(*kind),
        (_, Meaning::Success | Meaning::Duplicate) => AttemptEnd::Delivered,
        (_, Meaning::Retry(_)) => AttemptEnd::Failed,
        (_, Meaning::Throttled { .. }) => AttemptEnd::Throttled,
        (_, Meaning::RejectEvent) => AttemptEnd::Rejected,
        (_, Meaning::StopDestination { .. } | Meaning::Reauth) => AttemptEnd::Stopped,
        (_, Meaning::Unsendable) => AttemptEnd::Unsendable,
        (_, Meaning::Undecided) => AttemptEnd::Interrupted,
    }
}

const fn failure(kind: FailureKind) -> AttemptEnd {
    match kind {
        FailureKind::Connect | FailureKind::Forbidden => AttemptEnd::NoConnection,
        FailureKind::Timeout => AttemptEnd::Timeout,
        FailureKind::Broken => AttemptEnd::Broken,
        FailureKind::Unsendable => AttemptEnd::Unsendable,
        FailureKind::Unkept => AttemptEnd::Failed,
        FailureKind::Interrupted => AttemptEnd::Interrupted,
        FailureKind::Bug => AttemptEnd::Bug,
        FailureKind::Token => AttemptEnd::NoToken,
        FailureKind::Credentials => AttemptEnd::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was counted among the stopped, although the destination isn't stopped and the delivery is tried again.
    #[test]
    fn an_attempt_at_an_address_that_may_not_be_called_counts_as_no_connection() {
        assert_eq!(failure(FailureKind::Forbidden), AttemptEnd::NoConnection);
    }
}
