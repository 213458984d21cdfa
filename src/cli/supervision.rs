//! What `serve` tells the service manager while the relay runs: that it makes progress, and how it is.
//!
//! The watchdog is fed with proof only, never by a timer alone: each sign of life follows an answer of the store's committer
//! and a turn of each lane. So a relay that hangs is started anew, whatever it is that hangs.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use tokio::time::sleep;

use super::text;
use crate::{
    breaker::Condition,
    clock::Clock,
    model::{Name, Timestamp},
    relay::Vitals,
    service::Notifier,
    store::Stats,
};

/// How often `systemctl status` shows something new.
const STATUS_EVERY: Duration = Duration::from_secs(2);

/// Signs of life in the time that the manager waits for one: one that comes late doesn't end the relay.
const SIGNS_PER_WATCHDOG: u32 = 3;

/// As many destinations in trouble as a line has room for.
const MAX_NAMED: usize = 5;

/// Tells the manager as long as it is awaited.
pub(super) async fn supervise(vitals: &Vitals, notifier: Notifier, clock: &Clock) -> Infallible {
    let (never, ()) = tokio::join!(tell_status(vitals, notifier, clock), feed_watchdog(vitals, notifier));
    never
}

async fn tell_status(vitals: &Vitals, notifier: Notifier, clock: &Clock) -> Infallible {
    let mut told = String::new();
    loop {
        let line = status_line(vitals.fault(), &vitals.stats(), &vitals.conditions(), clock.now());
        if line != told {
            notifier.status(&line);
            told = line;
        }
        sleep(STATUS_EVERY).await;
    }
}

/// Returns when the manager doesn't wait for signs of life, or when there can't be any more.
async fn feed_watchdog(vitals: &Vitals, notifier: Notifier) {
    let Some(patience) = notifier.watchdog() else { return };
    while vitals.proof().await.is_ok() {
        notifier.alive();
        sleep(patience / SIGNS_PER_WATCHDOG).await;
    }
}

/// Such as `queue 12 deliveries, oldest 4s, slack stopped`.
fn status_line(fault: Option<String>, stats: &Stats, conditions: &BTreeMap<Name, Condition>, now: Timestamp) -> String {
    let waiting: u64 = stats.destinations.iter().map(|destination| destination.waiting).sum();
    let oldest = stats.destinations.iter().filter_map(|destination| destination.oldest).min();
    let queue = match waiting {
        0 => "queue empty".to_owned(),
        _ => format!("queue {}", text::count(waiting, "delivery", "deliveries")),
    };
    let oldest = oldest.map(|at| format!("oldest {}", text::span(now.since(at))));
    let troubles: Vec<_> = conditions.iter().filter_map(|(name, condition)| trouble(name, condition)).collect();
    let unnamed = troubles.len().saturating_sub(MAX_NAMED);
    let rest = (unnamed > 0).then(|| format!("{unnamed} more in trouble"));
    let fault = fault.map(|fault| format!("takes no events: {fault}"));
    let parts = fault.into_iter().chain([queue]).chain(oldest).chain(troubles.into_iter().take(MAX_NAMED)).chain(rest);
    parts.collect::<Vec<_>>().join(", ")
}

fn trouble(name: &Name, condition: &Condition) -> Option<String> {
    let word = match condition {
        Condition::Flowing | Condition::Limited { .. } => return None,
        Condition::Tripped { .. } => "tripped",
        Condition::Throttled { .. } => "throttled",
        Condition::Stopped { .. } => "stopped",
        Condition::Paused { .. } => "paused",
    };
    Some(format!("{name} {word}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DestinationStats;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn name(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    fn waiting(destination: &str, waiting: u64, for_seconds: u64) -> DestinationStats {
        let oldest = (waiting > 0).then(|| NOW.minus(Duration::from_secs(for_seconds)));
        DestinationStats { destination: name(destination), waiting, in_flight: 0, dead: 0, expired: 0, oldest }
    }

    fn stopped(destination: &str) -> (Name, Condition) {
        (name(destination), Condition::Stopped { since: NOW, reason: "401".into() })
    }

    #[test]
    fn the_line_says_what_waits_and_which_destinations_are_in_trouble() {
        let stats = Stats { destinations: vec![waiting("crm", 11, 3), waiting("slack", 1, 4)], ..Stats::default() };
        let conditions = [(name("crm"), Condition::Flowing), stopped("slack")].into();
        assert_eq!(status_line(None, &stats, &conditions, NOW), "queue 12 deliveries, oldest 4s, slack stopped");
        assert_eq!(status_line(None, &Stats::default(), &BTreeMap::new(), NOW), "queue empty");
    }

    #[test]
    fn a_fault_comes_first_and_a_long_list_is_cut() {
        let conditions = (0..7).map(|n| stopped(&format!("d{n}"))).collect();
        let line = status_line(Some("the disk is nearly full".into()), &Stats::default(), &conditions, NOW);
        let expected = "takes no events: the disk is nearly full, queue empty, d0 stopped, d1 stopped, d2 stopped, \
                        d3 stopped, d4 stopped, 2 more in trouble";
        assert_eq!(line, expected);
    }
}
