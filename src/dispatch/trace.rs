//! What traces tell of a lane: each attempt, when it is settled, for only then is it known what became of its delivery.

use super::messages::Input;
use crate::{
    model::{Attempt, Outcome, Verdict},
    store::{Settled, Settlement},
    telemetry::{Attempted, Became, Span, Traces},
};

/// Tells of what has happened.
pub(super) fn input(traces: &Traces, input: &Input) {
    let Input::Settled(settlements, Ok(answers)) = input else { return };
    for (done, answer) in settlements.iter().zip(answers) {
        if let Some(attempt) = done.attempt.as_ref().filter(|_| traces.takes(done.id.event)) {
            traces.tell(span(done, attempt, *answer));
        }
    }
}

fn span(done: &Settlement, attempt: &Attempt, answer: Settled) -> Span {
    Span::Attempted(Attempted {
        delivery: done.id.clone(),
        number: attempt.number,
        began_at: attempt.started_at,
        took: attempt.took,
        met: match attempt.outcome {
            Outcome::Answered { status, .. } | Outcome::Judged { status, .. } => Ok(status),
            Outcome::Failed { kind, .. } => Err(kind),
        },
        became: became(done.verdict, answer),
    })
}

const fn became(verdict: Verdict, answer: Settled) -> Became {
    match (answer, verdict) {
        (Settled::LeaseLost, _) => Became::LeaseLost,
        (Settled::Recorded, Verdict::Done) => Became::Delivered,
        (Settled::Recorded, Verdict::RetryAt(_)) => Became::Retried,
        (Settled::Recorded, Verdict::Dead(_)) => Became::Dead,
        (Settled::Recorded, Verdict::Expired) => Became::Expired,
        (Settled::Recorded, Verdict::Release) => Became::Released,
    }
}
