//! Who changed what: each change goes into the audit trail before it is answered, and so does a look at a body as it came,
//! before it is shown.
//!
//! What was refused has changed nothing and isn't written down. Who asks is known by what the connection shows; a name is
//! only what they say of themselves.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::{
    Admin,
    answer::{Answer, Problem, json},
    body::Sent,
    change::Change,
    listener::Caller,
    resource::Asked,
    routes::What,
    view::{AuditView, ChangedView, PageView, ReplayedView},
};
use crate::{
    audit::{Entry, Trail, TrailError},
    store::Page,
};

/// The header in which people say who they are.
const USER: &str = "x-relay-user";

/// In characters. Login names have 32, mail addresses some more.
const MAX_NAME: usize = 100;

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    /// Who they say they are.
    who: Option<String>,
    /// The way they came.
    via: String,
}

/// What is to be written down of a change that went well.
#[derive(Debug, Clone)]
enum Note {
    /// It did so much.
    Did(String),
    /// It was a rehearsal.
    Nothing,
}

impl Admin {
    /// Who sends a request with these headers, which has been let in.
    pub(super) fn actor(&self, headers: &HeaderMap, caller: Caller) -> Actor {
        let name =
            headers.get(USER).and_then(|name| name.to_str().ok()).map(|name| name.chars().take(MAX_NAME).collect());
        let via =
            if self.guard.borrow().wants_token() { format!("{caller} with the token") } else { caller.to_string() };
        Actor { who: name, via }
    }

    /// Makes a change, and writes down that it was made.
    pub(super) async fn change_on_record(&self, what: Change, asked: &Asked, sent: Sent) -> Result<Answer, Problem> {
        let mut record = self.record(What::Change(what).name(), asked, sent.shown());
        let done = self.change(what, asked, &sent).await;
        let Some(result) = result_of(&done) else {
            record.discard();
            return done;
        };
        let unwritten = |why: Problem| Problem::new(why.status, format!("the change was made, but {}", why.detail));
        record.close(result).await.map_err(unwritten)?;
        done
    }

    /// Writes down that somebody sees what only few should see.
    pub(super) async fn look_on_record(&self, what: &str, asked: &Asked) -> Result<(), Problem> {
        self.record(what.to_owned(), asked, None).close("shown".to_owned()).await
    }

    fn record(&self, what: String, asked: &Asked, detail: Option<String>) -> Record {
        let Actor { who, via } = asked.actor.clone();
        let target = asked.named.text();
        let entry = Entry { at: self.clock.now(), who, via, what, target, detail, result: String::new() };
        Record { trail: Arc::clone(&self.trail), entry: Some(entry) }
    }

    /// Lists what is written down, newest first.
    pub(super) async fn list_audit(&self, Page { after, limit }: Page<u64>) -> Result<Answer, Problem> {
        let trail = Arc::clone(&self.trail);
        let listed =
            spawn_blocking(move || trail.list(after, limit)).await.map_err(|_| Problem::bug("the audit trail"))??;
        let items: Vec<AuditView> = listed.entries.into_iter().map(AuditView::from).collect();
        json(StatusCode::OK, &PageView { items, next: listed.next.map(|next| next.to_string()) })
    }
}

/// What is to be written down of how a change ended; `None` when nothing has changed.
fn result_of(done: &Result<Answer, Problem>) -> Option<String> {
    match done {
        Ok(answer) => match answer.extensions().get() {
            None => Some("done".to_owned()),
            Some(Note::Did(what)) => Some(format!("done, {what}")),
            Some(Note::Nothing) => None,
        },
        Err(problem) if problem.status.is_server_error() => Some(format!("failed: {}", problem.detail)),
        Err(_) => None,
    }
}

/// The answer to a change of deliveries, with what is to be written down of it.
pub(super) fn changed(done: &ChangedView) -> Result<Answer, Problem> {
    noted(done, (!done.dry_run).then_some(done.deliveries))
}

/// The answer to a replay, with what is to be written down of it.
pub(super) fn replayed(done: &ReplayedView) -> Result<Answer, Problem> {
    noted(done, (!done.dry_run).then_some(done.deliveries))
}

/// `deliveries` were changed; `None` after a rehearsal.
fn noted(done: &impl Serialize, deliveries: Option<u64>) -> Result<Answer, Problem> {
    let mut answer = json(StatusCode::OK, done)?;
    let did = |count| Note::Did(format!("deliveries: {count}"));
    answer.extensions_mut().insert(deliveries.map_or(Note::Nothing, did));
    Ok(answer)
}

/// An entry that isn't complete. When whoever asked hangs up, the change ends where it stands, and this with it: then that
/// is what is written down.
struct Record {
    trail: Arc<Trail>,
    entry: Option<Entry>,
}

impl Record {
    async fn close(&mut self, result: String) -> Result<(), Problem> {
        let Some(entry) = self.entry.take() else { return Ok(()) };
        let trail = Arc::clone(&self.trail);
        let written = spawn_blocking(move || trail.append(Entry { result, ..entry })).await;
        written.map_err(|_| Problem::bug("the audit trail"))?.map_err(|error| {
            tracing::error!(%error, "somebody's change isn't in the audit trail");
            Problem::from(error)
        })
    }

    fn discard(&mut self) {
        self.entry = None;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        let result = "broken off: whoever asked hung up; what was done until then stays done".to_owned();
        if let Err(error) = self.trail.append(Entry { result, ..entry }) {
            tracing::error!(%error, "somebody's change isn't in the audit trail");
        }
    }
}

impl From<TrailError> for Problem {
    fn from(error: TrailError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<Entry> for AuditView {
    fn from(entry: Entry) -> Self {
        let Entry { at, who, via, what, target, detail, result } = entry;
        Self { at, who, via, what, target, detail, result }
    }
}
