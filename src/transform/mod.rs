//! What exactly is sent? From an event and a destination's target to one request.
//!
//! The body goes out byte for byte with its original `Content-Type` and signature header, so that the destination can
//! verify Atoms' signature itself. Around it stand the relay's own headers:
//!
//! | header | stable over | means |
//! | --- | --- | --- |
//! | `X-Relay-Delivery` | all attempts, all rounds | this event on its way to this destination: `<event id>.<destination>` |
//! | `Idempotency-Key` | all attempts of a round | what must take effect once: the same text, and `.r1`, `.r2` … when people sent a delivered event again |
//! | `X-Relay-Event` | all destinations | the event |
//! | `X-Relay-Attempt` | | counts from 1, over all rounds |
//! | `traceparent` | its trace id: all deliveries of an event | W3C trace context; both ids are derived, so nothing has to be kept |
//!
//! Of two headers with one name the relay's own win, then those that people configured, then those of the event.
//! A body is never parsed or written again here.

mod identity;
mod signing;

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

pub use self::signing::{Signer, SignerError};
use crate::model::{Delivery, DeliveryId, Event};

/// What we call ourselves.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("atoms-relay/", env!("CARGO_PKG_VERSION")));

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const RELAY_DELIVERY: HeaderName = HeaderName::from_static("x-relay-delivery");
const RELAY_EVENT: HeaderName = HeaderName::from_static("x-relay-event");
const RELAY_ATTEMPT: HeaderName = HeaderName::from_static("x-relay-attempt");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where and how a destination wants to be called. Its `Debug` shows what people may see.
#[derive(Clone)]
pub struct Target {
    /// The HTTP method.
    pub method: Method,
    /// The address; `http` or `https`.
    pub url: Url,
    /// Whether the path of the address is a secret (it came from one, as Slack's do): nobody is shown more than the host
    /// then.
    pub secret_url: bool,
    /// Headers to add; credentials among them are marked sensitive.
    pub headers: HeaderMap,
}

impl Target {
    /// Method and address as a person may see them: without credentials, query and secret path.
    #[must_use]
    pub fn shown(&self) -> String {
        let (scheme, host) = (self.url.scheme(), self.url.host_str().unwrap_or_default());
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = if self.secret_url { "/…" } else { self.url.path() };
        let query = if self.url.query().is_some() && !self.secret_url { "?…" } else { "" };
        format!("{} {scheme}://{host}{port}{path}{query}", self.method)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.shown())
    }
}

/// Whether people may not set this header for a destination: the relay sets it, or it belongs to the connection.
#[must_use]
pub fn is_reserved(name: &HeaderName) -> bool {
    const RESERVED: [HeaderName; 10] = [
        IDEMPOTENCY_KEY,
        RELAY_DELIVERY,
        RELAY_EVENT,
        RELAY_ATTEMPT,
        TRACEPARENT,
        header::USER_AGENT,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
    ];
    RESERVED.contains(name)
}

/// One request, ready to be sent. Its `Debug` shows what people may see.
#[derive(Clone)]
pub struct OutboundRequest {
    /// The HTTP method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// All headers but those of the connection (`Host`, `Content-Length`).
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What a person may see of it, as in [`Target::shown`].
    pub shown: String,
}

impl fmt::Debug for OutboundRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboundRequest({}, {} bytes)", self.shown, self.body.len())
    }
}

/// The request for attempt number `attempt` (from 1, over all rounds) at a delivery of `event`.
///
/// # Errors
/// [`Unsendable`]; trying again would not help.
pub fn outbound(
    target: &Target,
    event: &Event,
    delivery: &Delivery,
    attempt: u32,
) -> Result<OutboundRequest, Unsendable> {
    let mut headers = target.headers.clone();
    add_original(&mut headers, event)?;
    set_own(&mut headers, event, delivery, attempt)?;
    Ok(OutboundRequest {
        method: target.method.clone(),
        url: target.url.clone(),
        headers,
        body: event.body.clone(),
        shown: target.shown(),
    })
}

/// Adds the headers that came with the body, where nobody configured others.
fn add_original(headers: &mut HeaderMap, event: &Event) -> Result<(), Unsendable> {
    if let Some(content_type) = &event.headers.content_type {
        let content_type = value(content_type, "Content-Type")?;
        headers.entry(header::CONTENT_TYPE).or_insert(content_type);
    }
    if let Some((name, signature)) = &event.headers.signature {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unsendable::Header("signature"))?;
        let signature = value(signature, "signature")?;
        headers.entry(name).or_insert(signature);
    }
    Ok(())
}

/// Sets the relay's own headers, whatever stood there.
fn set_own(headers: &mut HeaderMap, event: &Event, delivery: &Delivery, attempt: u32) -> Result<(), Unsendable> {
    let id = DeliveryId { event: event.id, destination: delivery.destination.clone() };
    let key = identity::idempotency_key(&id, delivery.round);
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(IDEMPOTENCY_KEY, value(key.as_bytes(), "Idempotency-Key")?);
    headers.insert(TRACEPARENT, value(identity::traceparent(&id, attempt).as_bytes(), "traceparent")?);
    headers.insert(RELAY_DELIVERY, value(id.to_string().as_bytes(), "X-Relay-Delivery")?);
    headers.insert(RELAY_EVENT, value(event.id.to_string().as_bytes(), "X-Relay-Event")?);
    headers.insert(RELAY_ATTEMPT, attempt.into());
    Ok(())
}

fn value(bytes: &[u8], header: &'static str) -> Result<HeaderValue, Unsendable> {
    HeaderValue::from_bytes(bytes).map_err(|_| Unsendable::Header(header))
}

/// Why no request can be made of an event. For people; the delivery becomes a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// A header's name or value holds bytes that HTTP doesn't allow.
    #[error("the {0} header holds characters that HTTP doesn't allow")]
    Header(&'static str),
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{EventId, Name, OriginalHeaders, Reading, Timestamp};

    const RECEIVED: Timestamp = Timestamp::from_millis(1_790_012_345_678);

    fn event() -> Event {
        Event {
            id: EventId::new(RECEIVED, [7; 10]),
            source: Name::new("atoms").unwrap(),
            received_at: RECEIVED,
            reading: Reading::Quarantined(Arc::from("not read here")),
            headers: OriginalHeaders {
                content_type: Some(b"application/json; charset=utf-8".to_vec()),
                signature: Some(("x-signature".into(), b"5f1c".to_vec())),
            },
            body: Bytes::from_static(b"{ \"odd\" :\t1.10,\"odd\":2 }\r\n"),
        }
    }

    fn delivery() -> Delivery {
        Delivery::new(Name::new("crm").unwrap(), RECEIVED)
    }

    fn target(url: &str) -> Target {
        Target { method: Method::POST, url: url.parse().unwrap(), secret_url: false, headers: HeaderMap::new() }
    }

    fn header<'a>(request: &'a OutboundRequest, name: &str) -> &'a str {
        request.headers.get(name).unwrap().to_str().unwrap()
    }

    #[test]
    fn the_body_goes_out_untouched_with_what_makes_it_verifiable() {
        let request = outbound(&target("https://crm.example/calls"), &event(), &delivery(), 1).unwrap();
        assert_eq!(request.body, event().body);
        assert_eq!(header(&request, "content-type"), "application/json; charset=utf-8");
        assert_eq!(header(&request, "x-signature"), "5f1c");
    }

    #[test]
    fn a_body_without_content_type_stays_without() {
        let bare = Event { headers: OriginalHeaders::default(), ..event() };
        let request = outbound(&target("https://crm.example/"), &bare, &delivery(), 1).unwrap();
        assert!(!request.headers.contains_key("content-type"));
        assert!(!request.headers.contains_key("x-signature"));
    }

    #[test]
    fn every_attempt_carries_the_same_identity_and_its_own_number() {
        let attempts = [1, 2, 9].map(|n| outbound(&target("https://crm.example/"), &event(), &delivery(), n).unwrap());
        let identity = format!("{}.crm", event().id);
        for (request, number) in attempts.iter().zip(["1", "2", "9"]) {
            assert_eq!(header(request, "idempotency-key"), identity);
            assert_eq!(header(request, "x-relay-delivery"), identity);
            assert_eq!(header(request, "x-relay-event"), event().id.to_string());
            assert_eq!(header(request, "x-relay-attempt"), number);
        }
    }

    #[test]
    fn a_new_round_changes_the_idempotency_key_only() {
        let again = Delivery { round: 2, ..delivery() };
        let request = outbound(&target("https://crm.example/"), &event(), &again, 4).unwrap();
        assert_eq!(header(&request, "idempotency-key"), format!("{}.crm.r2", event().id));
        assert_eq!(header(&request, "x-relay-delivery"), format!("{}.crm", event().id));
    }

    #[test]
    fn configured_headers_win_over_the_events_and_lose_against_the_relays() {
        let mut target = target("https://crm.example/");
        target.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
        target.headers.insert("x-relay-attempt", HeaderValue::from_static("77"));
        target.headers.append("x-team", HeaderValue::from_static("voice"));
        target.headers.append("x-team", HeaderValue::from_static("night"));
        let request = outbound(&target, &event(), &delivery(), 1).unwrap();
        assert_eq!(header(&request, "content-type"), "application/cloudevents+json");
        assert_eq!(header(&request, "x-relay-attempt"), "1");
        assert_eq!(request.headers.get_all("x-team").iter().count(), 2);
    }

    #[test]
    fn what_the_relay_sets_is_reserved() {
        let request = outbound(&target("https://crm.example/"), &event(), &delivery(), 1).unwrap();
        let of_the_event = [header::CONTENT_TYPE, HeaderName::from_static("x-signature")];
        for name in request.headers.keys() {
            assert_eq!(is_reserved(name), !of_the_event.contains(name), "{name}");
        }
        assert!(!is_reserved(&header::AUTHORIZATION));
    }

    #[test]
    fn people_see_no_credentials_no_query_and_no_secret_path() {
        assert_eq!(target("https://crm.example:8443/api/calls").shown(), "POST https://crm.example:8443/api/calls");
        assert_eq!(target("http://me:pw@[::1]:80/x?token=t#f").shown(), "POST http://[::1]/x?…");
        let slack = Target { secret_url: true, ..target("https://hooks.slack.com/services/T0/B0/x?y=z") };
        assert_eq!(slack.shown(), "POST https://hooks.slack.com/…");
    }

    #[test]
    fn debugging_shows_no_secret_either() {
        let slack = Target { secret_url: true, ..target("https://hooks.slack.com/services/T0/B0/hush") };
        let request = outbound(&slack, &event(), &delivery(), 1).unwrap();
        for text in [format!("{slack:?}"), format!("{request:?}")] {
            assert!(text.contains("hooks.slack.com") && !text.contains("hush") && !text.contains("odd"), "{text}");
        }
    }

    #[test]
    fn what_http_cannot_carry_is_unsendable_with_the_reason() {
        let mut broken = event();
        broken.headers.signature = Some(("x-signature".into(), b"a\r\nX-Evil: 1".to_vec()));
        let refused = outbound(&target("https://crm.example/"), &broken, &delivery(), 1).unwrap_err();
        assert_eq!(refused.to_string(), "the signature header holds characters that HTTP doesn't allow");
    }
}
