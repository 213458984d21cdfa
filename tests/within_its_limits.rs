//! A destination gets what it can bear, in the order and at the age at which it is of use.
//!
//! Over a real store and real sockets.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use atoms_relay::{
    auth::Grant,
    breaker::Condition,
    clock::Clock,
    dispatch::{Budget, Destination, Freshness},
    model::{DeliveryState, Order},
    outcome::{Class, Rule, Rules},
    rate::Window,
    send::Settings,
    store::{Pause, Replayed},
    template::{Expression, Template},
    transform::{Body, Resend, Target},
};
use support::{
    eventually, fixtures,
    scripted::{Behaviour, Got, Scripted},
    sender::{Sender, client, is_delivered, is_settled, settings, to},
};
use tokio::sync::watch;

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(60 * 60);

fn budget(limit: usize, length: Duration, concurrency: Option<usize>) -> Arc<Budget> {
    let window = Window { limit: NonZeroUsize::new(limit).unwrap(), length };
    Arc::new(Budget::new(&[window], concurrency.and_then(NonZeroUsize::new), Clock::system()))
}

fn rules<const N: usize>(rules: [(&str, Class); N]) -> Rules {
    let rules = rules.map(|(when, class)| Rule { when: Expression::compile(when).unwrap(), class });
    Rules::new(rules.into())
}

fn for_now() -> Pause {
    Pause { since: Clock::system().now(), until: None, reason: "until all is there".into() }
}

/// The most requests that came within a stretch of time of `length`.
fn most_within(length: Duration, got: &[Got]) -> usize {
    let following = |first: &Got| got.iter().filter(|one| one.at >= first.at && one.at - first.at <= length).count();
    got.iter().map(following).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_never_sees_more_than_its_rate() {
    let length = 300 * MILLISECOND;
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let limited = Destination { budgets: vec![budget(5, length, None)], ..to("crm", &destination.url("/")) };
    let sender = Sender::start(vec![limited]);
    sender.accept_many(17, &["crm"]).await;
    let got = destination.wait_for(17).await;
    assert!(most_within(length, &got) <= 5, "{} within {length:?}", most_within(length, &got));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_limited_while_more_waits_than_its_rate_lets_go() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let rate = budget(1, HOUR, None);
    let sender =
        Sender::start(vec![Destination { budgets: vec![Arc::clone(&rate)], ..to("crm", &destination.url("/")) }]);
    sender.accept_many(3, &["crm"]).await;
    sender.wait_for_condition("crm", |condition| matches!(condition, Condition::Limited { .. })).await;
    destination.wait_for(1).await;
    rate.limit(&[], None);
    destination.wait_for(3).await;
    sender.wait_for_condition("crm", |condition| *condition == Condition::Flowing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_share_a_budget_and_each_gets_its_part() {
    let length = 300 * MILLISECOND;
    let (one, other) =
        (Scripted::always(Behaviour::Answers(200)).await, Scripted::always(Behaviour::Answers(200)).await);
    let shared = budget(4, length, Some(2));
    let draws = |destination| Destination { budgets: vec![Arc::clone(&shared)], ..destination };
    let sender = Sender::start(vec![draws(to("one", &one.url("/"))), draws(to("other", &other.url("/")))]);
    sender.pause("one", Some(for_now())).await;
    sender.pause("other", Some(for_now())).await;
    sender.accept_many(30, &["one"]).await;
    for n in 0..5 {
        sender.accept(fixtures::event(&format!("other-{n}")), &["other"]).await;
    }
    sender.pause("one", None).await;
    sender.pause("other", None).await;
    let last_of_other = other.wait_for(5).await[4].at;
    let got = one.wait_for(30).await;
    assert!(last_of_other < got[29].at, "the one with the backlog took all");
    let all: Vec<Got> = got.into_iter().chain(other.wait_for(5).await).collect();
    assert!(most_within(length, &all) <= 4, "{} within {length:?}", most_within(length, &all));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_can_hold_the_whole_destination_after_a_200() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let throttled = rules([("status == 200", Class::Throttled(Some(HOUR)))]);
    let sender = Sender::start(vec![Destination { rules: throttled, ..to("teams", &destination.url("/")) }]);
    let events = sender.accept_many(5, &["teams"]).await;
    let condition = sender.wait_for_condition("teams", |condition| *condition != Condition::Flowing).await;
    assert!(matches!(condition, Condition::Throttled { .. }), "{condition:?}");
    assert_eq!(destination.count(), 1);
    assert!(sender.delivery(events[0], "teams").await.0.state.is_waiting());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_says_it_is_there_already_is_a_success() {
    let destination = Scripted::always(Behaviour::Answers(409)).await;
    let duplicate = rules([("status == 409", Class::Duplicate)]);
    let sender = Sender::start(vec![Destination { rules: duplicate, ..to("crm", &destination.url("/")) }]);
    let event = sender.accept(fixtures::event("1"), &["crm"]).await;
    sender.wait_until(event, "crm", is_delivered).await;
    assert_eq!(destination.count(), 1);
}

/// An event of a call, the `number`th.
fn of_call(call: &str, number: u32) -> String {
    let metadata = format!(r#"{{"callId":"{call}","agentId":"a"}}"#);
    format!(r#"{{"id":"{call}-{number}","event":"a.n{number}","metadata":{metadata}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_call_arrive_one_after_another_also_when_one_has_to_be_tried_again() {
    let answers = [503, 200, 503, 503].map(Behaviour::Answers);
    let destination = Scripted::sequence(answers.into_iter().chain((0..8).map(|_| Behaviour::Answers(200)))).await;
    let sender = Sender::start(vec![Destination { order: Order::Call, ..to("crm", &destination.url("/")) }]);
    let (begin, mut events) = (Clock::system().now().minus(Duration::from_secs(1)), Vec::new());
    for number in 0..4 {
        for call in ["CALL-1", "CALL-2"] {
            let at = begin.plus(MILLISECOND * number);
            events.push(sender.accept_at(at, of_call(call, number), &["crm"]).await);
        }
    }
    for event in events {
        sender.wait_until(event, "crm", is_delivered).await;
    }
    let mut arrived: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for got in destination.wait_for(8 + 3).await {
        let body: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
        let numbers = arrived.entry(body["metadata"]["callId"].to_string()).or_default();
        numbers.push(body["event"].to_string());
    }
    for (call, mut numbers) in arrived {
        assert!(numbers.is_sorted(), "{call}: {numbers:?}");
        numbers.dedup();
        assert_eq!(numbers.len(), 4, "{call}: {numbers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_expires_unsent_and_can_be_sent_again() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let fresh = Freshness::new(Some(HOUR / 2), watch::channel(Arc::default()).1);
    let screen = Destination { freshness: fresh, ..to("screen", &destination.url("/")) };
    let sender = Sender::start(vec![screen]);
    let long_ago = Clock::system().now().minus(HOUR);
    let stale = sender.accept_at(long_ago, fixtures::event("1"), &["screen"]).await;
    let (delivery, attempts) = sender.wait_until(stale, "screen", is_settled).await;
    assert!(matches!(delivery.state, DeliveryState::Expired { .. }), "{delivery:?}");
    assert_eq!((attempts.len(), destination.count()), (0, 0));

    let id = format!("{stale}.screen").parse().unwrap();
    assert_eq!(sender.store.replay(vec![id]).await.unwrap(), [Replayed::Due]);
    sender.wait_until(stale, "screen", is_delivered).await;
    assert_eq!(destination.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_by_itself() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let sender = Sender::start(vec![to("crm", &destination.url("/"))]);
    let (began, length) = (Instant::now(), 500 * MILLISECOND);
    let now = Clock::system().now();
    let pause = Pause { since: now, until: Some(now.plus(length)), reason: "deploy".into() };
    sender.pause("crm", Some(pause)).await;
    sender.accept(fixtures::event("1"), &["crm"]).await;
    eventually("the delivery after the pause", async || (destination.count() > 0).then_some(())).await;
    assert!(began.elapsed() >= length);
}

/// A destination that wants a token, and the endpoint that gives it a new one each time.
async fn with_tokens(answers: impl IntoIterator<Item = u16>) -> (Scripted, Scripted, Destination) {
    let token = |n: usize| {
        let body = format!(r#"{{"access_token":"token-{n}","expires_in":3600}}"#);
        Behaviour::AnswersWith(200, "content-type: application/json\r\n".into(), body)
    };
    let endpoint = Scripted::sequence((1..4).map(token)).await;
    let destination = Scripted::sequence(answers.into_iter().map(Behaviour::Answers)).await;
    let grant = Grant {
        token_url: endpoint.url("/token").parse().unwrap(),
        client_id: "relay".into(),
        client_secret: "hush-hush".into(),
        scope: None,
        audience: None,
        capture: Vec::new(),
        default_ttl: HOUR,
    };
    let called = to("crm", &destination.url("/"));
    let called = Destination { client: client(Settings { grant: Some(grant), ..settings() }), ..called };
    (endpoint, destination, called)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_gets_a_new_token_and_the_same_request_goes_out_again_within_the_attempt() {
    let (endpoint, destination, called) = with_tokens([401, 200]).await;
    let sender = Sender::start(vec![called]);
    let event = sender.accept(fixtures::event("1"), &["crm"]).await;
    let (delivery, attempts) = sender.wait_until(event, "crm", is_delivered).await;
    assert_eq!((delivery.attempts, attempts.len(), endpoint.count()), (1, 1, 2));
    let got = destination.wait_for(2).await;
    assert_eq!(got[0].header("authorization"), "Bearer token-1");
    assert_eq!(got[1].header("authorization"), "Bearer token-2");
    assert_eq!(got[0].header("x-relay-attempt"), got[1].header("x-relay-attempt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_401_in_a_row_stops_the_destination_and_says_what_to_do() {
    let (_endpoint, destination, called) = with_tokens([401, 401, 200]).await;
    let sender = Sender::start(vec![called]);
    let event = sender.accept(fixtures::event("1"), &["crm"]).await;
    let condition = sender.wait_for_condition("crm", |condition| *condition != Condition::Flowing).await;
    let Condition::Stopped { reason, .. } = condition else { panic!("{condition:?}") };
    assert_eq!(reason, "answered 401: it doesn't take a fresh token either, correct `auth` or the rights behind it");
    assert_eq!(destination.count(), 2);
    assert!(sender.delivery(event, "crm").await.0.state.is_waiting());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_has_to_stay_the_same_is_made_once_and_outlives_a_restart() {
    let down = Scripted::always(Behaviour::Answers(503)).await;
    let body = || Body::Text(Template::compile("attempt {{ delivery.attempt }}").unwrap());
    let ticket = |url: &str| {
        let called = to("zendesk", url);
        Destination { target: Target { body: body(), resend: Resend::Same, ..called.target }, ..called }
    };
    let sender = Sender::start(vec![ticket(&down.url("/"))]);
    let event = sender.accept(fixtures::event("1"), &["zendesk"]).await;
    for got in down.wait_for(3).await {
        assert_eq!(got.body, "attempt 1");
    }
    let directory = sender.stop(Duration::from_secs(20)).await;

    let up = Scripted::always(Behaviour::Answers(200)).await;
    let sender = Sender::start_in(directory, vec![ticket(&up.url("/"))]);
    sender.wait_until(event, "zendesk", is_delivered).await;
    assert_eq!(up.wait_for(1).await[0].body, "attempt 1");
}
