//! The real program is asked to stop, or can't start: what it promised holds, and whoever started it learns what happened.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::{
    bench::is_long_run,
    process::{Home, Relay},
    support::{
        fixtures,
        scripted::{Behaviour, Got, Scripted},
        wire::{Request, Wire},
    },
};

/// Far less than the time that attempts get for their end (25 s), far more than a process needs for its own.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A home for relays with one destination, which gets so long for an answer.
fn home_of(destination: &Scripted, timeout: &str) -> Home {
    let settings = format!("timeout = \"{timeout}\"\nretry = {{ initial = \"20ms\", max = \"200ms\" }}");
    Home::new(&[("crm", destination.url("/"), &settings)])
}

async fn started(home: &Home) -> Relay {
    let mut relay = home.start();
    relay.ready().await;
    relay
}

/// Has an event accepted, and waits until it is on its way to a destination that doesn't answer. Returns the event's id.
async fn hang(home: &Home, destination: &Scripted) -> String {
    let answer = Request::signed(fixtures::event("1")).send(home.public()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    destination.wait_for(1).await;
    answer.text("id")
}

/// The first thing that arrived of an event.
fn first_of<'a>(got: &'a [Got], event: &str) -> &'a Got {
    got.iter().find(|got| got.header("x-relay-event") == event).unwrap()
}

/// With the long switch the attempt outlives the grace period, and is cut short by its end.
#[tokio::test]
async fn a_relay_that_is_asked_to_stop_finishes_what_runs_and_delivers_the_rest_after_its_next_start() {
    let destination = Scripted::always(Behaviour::Hangs).await;
    let home = home_of(&destination, if is_long_run() { "60s" } else { "1s" });
    let relay = started(&home).await;
    let hanging = hang(&home, &destination).await;
    let late = Request::signed(fixtures::event("2")).header("Expect", "100-continue");
    let mut wire = Wire::connect(home.public()).await;
    wire.send(&late.head()).await;
    assert_eq!(wire.answer().await.status, 100);

    relay.ask_to_stop();
    home.wait_until_closed().await;
    wire.send(&fixtures::event("2")).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let status = relay.ended().await;
    assert_eq!(status.code(), Some(0), "{status}: {}", home.log());

    let before = destination.count();
    destination.becomes(Behaviour::Answers(200));
    let relay = started(&home).await;
    let got = destination.wait_for(before + 2).await;
    let (first, last) = (&got[0], first_of(&got[before..], &hanging));
    assert_eq!(last.header("idempotency-key"), first.header("idempotency-key"));
    assert_eq!(last.body, first.body);
    assert_eq!(first_of(&got, &answer.text("id")).body, fixtures::event("2"));
    relay.stop().await;
}

#[tokio::test]
async fn a_second_request_to_stop_ends_the_relay_at_once_and_loses_nothing() {
    let destination = Scripted::always(Behaviour::Hangs).await;
    let home = home_of(&destination, "60s");
    let relay = started(&home).await;
    hang(&home, &destination).await;

    relay.ask_to_stop();
    home.wait_until_closed().await;
    let asked_again = Instant::now();
    relay.ask_to_stop();
    let status = relay.ended().await;
    assert_eq!(status.code(), Some(0), "{status}: {}", home.log());
    assert!(asked_again.elapsed() < AT_ONCE, "{:?}", asked_again.elapsed());

    destination.becomes(Behaviour::Answers(200));
    let relay = started(&home).await;
    let got = destination.wait_for(2).await;
    assert_eq!(got[1].header("idempotency-key"), got[0].header("idempotency-key"));
    assert_eq!([got[0].header("x-relay-attempt"), got[1].header("x-relay-attempt")], ["1", "1"]);
    relay.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let home = home_of(&destination, "1s");
    let _other = TcpListener::bind(home.public()).await.unwrap();
    let output = home.start_in_vain().await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{said}");
    let expected = format!("can't listen on {} (server.listen): Address already in use", home.public());
    assert!(said.contains(&expected), "{said}");
}

#[tokio::test]
async fn a_queue_that_another_relay_uses_is_left_alone_and_its_user_named() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let home = home_of(&destination, "1s");
    let relay = started(&home).await;
    let output = home.start_beside().await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains(&format!("process {}", relay.pid())), "{said}");
    assert!(said.contains(&home.queue().display().to_string()), "{said}");

    let answer = Request::signed(fixtures::event("1")).send(home.public()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    destination.wait_for(1).await;
    relay.stop().await;
}
