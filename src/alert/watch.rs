//! From what is observed to what is wrong.
//!
//! What a destination's failure leads to is not told beside it: deliveries to one that fails, is stopped or paused are late,
//! of course.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{Findings, Policy, Trouble};
use crate::{
    breaker::Condition,
    model::{Name, Timestamp},
    rate::Window,
};

/// How the relay is at a moment.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// The destinations of the config, and those that still have something in the store.
    pub destinations: Vec<DestinationSeen>,
    /// The sources of the config.
    pub sources: Vec<SourceSeen>,
    /// The queue's disk.
    pub disk: DiskSeen,
    /// When a configuration was refused, if it was the last one that the relay was asked to take.
    pub config_refused_at: Option<Timestamp>,
}

/// How a destination is.
#[derive(Debug, Clone)]
pub struct DestinationSeen {
    /// Its name.
    pub name: Name,
    /// How it is doing; `None` when the config doesn't name it any more.
    pub condition: Option<Condition>,
    /// Deliveries that wait.
    pub waiting: u64,
    /// When the event was received whose delivery is due first.
    pub oldest: Option<Timestamp>,
    /// Dead letters.
    pub dead: u64,
}

/// What has come in from a source since the start of the relay.
#[derive(Debug, Clone)]
pub struct SourceSeen {
    /// Its name.
    pub name: Name,
    /// Authentic events.
    pub events: u64,
    /// Requests without a valid signature.
    pub forged: u64,
}

/// How the queue's disk is.
#[derive(Debug, Clone, Default)]
pub struct DiskSeen {
    /// Bytes that are free; `None` where that can't be found out.
    pub free: Option<u64>,
    /// How long it takes until it is too full to accept events; `None` while nothing grows.
    pub full_in: Option<Duration>,
    /// Places and events that were found damaged.
    pub damaged: u64,
}

/// Finds what is wrong. It knows what it has seen since the start.
#[derive(Debug, Default)]
pub struct Watch {
    sources: BTreeMap<Name, History>,
}

/// What has been seen of a source.
#[derive(Debug)]
struct History {
    events: u64,
    /// When the last event was noticed; the time of the first look when there was none.
    heard_at: Timestamp,
    has_spoken: bool,
    /// When how many requests had been forged, over the time that counts.
    forged: VecDeque<(Timestamp, u64)>,
}

impl Watch {
    /// What is wrong at `now`.
    pub fn look(&mut self, seen: &Observation, policy: &Policy, now: Timestamp) -> Findings {
        let mut findings = Findings::default();
        look_at_disk(&seen.disk, policy, now, &mut findings);
        for destination in &seen.destinations {
            look_at_destination(destination, policy, now, &mut findings);
        }
        self.sources.retain(|name, _| seen.sources.iter().any(|source| source.name == *name));
        for source in &seen.sources {
            let history = self.sources.entry(source.name.clone()).or_insert_with(|| History::beginning(source, now));
            history.note(source, now);
            look_for_silence(&source.name, history, policy, now, &mut findings);
            look_for_forgery(&source.name, history, policy.signature_failures, now, &mut findings);
        }
        if let Some(at) = seen.config_refused_at {
            findings.add(Trouble::Reload, at, 1, "");
        }
        findings
    }
}

fn look_at_disk(disk: &DiskSeen, policy: &Policy, now: Timestamp, findings: &mut Findings) {
    if let Some(free) = disk.free.filter(|free| *free < policy.disk_free) {
        findings.add(Trouble::DiskLow, now, free, "");
    }
    if let Some(full_in) = disk.full_in.filter(|full_in| *full_in < policy.disk_full_in) {
        findings.add(Trouble::DiskFilling, now, full_in.as_secs(), "");
    }
    if disk.damaged > 0 {
        findings.add(Trouble::Damage, now, disk.damaged, "");
    }
}

fn look_at_destination(seen: &DestinationSeen, policy: &Policy, now: Timestamp, findings: &mut Findings) {
    let name = || seen.name.clone();
    if seen.dead >= policy.dead_letters.get() {
        findings.add(Trouble::DeadLetters(name()), now, seen.dead, "");
    }
    match &seen.condition {
        Some(Condition::Stopped { since, reason }) => {
            findings.add(Trouble::Stopped(name()), *since, seen.waiting, reason);
            findings.unknown.insert(Trouble::Backlog(name()));
        }
        Some(Condition::Tripped { since, reason, .. }) => {
            findings.add(Trouble::Failing(name()), *since, seen.waiting, reason);
            findings.unknown.insert(Trouble::Backlog(name()));
        }
        Some(Condition::Paused { since, reason, .. }) => {
            findings.add(Trouble::Paused(name()), *since, seen.waiting, reason);
            let hidden = [Trouble::Backlog(name()), Trouble::Stopped(name()), Trouble::Failing(name())];
            findings.unknown.extend(hidden);
        }
        Some(Condition::Flowing | Condition::Limited { .. } | Condition::Throttled { .. }) => {
            if let Some(oldest) = seen.oldest.filter(|oldest| now.since(*oldest) >= policy.backlog_age) {
                findings.add(Trouble::Backlog(name()), oldest, seen.waiting, "");
            }
        }
        None => {}
    }
}

fn look_for_silence(name: &Name, history: &History, policy: &Policy, now: Timestamp, findings: &mut Findings) {
    let Some(limit) = policy.quiet.get(name) else { return };
    if now.since(history.heard_at) >= *limit {
        findings.add(Trouble::Quiet(name.clone()), history.heard_at, 0, "");
    } else if !history.has_spoken {
        findings.unknown.insert(Trouble::Quiet(name.clone()));
    }
}

fn look_for_forgery(name: &Name, history: &mut History, limit: Window, now: Timestamp, findings: &mut Findings) {
    let (count, since) = history.forged_within(limit.length, now);
    if count >= limit.limit.get() as u64 {
        findings.add(Trouble::Forged(name.clone()), since, count, "");
    }
}

impl History {
    fn beginning(source: &SourceSeen, now: Timestamp) -> Self {
        Self { events: source.events, heard_at: now, has_spoken: false, forged: VecDeque::from([(now, source.forged)]) }
    }

    fn note(&mut self, source: &SourceSeen, now: Timestamp) {
        if source.events != self.events {
            (self.events, self.heard_at, self.has_spoken) = (source.events, now, true);
        }
        if self.forged.back().is_none_or(|(_, count)| *count != source.forged) {
            self.forged.push_back((now, source.forged));
        }
    }

    /// How many requests were forged in the `length` of time before `now`, and when that began.
    fn forged_within(&mut self, length: Duration, now: Timestamp) -> (u64, Timestamp) {
        let start = now.minus(length);
        // The last count before that time is what the others are compared with.
        while self.forged.get(1).is_some_and(|(at, _)| *at <= start) {
            self.forged.pop_front();
        }
        let before = self.forged.front().map_or(0, |(_, count)| *count);
        let latest = self.forged.back().map_or(0, |(_, count)| *count);
        let since = self.forged.get(1).map_or(now, |(at, _)| *at);
        (latest.saturating_sub(before), since)
    }
}
