//! A message as the body of an event: words for people, the same for programs, and the book for the next start.
//!
//! ```json
//! { "metadata": { "eventType": "relay-alert", "callId": "relay-alerts" },
//!   "text": "atoms-relay: crm is stopped\n…",
//!   "alert": { "relay", "incident", "open", "severity", "title", "details",
//!              "news": [ { "trouble": { "kind", "name" }, "state", "severity", "since", "text" } ] },
//!   "book": { … } }
//! ```
//!
//! `open` says whether anything stands that somebody has to look at, so that what keeps incidents (`PagerDuty`) has one for the
//! relay, by the name `incident`: opened by the first alert, closed when all is well. All alerts share a `callId`: a start finds
//! the last one by it, and `order = "call"` puts them in order.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::{
    Book, Policy, Severity, Trouble,
    book::{Case, News},
    words,
};
use crate::model::Timestamp;

/// The type of the relay's own events.
pub const EVENT_TYPE: &str = "relay-alert";

/// What all alerts have for a `callId`. A test alert has none.
pub const THREAD: &str = "relay-alerts";

/// So many items are told at length. Of two hundred destinations behind one dead router a person wants to know a few.
const MOST_TOLD: usize = 10;

#[derive(Serialize)]
struct Body<'a> {
    metadata: Metadata,
    text: String,
    alert: AlertView,
    #[serde(skip_serializing_if = "Option::is_none")]
    book: Option<&'a Book>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<&'static str>,
}

#[derive(Serialize)]
struct AlertView {
    relay: String,
    incident: String,
    open: bool,
    severity: Severity,
    title: String,
    details: String,
    news: Vec<NewsView>,
}

#[derive(Serialize)]
struct NewsView {
    trouble: Trouble,
    state: News,
    severity: Severity,
    since: Timestamp,
    text: String,
}

#[derive(Deserialize)]
struct Kept {
    book: Book,
}

/// Title and body of the message that tells this, with the book as it is then.
pub(super) fn write(told: &[(News, &Case)], after: &Book, policy: &Policy) -> (String, Vec<u8>) {
    let mut told = told.to_vec();
    told.sort_by_key(|(news, _)| *news);
    let news: Vec<NewsView> = told.iter().map(|(news, case)| NewsView::of(*news, case)).collect();
    let title = title(&told);
    let details = details(&news);
    let alert = AlertView {
        relay: policy.relay.clone(),
        incident: policy.relay.clone(),
        open: after.standing().any(|case| case.trouble.severity() > Severity::Info),
        severity: news.iter().map(NewsView::weight).max().unwrap_or(Severity::Info),
        title: title.clone(),
        details,
        news,
    };
    (title, Body::of(alert, Some(THREAD), Some(after)).bytes())
}

/// The body of a message that nothing is behind, for people to see that alerts arrive.
#[must_use]
pub fn drill(relay: &str) -> Vec<u8> {
    let details = "Nothing is wrong: somebody wants to know whether alerts arrive. They do.".to_owned();
    let alert = AlertView {
        relay: relay.to_owned(),
        incident: format!("{relay} test"),
        open: true,
        severity: Severity::Info,
        title: "a test alert".to_owned(),
        details,
        news: Vec::new(),
    };
    Body::of(alert, None, None).bytes()
}

/// The book in a body of ours.
pub(super) fn read_book(body: &[u8]) -> Option<Book> {
    serde_json::from_slice(body).ok().map(|Kept { book }| book)
}

impl<'a> Body<'a> {
    fn of(alert: AlertView, thread: Option<&'static str>, book: Option<&'a Book>) -> Self {
        let text = format!("{}: {}\n{}", alert.relay, alert.title, alert.details);
        Self { metadata: Metadata { event_type: EVENT_TYPE, call_id: thread }, text, alert, book }
    }

    fn bytes(&self) -> Vec<u8> {
        // Numbers and texts only: there is nothing that JSON can't hold.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl NewsView {
    fn of(state: News, case: &Case) -> Self {
        let headline = words::headline(&case.trouble);
        let text = match state {
            News::Raised => format!("{headline}. {}\n{}", words::details(case), words::advice(&case.trouble)),
            News::Still => format!("still: {headline}. {}\n{}", words::details(case), words::advice(&case.trouble)),
            News::Over => format!("over: {headline}. {}", words::over(case)),
        };
        let (severity, trouble) = (case.trouble.severity(), case.trouble.clone());
        Self { trouble, state, severity, since: case.since, text }
    }

    fn weight(&self) -> Severity {
        if self.state == News::Over { Severity::Info } else { self.severity }
    }
}

fn title(told: &[(News, &Case)]) -> String {
    let Some((news, case)) = told.first() else { return String::new() };
    let headline = words::headline(&case.trouble);
    let headline = match news {
        News::Raised => headline,
        News::Still => format!("still: {headline}"),
        News::Over => format!("over: {headline}"),
    };
    match told.len() {
        1 => headline,
        count => format!("{headline}, and {} more", count - 1),
    }
}

fn details(news: &[NewsView]) -> String {
    let shown: Vec<&str> = news.iter().take(MOST_TOLD).map(|news| news.text.as_str()).collect();
    let mut details = shown.join("\n\n");
    if let Some(more) = news.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        // Writing to a text can't fail.
        let _written = write!(details, "\n\nAnd {more} more: `atoms-relay status`.");
    }
    details
}
