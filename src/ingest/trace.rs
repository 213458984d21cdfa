//! What a trace tells of an authentic request, when it is over for the disk. Of others none is told.

use tokio::time::Instant;

use super::{
    Ingest,
    answer::{Answer, Refused},
    count::Kind,
    receipt::Receipt,
};
use crate::telemetry::{Received, Reception, Span};

impl Ingest {
    /// Tells of the request with this `receipt`, whose head had been read at `head_at`.
    pub(super) fn trace(&self, receipt: &Receipt, kind: &Kind, head_at: Instant, answer: &Result<Answer, Refused>) {
        let (traces, reception) = (self.metrics.traces(), reception(answer));
        let trace = if let Reception::Duplicate(first) = reception { first } else { receipt.id };
        if !traces.takes(trace) {
            return;
        }
        let took = head_at.elapsed();
        traces.tell(Span::Received(Received {
            event: receipt.id,
            source: receipt.source.clone(),
            event_type: kind.event_type().cloned(),
            body_len: receipt.body.len(),
            began_at: self.clock.now().minus(took).min(receipt.received_at),
            verified_at: receipt.received_at,
            took,
            reception,
        }));
    }
}

fn reception(answer: &Result<Answer, Refused>) -> Reception {
    match answer {
        Ok(Answer::Accepted(_) | Answer::Healthy) => Reception::Accepted,
        Ok(Answer::Quarantined(_)) => Reception::Quarantined,
        Ok(Answer::Duplicate(first)) => Reception::Duplicate(*first),
        Err(refused) => Reception::Refused(refused.reason()),
    }
}
