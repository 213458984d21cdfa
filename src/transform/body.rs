//! The body of a request: as it came, or made from the event.
//!
//! A raw body is never parsed or written again. All others are made anew: they have a `Content-Type` of their own, and no
//! original signature, for that would no longer fit.

use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;

use super::{Occasion, Target, Unsendable, rendering::Rendering};
use crate::template::{JsonTemplate, Scope, Template};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What a destination gets as a body.
#[derive(Debug, Clone, Default)]
pub enum Body {
    /// The body byte for byte, with its `Content-Type` and its signature.
    #[default]
    Raw,
    /// The normalized document.
    Normalized,
    /// JSON from a template: valid whatever the event holds.
    Json(JsonTemplate),
    /// Text from a template.
    Text(Template),
}

impl Body {
    /// The names that its template uses, each with its parts: `call.id`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Raw | Self::Normalized => Vec::new(),
            Self::Json(template) => template.names(),
            Self::Text(template) => template.names(),
        }
    }

    /// The `Content-Type` of such a body, unless people want another one; `None` where the event brings its own.
    pub(super) fn content_type(&self) -> Option<HeaderValue> {
        match self {
            Self::Raw => None,
            Self::Normalized | Self::Json(_) => Some(JSON),
            Self::Text(_) => Some(TEXT),
        }
    }
}

/// Which body a retry gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resend {
    /// One made anew, so that a mended template heals what waits.
    #[default]
    Anew,
    /// That of the first attempt, byte for byte. For destinations that refuse another body under the same idempotency key.
    /// It is kept on disk until the event goes, so its template sees no secrets.
    Same,
}

/// The body that an attempt sends: the kept one, where there has to be no other.
pub(super) fn make(target: &Target, rendering: &Rendering<'_>) -> Result<Bytes, Unsendable> {
    let occasion = rendering.occasion();
    match (target.body_of(occasion.event), target.resend, &occasion.kept_body) {
        (Body::Raw, ..) => Ok(occasion.event.body.clone()),
        (_, Resend::Same, Some(kept)) => Ok(kept.clone()),
        (body, Resend::Same, None) => rendered(body, rendering, &rendering.scope_without_secrets()),
        (body, Resend::Anew, _) => rendered(body, rendering, rendering.scope()),
    }
}

/// Whether the body of this attempt is the first of those that have to be the same.
pub(super) fn must_be_kept(target: &Target, occasion: &Occasion<'_>) -> bool {
    let is_made = !matches!(target.body_of(occasion.event), Body::Raw);
    is_made && target.resend == Resend::Same && occasion.kept_body.is_none()
}

fn rendered(body: &Body, rendering: &Rendering<'_>, scope: &Scope) -> Result<Bytes, Unsendable> {
    match body {
        Body::Raw => Ok(rendering.occasion().event.body.clone()),
        Body::Normalized => written("body", rendering.document()),
        Body::Json(template) => {
            written("json", &template.render(scope).map_err(|e| Unsendable::template("`json`", e))?)
        }
        Body::Text(template) => {
            template.render(scope).map(Bytes::from).map_err(|error| Unsendable::template("`text`", error))
        }
    }
}

fn written(part: &'static str, value: &impl Serialize) -> Result<Bytes, Unsendable> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|_| Unsendable::Json(part))
}
