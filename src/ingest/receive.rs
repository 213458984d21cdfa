//! One request, from its head to its answer.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header, request::Parts};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Ingest, Settings, Source,
    answer::{Answer, Refused},
    body::{self, Share},
    commit::Commit,
    connections::Activity,
    count::{Kind, Pending},
    head::{self, Wanted},
    receipt::Receipt,
    setup::Setup,
};
use crate::{
    clock,
    store::{Acceptance, StoreError},
    telemetry::{Happening, SourceMetrics},
};

/// How long to wait before the store is asked again that had no room. Room comes when somebody makes some, or when a
/// segment is deleted; neither needs to be seen sooner.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Answers `request`, which came over the connection with this `activity`.
pub(super) async fn receive(
    ingest: Arc<Ingest>,
    activity: Arc<Activity>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // hyper hides a Content-Length beside a Transfer-Encoding. RFC 9112 section 6.1 wants such connections closed, for
    // somebody between us may have split the bytes in another way.
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let setup = ingest.setup();
    let metrics = setup.counts.at(request.uri().path());
    let pending = Pending::new(metrics);
    let (mut response, event) = match ingest.answer(&setup, &activity, request).await {
        Ok(answer) => (answer.into_response(), answer.event()),
        Err(refused) => {
            refused.log();
            metrics.refused(refused.reason());
            (refused.into_response(), None)
        }
    };
    pending.answered(response.status(), event);
    if is_chunked || activity.is_leaving() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

impl Ingest {
    async fn answer(
        self: Arc<Self>,
        setup: &Arc<Setup>,
        activity: &Activity,
        request: Request<Incoming>,
    ) -> Result<Answer, Refused> {
        let head_at = Instant::now();
        let Settings { max_body, body_deadline, .. } = setup.settings;
        let (head, body) = request.into_parts();
        let source = match head::screen(&head, body.size_hint().exact(), &setup.sources, max_body)? {
            Wanted::Health => return Ok(Answer::Healthy),
            Wanted::HandIn(source) => source,
        };
        let (body, share) = body::read(body, max_body, &setup.memory, head_at + body_deadline).await?;
        let length = body.len();
        let receipt = self.verify(source, &head, body)?;
        activity.is_authentic();
        setup.counts.of(&source.name).body(length);
        self.commit_in_time(head_at, Arc::clone(setup), receipt, share).await
    }

    fn verify(&self, source: &Source, head: &Parts, body: Bytes) -> Result<Receipt, Refused> {
        let dice = clock::random_bytes()?;
        Receipt::verify(source, &head.headers, body, self.clock.now(), dice)
            .map_err(|refusal| Refused::Forged { path_of: source.name.clone(), refusal })
    }

    /// Commits, and answers in the time that a request has whose head came at `head_at`. The commit goes on when nobody waits
    /// for the answer any more, and the body keeps its `share` of the memory as long.
    async fn commit_in_time(
        self: Arc<Self>,
        head_at: Instant,
        setup: Arc<Setup>,
        receipt: Receipt,
        share: Share,
    ) -> Result<Answer, Refused> {
        let (ingest, deadline) = (Arc::clone(&self), head_at + setup.settings.accept_deadline);
        let work = async move {
            let answer = ingest.commit(&setup, &receipt, head_at).await;
            drop(share);
            answer
        };
        timeout_at(deadline, Commit::new(work, &self.commits)).await.unwrap_or(Err(Refused::NotInTime))
    }

    /// Asks the store until it has the event; while it has no room, again and again until the deadline, for the sender
    /// won't.
    async fn commit(&self, setup: &Setup, receipt: &Receipt, head_at: Instant) -> Result<Answer, Refused> {
        let deadline = head_at + setup.settings.accept_deadline;
        loop {
            let event = receipt.event(&setup.routes);
            let kind = Kind::of(&event);
            let metrics = setup.counts.of(&receipt.source);
            let news = metrics.feed().is_heard().then(|| Happening::accepted(&event));
            let answer = match self.store.accept(event).await {
                Ok(acceptance) => Ok(stored(receipt, &kind, acceptance, news, metrics)),
                Err(StoreError::DiskFull(_)) if Instant::now() + RETRY_PAUSE < deadline => {
                    sleep(RETRY_PAUSE).await;
                    continue;
                }
                Err(error) => Err(error.into()),
            };
            self.trace(receipt, &kind, head_at, &answer);
            return answer;
        }
    }
}

/// The answer to an event that is stored now, counted and told.
fn stored(
    receipt: &Receipt,
    kind: &Kind,
    acceptance: Acceptance,
    news: Option<Happening>,
    metrics: &SourceMetrics,
) -> Answer {
    match acceptance {
        // An attempt that failed may have stored it all the same: then it is the first.
        Acceptance::Duplicate(first) if first != receipt.id => {
            metrics.duplicate();
            Answer::Duplicate(first)
        }
        Acceptance::Created | Acceptance::Duplicate(_) => {
            kind.count(metrics);
            if let Some(news) = news {
                metrics.feed().tell(news);
            }
            match kind {
                Kind::Readable { .. } => Answer::Accepted(receipt.id),
                Kind::Quarantined => Answer::Quarantined(receipt.id),
            }
        }
    }
}
