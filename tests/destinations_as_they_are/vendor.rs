//! What the pretend vendors have in common: JSON in, JSON out, and bad days.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::Value;

use crate::support::sink::{Got, Sink};

/// An answer of a vendor.
pub(crate) type Answer = Response<Full<Bytes>>;

/// An answer with a JSON body.
pub(crate) fn json(status: u16, body: &Value) -> Answer {
    let bytes = Bytes::from(serde_json::to_vec(body).unwrap());
    Response::builder().status(status).header("content-type", "application/json").body(Full::new(bytes)).unwrap()
}

/// An answer in plain words.
pub(crate) fn text(status: u16, body: &'static str) -> Answer {
    Response::builder().status(status).header("content-type", "text/plain").body(Full::new(body.into())).unwrap()
}

/// The same answer with `Retry-After`.
pub(crate) fn retry_after(mut answer: Answer, seconds: u32) -> Answer {
    answer.headers_mut().insert("retry-after", seconds.into());
    answer
}

/// The body of a request, which has to be JSON and has to say so.
pub(crate) fn body(got: &Got) -> Option<Value> {
    let is_json = got.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    serde_json::from_slice(&got.body).ok().filter(|_| is_json)
}

/// A service with a state: each request is answered by what the vendor documents.
pub(crate) struct Vendor<S> {
    pub(crate) sink: Sink,
    pub(crate) state: Arc<Mutex<S>>,
}

impl<S: Send + 'static> Vendor<S> {
    /// Starts one. It answers its first requests with `bad_days`, where that has an answer, and then as `answer` says.
    pub(crate) async fn start(state: S, answer: impl Fn(&mut S, &Got) -> Answer + Send + Sync + 'static) -> Self {
        let (sink, state) = (Sink::start().await, Arc::new(Mutex::new(state)));
        let shared = Arc::clone(&state);
        sink.reply(move |got| answer(&mut shared.lock().unwrap(), got));
        Self { sink, state }
    }

    /// Looks at the state.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&self.state.lock().unwrap())
    }
}

/// The bad days of a vendor: what its next requests meet, one after another.
#[derive(Default)]
pub(crate) struct BadDays(VecDeque<Day>);

/// What a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Day {
    /// All is well.
    Good,
    /// The trouble that the vendor calls by this name.
    Bad(&'static str),
}

impl BadDays {
    /// These days, then good ones for ever.
    pub(crate) fn new(days: impl Into<VecDeque<Day>>) -> Self {
        Self(days.into())
    }

    /// The trouble of the next request.
    pub(crate) fn next(&mut self) -> Option<&'static str> {
        match self.0.pop_front()? {
            Day::Good => None,
            Day::Bad(trouble) => Some(trouble),
        }
    }
}
