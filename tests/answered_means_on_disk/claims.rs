//! Which deliveries every engine of the store hands out, and in which order.

use std::time::Duration;

use atoms_relay::{
    model::{DeadReason, EventId, NewEvent, Order, Timestamp, Verdict},
    store::{Claim, Replayed, Settlement, Store, embedded::Embedded},
};

use crate::bench::{Bench, LEASE, name, settlement};

/// An event of a call, a millisecond later than the one before.
fn of_call(bench: &Bench, call: &str, number: u32) -> NewEvent {
    bench.pass(Duration::from_millis(1));
    let body = format!(r#"{{"id":"{call} {number}","event":"a.b","metadata":{{"callId":"{call}"}}}}"#);
    bench.event_with(body.into_bytes(), &["crm"])
}

async fn accept(bench: &Bench, store: &Embedded, call: &str, number: u32) -> EventId {
    let new = of_call(bench, call, number);
    let id = new.event.id;
    store.accept(new).await.unwrap();
    id
}

async fn claim(store: &Embedded, max: usize, order: Order) -> Vec<Claim> {
    store.claim(&name("crm"), max, LEASE, order).await.unwrap()
}

async fn claim_ids(store: &Embedded, max: usize, order: Order) -> Vec<EventId> {
    claim(store, max, order).await.iter().map(|claim| claim.event.id).collect()
}

async fn settle(bench: &Bench, store: &Embedded, claim: &Claim, verdict: Verdict) {
    store.settle(vec![settlement(claim, verdict, bench.now())]).await.unwrap();
}

async fn next_due(store: &Embedded) -> Option<Timestamp> {
    store.next_due(&name("crm")).await.unwrap()
}

#[tokio::test]
async fn what_comes_of_one_call_is_handed_out_one_after_another_however_each_ends() {
    let bench = Bench::new();
    let store = bench.open();
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(accept(&bench, &store, "CALL-1", number).await);
    }
    let ends = [Verdict::Done, Verdict::Dead(DeadReason::Rejected), Verdict::Expired, Verdict::Done, Verdict::Done];
    for (id, end) in ids.iter().zip(ends) {
        let claims = claim(&store, 8, Order::Call).await;
        assert_eq!(claims.iter().map(|claim| claim.event.id).collect::<Vec<_>>(), [*id]);
        assert!(claim_ids(&store, 8, Order::Call).await.is_empty(), "two of one call at once");
        assert_eq!(next_due(&store).await, None, "a lane would look again and again");
        settle(&bench, &store, &claims[0], end).await;
    }
    assert_eq!(next_due(&store).await, None);
}

#[tokio::test]
async fn other_calls_other_destinations_and_another_order_are_not_held_up() {
    let bench = Bench::new();
    let store = bench.open();
    let first = accept(&bench, &store, "CALL-1", 0).await;
    let second = accept(&bench, &store, "CALL-1", 1).await;
    let mut elsewhere = of_call(&bench, "CALL-1", 2);
    elsewhere.deliveries[0].destination = name("slack");
    store.accept(elsewhere.clone()).await.unwrap();
    let other = accept(&bench, &store, "CALL-2", 0).await;
    assert_eq!(claim_ids(&store, 8, Order::Call).await, [first, other]);
    let slack = store.claim(&name("slack"), 8, LEASE, Order::Call).await.unwrap();
    assert_eq!(slack.iter().map(|claim| claim.event.id).collect::<Vec<_>>(), [elsewhere.event.id]);
    assert_eq!(claim_ids(&store, 8, Order::None).await, [second]);
}

#[tokio::test]
async fn what_waits_for_a_failed_one_is_due_just_after_it() {
    let bench = Bench::new();
    let store = bench.open();
    let first = accept(&bench, &store, "CALL-1", 0).await;
    let second = accept(&bench, &store, "CALL-1", 1).await;
    let due = bench.now().plus(Duration::from_secs(3600));
    let head = claim(&store, 8, Order::Call).await.remove(0);
    settle(&bench, &store, &head, Verdict::RetryAt(due)).await;

    assert!(claim(&store, 8, Order::Call).await.is_empty());
    assert_eq!(next_due(&store).await, Some(due));
    bench.pass(Duration::from_secs(3601));
    let head = claim(&store, 8, Order::Call).await;
    assert_eq!(head.iter().map(|claim| claim.event.id).collect::<Vec<_>>(), [first]);
    assert_eq!(next_due(&store).await, None);
    settle(&bench, &store, &head[0], Verdict::Done).await;
    assert_eq!(claim_ids(&store, 8, Order::Call).await, [second]);
}

#[tokio::test]
async fn a_replay_of_the_one_that_all_wait_for_lets_them_follow_at_once() {
    let bench = Bench::new();
    let store = bench.open();
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(accept(&bench, &store, "CALL-1", number).await);
    }
    let head = claim(&store, 8, Order::Call).await.remove(0);
    settle(&bench, &store, &head, Verdict::RetryAt(bench.now().plus(Duration::from_secs(3600)))).await;
    assert!(claim(&store, 8, Order::Call).await.is_empty());

    assert_eq!(store.replay(vec![head.id()]).await.unwrap(), [Replayed::Due]);
    bench.pass(Duration::from_millis(1));
    for id in ids {
        let next = claim(&store, 8, Order::Call).await;
        assert_eq!(next.iter().map(|claim| claim.event.id).collect::<Vec<_>>(), [id]);
        settle(&bench, &store, &next[0], Verdict::Done).await;
    }
}

#[tokio::test]
async fn an_event_that_comes_late_waits_for_nothing_and_holds_up_what_is_left() {
    let bench = Bench::new();
    let store = bench.open();
    let late = of_call(&bench, "CALL-1", 0);
    let delivered = accept(&bench, &store, "CALL-1", 1).await;
    let left = accept(&bench, &store, "CALL-1", 2).await;
    let first = claim(&store, 8, Order::Call).await.remove(0);
    assert_eq!(first.event.id, delivered);
    settle(&bench, &store, &first, Verdict::Done).await;

    store.accept(late.clone()).await.unwrap();
    let next = claim(&store, 8, Order::Call).await;
    assert_eq!(next.iter().map(|claim| claim.event.id).collect::<Vec<_>>(), [late.event.id]);
    settle(&bench, &store, &next[0], Verdict::Done).await;
    assert_eq!(claim_ids(&store, 8, Order::Call).await, [left]);
}

/// Each claim may look at what is due and put some of it behind what it waits for; after that nobody looks at it again before
/// its time. A claim that looked at all of it each time would never come to an end of what is due here.
#[tokio::test]
async fn a_thousand_calls_behind_failed_events_are_looked_at_once() {
    const CALLS: usize = 1000;
    let bench = Bench::new();
    let store = bench.open();
    for number in 0..2 {
        for call in 0..CALLS {
            accept(&bench, &store, &format!("CALL-{call}"), number).await;
        }
    }
    let due = bench.now().plus(Duration::from_secs(3600));
    let heads = claim(&store, CALLS, Order::Call).await;
    assert_eq!(heads.len(), CALLS);
    store
        .settle(heads.iter().map(|head| settlement(head, Verdict::RetryAt(due), bench.now())).collect())
        .await
        .unwrap();

    let mut looks = 0;
    while next_due(&store).await.is_some_and(|next| next <= bench.now()) {
        assert!(claim(&store, 8, Order::Call).await.is_empty());
        looks += 1;
        assert!(looks <= CALLS / 100, "claims find the same ones again and again");
    }
    assert_eq!(next_due(&store).await, Some(due));
    bench.pass(Duration::from_secs(3601));
    let healthy = accept(&bench, &store, "CALL-healthy", 0).await;
    assert_eq!(claim_ids(&store, 1, Order::Call).await, [healthy]);
    assert_eq!(claim(&store, 2 * CALLS, Order::Call).await.len(), CALLS);
}

#[tokio::test]
async fn a_live_event_brings_along_what_its_call_has_in_the_backlog() {
    let bench = Bench::new();
    let store = bench.open();
    for number in 0..20 {
        accept(&bench, &store, &format!("CALL-{number}"), 0).await;
    }
    let head = accept(&bench, &store, "CALL-live", 0).await;
    bench.pass(Duration::from_secs(120));
    let live = accept(&bench, &store, "CALL-live", 1).await;
    let first = claim(&store, 1, Order::Call).await.remove(0);
    assert_eq!(first.event.id, head);
    settle(&bench, &store, &first, Verdict::Done).await;
    assert_eq!(claim_ids(&store, 1, Order::Call).await, [live]);
}

#[tokio::test]
async fn live_events_come_before_a_backlog_and_first_attempts_before_others_but_all_get_their_share() {
    let bench = Bench::new();
    let store = bench.open();
    let mut again = Vec::new();
    for number in 0..40 {
        again.push(accept(&bench, &store, &format!("again {number}"), 0).await);
    }
    let failed = claim(&store, 40, Order::None).await;
    let retry = |claim| settlement(claim, Verdict::RetryAt(bench.now().plus(Duration::from_secs(1))), bench.now());
    store.settle(failed.iter().map(retry).collect()).await.unwrap();
    let mut backlog = Vec::new();
    for number in 0..40 {
        backlog.push(accept(&bench, &store, &format!("backlog {number}"), 0).await);
    }
    bench.pass(Duration::from_secs(120));
    let mut live = Vec::new();
    for number in 0..40 {
        live.push(accept(&bench, &store, &format!("live {number}"), 0).await);
    }

    let mut claimed = claim_ids(&store, 8, Order::None).await;
    for _ in 0..8 {
        claimed.extend(claim_ids(&store, 1, Order::None).await);
    }
    let of = |kind: &[EventId]| claimed.iter().copied().filter(|id| kind.contains(id)).collect::<Vec<_>>();
    assert_eq!((of(&live), of(&backlog)), (live[..10].to_vec(), backlog[..4].to_vec()), "oldest due first");
    assert_eq!(of(&again).len(), 2);
    assert_eq!(claim(&store, 1000, Order::None).await.len(), 120 - 16, "what no other uses is handed out, too");
}

#[tokio::test]
async fn what_was_released_keeps_its_place() {
    let bench = Bench::new();
    let store = bench.open();
    for number in 0..3 {
        accept(&bench, &store, "CALL-1", number).await;
    }
    let first = claim(&store, 1, Order::None).await.remove(0);
    let release = Settlement { verdict: Verdict::Release, ..settlement(&first, Verdict::Release, bench.now()) };
    store.settle(vec![release]).await.unwrap();
    assert_eq!(claim_ids(&store, 1, Order::None).await, [first.event.id]);
}
