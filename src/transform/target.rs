//! A destination as its owner configured it: where it is and what it wants to see.

use std::fmt;

use http::{HeaderMap, HeaderValue, Method};

use super::{Address, Body, HeaderTemplate, Resend, Signer, Vars};
use crate::model::Event;

/// Where and how a destination wants to be called. Its `Debug` shows what people may see.
#[derive(Clone)]
pub struct Target {
    /// The HTTP method.
    pub method: Method,
    /// The address.
    pub url: Address,
    /// Headers that never change; credentials among them are marked sensitive.
    pub headers: HeaderMap,
    /// Headers with parts from the event. They come after [`Self::headers`] and win.
    pub header_templates: Vec<HeaderTemplate>,
    /// The body.
    pub body: Body,
    /// The body of an alert of the relay's own, whatever the body of an event is.
    pub alert: Body,
    /// What `Content-Type` says of a body that isn't raw, where the usual one doesn't fit.
    pub content_type: Option<HeaderValue>,
    /// Which body a retry gets.
    pub resend: Resend,
    /// The constants that templates use.
    pub vars: Vars,
    /// Signs what is sent.
    pub signing: Option<Signer>,
}

impl Target {
    /// The target at `url` that gets raw bodies by POST, and no further header.
    #[must_use]
    pub fn new(url: Address) -> Self {
        Self {
            method: Method::POST,
            url,
            headers: HeaderMap::new(),
            header_templates: Vec::new(),
            body: Body::Raw,
            alert: Body::Raw,
            content_type: None,
            resend: Resend::Anew,
            vars: Vars::default(),
            signing: None,
        }
    }

    /// Method and address as a person may see them: without credentials, query and secret path.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {}", self.method, self.url.shown())
    }

    /// What an event's body is made of.
    #[must_use]
    pub fn body_of(&self, event: &Event) -> &Body {
        if event.is_own() { &self.alert } else { &self.body }
    }

    /// The same with masks for the secrets in `vars`. What it makes is for people to look at.
    pub(super) fn masked(&self) -> Self {
        Self { vars: self.vars.masked(), ..self.clone() }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.shown())
    }
}
