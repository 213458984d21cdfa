//! Promise 2: delivered at least once, to each destination on its own.
//!
//! Over a real store and real sockets, to destinations that behave in every way. Pauses are milliseconds here.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;
#[path = "delivered_at_least_once/tokens.rs"]
mod tokens;

use std::time::{Duration, Instant};

use atoms_relay::{
    breaker::Condition,
    clock::Clock,
    dispatch::Destination,
    model::{Attempt, DeadReason, DeliveryState, FailureKind, Outcome},
    send::{Settings, Timeouts},
    store::{Pause, Replayed},
};
use support::{
    eventually, fixtures,
    scripted::{Behaviour, Got, Scripted},
    sender::{PATIENT, Sender, client, is_delivered, is_settled, name, retry, settings, to},
};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A destination that answers so, and what the relay calls it.
async fn answering(status: u16) -> (String, Scripted) {
    (format!("d{status}"), Scripted::sequence([Behaviour::Answers(status), Behaviour::Answers(200)]).await)
}

fn statuses(attempts: &[Attempt]) -> Vec<u16> {
    let status = |attempt: &Attempt| match attempt.outcome {
        Outcome::Answered { status, .. } | Outcome::Judged { status, .. } => status,
        Outcome::Failed { .. } => 0,
    };
    attempts.iter().map(status).collect()
}

fn failures(attempts: &[Attempt]) -> Vec<FailureKind> {
    let kind = |attempt: &Attempt| match attempt.outcome {
        Outcome::Failed { kind, .. } => Some(kind),
        Outcome::Answered { .. } | Outcome::Judged { .. } => None,
    };
    attempts.iter().filter_map(kind).collect()
}

/// Impatient, for destinations that hang.
fn hasty(destination: Destination) -> Destination {
    let timeouts = Timeouts { connect: PATIENT, total: 200 * MILLISECOND };
    Destination { client: client(Settings { timeouts, ..settings() }), ..destination }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_leads_where_the_table_says() {
    let mut all = Vec::new();
    for status in [200, 202, 204, 408, 409, 425, 429, 500, 502, 503, 504, 400, 404, 405, 413, 415, 422, 301, 302, 307] {
        all.push((status, answering(status).await));
    }
    for status in [401, 403, 410] {
        all.push((status, answering(status).await));
    }
    let names: Vec<_> = all.iter().map(|(_, (name, _))| name.as_str()).collect();
    let sender = Sender::start(all.iter().map(|(_, (name, scripted))| to(name, &scripted.url("/"))).collect());
    let event = sender.accept(fixtures::event("1"), &names).await;

    for (status, (name, destination)) in &all {
        match status {
            200..300 => {
                let (_, attempts) = sender.wait_until(event, name, is_delivered).await;
                assert_eq!(statuses(&attempts), [*status]);
            }
            400 | 404 | 405 | 413 | 415 | 422 => {
                let (delivery, attempts) = sender.wait_until(event, name, is_settled).await;
                assert!(matches!(delivery.state, DeliveryState::Dead { reason: DeadReason::Rejected, .. }));
                assert_eq!(statuses(&attempts), [*status]);
            }
            401 | 403 | 410 | 300..400 => {
                sender.wait_for_condition(name, |condition| matches!(condition, Condition::Stopped { .. })).await;
                let (delivery, attempts) = sender.delivery(event, name).await;
                assert!(delivery.state.is_waiting());
                assert_eq!((statuses(&attempts), destination.count()), (vec![*status], 1));
            }
            _ => {
                let (_, attempts) = sender.wait_until(event, name, is_delivered).await;
                assert_eq!(statuses(&attempts), [*status, 200]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_says_which_delivery_it_is_and_which_attempt() {
    let flaky = [503, 429, 500, 200].map(Behaviour::Answers);
    let destination = Scripted::sequence(flaky).await;
    let sender = Sender::start(vec![to("crm", &destination.url("/"))]);
    let event = sender.accept(fixtures::event("1"), &["crm"]).await;
    let got = destination.wait_for(4).await;
    for (request, number) in got.iter().zip(["1", "2", "3", "4"]) {
        assert_eq!(request.header("idempotency-key"), format!("{event}.crm"));
        assert_eq!(request.header("x-relay-delivery"), format!("{event}.crm"));
        assert_eq!(request.header("x-relay-event"), event.to_string());
        assert_eq!(request.header("x-relay-attempt"), number);
        assert!(request.header("user-agent").starts_with("atoms-relay/"));
        assert!(request.header("traceparent").starts_with(&format!("00-{}-", event.to_string().replace('-', ""))));
    }
    let (delivery, attempts) = sender.wait_until(event, "crm", is_delivered).await;
    assert_eq!((delivery.attempts, statuses(&attempts)), (4, vec![503, 429, 500, 200]));
    assert_eq!(attempts[0].request, format!("POST {}", destination.url("/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_event_that_people_send_again_has_a_new_key() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let sender = Sender::start(vec![to("crm", &destination.url("/"))]);
    let event = sender.accept(fixtures::event("1"), &["crm"]).await;
    sender.wait_until(event, "crm", is_delivered).await;
    let id = format!("{event}.crm").parse().unwrap();
    assert_eq!(sender.store.replay(vec![id]).await.unwrap(), [Replayed::Due]);
    let got = destination.wait_for(2).await;
    assert_eq!(got[1].header("idempotency-key"), format!("{event}.crm.r1"));
    assert_eq!(got[1].header("x-relay-delivery"), format!("{event}.crm"));
    assert_eq!(got[1].header("x-relay-attempt"), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_is_sent_at_once_and_one_after_another() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let sender = Sender::start(vec![to("crm", &destination.url("/"))]);
    let began = Instant::now();
    for n in 1..=20 {
        sender.accept(fixtures::event(&n.to_string()), &["crm"]).await;
        destination.wait_for(n).await;
    }
    // A lane that waited for its next look by itself would need five seconds for each: a hundred.
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
}

/// The good destination gets a hundred events beside one that never answers and one that can't be reached, and is timed
/// against a hundred that it gets alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_destination_delays_nobody_else() {
    let (good, hanging) = (Scripted::always(Behaviour::Answers(200)).await, Scripted::always(Behaviour::Hangs).await);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sender = Sender::start(vec![
        to("good", &good.url("/")),
        to("hanging", &hanging.url("/")),
        to("refusing", &format!("http://{closed}/")),
    ]);

    let began = Instant::now();
    let first = sender.accept_many(100, &["good"]).await;
    good.wait_for(100).await;
    let alone = began.elapsed();
    drop(first);

    let began = Instant::now();
    for n in 100..200 {
        sender.accept(fixtures::event(&format!("{n:024}")), &["good", "hanging", "refusing"]).await;
    }
    good.wait_for(200).await;
    let beside_the_dead = began.elapsed();

    println!("100 events alone: {alone:?}, beside two dead destinations: {beside_the_dead:?}");
    // Whoever waited for the hanging one would need its patience, twenty seconds, at least once.
    assert!(beside_the_dead < 5 * alone + PATIENT / 2, "{beside_the_dead:?} instead of {alone:?}");
    assert!(hanging.count() <= 1, "the ramp waits for the first answer");
    let stats = sender.store.stats();
    let waiting = |name: &str| stats.destinations.iter().find(|d| d.destination.as_str() == name).unwrap().waiting;
    assert_eq!((waiting("hanging"), waiting("refusing")), (100, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_in_seconds_holds_the_whole_destination() {
    let throttling = Behaviour::AnswersWith(429, "retry-after: 1\r\n".into(), String::new());
    let destination = Scripted::sequence([throttling, Behaviour::Answers(200)]).await;
    let sender = Sender::start(vec![to("crm", &destination.url("/"))]);
    sender.accept_many(3, &["crm"]).await;
    sender.wait_for_condition("crm", |condition| matches!(condition, Condition::Throttled { .. })).await;
    let got = destination.wait_for(4).await;
    assert!(got[1].at - got[0].at >= Duration::from_secs(1), "{:?}", got[1].at - got[0].at);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_as_a_date_holds_the_whole_destination() {
    let until = Clock::system().now().plus(Duration::from_secs(3));
    let date = httpdate::fmt_http_date(until.into());
    let throttling = Behaviour::AnswersWith(503, format!("retry-after: {date}\r\n"), String::new());
    let destination = Scripted::sequence([throttling, Behaviour::Answers(200)]).await;
    let sender = Sender::start(vec![to("crm", &destination.url("/"))]);
    sender.accept_many(3, &["crm"]).await;
    destination.wait_for(2).await;
    // Dates have whole seconds: the one that was asked for is up to a second before `until`.
    assert!(Clock::system().now() >= until.minus(Duration::from_secs(1)));
    destination.wait_for(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_too_long_becomes_a_dead_letter_and_can_be_replayed() {
    let destination = Scripted::always(Behaviour::Answers(503)).await;
    // Long enough for a second attempt, however late the first one comes on a busy machine.
    let crm = Destination { retry: retry(3_000 * MILLISECOND), ..to("crm", &destination.url("/")) };
    let sender = Sender::start(vec![crm]);
    let event = sender.accept(fixtures::event("1"), &["crm"]).await;
    let (delivery, attempts) = sender.wait_until(event, "crm", is_settled).await;
    assert!(matches!(delivery.state, DeliveryState::Dead { reason: DeadReason::GaveUp, .. }), "{delivery:?}");
    assert!(attempts.len() > 1);

    destination.becomes(Behaviour::Answers(200));
    sender.store.replay(vec![format!("{event}.crm").parse().unwrap()]).await.unwrap();
    let (delivery, _) = sender.wait_until(event, "crm", is_delivered).await;
    assert_eq!(delivery.round, 0);
    assert_eq!(destination.got().last().unwrap().header("idempotency-key"), format!("{event}.crm"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_refuses_the_credentials_stops_and_a_person_resumes_it() {
    let destination = Scripted::always(Behaviour::Answers(401)).await;
    let sender = Sender::start(vec![to("crm", &destination.url("/"))]);
    let events = sender.accept_many(20, &["crm"]).await;
    let stopped = sender.wait_for_condition("crm", |condition| matches!(condition, Condition::Stopped { .. })).await;
    let Condition::Stopped { reason, .. } = stopped else { unreachable!() };
    assert_eq!(reason, "answered 401: it doesn't take the credentials, correct them");
    assert_eq!((destination.count(), sender.store.stats().destinations[0].waiting), (1, 20));

    destination.becomes(Behaviour::Answers(200));
    sender.dispatch.handle().resume(&name("crm"));
    for event in events {
        sender.wait_until(event, "crm", is_delivered).await;
    }
    assert_eq!(sender.dispatch.handle().conditions()[&name("crm")], Condition::Flowing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_never_followed() {
    let elsewhere = Scripted::always(Behaviour::Answers(200)).await;
    let redirect = Behaviour::AnswersWith(302, format!("location: {}\r\n", elsewhere.url("/")), String::new());
    let destination = Scripted::always(redirect).await;
    let sender = Sender::start(vec![to("crm", &destination.url("/"))]);
    sender.accept(fixtures::event("1"), &["crm"]).await;
    sender.wait_for_condition("crm", |condition| matches!(condition, Condition::Stopped { .. })).await;
    assert_eq!((destination.count(), elsewhere.count()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_answers_are_bounded_and_tried_again() {
    for (behaviour, expected) in [
        (Behaviour::Hangs, FailureKind::Timeout),
        (Behaviour::HangsUp, FailureKind::Broken),
        (Behaviour::Resets, FailureKind::Broken),
        (Behaviour::TalksNonsense, FailureKind::Broken),
    ] {
        let destination = Scripted::sequence([behaviour, Behaviour::Answers(200)]).await;
        let sender = Sender::start(vec![hasty(to("crm", &destination.url("/")))]);
        let event = sender.accept(fixtures::event("1"), &["crm"]).await;
        let (_, attempts) = sender.wait_until(event, "crm", is_delivered).await;
        assert_eq!((failures(&attempts), attempts.len()), (vec![expected], 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_or_that_never_comes_does_not_undo_its_status() {
    for behaviour in [Behaviour::AnswersEndlessly(200), Behaviour::AnswersHalf(200)] {
        let destination = Scripted::always(behaviour).await;
        let sender = Sender::start(vec![hasty(to("crm", &destination.url("/")))]);
        let event = sender.accept(fixtures::event("1"), &["crm"]).await;
        let (_, attempts) = sender.wait_until(event, "crm", is_delivered).await;
        let Outcome::Answered { status: 200, excerpt } = &attempts[0].outcome else { panic!("{attempts:?}") };
        assert!((1..=1024).contains(&excerpt.len()), "{} bytes kept", excerpt.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_down_is_probed_and_gets_everything_when_it_is_back() {
    let destination = Scripted::always(Behaviour::HangsUp).await;
    let sender = Sender::start(vec![to("crm", &destination.url("/"))]);
    let events = sender.accept_many(50, &["crm"]).await;
    sender.wait_for_condition("crm", |condition| matches!(condition, Condition::Tripped { .. })).await;
    let probes = destination.wait_for(8).await;
    assert!(probes.iter().all(|probe| probe.at_once == 1), "a probe goes out alone");
    destination.becomes(Behaviour::Answers(200));
    for event in events {
        sender.wait_until(event, "crm", is_delivered).await;
    }
    assert_eq!(sender.dispatch.handle().conditions()[&name("crm")], Condition::Flowing);
}

/// At its n-th request, from 0, no more may be on their way than one and one for each that was answered.
fn follows_the_ramp(got: &[Got]) -> bool {
    got.iter().all(|request| request.at_once <= 8.min(1 + request.answered))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_backlog_stampedes_nobody() {
    let destination = Scripted::always(Behaviour::AnswersAfter(5 * MILLISECOND, 200)).await;
    let without_lane = Sender::start(Vec::new());
    without_lane.accept_many(300, &["crm"]).await;
    let directory = without_lane.stop(PATIENT).await;
    assert_eq!(destination.count(), 0);

    let sender = Sender::start_in(directory, vec![to("crm", &destination.url("/"))]);
    let got = destination.wait_for(300).await;
    assert!(follows_the_ramp(&got));
    assert_eq!(got.iter().map(|request| request.at_once).max(), Some(8), "the ramp ends at the concurrency");
    eventually("settling", async || (sender.store.stats().destinations[0].waiting == 0).then_some(())).await;
    sender.stop(PATIENT).await;
    assert_eq!(destination.count(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_short_by_a_stop_is_delivered_after_the_next_start_under_the_same_key() {
    let destination = Scripted::sequence([Behaviour::Hangs, Behaviour::Answers(200)]).await;
    let crm = to("crm", &destination.url("/"));
    let sender = Sender::start(vec![crm.clone()]);
    let event = sender.accept(fixtures::event("1"), &["crm"]).await;
    destination.wait_for(1).await;
    let directory = sender.stop(50 * MILLISECOND).await;

    let sender = Sender::start_in(directory, vec![crm]);
    let (_, attempts) = sender.wait_until(event, "crm", is_delivered).await;
    assert_eq!((failures(&attempts), statuses(&attempts)), (vec![FailureKind::Interrupted], vec![0, 200]));
    let got = destination.got();
    assert_eq!(got[0].header("idempotency-key"), got[1].header("idempotency-key"));
    assert_eq!(got[1].header("x-relay-attempt"), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_within_the_grace_of_a_stop_is_not_sent_again() {
    // Long enough for all events and the stop to come before the first answer, also on a busy machine.
    let destination = Scripted::always(Behaviour::AnswersAfter(3_000 * MILLISECOND, 200)).await;
    let crm = to("crm", &destination.url("/"));
    let sender = Sender::start(vec![crm.clone()]);
    let events = sender.accept_many(5, &["crm"]).await;
    destination.wait_for(1).await;
    let directory = sender.stop(PATIENT).await;
    assert_eq!(destination.count(), 1, "nothing is taken after the stop");

    destination.becomes(Behaviour::Answers(200));
    let sender = Sender::start_in(directory, vec![crm]);
    for event in events {
        sender.wait_until(event, "crm", is_delivered).await;
    }
    assert_eq!(destination.count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_can_pause_a_destination() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let sender = Sender::start(vec![to("crm", &destination.url("/")), to("slack", &destination.url("/"))]);
    let pause = Pause { since: Clock::system().now(), until: None, reason: "maintenance".into() };
    sender.store.set_pause(&name("crm"), Some(pause.clone())).await.unwrap();
    let event = sender.accept(fixtures::event("1"), &["crm", "slack"]).await;
    sender.wait_until(event, "slack", is_delivered).await;
    assert!(sender.delivery(event, "crm").await.0.state.is_waiting());
    let Pause { since, reason, .. } = pause;
    assert_eq!(sender.dispatch.handle().conditions()[&name("crm")], Condition::Paused { since, until: None, reason });

    sender.store.set_pause(&name("crm"), None).await.unwrap();
    sender.wait_until(event, "crm", is_delivered).await;
}
