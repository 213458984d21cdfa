//! Brings spans to the collector, some at a time, and gives up what it doesn't take.
//!
//! Nobody waits for it but a stop, and that not for long. A collector that is away costs the spans of that time, each of them
//! counted, and one line in the log.

use std::{mem, pin::Pin, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{otlp, span::Span};
use crate::telemetry::metrics::{Lost, TraceMetrics};

/// Spans in one request: some 400 kB.
const MOST_AT_ONCE: usize = 512;

/// How long a span waits for others. Who watches a trace come in doesn't notice a second.
const GATHER: Duration = Duration::from_secs(1);

/// Before each repetition of a request that may have failed for a moment only. Meanwhile the queue fills up.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// What a stop allows for what is left. The unit file allows more than this and all other graces.
const LAST_EXPORT: Duration = Duration::from_secs(3);

/// How a request to the collector ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// It answered that it has the spans, and this.
    Taken(Bytes),
    /// It will never take them; why.
    Refused(String),
    /// It doesn't take them now; why.
    Failed(String),
}

/// Brings a document to the collector. It has a deadline of its own.
pub type Carrier = Box<dyn Fn(Bytes) -> Pin<Box<dyn Future<Output = Carried> + Send>> + Send + Sync>;

/// What is to be sent, and how.
pub struct Exporter {
    waiting: mpsc::Receiver<Span>,
    /// Those that are being sent.
    batch: Vec<Span>,
    carrier: Carrier,
    metrics: TraceMetrics,
    /// What people were told of why the collector takes nothing.
    complaint: Option<String>,
}

impl Exporter {
    pub(super) fn new(waiting: mpsc::Receiver<Span>, carrier: Carrier, metrics: TraceMetrics) -> Self {
        Self { waiting, batch: Vec::new(), carrier, metrics, complaint: None }
    }

    /// Works until `stop` is cancelled; then sends what is left, and after some seconds gives up the rest.
    pub async fn run(mut self, stop: CancellationToken) {
        let too_late = async {
            stop.cancelled().await;
            sleep(LAST_EXPORT).await;
        };
        tokio::select! {
            () = self.export_all(&stop) => {}
            () = too_late => {
                let left = self.batch.len() + self.waiting.len();
                self.metrics.lost(Lost::Unsent, left);
                tracing::warn!("{left} spans of traces could not be sent before the stop");
            }
        }
    }

    async fn export_all(&mut self, stop: &CancellationToken) {
        while self.gather(stop).await {
            self.export().await;
            self.batch.clear();
        }
    }

    /// Waits for spans, and then a little for more of them. Whether there are any: there are none after a stop only.
    async fn gather(&mut self, stop: &CancellationToken) -> bool {
        let first = stop.run_until_cancelled(self.waiting.recv_many(&mut self.batch, MOST_AT_ONCE)).await;
        let until = Instant::now() + GATHER;
        while first.is_some() && self.batch.len() < MOST_AT_ONCE {
            let room = MOST_AT_ONCE - self.batch.len();
            let more = timeout_at(until, self.waiting.recv_many(&mut self.batch, room));
            if !matches!(stop.run_until_cancelled(more).await, Some(Ok(1..))) {
                break;
            }
        }
        while self.batch.len() < MOST_AT_ONCE
            && let Ok(span) = self.waiting.try_recv()
        {
            self.batch.push(span);
        }
        !self.batch.is_empty()
    }

    /// Sends the batch, if need be several times.
    async fn export(&mut self) {
        let document = Bytes::from(otlp::document(&self.batch));
        let mut pauses = PAUSES.into_iter();
        loop {
            match ((self.carrier)(document.clone()).await, pauses.next()) {
                (Carried::Taken(answer), _) => return self.taken(&answer),
                (Carried::Refused(why), _) => return self.given_up(Lost::Refused, &why),
                (Carried::Failed(why), None) => return self.given_up(Lost::Unsent, &why),
                (Carried::Failed(_), Some(pause)) => sleep(pause).await,
            }
        }
    }

    fn taken(&mut self, answer: &[u8]) {
        let refused = usize::try_from(refused_in(answer)).unwrap_or(usize::MAX).min(self.batch.len());
        self.metrics.exported(self.batch.len() - refused);
        self.metrics.lost(Lost::Refused, refused);
        if mem::take(&mut self.complaint).is_some() {
            tracing::info!("the collector of traces takes spans again");
        }
    }

    fn given_up(&mut self, lost: Lost, why: &str) {
        self.metrics.lost(lost, self.batch.len());
        if self.complaint.as_deref() != Some(why) {
            tracing::warn!("the collector of traces doesn't take spans, they are dropped meanwhile: {why}");
            self.complaint = Some(why.to_owned());
        }
    }
}

/// What an answer says of spans that the collector didn't take, although it took the request.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    partial_success: PartialSuccess,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PartialSuccess {
    /// A number, as a text or not: collectors differ.
    rejected_spans: serde_json::Value,
}

/// How many of the spans were refused. An answer that can't be read says nothing of any.
fn refused_in(answer: &[u8]) -> u64 {
    let Answer { partial_success: PartialSuccess { rejected_spans } } =
        serde_json::from_slice(answer).unwrap_or_default();
    rejected_spans.as_u64().or_else(|| rejected_spans.as_str()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{
        future,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::*;
    use crate::{
        model::{DeliveryId, EventId, Name, Sampling, Timestamp},
        telemetry::{Attempted, Became, Format, Metrics, Reading, StoreReading, traces::MOST_WAITING},
    };

    fn span() -> Span {
        let delivery = DeliveryId { event: EventId::from_bytes([7; 16]), destination: Name::new("crm").unwrap() };
        let (began_at, took) = (Timestamp::EPOCH, Duration::ZERO);
        Span::Attempted(Attempted { delivery, number: 1, began_at, took, met: Ok(200), became: Became::Delivered })
    }

    /// An exporter to a collector that answers so; `None` is one that hangs.
    fn exporting(answer: impl Fn() -> Option<Carried> + Send + Sync + 'static) -> (Metrics, Exporter) {
        let mut metrics = Metrics::new(Timestamp::EPOCH);
        let carrier: Carrier = Box::new(move |_| match answer() {
            Some(answer) => Box::pin(future::ready(answer)),
            None => Box::pin(future::pending()),
        });
        let exporter = metrics.export_traces(Sampling::ALL, carrier);
        (metrics, exporter)
    }

    /// Runs it until it ends, which it is asked to from the beginning.
    async fn run_to_the_end(exporter: Exporter) {
        let stop = CancellationToken::new();
        stop.cancel();
        exporter.run(stop).await;
    }

    fn told(metrics: &Metrics) -> String {
        let reading = Reading { checks: Vec::new(), store: StoreReading::default(), destinations: Vec::new() };
        metrics.tell(&reading, Format::Prometheus).unwrap()
    }

    fn assert_dropped(metrics: &Metrics, reason: &str, count: usize) {
        let (told, line) =
            (told(metrics), format!("atoms_relay_traces_spans_dropped_total{{reason=\"{reason}\"}} {count}\n"));
        assert!(told.contains(&line), "{line}{told}");
    }

    #[test]
    fn what_comes_faster_than_it_is_taken_is_dropped_and_counted() {
        let (metrics, _exporter) = exporting(|| None);
        for _ in 0..MOST_WAITING + 10 {
            metrics.traces().tell(span());
        }
        assert_dropped(&metrics, "queue_full", 10);
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_is_sent_again_and_given_up_after_some_times() {
        let tries = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&tries);
        let (metrics, exporter) = exporting(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Some(Carried::Failed("no connection".into()))
        });
        metrics.traces().tell(span());
        let stop = CancellationToken::new();
        let patience = PAUSES.into_iter().sum::<Duration>() + 2 * GATHER;
        drop(tokio::time::timeout(patience, exporter.run(stop)).await);
        assert_eq!(tries.load(Ordering::SeqCst), 1 + PAUSES.len());
        assert_dropped(&metrics, "unsent", 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_sends_all_that_is_left() {
        let (metrics, exporter) = exporting(|| Some(Carried::Taken(Bytes::new())));
        let spans = 2 * MOST_AT_ONCE + 1;
        for _ in 0..spans {
            metrics.traces().tell(span());
        }
        run_to_the_end(exporter).await;
        let line = format!("atoms_relay_traces_spans_exported_total {spans}\n");
        assert!(told(&metrics).contains(&line), "{}", told(&metrics));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_does_not_wait_for_a_collector_that_hangs() {
        let (metrics, exporter) = exporting(|| None);
        for _ in 0..=MOST_AT_ONCE {
            metrics.traces().tell(span());
        }
        run_to_the_end(exporter).await;
        assert_dropped(&metrics, "unsent", MOST_AT_ONCE + 1);
    }

    #[test]
    fn refused_spans_are_read_from_an_answer_however_they_are_written() {
        assert_eq!(refused_in(br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}"#), 3);
        assert_eq!(refused_in(br#"{"partialSuccess":{"rejectedSpans":3}}"#), 3);
        for none in ["", "{}", r#"{"partialSuccess":{}}"#, "thanks"] {
            assert_eq!(refused_in(none.as_bytes()), 0, "{none}");
        }
    }
}
