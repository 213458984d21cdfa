//! The real program under a wall clock that is set: by hours and days, back and forth, while it runs and between two runs.

use crate::{
    preload::Preload,
    process::{Home, Relay},
    support::{
        eventually, fixtures,
        scripted::{Behaviour, Scripted},
        wire::Request,
    },
};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// One destination, which is given up after three days and tried again after moments.
fn home_of(destination: &Scripted) -> Home {
    let retry = "retry = { initial = \"20ms\", max = \"200ms\", give_up_after = \"3d\" }";
    Home::new(&[("crm", destination.url("/"), retry)])
}

async fn start(home: &Home, preload: &Preload) -> Relay {
    let mut relay = home.start_with(|program| preload.attach(program, &home.queue()));
    relay.ready().await;
    relay
}

/// Has an event accepted, and returns its id.
async fn accept(home: &Home, id: &str) -> String {
    let answer = Request::signed(fixtures::event(id)).send(home.public()).await;
    assert_eq!((answer.status, answer.text("status").as_str()), (200, "accepted"), "{answer:?}");
    answer.text("id")
}

/// Waits for so many more requests to a destination: nothing holds its lane up, then.
async fn wait_for_attempts(destination: &Scripted, more: usize) {
    let goal = destination.count() + more;
    eventually("further attempts", async || (destination.count() >= goal).then_some(())).await;
}

/// Waits until the relay has told people that its clock was set so many times.
async fn wait_for_warnings(home: &Home, count: usize) {
    let told = async || (home.log().matches("the system's clock was set").count() >= count).then_some(());
    eventually("a warning in the log", told).await;
}

/// Waits until nothing waits any more, and returns the queue's numbers.
async fn drained(home: &Home) -> serde_json::Value {
    eventually("the delivery of all", async || {
        let queue = home.status().await["queue"].clone();
        (queue["waiting"] == 0).then_some(queue)
    })
    .await
}

#[tokio::test]
async fn a_clock_that_is_set_back_and_forth_while_the_relay_runs_changes_nothing() {
    let destination = Scripted::always(Behaviour::Answers(200)).await;
    let (home, preload) = (home_of(&destination), Preload::new());
    let relay = start(&home, &preload).await;
    let mut ids = vec![accept(&home, "delivered before").await];
    drained(&home).await;
    destination.becomes(Behaviour::Answers(503));

    let shifts = [10 * DAY, -10 * DAY, 2 * HOUR, -2 * HOUR, 60 * DAY];
    for (shift, warnings) in shifts.into_iter().zip(1..) {
        preload.shift_clock(shift);
        ids.push(accept(&home, &format!("{shift}")).await);
        wait_for_attempts(&destination, 2).await;
        wait_for_warnings(&home, warnings).await;
    }
    preload.shift_clock(0);
    let queue = home.status().await["queue"].clone();
    assert_eq!((&queue["dead"], &queue["events"]), (&0.into(), &ids.len().into()), "{}", home.log());

    destination.becomes(Behaviour::Answers(200));
    assert_eq!(drained(&home).await["dead"], 0);
    let ids_in_order = ids.clone();
    ids.sort();
    ids.dedup();
    assert_eq!(ids, ids_in_order, "ids are unique and in the order of receipt");
    relay.stop().await;
}

/// Between two runs nobody can tell a clock that was set from time that passed. So what has run out of time by it becomes a
/// dead letter at its next failure, which a person can replay; nothing is lost, and nothing waits for a date to come round.
#[tokio::test]
async fn a_clock_that_was_set_between_two_runs_loses_nothing_and_holds_nothing_up() {
    let destination = Scripted::always(Behaviour::Answers(503)).await;
    let (home, preload) = (home_of(&destination), Preload::new());
    let (two_out_of_time, shifts) = (2, [0, 30 * DAY, -30 * DAY, 0, -2 * DAY]);
    for shift in shifts {
        preload.shift_clock(shift);
        let relay = start(&home, &preload).await;
        let id = accept(&home, &format!("{shift}-{}", destination.count())).await;
        let is_tried = || destination.got().iter().any(|got| got.header("x-relay-event") == id);
        eventually("its first attempt", async || is_tried().then_some(())).await;
        relay.stop().await;
    }
    destination.becomes(Behaviour::Answers(200));
    let relay = start(&home, &preload).await;
    let queue = drained(&home).await;
    assert_eq!((&queue["events"], &queue["dead"]), (&shifts.len().into(), &two_out_of_time.into()));
    relay.stop().await;
}
