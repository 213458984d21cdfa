//! From what is observed to what is wrong.

use super::*;
use crate::breaker::Condition;

fn destination(condition: Condition) -> DestinationSeen {
    DestinationSeen { name: crm(), condition: Some(condition), waiting: 3, oldest: Some(START), dead: 0 }
}

fn seeing(destination: DestinationSeen) -> Observation {
    Observation { destinations: vec![destination], ..Observation::default() }
}

fn heard(events: u64, forged: u64) -> Observation {
    let sources = vec![SourceSeen { name: name("atoms"), events, forged }];
    Observation { sources, ..Observation::default() }
}

/// What is found after `minutes`.
fn found(watch: &mut Watch, seen: &Observation, minutes: u32) -> Vec<Trouble> {
    let findings = watch.look(seen, &policy(&["slack"]), START.plus(MINUTE * minutes));
    findings.found.into_keys().collect()
}

#[test]
fn deliveries_that_wait_too_long_are_late() {
    let flowing = seeing(destination(Condition::Flowing));
    assert!(found(&mut Watch::default(), &flowing, 14).is_empty());
    assert_eq!(found(&mut Watch::default(), &flowing, 15), [Trouble::Backlog(crm())]);
}

#[test]
fn what_follows_from_a_trouble_is_not_told_beside_it() {
    let (since, reason) = (START, "answered 401".to_owned());
    let stopped = Condition::Stopped { since, reason: reason.clone() };
    let tripped = Condition::Tripped { since, probe_at: START, reason: reason.clone() };
    let paused = Condition::Paused { since, until: None, reason };
    for (condition, trouble) in
        [(stopped, Trouble::Stopped(crm())), (tripped, Trouble::Failing(crm())), (paused, Trouble::Paused(crm()))]
    {
        let seen = seeing(destination(condition));
        let findings = Watch::default().look(&seen, &policy(&["slack"]), START.plus(HOUR));
        assert_eq!(findings.found.keys().collect::<Vec<_>>(), [&trouble]);
        assert!(findings.unknown.contains(&Trouble::Backlog(crm())), "it may be late all the same");
    }
}

#[test]
fn the_dead_letters_of_a_destination_that_is_gone_are_still_there() {
    let gone = DestinationSeen { condition: None, dead: 2, ..destination(Condition::Flowing) };
    assert_eq!(found(&mut Watch::default(), &seeing(gone), 60), [Trouble::DeadLetters(crm())]);
}

#[test]
fn a_source_is_quiet_when_nothing_has_come_for_as_long_as_it_may() {
    let mut watch = Watch::default();
    let quiet = Trouble::Quiet(name("atoms"));
    let findings = watch.look(&heard(0, 0), &policy(&["slack"]), START);
    assert!(findings.unknown.contains(&quiet), "at a start nobody knows when the last event came");
    assert!(found(&mut watch, &heard(1, 0), 100).is_empty());
    assert!(found(&mut watch, &heard(1, 0), 219).is_empty());
    assert_eq!(found(&mut watch, &heard(1, 0), 220), [quiet]);
    assert!(found(&mut watch, &heard(2, 0), 221).is_empty());
}

#[test]
fn signature_failures_count_within_their_time() {
    let mut watch = Watch::default();
    assert!(found(&mut watch, &heard(0, 100), 0).is_empty(), "what was before the first look doesn't count");
    assert!(found(&mut watch, &heard(0, 105), 1).is_empty());
    assert!(found(&mut watch, &heard(0, 109), 4).is_empty());
    assert!(found(&mut watch, &heard(0, 114), 6).is_empty(), "the first five are too long ago");
    assert_eq!(found(&mut watch, &heard(0, 115), 7), [Trouble::Forged(name("atoms"))]);
    assert!(found(&mut watch, &heard(0, 115), 12).is_empty());
}

#[test]
fn a_disk_is_looked_at_from_all_sides() {
    let look = |disk| found(&mut Watch::default(), &Observation { disk, ..Observation::default() }, 0);
    assert!(look(DiskSeen { free: Some(2 << 30), full_in: Some(4 * HOUR), damaged: 0 }).is_empty());
    assert!(look(DiskSeen::default()).is_empty(), "where nothing can be known nothing is wrong");
    let all = look(DiskSeen { free: Some((2 << 30) - 1), full_in: Some(HOUR), damaged: 1 });
    assert_eq!(all, [Trouble::DiskLow, Trouble::DiskFilling, Trouble::Damage]);
}

#[test]
fn a_configuration_that_was_refused_is_a_trouble() {
    let seen = Observation { config_refused_at: Some(START), ..Observation::default() };
    assert_eq!(found(&mut Watch::default(), &seen, 0), [Trouble::Reload]);
}
