//! Hours of scheduling without a clock, a queue on disk or a network.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use tokio::sync::watch;

use super::*;
use crate::{
    model::{Attempt, Delivery, Event, EventId, FailureKind, Name, OriginalHeaders, Outcome, Reading},
    outcome::{Fault, Meaning},
    rate::{Pace, Room, Window},
    store::{ClaimToken, Pause},
};

const START: Timestamp = Timestamp::from_millis(1_790_012_345_000);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const TOOK: Duration = Duration::from_millis(100);
const DOWN: Meaning = Meaning::Retry(Fault::Destination);
const WRONG: Meaning = Meaning::StopDestination { advice: "correct `url`" };

/// A planner in a world where queue and destination do what the test says, and time passes when nothing is left to do.
struct World {
    planner: Planner,
    now: Timestamp,
    end: Timestamp,
    pause: Option<Pause>,
    /// The queue: deliveries that nobody holds, by due time.
    queue: BTreeMap<(Timestamp, EventId), Delivery>,
    in_flight: Vec<(Timestamp, Claim)>,
    /// What an attempt means that ends at a time.
    destination: fn(Timestamp) -> Meaning,
    attempts: Vec<Timestamp>,
    most_at_once: usize,
    looks: Vec<Timestamp>,
    delivered: usize,
    dead: usize,
    expired: usize,
    released: usize,
    notices: Vec<Notice>,
    budget: Pace,
    asked: Option<NonZeroUsize>,
    permits: usize,
}

impl World {
    fn new(backlog: u8, destination: fn(Timestamp) -> Meaning) -> Self {
        let queue = (0..backlog).map(|n| ((START, EventId::from_bytes([n; 16])), delivery())).collect();
        Self {
            planner: planner_with(Freshness::default()),
            now: START,
            end: START,
            pause: None,
            queue,
            in_flight: Vec::new(),
            destination,
            attempts: Vec::new(),
            most_at_once: 0,
            looks: Vec::new(),
            delivered: 0,
            dead: 0,
            expired: 0,
            released: 0,
            notices: Vec::new(),
            budget: Pace::new(&[], None),
            asked: None,
            permits: 0,
        }
    }

    fn with_budget(backlog: u8, limit: usize, length: Duration) -> Self {
        let window = Window { limit: NonZeroUsize::new(limit).unwrap(), length };
        let mut world = Self::new(backlog, |_| Meaning::Success);
        world.planner.draws = Draws::Holding(0);
        world.budget = Pace::new(&[window], None);
        world
    }

    fn moment(&self) -> Moment {
        Moment { now: self.now, pause: self.pause.clone() }
    }

    /// Lets time pass. Everything takes a step of its own, and no two steps without end happen at one time.
    fn run(&mut self, time: Duration) {
        self.end = self.now.plus(time);
        self.step(Input::Nudged);
        let mut steps_at_once = 0;
        loop {
            let next_end = self.in_flight.iter().map(|(end, _)| *end).min().unwrap_or(Timestamp::MAX);
            let next = next_end.min(self.planner.wake_at(&self.moment())).min(self.next_permit());
            if next > self.end {
                self.now = self.end;
                return;
            }
            steps_at_once = if next > self.now { 0 } else { steps_at_once + 1 };
            assert!(steps_at_once < 1_000, "the lane spins");
            self.now = self.now.max(next);
            let ended = self.take_ended();
            self.step(if ended.is_empty() { Input::Nudged } else { Input::Ended(ended) });
            if let Some(granted) = self.granted() {
                self.step(granted);
            }
        }
    }

    fn next_permit(&mut self) -> Timestamp {
        match self.asked.map(|_| self.budget.room(self.now)) {
            Some(Room::NotBefore(at)) => at,
            _ => Timestamp::MAX,
        }
    }

    fn granted(&mut self) -> Option<Input> {
        let most = self.asked?;
        let Room::For(free) = self.budget.room(self.now) else { return None };
        let count = free.min(most);
        self.budget.take(count);
        self.permits += count.get();
        self.asked = None;
        Some(Input::Granted(count.get()))
    }

    fn take_ended(&mut self) -> Vec<Ended> {
        let now = self.now;
        let over: Vec<_> = self.in_flight.extract_if(.., |(end, _)| *end <= now).collect();
        for _ in &over {
            self.budget.ended(now);
        }
        over.into_iter().map(|(_, claim)| ended(&claim, (self.destination)(now))).collect()
    }

    fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for action in self.planner.apply(input, &self.moment()) {
                inputs.extend(self.perform(action));
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::Look(max) => return Some(Input::Looked(Ok(self.look(max.get())))),
            Action::Draw(most) => {
                assert_eq!(self.asked.replace(most), None, "asked twice");
                return self.granted();
            }
            Action::GiveBack(count) => {
                self.permits -= count;
                (0..count).for_each(|_| self.budget.give_back());
            }
            Action::Attempt(claim) => {
                match self.planner.draws {
                    Draws::Unlimited => self.budget.take(NonZeroUsize::MIN),
                    Draws::Holding(_) | Draws::Asked { .. } => self.permits -= 1,
                }
                self.attempts.push(self.now);
                self.in_flight.push((self.now.plus(TOOK), claim));
                self.most_at_once = self.most_at_once.max(self.in_flight.len());
            }
            Action::Settle(settlements) => {
                for settlement in &settlements {
                    self.settle(settlement);
                }
                let answers = vec![Settled::Recorded; settlements.len()];
                return Some(Input::Settled(settlements, Ok(answers)));
            }
            Action::Tell(notice) => self.notices.push(notice),
        }
        None
    }

    fn look(&mut self, max: usize) -> Found {
        self.looks.push(self.now);
        let due: Vec<_> = self.queue.keys().take_while(|(due, _)| *due <= self.now).take(max).copied().collect();
        let claims = due.into_iter().map(|key| claim(key.1, self.queue.remove(&key).unwrap())).collect();
        Found { claims, next_due: self.queue.keys().next().map(|(due, _)| *due) }
    }

    fn settle(&mut self, settlement: &Settlement) {
        let delivery =
            Delivery { retries: settlement.attempt.as_ref().map_or(0, |attempt| attempt.number), ..delivery() };
        match settlement.verdict {
            Verdict::Done => self.delivered += 1,
            Verdict::Dead(_) => self.dead += 1,
            Verdict::Expired => self.expired += 1,
            Verdict::Release => {
                self.released += 1;
                self.queue.insert((self.now, settlement.id.event), delivery);
            }
            Verdict::RetryAt(due) => {
                self.queue.insert((due, settlement.id.event), delivery);
            }
        }
    }

    fn told(&self) -> Vec<String> {
        let kind = |notice: &Notice| match notice {
            Notice::Condition(condition) => format!("{condition:?}").split([' ', '{']).next().unwrap().to_owned(),
            other => format!("{other:?}").split('(').next().unwrap().to_owned(),
        };
        self.notices.iter().map(kind).collect()
    }
}

fn name() -> Name {
    Name::new("crm").unwrap()
}

fn delivery() -> Delivery {
    Delivery::new(name(), START)
}

fn claim(id: EventId, delivery: Delivery) -> Claim {
    let event = Event {
        id,
        source: Name::new("atoms").unwrap(),
        received_at: START,
        reading: Reading::Quarantined("not read here".into()),
        headers: OriginalHeaders::default(),
        body: Bytes::new(),
    };
    Claim { token: ClaimToken(0), event: event.into(), delivery, kept_body: None }
}

fn ended(claim: &Claim, meaning: Meaning) -> Ended {
    let (number, outcome) = (claim.delivery.retries + 1, outcome());
    let attempt = Attempt { number, started_at: START, took: TOOK, request: String::new(), outcome };
    Ended {
        id: claim.id(),
        token: claim.token,
        delivery: claim.delivery.clone(),
        attempt,
        meaning,
        way: Taken::Present,
        roll: 0.5,
    }
}

fn outcome() -> Outcome {
    Outcome::Failed { kind: FailureKind::Connect, detail: "Connection refused".into() }
}

fn moment(now: Timestamp) -> Moment {
    Moment { now, pause: None }
}

fn planner_with(freshness: Freshness) -> Planner {
    let policy = RetryPolicy::try_new(Duration::from_secs(5), HOUR, 72 * HOUR).unwrap();
    let breaker = Breaker::new(NonZeroUsize::new(8).unwrap(), policy.backoff());
    Planner::new(Terms { policy, breaker, freshness, draws: Draws::Unlimited })
}

fn no_older_than(max_age: Duration) -> Freshness {
    Freshness::new(Some(max_age), watch::channel(Arc::default()).1)
}

fn planner() -> Planner {
    World::new(0, |_| Meaning::Success).planner
}

fn found(claims: Vec<Claim>, next_due: Option<Timestamp>) -> Input {
    Input::Looked(Ok(Found { claims, next_due }))
}

/// The actions as words, in order.
fn words(actions: &[Action]) -> Vec<String> {
    let word = |action: &Action| match action {
        Action::Look(max) => format!("look for {max}"),
        Action::Draw(most) => format!("draw {most}"),
        Action::GiveBack(count) => format!("give {count} back"),
        Action::Attempt(_) => "attempt".to_owned(),
        Action::Settle(settlements) => {
            format!("settle {:?}", settlements.iter().map(|settlement| settlement.verdict).collect::<Vec<_>>())
        }
        Action::Tell(Notice::StoreFails(_)) => "the store fails".to_owned(),
        Action::Tell(notice) => format!("{notice:?}"),
    };
    actions.iter().map(word).collect()
}

#[test]
fn an_hour_with_a_dead_destination_costs_some_probes_and_no_delivery() {
    let mut world = World::new(200, |_| DOWN);
    world.run(HOUR);
    assert_eq!(world.queue.len(), 200);
    assert!((60..75).contains(&world.attempts.len()), "{} attempts", world.attempts.len());
    assert_eq!(world.told(), ["Tripped"]);
}

#[test]
fn a_destination_that_comes_back_is_noticed_within_a_minute_and_gets_all_of_its_backlog() {
    let mut world = World::new(200, |now| if now < START.plus(HOUR) { DOWN } else { Meaning::Success });
    world.run(HOUR + MINUTE + MINUTE / 4);
    assert!(world.delivered > 100, "{} delivered", world.delivered);
    world.run(HOUR + HOUR / 4);
    assert_eq!((world.delivered, world.queue.len()), (200, 0));
    assert_eq!(world.told(), ["Tripped", "Flowing"]);
}

#[test]
fn a_start_with_a_backlog_begins_with_one_attempt_and_ends_at_the_configured_concurrency() {
    let mut world = World::new(100, |_| Meaning::Success);
    world.run(MINUTE);
    let rounds: Vec<_> = world.attempts.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
    assert_eq!(rounds[..5], [1, 2, 4, 8, 8]);
    assert_eq!((world.most_at_once, world.delivered), (8, 100));
}

#[test]
fn retry_after_silences_the_lane_for_as_long_as_it_was_asked_to() {
    let until = START.plus(10 * MINUTE);
    let mut world = World::new(50, |now| {
        let until = START.plus(10 * MINUTE);
        if now < until { Meaning::Throttled { until: Some(until) } } else { Meaning::Success }
    });
    world.run(HOUR);
    assert_eq!(world.attempts.iter().filter(|at| **at < until).count(), 1);
    assert_eq!(world.attempts[1], until);
    assert_eq!(world.delivered, 50);
    assert_eq!(world.told(), ["Throttled", "Flowing"]);
}

#[test]
fn what_was_released_for_retry_after_is_taken_up_when_that_is_over() {
    let until = START.plus(TOOK * 5);
    let mut planner = planner();
    let all = claims(0..2);
    planner.apply(Input::Nudged, &moment(START));
    planner.apply(found(all.clone(), None), &moment(START));
    let throttled = ended(&all[0], Meaning::Throttled { until: Some(until) });
    let mut actions = planner.apply(Input::Ended(vec![throttled]), &moment(START));
    let Some(Action::Settle(settlements)) = actions.pop() else { panic!("not settled: {actions:?}") };
    let released = settlements.into_iter().skip(1).collect();
    planner.apply(Input::Settled(released, Ok(vec![Settled::Recorded])), &moment(START));
    assert_eq!(planner.wake_at(&moment(START)), until);
}

#[test]
fn a_wrong_destination_gets_one_request_until_a_person_resumes_it() {
    let mut world = World::new(50, |_| WRONG);
    world.run(24 * HOUR);
    assert_eq!((world.attempts.len(), world.queue.len()), (1, 50));
    assert_eq!(world.told(), ["Stopped"]);
    world.destination = |_| Meaning::Success;
    world.step(Input::Resumed);
    world.run(MINUTE);
    assert_eq!(world.delivered, 50);
    assert_eq!(world.told(), ["Stopped", "Flowing"]);
}

#[test]
fn an_event_that_is_refused_dies_alone() {
    let mut world = World::new(50, |now| if now == START.plus(TOOK) { Meaning::RejectEvent } else { Meaning::Success });
    world.run(MINUTE);
    assert_eq!((world.dead, world.delivered), (1, 49));
    assert_eq!(world.told(), ["Dead"]);
}

#[test]
fn people_can_pause_and_nothing_is_sent_meanwhile() {
    let mut world = World::new(50, |_| Meaning::Success);
    world.pause = Some(Pause { since: START, until: None, reason: "maintenance".into() });
    world.run(HOUR);
    assert_eq!((world.attempts.len(), world.looks.len()), (0, 0));
    world.pause = None;
    world.run(MINUTE);
    assert_eq!(world.delivered, 50);
}

#[test]
fn a_lane_wakes_when_a_pause_ends() {
    let until = START.plus(Duration::from_secs(2));
    let paused = Moment { now: START, pause: Some(Pause { since: START, until: Some(until), reason: String::new() }) };
    let mut planner = planner();
    assert!(planner.apply(Input::Nudged, &paused).is_empty());
    assert_eq!(planner.wake_at(&paused), until);
    assert_eq!(words(&planner.apply(Input::Nudged, &moment(until))), ["look for 3"]);
}

#[test]
fn what_is_too_old_is_retired_instead_of_sent_and_takes_nobodys_place() {
    let mut world = World::new(50, |_| Meaning::Success);
    world.planner = planner_with(no_older_than(MINUTE));
    world.now = START.plus(MINUTE + TOOK);
    let replayed = Delivery { since: world.now, ..delivery() };
    world.queue.insert((world.now, EventId::from_bytes([99; 16])), replayed);
    world.run(MINUTE);
    assert_eq!((world.expired, world.delivered, world.attempts.len(), world.queue.len()), (50, 1, 1, 0));
    assert_eq!(world.told(), ["Expired"; 50]);
}

#[test]
fn a_retry_that_comes_too_late_is_retired() {
    let mut world = World::new(1, |_| DOWN);
    world.planner = planner_with(no_older_than(Duration::from_secs(30)));
    world.run(5 * MINUTE);
    assert_eq!((world.attempts.len(), world.expired, world.dead), (3, 1, 0));
}

#[test]
fn an_idle_lane_looks_now_and_then_and_finds_what_no_hint_told_of() {
    let mut world = World::new(0, |_| Meaning::Success);
    world.run(HOUR);
    let looks = u32::try_from(world.looks.len()).unwrap();
    assert!(looks.abs_diff(u32::try_from(HOUR.as_secs() / LOOK_EVERY.as_secs()).unwrap()) <= 2, "{looks} looks");
    world.queue.insert((world.now, EventId::from_bytes([1; 16])), delivery());
    world.run(LOOK_EVERY + TOOK);
    assert_eq!(world.delivered, 1);
}

#[test]
fn a_clock_that_was_set_back_delays_nothing_for_long() {
    let mut world = World::new(0, |_| Meaning::Success);
    world.run(MINUTE);
    world.now = START.minus(HOUR);
    world.queue.insert((world.now, EventId::from_bytes([1; 16])), delivery());
    world.run(LOOK_EVERY + TOOK);
    assert_eq!(world.delivered, 1);
}

#[test]
fn a_store_that_says_due_and_gives_nothing_is_not_asked_without_pause() {
    let mut world = World::new(0, |_| Meaning::Success);
    for _ in 0..10 {
        let actions = world.planner.apply(Input::Nudged, &world.moment());
        assert_eq!(words(&actions), ["look for 3"]);
        let actions = world.planner.apply(found(Vec::new(), Some(START)), &world.moment());
        assert!(actions.is_empty());
        let next = world.planner.wake_at(&world.moment());
        assert_eq!(next, world.now.plus(CONTRADICTION_PAUSE));
        world.now = next;
    }
}

#[test]
fn a_lane_that_is_busy_with_other_things_looks_now_and_then_too() {
    let mut planner = planner();
    planner.apply(Input::Nudged, &moment(START));
    planner.apply(found(Vec::new(), None), &moment(START));
    let mut actions = Vec::new();
    for quarter in 1..=4 {
        let later = moment(START.plus(LOOK_EVERY * quarter / 4));
        actions.extend(planner.apply(Input::Settled(Vec::new(), Ok(Vec::new())), &later));
    }
    assert_eq!(words(&actions), ["look for 3"]);
}

#[test]
fn a_retry_is_taken_when_it_is_due_and_not_later() {
    let mut planner = planner();
    planner.apply(Input::Nudged, &moment(START));
    planner.apply(found(Vec::new(), None), &moment(START));
    let claim = claim(EventId::from_bytes([1; 16]), delivery());
    let due = START.plus(Duration::from_millis(7));
    let settlement = Settlement { id: claim.id(), token: claim.token, verdict: Verdict::RetryAt(due), attempt: None };
    planner.apply(Input::Settled(vec![settlement], Ok(vec![Settled::Recorded])), &moment(START));
    assert_eq!(planner.wake_at(&moment(START)), due);
}

#[test]
fn a_hint_during_a_look_is_not_lost() {
    let mut planner = planner();
    assert_eq!(words(&planner.apply(Input::Nudged, &moment(START))), ["look for 3"]);
    assert!(planner.apply(Input::Nudged, &moment(START)).is_empty());
    assert_eq!(words(&planner.apply(found(Vec::new(), None), &moment(START))), ["look for 3"]);
}

fn claims(ids: impl IntoIterator<Item = u8>) -> Vec<Claim> {
    ids.into_iter().map(|n| claim(EventId::from_bytes([n; 16]), delivery())).collect()
}

#[test]
fn what_is_ready_starts_as_soon_as_there_is_room() {
    let mut planner = planner();
    planner.apply(Input::Nudged, &moment(START));
    let all = claims(0..3);
    assert_eq!(words(&planner.apply(found(all.clone(), Some(START)), &moment(START))), ["attempt"]);
    let next = planner.apply(Input::Ended(vec![ended(&all[0], Meaning::Success)]), &moment(START));
    assert_eq!(words(&next), ["attempt", "attempt", "look for 4"]);
}

#[test]
fn a_look_waits_until_half_of_what_was_ready_is_gone() {
    let mut planner = planner();
    planner.apply(Input::Nudged, &moment(START));
    planner.apply(found(claims(0..100), Some(START)), &moment(START));
    let mut looks_after = Vec::new();
    for n in 1..100 {
        let over = claims(n..=n).iter().map(|claim| ended(claim, Meaning::Success)).collect();
        let actions = words(&planner.apply(Input::Ended(over), &moment(START)));
        looks_after.extend(actions.iter().filter(|action| action.starts_with("look")).map(|_| planner.ready.len()));
    }
    assert_eq!(looks_after, [8]);
}

#[test]
fn what_is_ready_for_a_destination_that_stops_or_is_paused_is_released() {
    for (meaning, pause) in [(WRONG, None), (DOWN, Some(Pause { since: START, until: None, reason: String::new() }))] {
        let mut planner = planner();
        planner.apply(Input::Nudged, &moment(START));
        let all = claims(0..3);
        planner.apply(found(all.clone(), Some(START)), &moment(START));
        let over = Input::Ended(vec![ended(&all[0], meaning)]);
        let actions = words(&planner.apply(over, &Moment { now: START, pause }));
        assert!(actions.last().unwrap().ends_with("Release, Release]"), "{actions:?}");
    }
}

#[test]
fn nothing_is_held_ready_for_a_destination_that_fails() {
    let mut world = World::new(100, |_| DOWN);
    world.run(HOUR);
    assert!(world.looks.len() < 1_000);
    assert_eq!(world.released, 0);
}

#[test]
fn what_ends_within_a_moment_is_settled_together() {
    let mut planner = planner();
    let all = claims(0..6);
    planner.apply(Input::Nudged, &moment(START));
    planner.apply(found(all.clone(), None), &moment(START));
    for claim in &all[..3] {
        let actions = planner.apply(Input::Ended(vec![ended(claim, Meaning::Success)]), &moment(START));
        assert!(words(&actions).iter().all(|word| word == "attempt" || word.starts_with("look")), "{actions:?}");
    }
    assert_eq!(planner.wake_at(&moment(START)), START.plus(MAX_WAIT));
    let later = planner.apply(Input::Nudged, &moment(START.plus(MAX_WAIT)));
    assert_eq!(words(&later)[0], "settle [Done, Done, Done]");
}

#[test]
fn a_store_that_does_not_keep_up_gets_no_new_claims() {
    let mut planner = planner();
    let ended_without_end = || claims(0..1).iter().map(|claim| ended(claim, Meaning::Success)).collect();
    planner.apply(Input::Ended(ended_without_end()), &moment(START));
    planner.apply(found(Vec::new(), Some(START)), &moment(START));
    for _ in 0..2_000 {
        planner.apply(Input::Ended(ended_without_end()), &moment(START));
    }
    planner.apply(found(Vec::new(), Some(START)), &moment(START));
    let later = moment(START.plus(MINUTE));
    assert!(planner.apply(Input::Nudged, &later).is_empty());
    assert_eq!(planner.wake_at(&later), later.now.plus(LOOK_EVERY));
    let answered = words(&planner.apply(Input::Settled(Vec::new(), Ok(Vec::new())), &later));
    assert!(answered[0].starts_with("settle") && answered[1].starts_with("look"), "{answered:?}");
}

#[test]
fn what_ends_last_is_settled_at_once() {
    let mut planner = planner();
    let one = claims(0..1);
    planner.apply(Input::Nudged, &moment(START));
    planner.apply(found(one.clone(), None), &moment(START));
    let actions = planner.apply(Input::Ended(vec![ended(&one[0], Meaning::Success)]), &moment(START));
    assert_eq!(words(&actions), ["settle [Done]"]);
}

#[test]
fn what_ends_while_a_settling_is_on_its_way_is_settled_together() {
    let mut planner = planner();
    let over = |n| Input::Ended(claims(n..=n).iter().map(|claim| ended(claim, Meaning::Success)).collect());
    assert!(words(&planner.apply(over(1), &moment(START))).contains(&"settle [Done]".to_owned()));
    assert!(planner.apply(over(2), &moment(START)).is_empty());
    assert!(planner.apply(over(3), &moment(START)).is_empty());
    let next = planner.apply(Input::Settled(Vec::new(), Ok(Vec::new())), &moment(START));
    assert_eq!(words(&next), ["settle [Done, Done]"]);
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_what_has_to_be_settled() {
    let mut planner = planner();
    let all = claims(0..2);
    planner.apply(Input::Nudged, &moment(START));
    planner.apply(found(all.clone(), None), &moment(START));
    planner.apply(Input::Ended(vec![ended(&all[0], Meaning::Success)]), &moment(START));
    let back = planner.apply(Input::Nudged, &moment(START.minus(HOUR)));
    assert!(words(&back).contains(&"settle [Done]".to_owned()), "{back:?}");
}

#[test]
fn while_the_store_fails_nothing_is_taken_and_nothing_forgotten() {
    let mut planner = planner();
    let full = || StoreError::DiskFull("no room".into());
    planner.apply(Input::Nudged, &moment(START));
    planner.apply(found(vec![claim(EventId::from_bytes([1; 16]), delivery())], Some(START)), &moment(START));
    let over = ended(&claim(EventId::from_bytes([1; 16]), delivery()), Meaning::Success);
    let mut actions = planner.apply(Input::Ended(vec![over]), &moment(START));
    let Some(Action::Settle(settlements)) = actions.drain(..).next() else { panic!("nothing to settle") };

    let failed = planner.apply(Input::Settled(settlements, Err(full())), &moment(START));
    assert_eq!(words(&failed), ["the store fails"]);
    assert!(planner.apply(Input::Looked(Err(full())), &moment(START)).is_empty(), "told twice, or asked without pause");
    assert!(planner.apply(Input::Nudged, &moment(START)).is_empty());
    assert_eq!(planner.wake_at(&moment(START)), START.plus(store_health::PAUSE));

    let later = moment(START.plus(store_health::PAUSE));
    assert_eq!(words(&planner.apply(Input::Nudged, &later)), ["settle [Done]", "look for 6"]);
    let works = planner.apply(Input::Settled(Vec::new(), Ok(Vec::new())), &later);
    assert_eq!(words(&works), ["StoreWorks"]);
}

#[test]
fn a_lost_lease_is_told() {
    let mut planner = planner();
    let claim = claim(EventId::from_bytes([1; 16]), delivery());
    let (id, token) = (claim.id(), claim.token);
    let settlement = Settlement { id, token, verdict: Verdict::Done, attempt: None };
    let actions = planner.apply(Input::Settled(vec![settlement], Ok(vec![Settled::LeaseLost])), &moment(START));
    assert!(matches!(actions[..], [Action::Tell(Notice::LeaseLost(_)), Action::Look(_)]), "{actions:?}");
}

#[test]
fn after_the_stop_nothing_is_taken_and_the_lane_is_done_when_all_is_settled() {
    let mut world = World::new(100, |_| Meaning::Success);
    world.run(10 * TOOK);
    assert_eq!(world.in_flight.len(), 8);
    let before = world.attempts.len();
    world.step(Input::Stopping);
    world.run(MAX_WAIT * 2);
    assert!(!world.in_flight.is_empty() && !world.planner.is_done());
    world.run(MINUTE);
    assert_eq!((world.attempts.len(), world.delivered), (before, before));
    assert!(world.planner.is_done());
}

#[test]
fn a_claim_that_arrives_after_the_stop_is_released_before_the_lane_is_done() {
    let mut planner = planner();
    planner.apply(Input::Nudged, &moment(START));
    planner.apply(Input::Stopping, &moment(START));
    assert!(!planner.is_done());
    let late = found(vec![claim(EventId::from_bytes([1; 16]), delivery())], None);
    assert_eq!(words(&planner.apply(late, &moment(START))), ["settle [Release]"]);
    assert!(!planner.is_done());
    planner.apply(Input::Settled(Vec::new(), Ok(Vec::new())), &moment(START));
    assert!(planner.is_done());
}

#[test]
fn a_store_that_fails_does_not_keep_a_stopping_lane() {
    let mut planner = planner();
    planner.apply(Input::Stopping, &moment(START));
    let over = Input::Ended(claims(0..1).iter().map(|claim| ended(claim, DOWN)).collect());
    let Some(Action::Settle(settlements)) = planner.apply(over, &moment(START)).pop() else { panic!("not settled") };
    planner.apply(Input::Settled(settlements, Err(StoreError::Closed)), &moment(START));
    assert!(planner.is_done());
}

#[test]
fn a_lane_with_a_budget_sends_as_much_as_it_grants_and_holds_nothing_meanwhile() {
    let mut world = World::with_budget(20, 4, MINUTE);
    world.run(4 * MINUTE);
    let minute = |at: &Timestamp| at.since(START).as_secs() / 60;
    let rounds: Vec<_> = world.attempts.chunk_by(|a, b| minute(a) == minute(b)).map(<[_]>::len).collect();
    assert_eq!(rounds, [4, 4, 4, 4]);
    assert_eq!((world.queue.len(), world.released, world.permits), (4, 0, 0));
    world.run(2 * MINUTE);
    assert_eq!(world.delivered, 20);
}

#[test]
fn a_look_brings_no_more_than_there_are_permits_and_what_is_left_over_goes_back() {
    let mut planner = planner();
    planner.draws = Draws::Holding(0);
    assert_eq!(words(&planner.apply(Input::Nudged, &moment(START))), ["draw 1"]);
    assert!(planner.apply(Input::Nudged, &moment(START)).is_empty(), "asked twice");
    assert_eq!(words(&planner.apply(Input::Granted(1), &moment(START))), ["look for 1"]);
    assert_eq!(words(&planner.apply(found(Vec::new(), None), &moment(START))), ["give 1 back"]);

    planner.apply(Input::Nudged, &moment(START));
    planner.apply(Input::Granted(1), &moment(START));
    let all = claims(0..1);
    assert_eq!(words(&planner.apply(found(all.clone(), Some(START)), &moment(START))), ["attempt"]);
    let next = planner.apply(Input::Ended(vec![ended(&all[0], Meaning::Success)]), &moment(START));
    assert_eq!(words(&next), ["settle [Done]", "draw 2"]);
}

#[test]
fn a_lane_that_waits_for_its_budget_sleeps() {
    let mut planner = planner();
    planner.draws = Draws::Holding(0);
    assert_eq!(words(&planner.apply(Input::Nudged, &moment(START))), ["draw 1"]);
    let later = moment(START.plus(MINUTE));
    assert!(planner.apply(Input::Nudged, &later).is_empty());
    assert_eq!(planner.wake_at(&later), later.now.plus(LOOK_EVERY));
}

#[test]
fn a_lane_is_limited_from_a_draw_that_has_to_wait_until_permits_are_left_over() {
    let mut world = World::with_budget(10, 4, MINUTE);
    let is_limited = |world: &World| matches!(world.planner.condition(world.now), Condition::Limited { .. });
    world.run(Duration::ZERO);
    assert!(!is_limited(&world));
    world.run(MINUTE / 2);
    let first = world.planner.condition(world.now);
    assert!(is_limited(&world));
    world.run(MINUTE);
    assert_eq!((world.delivered, world.planner.condition(world.now)), (8, first), "some were granted in between");
    world.run(MINUTE);
    assert_eq!((world.delivered, world.planner.condition(world.now)), (10, Condition::Flowing));
    assert!(world.notices.is_empty(), "{:?}", world.notices);
}

#[test]
fn permits_that_come_when_nothing_may_be_sent_go_back_at_once() {
    let pause = Some(Pause { since: START, until: None, reason: String::new() });
    let mut planner = planner();
    planner.draws = Draws::Holding(0);
    planner.apply(Input::Nudged, &moment(START));
    let paused = planner.apply(Input::Granted(1), &Moment { now: START, pause });
    assert_eq!(words(&paused), ["give 1 back"]);
    planner.apply(Input::Nudged, &moment(START));
    planner.apply(Input::Stopping, &moment(START));
    assert_eq!(words(&planner.apply(Input::Granted(1), &moment(START))), ["give 1 back"]);
    assert!(planner.is_done());
}

fn other_terms(draws: Draws) -> Input {
    let policy = RetryPolicy::try_new(Duration::from_secs(5), HOUR, 72 * HOUR).unwrap();
    let breaker = Breaker::new(NonZeroUsize::new(8).unwrap(), policy.backoff());
    Input::Changed(Box::new(Terms { policy, breaker, freshness: Freshness::default(), draws }))
}

#[test]
fn a_destination_that_is_another_now_starts_anew_whatever_it_was() {
    for state in [DOWN, WRONG] {
        let mut world = World::new(20, |_| Meaning::Success);
        world.destination = if state == DOWN { |_| DOWN } else { |_| WRONG };
        world.run(3 * MINUTE);
        assert_ne!(world.planner.condition(world.now), Condition::Flowing);
        world.destination = |_| Meaning::Success;
        world.notices.clear();
        world.step(other_terms(Draws::Unlimited));
        assert_eq!(world.planner.condition(world.now), Condition::Flowing);
        assert_eq!(world.attempts.last(), Some(&world.now), "one goes out at once");
        world.run(MINUTE);
        assert_eq!((world.told(), world.delivered > 0), (vec![], true));
    }
}

#[test]
fn what_was_ready_for_what_the_destination_was_is_released_and_claimed_again() {
    let mut planner = planner();
    planner.apply(Input::Nudged, &moment(START));
    let claims = (0..3).map(|n| claim(EventId::from_bytes([n; 16]), delivery())).collect();
    assert_eq!(words(&planner.apply(found(claims, None), &moment(START))), ["attempt"]);
    let later = START.plus(TOOK);
    let actions = planner.apply(other_terms(Draws::Unlimited), &moment(later));
    assert_eq!(words(&actions), ["look for 3"]);
    let settling = later.plus(MAX_WAIT);
    let actions = planner.apply(Input::Nudged, &moment(settling));
    assert_eq!(words(&actions), ["settle [Release, Release]"]);
}

#[test]
fn what_a_look_brings_that_began_before_the_change_is_released() {
    let mut planner = planner();
    assert_eq!(words(&planner.apply(Input::Nudged, &moment(START))), ["look for 3"]);
    assert!(planner.apply(other_terms(Draws::Unlimited), &moment(START)).is_empty());
    let stale = claim(EventId::from_bytes([1; 16]), delivery());
    let actions = planner.apply(found(vec![stale], None), &moment(START));
    assert_eq!(words(&actions), ["settle [Release]", "look for 3"]);
    let fresh = claim(EventId::from_bytes([1; 16]), delivery());
    assert_eq!(words(&planner.apply(found(vec![fresh], None), &moment(START))), ["attempt"]);
}

#[test]
fn what_still_meets_what_the_destination_was_says_nothing_of_what_it_is() {
    let mut planner = planner();
    planner.apply(Input::Nudged, &moment(START));
    let former = claim(EventId::from_bytes([1; 16]), delivery());
    planner.apply(found(vec![former.clone()], None), &moment(START));
    planner.apply(other_terms(Draws::Unlimited), &moment(START));
    let late = Ended { way: Taken::Former, ..ended(&former, WRONG) };
    planner.apply(Input::Ended(vec![late]), &moment(START));
    assert_eq!(planner.condition(START), Condition::Flowing);
}

#[test]
fn attempts_that_hang_where_the_destination_was_take_places_of_its_concurrency_but_not_of_its_ramp() {
    let mut planner = planner();
    planner.in_flight = 7;
    assert_eq!(words(&planner.apply(other_terms(Draws::Unlimited), &moment(START))), ["look for 3"]);
    let claims = (0..2).map(|n| claim(EventId::from_bytes([n; 16]), delivery())).collect();
    assert_eq!(words(&planner.apply(found(claims, None), &moment(START))), ["attempt"]);
    planner.breaker.met(&outcome(), Meaning::Success, START, 0.5);
    assert_eq!(words(&planner.apply(Input::Nudged, &moment(START))), ["look for 3"], "eight are on their way");
    assert_eq!((planner.in_flight, planner.ready.len()), (8, 1));
}

#[test]
fn a_destination_that_comes_back_while_its_lane_ends_goes_on() {
    let mut planner = planner();
    planner.apply(Input::Nudged, &moment(START));
    let held = claim(EventId::from_bytes([1; 16]), delivery());
    planner.apply(found(vec![held.clone()], None), &moment(START));
    planner.apply(Input::Stopping, &moment(START));
    assert!(!planner.is_done());
    let actions = planner.apply(other_terms(Draws::Holding(0)), &moment(START));
    assert_eq!(words(&actions), ["draw 1"]);
    planner.apply(Input::Ended(vec![ended(&held, Meaning::Success)]), &moment(START));
    assert!(!planner.is_done());
}
