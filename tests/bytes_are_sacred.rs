//! Promise 4: a destination gets the body byte for byte, with the signature that Atoms made for it.
//!
//! From the sender's socket to the destination's, through the real store.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::sync::Arc;

use atoms_relay::{clock::Clock, dispatch::Dispatch, verify::Verifier};
use http::HeaderName;
use support::{
    fixtures::{self, SECRET, Vector},
    metrics,
    receiver::{DESTINATION, Receiver},
    scripted::{Behaviour, Scripted},
    sender::{PATIENT, to},
    wire::Request,
    within,
};
use tokio_util::sync::CancellationToken;

const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

/// The fixtures that say what they are: what is in quarantine goes nowhere.
fn routed() -> Vec<Vector> {
    let mut usual: Vec<_> = fixtures::vectors().into_iter().filter(Vector::is_usual).collect();
    usual.sort_by(|a, b| a.file.cmp(&b.file));
    usual.dedup_by(|a, b| a.file == b.file);
    usual.retain(|vector| vector.file.as_str() < "12");
    assert_eq!(usual.len(), 11);
    usual
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_is_what_was_sent_and_its_signature_still_verifies() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let receiver = Receiver::start().await;
    let lane = vec![to(DESTINATION, &destination.url("/"))];
    let dispatch =
        Dispatch::start(lane, Arc::clone(&receiver.store), Clock::system(), &CancellationToken::new(), metrics());
    let verifier = Verifier::new(SIGNATURE, [SECRET]).unwrap();

    for (n, vector) in routed().iter().enumerate() {
        let body = fixtures::body(&vector.file);
        let content_type = format!("application/json; charset=utf-8; n={n}");
        let request = Request::signed(body.clone()).without("Content-Type").header("Content-Type", &content_type);
        assert_eq!(request.send(receiver.address).await.status, 200, "{}", vector.file);

        let got = destination.wait_for(n + 1).await.swap_remove(n);
        assert_eq!(got.body, body, "{}", vector.file);
        assert_eq!(got.header("content-type"), content_type);
        assert_eq!(got.header("content-length"), body.len().to_string());
        assert_eq!(Some(got.header("x-signature")), vector.signature.as_deref());
        assert!(verifier.verify(&got.headers, got.body).is_ok(), "{}", vector.file);
    }
    within("stopping", dispatch.finished(PATIENT)).await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_the_same_at_each_attempt() {
    let flaky = [503, 500, 200].map(Behaviour::Answers);
    let destination = Scripted::sequence(flaky).await;
    let receiver = Receiver::start().await;
    let lane = vec![to(DESTINATION, &destination.url("/"))];
    let dispatch =
        Dispatch::start(lane, Arc::clone(&receiver.store), Clock::system(), &CancellationToken::new(), metrics());
    let body = fixtures::body("11-byte-exact.json");
    Request::signed(body.clone()).send(receiver.address).await;
    for got in destination.wait_for(3).await {
        assert_eq!(got.body, body);
    }
    within("stopping", dispatch.finished(PATIENT)).await;
}
