//! What was received becomes what is stored.
//!
//! Pure: the same receipt makes the same event under the same routes, with the same id and the same deduplication key,
//! however often the store has to be asked.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Source;
use crate::{
    model::{DedupKey, Event, EventId, Name, NewEvent, OriginalHeaders, Reading, Timestamp},
    route::Routes,
    verify::Refusal,
};

/// An authentic request, before anybody has looked into its body. Cheap to make an event of, again and again.
#[derive(Debug)]
pub(super) struct Receipt {
    /// The event's id.
    pub(super) id: EventId,
    /// Who signed it.
    pub(super) source: Name,
    /// When its body had been read whole.
    pub(super) received_at: Timestamp,
    content_type: Option<HeaderValue>,
    signature: (HeaderName, HeaderValue),
    /// What was signed.
    pub(super) body: Bytes,
}

impl Receipt {
    /// The receipt for a body that came at `received_at` with these headers, if `source` signed it.
    ///
    /// # Errors
    /// [`Refusal`] when it didn't.
    pub(super) fn verify(
        source: &Source,
        headers: &HeaderMap,
        body: Bytes,
        received_at: Timestamp,
        dice: [u8; 10],
    ) -> Result<Self, Refusal> {
        let (body, signature) = source.verifier.verify(headers, body)?.into_parts();
        Ok(Self {
            id: EventId::new(received_at, dice),
            source: source.name.clone(),
            received_at,
            content_type: headers.get(header::CONTENT_TYPE).cloned(),
            signature: (source.verifier.header().clone(), signature),
            body,
        })
    }

    /// The event, where it goes, and what makes it the same as another.
    pub(super) fn event(&self, routes: &Routes) -> NewEvent {
        let reading = Reading::of(&self.body);
        let dedup_key = DedupKey::of(&self.source, &reading, &self.body);
        let (name, value) = &self.signature;
        let headers = OriginalHeaders {
            content_type: self.content_type.as_ref().map(|value| value.as_bytes().to_vec()),
            signature: Some((name.as_str().to_owned(), value.as_bytes().to_vec())),
        };
        let event = Event {
            id: self.id,
            source: self.source.clone(),
            received_at: self.received_at,
            reading,
            headers,
            body: self.body.clone(),
        };
        let deliveries = routes.deliveries(&event);
        NewEvent { event, dedup_key, deliveries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::NewDelivery,
        route::Route,
        verify::{Verifier, sign},
    };

    const RECEIVED_AT: Timestamp = Timestamp::from_millis(1_790_012_345_678);

    fn source() -> Source {
        let verifier = Verifier::new(HeaderName::from_static("x-signature"), ["s"]).unwrap();
        Source { name: Name::new("atoms").unwrap(), path: "/webhook".into(), verifier }
    }

    fn receipt(body: &'static str) -> Receipt {
        let mut headers = HeaderMap::new();
        headers.insert("x-signature", sign("s", body.as_bytes()).unwrap().parse().unwrap());
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        Receipt::verify(&source(), &headers, Bytes::from_static(body.as_bytes()), RECEIVED_AT, [7; 10]).unwrap()
    }

    fn everything_to_crm() -> Routes {
        let to = vec![Name::new("crm").unwrap()];
        Routes::new(vec![Route {
            name: "all".into(),
            sources: None,
            agents: None,
            events: None,
            when: None,
            max_age: None,
            to,
        }])
    }

    #[test]
    fn what_was_not_signed_by_the_source_gets_no_receipt() {
        let refusal = Receipt::verify(&source(), &HeaderMap::new(), Bytes::new(), RECEIVED_AT, [7; 10]).unwrap_err();
        assert_eq!(refusal, Refusal::Missing);
    }

    #[test]
    fn an_event_carries_the_body_with_the_headers_that_belong_to_it() {
        let body = r#" { "id":"e1","event":"a1.post-conversation" }"#;
        let new = receipt(body).event(&everything_to_crm());
        assert_eq!(new.event.body, body);
        assert_eq!(new.event.id.timestamp(), RECEIVED_AT);
        assert_eq!(new.event.headers.content_type.as_deref(), Some(&b"application/json"[..]));
        let (name, value) = new.event.headers.signature.unwrap();
        assert_eq!((name.as_str(), value), ("x-signature", sign("s", body.as_bytes()).unwrap().into_bytes()));
        assert_eq!(new.deliveries, [NewDelivery::to(Name::new("crm").unwrap())]);
    }

    #[test]
    fn what_cannot_be_read_is_an_event_without_destinations() {
        let new = receipt("not json").event(&everything_to_crm());
        assert_eq!(new.event.reading.envelope(), None);
        assert!(new.deliveries.is_empty());
    }

    #[test]
    fn asked_again_it_is_the_same_event() {
        let receipt = receipt(r#"{"id":"e1","event":"a1.x"}"#);
        assert_eq!(receipt.event(&everything_to_crm()), receipt.event(&everything_to_crm()));
    }
}
