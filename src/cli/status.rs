//! `status`: how the relay is, and each destination.

use std::time::Duration;

use super::{
    Session,
    admin_client::Question,
    failure::Failure,
    table::{Cell, Side, Table, Tone},
    text::{age, count, grouped, harmless, size, span, until},
};
use crate::{
    admin::view::{ConditionName, ConfigStatusView, DestinationView, QueueView, ReadinessView, StatusView},
    config::Colour,
    model::Timestamp,
};

/// When the disk will be full is said when it is less than this away: further off it is no more than noise.
const WORTH_SAYING: Duration = Duration::from_secs(30 * 86_400);

/// Runs `status`.
pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let status: StatusView = session.admin().get(Question::new(["status"])).await?;
    session.console.show(&status, words)
}

fn words(status: &StatusView, colour: Colour) -> String {
    let (version, ready) = (harmless(&status.version), readiness(&status.readiness, colour));
    let (up, config_age) = (age(status.now, status.started_at), age(status.now, status.config.loaded_at));
    let relay = format!("atoms-relay {version}, {ready}, up {up}, config read {config_age} ago");
    let mut lines = vec![relay, queue(status), String::new()];
    if status.destinations.is_empty() {
        lines.push("No destination is configured: events are kept and go nowhere.".to_owned());
    } else {
        lines.push(destinations(&status.destinations, status.now).render(colour));
    }
    lines.extend(damage(&status.queue, colour));
    lines.extend(config(status, colour));
    lines.extend(status.destinations.iter().filter_map(|destination| advice(destination, status.now)));
    lines.join("\n")
}

/// Whether the relay takes events, and why not.
pub(super) fn readiness(readiness: &ReadinessView, colour: Colour) -> String {
    if readiness.ready {
        return Tone::Good.paint("ready", colour);
    }
    let reasons: Vec<String> =
        readiness.checks.iter().filter_map(|check| check.reason.as_deref()).map(harmless).collect();
    Tone::Bad.paint(&format!("not ready: {}", reasons.join("; ")), colour)
}

/// What is kept, in a line.
pub(super) fn queue(status: &StatusView) -> String {
    let queue = &status.queue;
    let mut parts = vec![
        format!("{} kept ({})", count(queue.events, "event", "events"), disk(queue)),
        format!("{} waiting", grouped(queue.waiting)),
        count(queue.dead, "dead letter", "dead letters"),
    ];
    if queue.unrouted > 0 {
        parts.push(format!("{} unrouted", grouped(queue.unrouted)));
    }
    if queue.quarantined > 0 {
        parts.push(format!("{} in quarantine", grouped(queue.quarantined)));
    }
    parts.join(", ")
}

/// What was found damaged; `None` while all can be read.
fn damage(queue: &QueueView, colour: Colour) -> Option<String> {
    if queue.damaged_places == 0 && queue.damaged_events == 0 {
        return None;
    }
    let places = count(queue.damaged_places, "damaged place", "damaged places");
    let events = count(queue.damaged_events, "event", "events");
    let what = format!(
        "The disk has damaged the queue: {places} ({}), {events} unreadable. See `atoms-relay store verify`.",
        size(queue.damaged_bytes)
    );
    Some(Tone::Bad.paint(&what, colour))
}

/// What the relay doesn't do although the config file says so.
fn config(status: &StatusView, colour: Colour) -> Vec<String> {
    let ConfigStatusView { needs_restart, last_reload, .. } = &status.config;
    let refused = last_reload.as_ref().filter(|reload| !reload.ok).map(|reload| {
        let (when, why) = (age(status.now, reload.at), harmless(reload.problem.as_deref().unwrap_or_default()));
        let what = format!("The config was read again {when} ago and not taken: {why}. `atoms-relay check` shows all.");
        Tone::Bad.paint(&what, colour)
    });
    let waits = (!needs_restart.is_empty())
        .then(|| format!("A restart is needed for what the config says of {}.", needs_restart.join(", ")));
    refused.into_iter().chain(waits).collect()
}

fn disk(queue: &QueueView) -> String {
    let left = queue.disk_full_in_seconds.map(Duration::from_secs).filter(|left| *left < WORTH_SAYING);
    let used = format!("{} on disk", size(queue.disk_bytes));
    let free = queue.disk_free_bytes.map(|free| format!("{} free", size(free)));
    let full = left.map(|left| format!("full in about {} at this rate", span(left)));
    [Some(used), free, full].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn destinations(views: &[DestinationView], now: Timestamp) -> Table {
    let mut table = Table::new([
        ("DESTINATION", Side::Left),
        ("CONDITION", Side::Left),
        ("WAITING", Side::Right),
        ("IN FLIGHT", Side::Right),
        ("DEAD", Side::Right),
        ("OLDEST", Side::Right),
        ("DRAINED IN", Side::Right),
    ]);
    for view in views {
        let dead = if view.dead > 0 { Tone::Bad } else { Tone::Plain };
        table.row([
            view.name.as_str().into(),
            condition(view.condition),
            grouped(view.waiting).into(),
            grouped(view.in_flight).into(),
            Cell(dead, grouped(view.dead)),
            view.oldest.map_or_else(|| "-".to_owned(), |oldest| age(now, oldest)).into(),
            drained_in(view).into(),
        ]);
    }
    table
}

/// How long until nothing waits, as far as anybody can say.
pub(super) fn drained_in(view: &DestinationView) -> String {
    view.drain_seconds.map_or_else(|| "-".to_owned(), |left| span(Duration::from_secs(left)))
}

/// A condition in its tone.
pub(super) fn condition(condition: ConditionName) -> Cell {
    let (tone, word) = match condition {
        ConditionName::Flowing => (Tone::Good, "flowing"),
        ConditionName::Tripped => (Tone::Warning, "tripped"),
        ConditionName::Limited => (Tone::Plain, "limited"),
        ConditionName::Throttled => (Tone::Warning, "throttled"),
        ConditionName::Stopped => (Tone::Bad, "stopped"),
        ConditionName::Paused => (Tone::Warning, "paused"),
        ConditionName::Unconfigured => (Tone::Bad, "unconfigured"),
    };
    Cell(tone, word.to_owned())
}

/// What holds a destination back, and what a person can do.
pub(super) fn advice(view: &DestinationView, now: Timestamp) -> Option<String> {
    let name = &view.name;
    let since = view.since.map_or_else(String::new, |since| format!(" for {}", age(now, since)));
    let reason = view.reason.as_deref().filter(|reason| !reason.is_empty());
    let reason = reason.map_or_else(String::new, |reason| format!(": {}", harmless(reason)));
    let next = view.until.map_or_else(String::new, |at| format!(", next try {}", until(now, at)));
    Some(match view.condition {
        ConditionName::Flowing => return None,
        ConditionName::Tripped => format!("{name} has been failing{since}{reason}{next}."),
        ConditionName::Limited => format!("{name} has been limited{since}{reason}."),
        ConditionName::Throttled => format!("{name} is throttled{reason}{next}."),
        ConditionName::Stopped => {
            format!("{name} has been stopped{since}{reason}. When it is mended: `atoms-relay resume {name}`.")
        }
        ConditionName::Paused => {
            let end = view.until.map_or_else(String::new, |at| format!(" It goes on by itself {}.", until(now, at)));
            format!("{name} has been paused{since}{reason}.{end} To go on: `atoms-relay resume {name}`.")
        }
        ConditionName::Unconfigured => format!(
            "{name} is not in the config any more, but something is kept for it: put it back, or look at `atoms-relay \
             deliveries --destination {name}`."
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::view::{LastReloadView, QueueView},
        model::Name,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn destination(name: &str, condition: ConditionName) -> DestinationView {
        DestinationView {
            name: Name::new(name).unwrap(),
            condition,
            reason: None,
            since: None,
            until: None,
            waiting: 0,
            in_flight: 0,
            dead: 0,
            expired: 0,
            oldest: None,
            attempts_total: 0,
            delivered_total: 0,
            failed_total: 0,
            drain_seconds: None,
        }
    }

    #[test]
    fn the_status_fits_on_a_screen_and_says_what_to_do() {
        let failing = DestinationView {
            reason: Some("answered 503\u{1b}[2J".into()),
            since: Some(Timestamp::from_millis(760_000)),
            until: Some(Timestamp::from_millis(1_012_000)),
            waiting: 1_204,
            in_flight: 1,
            dead: 2,
            oldest: Some(Timestamp::from_millis(700_000)),
            drain_seconds: Some(600),
            ..destination("billing", ConditionName::Tripped)
        };
        let status = StatusView {
            version: "0.1.0".into(),
            now: NOW,
            started_at: Timestamp::EPOCH,
            readiness: ReadinessView { ready: true, checks: Vec::new() },
            config: ConfigStatusView {
                loaded_at: Timestamp::from_millis(880_000),
                needs_restart: vec!["queue.path".into()],
                last_reload: Some(LastReloadView {
                    at: Timestamp::from_millis(940_000),
                    ok: false,
                    problem: Some("relay.toml:12: [destination.crm] has no key `ulr`".into()),
                    problems: None,
                }),
            },
            queue: QueueView {
                events: 1,
                unrouted: 0,
                quarantined: 3,
                waiting: 1_204,
                dead: 2,
                disk_bytes: 2_048,
                disk_free_bytes: Some(3 * 1024 * 1024 * 1024),
                damaged_places: 1,
                damaged_bytes: 512,
                damaged_events: 2,
                disk_full_in_seconds: Some(5 * 86_400),
            },
            accepted_total: 1_300,
            attempts_total: 100,
            delivered_total: 90,
            failed_total: 10,
            destinations: vec![destination("crm", ConditionName::Flowing), failing],
        };
        let wanted = r"atoms-relay 0.1.0, ready, up 16m, config read 2m ago
1 event kept (2.0 KiB on disk, 3.0 GiB free, full in about 5d at this rate), 1,204 waiting, 2 dead letters, 3 in quarantine

DESTINATION  CONDITION  WAITING  IN FLIGHT  DEAD  OLDEST  DRAINED IN
crm          flowing          0          0     0       -           -
billing      tripped      1,204          1     2      5m         10m

The disk has damaged the queue: 1 damaged place (512 B), 2 events unreadable. See `atoms-relay store verify`.
The config was read again 1m ago and not taken: relay.toml:12: [destination.crm] has no key `ulr`. `atoms-relay check` shows all.
A restart is needed for what the config says of queue.path.
billing has been failing for 4m: answered 503\u{1b}[2J, next try in 12s.";
        assert_eq!(words(&status, Colour::Plain), wanted);
    }
}
