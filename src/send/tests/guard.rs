//! The guard of addresses, as it meets what comes in the way of requests.

use std::io;

use super::*;
use crate::send::guard::Guard;

async fn refused(policy: Policy, url: &str) -> Failure {
    let client = Client::new(Settings { policy, ..settings(PATIENT) }).unwrap();
    let request = OutboundRequest { url: url.parse().unwrap(), ..Server::answering(String::new()).await.request() };
    both_ways(&client, request).await.unwrap_err()
}

#[tokio::test]
async fn an_address_that_is_never_called_is_refused_however_it_is_written() {
    for host in ["169.254.169.254", "2852039166", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "0.0.0.0", "[fe80::1]"]
    {
        let failure = refused(Policy::AllowPrivate, &format!("http://{host}/latest/meta-data/")).await;
        assert_eq!(failure.kind, FailureKind::Forbidden, "{host}");
    }
}

#[tokio::test]
async fn without_allow_private_neither_an_address_nor_a_name_leads_to_this_machine() {
    let server = Server::answering(answer("200 OK", "")).await;
    for host in ["127.0.0.1", "[::1]", "localhost"] {
        let failure = refused(Policy::PublicOnly, &format!("http://{host}:{}/", server.address.port())).await;
        assert_eq!(failure.kind, FailureKind::Forbidden, "{host}");
        assert!(failure.detail.ends_with("is this machine's own address, `allow_private = false` forbids it"));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

/// A client for whom the n-th look-up of any name brings the n-th of these, and the last for ever.
fn told(answers: &'static [&'static [&'static str]]) -> Client {
    let lookups = AtomicUsize::new(0);
    let lookup = move |_| {
        let n = lookups.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        Ok(answers[n].iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect())
    };
    Client::guarded(settings(PATIENT), Guard::over(Policy::AllowPrivate, lookup)).unwrap()
}

async fn server_by_name() -> (Server, OutboundRequest) {
    let server = Server::new(|mut stream| async move {
        request(&mut stream).await;
        write(&mut stream, &answer("200 OK", "")).await;
    })
    .await;
    let url = format!("http://crm.example:{}/", server.address.port()).parse().unwrap();
    let request = OutboundRequest { url, ..server.request() };
    (server, request)
}

/// DNS rebinding: a harmless address for whoever checks, and another one for whoever connects.
#[tokio::test]
async fn a_name_that_leads_elsewhere_the_second_time_is_refused_then() {
    let (_server, request) = server_by_name().await;
    let client = told(&[&["127.0.0.1"], &["169.254.169.254"]]);
    assert_eq!(sent(&client, request.clone()).await.unwrap().status, 200);
    let failure = sent(&client, request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Forbidden);
    assert!(failure.detail.starts_with("169.254.169.254 is a link-local address"), "{}", failure.detail);
}

#[tokio::test]
async fn of_several_addresses_only_those_are_tried_that_may_be_called() {
    let (server, request) = server_by_name().await;
    let client = told(&[&["169.254.169.254", "fe80::1", "127.0.0.1"]]);
    assert_eq!(sent(&client, request).await.unwrap().status, 200);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_look_up_that_fails_is_no_connection_and_says_why() {
    let (_server, request) = server_by_name().await;
    let guard = Guard::over(Policy::AllowPrivate, |_| Err(io::Error::other("the name server is gone")));
    let client = Client::guarded(settings(PATIENT), guard).unwrap();
    assert_eq!(
        both_ways(&client, request).await.unwrap_err(),
        failure(FailureKind::Connect, "the name server is gone")
    );
}
