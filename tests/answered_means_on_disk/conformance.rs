//! What every engine of the store has to do, whatever is inside.

use std::{sync::Arc, time::Duration};

use atoms_relay::{
    model::{DeadReason, DeliveryId, EventId, NewDelivery, NewEvent, Order, Reading, Verdict},
    store::{
        Acceptance, Claim, EventFilter, EventState, Page, Pause, Replayed, Rerouted, Rerouting, Settled, Settlement,
        Store, StoreError,
        embedded::{Embedded, Report},
    },
};

use crate::bench::{Bench, DAY, LEASE, claim_one, everything, name, settlement};

#[tokio::test]
async fn an_event_is_claimed_by_each_destination_with_its_body() {
    let bench = Bench::new();
    let store = bench.open();
    let new = bench.event(1, &["crm", "slack"]);
    assert_eq!(store.accept(new.clone()).await.unwrap(), Acceptance::Created);
    for destination in ["crm", "slack"] {
        let claim = claim_one(&store, destination).await;
        assert_eq!(*claim.event, new.event);
        assert!(store.claim(&name(destination), 8, LEASE, Order::None).await.unwrap().is_empty(), "claimed twice");
    }
    assert!(store.claim(&name("other"), 8, LEASE, Order::None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_duplicate_is_told_the_first_id_and_changes_nothing_also_after_a_reopen() {
    let bench = Bench::new();
    let store = bench.open();
    let first = bench.event(1, &["crm"]);
    store.accept(first.clone()).await.unwrap();
    bench.pass(Duration::from_secs(1));
    let second = bench.event(1, &["crm"]);
    assert_ne!(second.event.id, first.event.id);
    assert_eq!(store.accept(second.clone()).await.unwrap(), Acceptance::Duplicate(first.event.id));
    store.close().await.unwrap();
    drop(store);

    let store = bench.open();
    assert_eq!(store.accept(second).await.unwrap(), Acceptance::Duplicate(first.event.id));
    assert_eq!(store.stats().events, 1);
    assert_eq!(store.claim(&name("crm"), 8, LEASE, Order::None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_equal_events_at_the_same_moment_one_is_created() {
    let bench = Bench::new();
    let store = Arc::new(bench.open());
    let accepts = (0..32).map(|_| {
        let (store, event) = (Arc::clone(&store), bench.event(1, &["crm"]));
        async move { store.accept(event).await.unwrap() }
    });
    let answers = futures_join(accepts).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Acceptance::Created).count(), 1);
}

async fn futures_join<T: Send + 'static>(
    futures: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let set: tokio::task::JoinSet<T> = futures.collect();
    set.join_all().await
}

#[tokio::test]
async fn a_retry_comes_when_it_is_due_and_carries_its_history() {
    let bench = Bench::new();
    let store = bench.open();
    let new = bench.event(1, &["crm"]);
    store.accept(new.clone()).await.unwrap();
    for round in 1..=3 {
        let claim = claim_one(&store, "crm").await;
        assert_eq!(claim.delivery.attempts, round - 1);
        let due = bench.now().plus(Duration::from_secs(10));
        let settled = store.settle(vec![settlement(&claim, Verdict::RetryAt(due), bench.now())]).await.unwrap();
        assert_eq!(settled, [Settled::Recorded]);
        assert!(store.claim(&name("crm"), 1, LEASE, Order::None).await.unwrap().is_empty(), "claimed before it is due");
        assert_eq!(store.next_due(&name("crm")).await.unwrap(), Some(due));
        bench.pass(Duration::from_secs(10));
    }
    let stored = store.event(new.event.id).await.unwrap().unwrap();
    let (delivery, attempts) = &stored.deliveries[0];
    assert_eq!(delivery.attempts, 3);
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn a_settlement_after_the_lease_has_passed_to_another_is_lost() {
    let bench = Bench::new();
    let store = bench.open();
    store.accept(bench.event(1, &["crm"])).await.unwrap();
    let late = claim_one(&store, "crm").await;
    bench.pass(LEASE);
    let present = claim_one(&store, "crm").await;
    let now = bench.now();
    assert_eq!(store.settle(vec![settlement(&late, Verdict::Done, now)]).await.unwrap(), [Settled::LeaseLost]);
    assert_eq!(store.settle(vec![settlement(&present, Verdict::Done, now)]).await.unwrap(), [Settled::Recorded]);
    assert_eq!(store.settle(vec![settlement(&present, Verdict::Done, now)]).await.unwrap(), [Settled::LeaseLost]);
}

#[tokio::test]
async fn a_released_claim_is_due_again_at_once() {
    let bench = Bench::new();
    let store = bench.open();
    store.accept(bench.event(1, &["crm"])).await.unwrap();
    let claim = claim_one(&store, "crm").await;
    assert_eq!(store.next_due(&name("crm")).await.unwrap(), None);
    let release = Settlement { id: claim.id(), token: claim.token, verdict: Verdict::Release, attempt: None };
    assert_eq!(store.settle(vec![release]).await.unwrap(), [Settled::Recorded]);
    assert_eq!(claim_one(&store, "crm").await.delivery, claim.delivery);
}

#[tokio::test]
async fn claims_come_oldest_due_first() {
    let bench = Bench::new();
    let store = bench.open();
    let mut ids = Vec::new();
    for number in 0..5 {
        let new = bench.event(number, &["crm"]);
        ids.push(new.event.id);
        store.accept(new).await.unwrap();
        bench.pass(Duration::from_millis(1));
    }
    let first = store.claim(&name("crm"), 3, LEASE, Order::None).await.unwrap();
    let second = store.claim(&name("crm"), 3, LEASE, Order::None).await.unwrap();
    let claimed: Vec<_> = first.iter().chain(&second).map(|claim| claim.event.id).collect();
    assert_eq!(claimed, ids);
}

/// What came in, or was put off, before the clock was set back seems to be far in the future. It is not held up.
#[tokio::test]
async fn a_clock_that_is_set_back_holds_nothing_up() {
    for order in [Order::None, Order::Call] {
        let bench = Bench::new();
        let store = bench.open();
        for number in 0..3 {
            store.accept(bench.event(number, &["crm"])).await.unwrap();
        }
        let claim = claim_one(&store, "crm").await;
        let later = bench.now().plus(Duration::from_secs(3_600));
        store.settle(vec![settlement(&claim, Verdict::RetryAt(later), bench.now())]).await.unwrap();

        bench.set_back(10 * DAY);
        let mut claimed = Vec::new();
        while let Some(claim) = store.claim(&name("crm"), 1, LEASE, order).await.unwrap().pop() {
            claimed.push(claim.event.id);
            store.settle(vec![settlement(&claim, Verdict::Done, bench.now())]).await.unwrap();
        }
        assert_eq!(claimed.len(), 3, "{order:?}");
        assert!(order == Order::None || claimed.is_sorted(), "{claimed:?}");
    }
}

#[tokio::test]
async fn dead_letters_are_listed_replayed_under_their_old_key_and_discarded() {
    let bench = Bench::new();
    let store = bench.open();
    for number in 0..3 {
        store.accept(bench.event(number, &["crm", "slack"])).await.unwrap();
        bench.pass(Duration::from_millis(1));
    }
    for claim in store.claim(&name("crm"), 3, LEASE, Order::None).await.unwrap() {
        let dead = settlement(&claim, Verdict::Dead(DeadReason::Rejected), bench.now());
        store.settle(vec![dead]).await.unwrap();
    }
    let page = store.dead_letters(Some(&name("crm")), Page { after: None, limit: 2 }).await.unwrap();
    let rest = store.dead_letters(Some(&name("crm")), Page { after: page.next, limit: 2 }).await.unwrap();
    assert_eq!((page.items.len(), rest.items.len(), rest.next), (2, 1, None));
    assert!(store.dead_letters(Some(&name("slack")), everything()).await.unwrap().items.is_empty());

    let [first, second] = [page.items[0].id.clone(), page.items[1].id.clone()];
    assert_eq!(store.replay(vec![first.clone()]).await.unwrap(), [Replayed::Due]);
    assert_eq!(store.discard(vec![second.clone(), first.clone()]).await.unwrap(), 1);
    let claim = claim_one(&store, "crm").await;
    assert_eq!((claim.id(), claim.delivery.round), (first, 0));
    assert_eq!(store.dead_letters(None, everything()).await.unwrap().items.len(), 1);
    let crm = store.stats().destinations.into_iter().find(|stats| stats.destination == name("crm")).unwrap();
    assert_eq!((crm.waiting, crm.in_flight, crm.dead), (1, 1, 1));
}

#[tokio::test]
async fn what_is_refused_is_a_dead_letter_from_the_start_and_can_be_replayed() {
    let bench = Bench::new();
    let store = bench.open();
    let mut new = bench.event(1, &["crm", "slack"]);
    new.deliveries[0].refused = Some("`call.lenght` is undefined".into());
    store.accept(new.clone()).await.unwrap();
    assert!(store.claim(&name("crm"), 8, LEASE, Order::None).await.unwrap().is_empty());
    claim_one(&store, "slack").await;
    let dead = store.dead_letters(None, everything()).await.unwrap().items;
    assert_eq!(
        dead.iter().map(|dead| (dead.at, dead.reason)).collect::<Vec<_>>(),
        [(bench.now(), DeadReason::Unsendable)]
    );
    let crm = store.stats().destinations.into_iter().find(|stats| stats.destination == name("crm")).unwrap();
    assert_eq!((crm.waiting, crm.dead), (0, 1));
    let stored = store.event(new.event.id).await.unwrap().unwrap();
    let (_, attempts) = &stored.deliveries[0];
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].outcome.to_string(), "not sendable: `call.lenght` is undefined");

    assert_eq!(store.replay(vec![dead[0].id.clone()]).await.unwrap(), [Replayed::Due]);
    let claim = claim_one(&store, "crm").await;
    assert_eq!((claim.delivery.attempts, claim.delivery.round), (1, 0));
    store.settle(vec![settlement(&claim, Verdict::Done, bench.now())]).await.unwrap();
    let stored = store.event(new.event.id).await.unwrap().unwrap();
    assert_eq!(stored.deliveries[0].1.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_body_that_is_kept_comes_with_every_later_claim_also_after_a_kill() {
    let bench = Bench::new();
    let store = bench.open();
    store.accept(bench.event(1, &["crm", "slack"])).await.unwrap();
    let claim = claim_one(&store, "crm").await;
    assert_eq!(claim.kept_body, None);
    for body in ["first", "second"] {
        assert_eq!(store.keep_body(&claim.id(), claim.token, body.into()).await.unwrap(), Settled::Recorded);
    }
    let retry = settlement(&claim, Verdict::RetryAt(bench.now()), bench.now());
    store.settle(vec![retry]).await.unwrap();
    let late = store.keep_body(&claim.id(), claim.token, "too late".into()).await.unwrap();
    assert_eq!(late, Settled::LeaseLost, "whoever holds no claim has nothing to say");
    drop(store);

    let store = bench.open();
    assert_eq!(claim_one(&store, "crm").await.kept_body.as_deref(), Some(&b"second"[..]));
    assert_eq!(claim_one(&store, "slack").await.kept_body, None);
}

#[tokio::test]
async fn what_is_kept_of_an_event_is_bounded() {
    let bench = Bench::new();
    let store = bench.open();
    store.accept(bench.event(1, &["crm", "slack"])).await.unwrap();
    let (crm, slack) = (claim_one(&store, "crm").await, claim_one(&store, "slack").await);
    let mib = |mib: usize| vec![b'x'; mib * 1024 * 1024].into();
    assert_eq!(store.keep_body(&crm.id(), crm.token, mib(20)).await.unwrap(), Settled::Recorded);
    let refused = store.keep_body(&slack.id(), slack.token, mib(20)).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge(_)), "{refused}");
    assert_eq!(store.keep_body(&slack.id(), slack.token, mib(12)).await.unwrap(), Settled::Recorded);
    assert!(store.accept(bench.event(2, &["crm"])).await.is_ok(), "the store goes on");
}

#[tokio::test]
async fn what_came_too_late_is_no_dead_letter_but_shown_and_can_be_replayed() {
    let bench = Bench::new();
    let store = bench.open();
    store.accept(bench.event(1, &["crm", "slack"])).await.unwrap();
    let claim = claim_one(&store, "crm").await;
    let expired = Settlement { id: claim.id(), token: claim.token, verdict: Verdict::Expired, attempt: None };
    assert_eq!(store.settle(vec![expired]).await.unwrap(), [Settled::Recorded]);
    let slack = claim_one(&store, "slack").await;
    store.settle(vec![settlement(&slack, Verdict::Done, bench.now())]).await.unwrap();

    let crm = store.stats().destinations.into_iter().find(|stats| stats.destination == name("crm")).unwrap();
    assert_eq!((crm.waiting, crm.dead, crm.expired, crm.oldest), (0, 0, 1, None));
    assert!(store.dead_letters(None, everything()).await.unwrap().items.is_empty());
    assert_eq!(store.discard(vec![claim.id()]).await.unwrap(), 0);
    let in_state = async |state| {
        let filter = EventFilter { state: Some(state), ..EventFilter::default() };
        store.events(filter, everything()).await.unwrap().items.len()
    };
    assert_eq!((in_state(EventState::Expired).await, in_state(EventState::Delivered).await), (1, 0));

    assert_eq!(store.replay(vec![claim.id()]).await.unwrap(), [Replayed::Due]);
    let again = claim_one(&store, "crm").await;
    assert_eq!((again.delivery.round, again.delivery.since), (0, bench.now()));
}

#[tokio::test]
async fn a_delivered_event_is_sent_again_in_a_new_round() {
    let bench = Bench::new();
    let store = bench.open();
    let new = bench.event(1, &["crm"]);
    store.accept(new.clone()).await.unwrap();
    let claim = claim_one(&store, "crm").await;
    store.settle(vec![settlement(&claim, Verdict::Done, bench.now())]).await.unwrap();
    let unknown = DeliveryId { event: new.event.id, destination: name("nobody") };
    assert_eq!(store.replay(vec![claim.id(), unknown]).await.unwrap(), [Replayed::Due, Replayed::Unknown]);
    assert_eq!(claim_one(&store, "crm").await.delivery.round, 1);
}

fn rerouting(event: EventId, body: &[u8], to: &[&str]) -> Rerouting {
    let deliveries = to.iter().map(|to| NewDelivery::to(name(to))).collect();
    Rerouting { event, reading: Reading::of(body), deliveries }
}

#[tokio::test]
async fn an_event_is_rerouted_to_destinations_that_it_has_no_delivery_to_and_doing_it_twice_changes_nothing() {
    let bench = Bench::new();
    let store = bench.open();
    let (unrouted, routed) = (bench.event(1, &[]), bench.event(2, &["crm"]));
    for new in [&unrouted, &routed] {
        store.accept(new.clone()).await.unwrap();
    }
    let claim = claim_one(&store, "crm").await;
    store.settle(vec![settlement(&claim, Verdict::Done, bench.now())]).await.unwrap();
    bench.pass(DAY);

    let asked = || [&unrouted, &routed].map(|new| rerouting(new.event.id, &new.event.body, &["crm", "slack"])).to_vec();
    assert_eq!(store.reroute(asked()).await.unwrap(), [Rerouted::Created(2), Rerouted::Created(1)]);
    assert_eq!(store.reroute(asked()).await.unwrap(), [Rerouted::Created(0), Rerouted::Created(0)]);
    let gone = rerouting(bench.event(3, &[]).event.id, b"{}", &["crm"]);
    assert_eq!(store.reroute(vec![gone]).await.unwrap(), [Rerouted::Unknown]);
    drop(store);
    let store = bench.open();

    assert_eq!(store.stats().unrouted, 0);
    let claim = claim_one(&store, "crm").await;
    assert_eq!((claim.event.id, claim.delivery.since), (unrouted.event.id, bench.now()), "its life begins now");
    assert_eq!(store.claim(&name("crm"), 8, LEASE, Order::None).await.unwrap().len(), 0, "what arrived isn't repeated");
    assert_eq!(store.claim(&name("slack"), 8, LEASE, Order::None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_can_be_read_today_leaves_its_quarantine_for_good_and_is_found_by_its_call() {
    let bench = Bench::new();
    let store = bench.open();
    let mut new = bench.event(1, &[]);
    let read = std::mem::replace(&mut new.event.reading, Reading::Quarantined("an older version's reason".into()));
    store.accept(new.clone()).await.unwrap();
    let call = read.envelope().unwrap().call.as_deref().unwrap();
    let of_call = EventFilter { call: Some(call.into()), ..EventFilter::default() };
    assert!(store.events(of_call.clone(), everything()).await.unwrap().items.is_empty());

    let asked = rerouting(new.event.id, &new.event.body, &["crm"]);
    assert_eq!(store.reroute(vec![asked]).await.unwrap(), [Rerouted::Created(1)]);
    let unreadable = rerouting(new.event.id, b"not json", &[]);
    assert_eq!(store.reroute(vec![unreadable]).await.unwrap(), [Rerouted::Created(0)], "it never goes back");
    drop(store);
    let store = bench.open();

    assert_eq!(store.stats().quarantined, 0);
    let found = store.events(of_call, everything()).await.unwrap().items;
    assert_eq!((found[0].id, found[0].state()), (new.event.id, EventState::Waiting));
    assert_eq!(claim_one(&store, "crm").await.event.reading, read);
    assert_eq!(store.event(new.event.id).await.unwrap().unwrap().event.reading, read);
}

#[tokio::test]
async fn what_is_refused_when_it_is_rerouted_is_a_dead_letter_that_says_why() {
    let bench = Bench::new();
    let store = bench.open();
    let new = bench.event(1, &[]);
    store.accept(new.clone()).await.unwrap();
    let mut asked = rerouting(new.event.id, &new.event.body, &["crm"]);
    asked.deliveries[0].refused = Some("`call.lenght` is undefined".into());
    store.reroute(vec![asked]).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = bench.open();

    let stored = store.event(new.event.id).await.unwrap().unwrap();
    let (delivery, attempts) = &stored.deliveries[0];
    assert!(delivery.state.is_dead());
    assert_eq!(attempts[0].outcome.to_string(), "not sendable: `call.lenght` is undefined");
}

#[tokio::test]
async fn what_is_replayed_or_rerouted_waits_until_nothing_live_is_due() {
    let bench = Bench::new();
    let store = bench.open();
    let past: Vec<_> = (0..20).map(|number| bench.event(number, if number < 10 { &["crm"] } else { &[] })).collect();
    for new in &past {
        store.accept(new.clone()).await.unwrap();
    }
    let claims = store.claim(&name("crm"), 10, LEASE, Order::None).await.unwrap();
    store.settle(claims.iter().map(|claim| settlement(claim, Verdict::Done, bench.now())).collect()).await.unwrap();
    bench.pass(DAY);
    store.replay(claims.iter().map(Claim::id).collect()).await.unwrap();
    let reroute = |new: &NewEvent| rerouting(new.event.id, &new.event.body, &["crm"]);
    store.reroute(past[10..].iter().map(reroute).collect()).await.unwrap();

    bench.pass(Duration::from_secs(1));
    let mut live = Vec::new();
    for number in 100..110 {
        let new = bench.event(number, &["crm"]);
        live.push(new.event.id);
        store.accept(new).await.unwrap();
    }
    let claimed = store.claim(&name("crm"), 30, LEASE, Order::None).await.unwrap();
    let ids: Vec<_> = claimed.iter().map(|claim| claim.event.id).collect();
    assert_eq!(ids.len(), 30);
    assert!(live.iter().all(|id| ids[..10].contains(id)), "a live event waited for what was replayed");
}

#[tokio::test]
async fn a_pause_outlives_a_restart() {
    let bench = Bench::new();
    let store = bench.open();
    let pause = Pause { since: bench.now(), until: None, reason: "their maintenance".into() };
    store.set_pause(&name("crm"), Some(pause.clone())).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = bench.open();
    assert_eq!(store.pause_of(&name("crm")), Some(pause));
    store.set_pause(&name("crm"), None).await.unwrap();
    assert_eq!(store.pause_of(&name("crm")), None);
}

#[tokio::test]
async fn a_pause_ends_by_itself_when_its_time_has_come() {
    let bench = Bench::new();
    let store = bench.open();
    let until = bench.now().plus(Duration::from_secs(60));
    let pause = Pause { since: bench.now(), until: Some(until), reason: String::new() };
    store.set_pause(&name("crm"), Some(pause.clone())).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = bench.open();
    assert_eq!(store.pause_of(&name("crm")), Some(pause));
    bench.pass(Duration::from_secs(60));
    assert_eq!(store.pause_of(&name("crm")), None);
}

#[tokio::test]
async fn events_are_listed_newest_first_by_filter_and_page() {
    let bench = Bench::new();
    let store = bench.open();
    let mut ids = Vec::new();
    for number in 0..7 {
        let new = bench.event(number, if number == 6 { &[] } else { &["crm"] });
        ids.insert(0, new.event.id);
        store.accept(new).await.unwrap();
        bench.pass(Duration::from_millis(1));
    }
    store.accept(bench.event_with(b"not json".to_vec(), &[])).await.unwrap();

    let list = async |filter: EventFilter, page| store.events(filter, page).await.unwrap();
    let unrouted =
        list(EventFilter { state: Some(EventState::Unrouted), ..EventFilter::default() }, everything()).await;
    assert_eq!(unrouted.items.iter().map(|event| event.id).collect::<Vec<_>>(), ids[..1]);
    let unread =
        list(EventFilter { state: Some(EventState::Quarantined), ..EventFilter::default() }, everything()).await;
    assert_eq!(unread.items.len(), 1);
    let of_call = EventFilter { call: Some("CALL-0".into()), ..EventFilter::default() };
    let page = list(of_call.clone(), Page { after: None, limit: 2 }).await;
    let rest = list(of_call, Page { after: page.next, limit: 2 }).await;
    let call: Vec<_> = page.items.iter().chain(&rest.items).map(|event| event.id).collect();
    assert_eq!((call.as_slice(), rest.next), (&ids[4..7], None));
    let early = EventFilter { until: Some(ids[5].timestamp()), ..EventFilter::default() };
    assert_eq!(list(early, everything()).await.items.len(), 1);
    let late = EventFilter { since: Some(ids[1].timestamp()), ..EventFilter::default() };
    assert_eq!(list(late, everything()).await.items.len(), 3);
    assert_eq!((store.stats().unrouted, store.stats().quarantined, store.stats().events), (1, 1, 8));
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let bench = Bench::new();
    let store = bench.open();
    store.close().await.unwrap();
    assert!(matches!(store.accept(bench.event(1, &[])).await, Err(StoreError::Closed)));
    assert!(matches!(store.claim(&name("crm"), 1, LEASE, Order::None).await, Err(StoreError::Closed)));
    assert!(store.fault().is_some());
    assert!(store.close().await.is_ok(), "closing twice is no mistake");
}

#[tokio::test]
async fn a_second_process_is_refused_by_name() {
    let bench = Bench::new();
    let _store = bench.open();
    let refused = Embedded::open(bench.options()).err().unwrap().to_string();
    assert!(refused.contains("in use by another relay (process "), "{refused}");
}

#[tokio::test]
async fn a_wake_up_is_heard_by_whoever_comes_to_listen() {
    let bench = Bench::new();
    let store = bench.open();
    let bell = store.wake(&name("crm"));
    store.accept(bench.event(1, &["crm"])).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), bell.notified()).await.expect("no wake-up");
}

/// Its first checkpoint was written by the first housekeeping only: a kill before that, or a close without an event, looked
/// like damage to people.
#[tokio::test]
async fn a_store_that_never_had_an_event_starts_again_without_alarm() {
    let bench = Bench::new();
    drop(bench.open());
    let store = bench.open();
    assert_eq!(*store.report(), Report::default(), "after a kill");
    store.close().await.unwrap();
    drop(store);
    assert_eq!(*bench.open().report(), Report::default(), "after a close");
}
