//! What a message says, for somebody who was asleep a minute ago: what happened, since when, how many, what to do.
//!
//! Names are those of the config; nothing of an event stands here.

use super::{Trouble, book::Case};
use crate::model::Timestamp;

const MIB: u64 = 1024 * 1024;

/// What a case is called, in a few words.
pub(super) fn headline(trouble: &Trouble) -> String {
    match trouble {
        Trouble::DiskLow => "little of the queue's disk is free".to_owned(),
        Trouble::DiskFilling => "the queue's disk fills up".to_owned(),
        Trouble::Damage => "the disk has damaged some of the queue".to_owned(),
        Trouble::Forged(source) => format!("requests to {source} have no valid signature"),
        Trouble::Quiet(source) => format!("nothing comes in from {source}"),
        Trouble::Stopped(destination) => format!("{destination} is stopped"),
        Trouble::Failing(destination) => format!("{destination} is failing"),
        Trouble::Backlog(destination) => format!("deliveries to {destination} are late"),
        Trouble::DeadLetters(destination) => format!("{destination} has dead letters"),
        Trouble::Reload => "a new configuration was refused".to_owned(),
        Trouble::Paused(destination) => format!("{destination} is paused"),
    }
}

/// What is known of a case that is not over.
pub(super) fn details(case: &Case) -> String {
    let (since, reason) = (time(case.since), reason(&case.detail));
    let waiting = count(case.amount, "delivery waits", "deliveries wait");
    match &case.trouble {
        Trouble::DiskLow => format!("{} MiB are free. Below `min_free_disk` no events are taken.", case.amount / MIB),
        Trouble::DiskFilling => {
            format!("At the rate of the last hour no events are taken in {} minutes from now on.", case.amount / 60)
        }
        Trouble::Damage => {
            let places = count(case.amount, "place or event", "places and events");
            format!("{places} can't be read. The relay goes on with what can.")
        }
        Trouble::Forged(_) => {
            let requests = count(case.amount, "request was", "requests were");
            format!("{requests} refused since {since}. If they are Atoms', their events are lost: it sends none twice.")
        }
        Trouble::Quiet(_) => format!("The last event came before {since}."),
        Trouble::Stopped(_) => format!("Since {since}{reason}. {waiting}; none is lost."),
        Trouble::Failing(_) => {
            format!("Since {since}{reason}. {waiting}; none is lost. They go out by themselves once it answers.")
        }
        Trouble::Backlog(_) => format!("{waiting}, the oldest since {since}."),
        Trouble::DeadLetters(_) => {
            let given_up = count(case.amount, "delivery was", "deliveries were");
            format!("{given_up} given up, first noticed {since}. They are kept for `dead_letter_retention`.")
        }
        Trouble::Reload => format!("At {since}. The relay runs on with the configuration of before."),
        Trouble::Paused(_) => format!("By a person, at {since}{reason}. {waiting}; none is lost."),
    }
}

/// What to do about it.
pub(super) fn advice(trouble: &Trouble) -> String {
    match trouble {
        Trouble::DiskLow => "Make room on that disk, or put the queue on a larger one.".to_owned(),
        Trouble::DiskFilling => {
            "`atoms-relay status` shows who has a backlog: mend that destination, or make room on the disk.".to_owned()
        }
        Trouble::Damage => {
            "Look at the disk (`dmesg`, SMART), then stop the relay and run `atoms-relay store verify`.".to_owned()
        }
        Trouble::Forged(source) => {
            format!("Compare the signing secret in Atoms with `secrets` of [source.{source}]; both may stand there.")
        }
        Trouble::Quiet(source) => {
            format!(
                "If there were calls, look at the webhook in Atoms and at what stands before the relay; try `atoms-relay send --source {source}`."
            )
        }
        Trouble::Stopped(destination) => {
            format!("Set right what it complains of, then `atoms-relay resume {destination}`.")
        }
        Trouble::Failing(destination) => {
            format!(
                "Look at that service. `atoms-relay deliveries --destination {destination} --state waiting` shows what waits."
            )
        }
        Trouble::Backlog(_) => {
            "It answers, but too slowly: `atoms-relay status` says how it is; see its `rate` and `concurrency`."
                .to_owned()
        }
        Trouble::DeadLetters(destination) => format!(
            "`atoms-relay dead list --destination {destination}` says why; once it is mended, \
             `atoms-relay dead replay --destination {destination}`."
        ),
        Trouble::Reload => "`atoms-relay check` shows what is wrong with it.".to_owned(),
        Trouble::Paused(destination) => format!("`atoms-relay resume {destination}` ends it."),
    }
}

/// That a case is over.
pub(super) fn over(case: &Case) -> String {
    let since = time(case.since);
    match &case.trouble {
        Trouble::DiskLow => "Enough of the disk is free again.".to_owned(),
        Trouble::DiskFilling => "It doesn't fill up any more.".to_owned(),
        Trouble::Damage => "The last start has found no further damage.".to_owned(),
        Trouble::Forged(_) => format!("None came of late. It began at {since}."),
        Trouble::Quiet(_) => format!("Events come again. There had been none since {since}."),
        Trouble::Stopped(_) | Trouble::Paused(_) => format!("It isn't any more. It was since {since}."),
        Trouble::Failing(_) => format!("It answers again. It had failed since {since}."),
        Trouble::Backlog(_) => "They are in time again.".to_owned(),
        Trouble::DeadLetters(_) => "There are none any more, or too few to be told of.".to_owned(),
        Trouble::Reload => "A later one was taken.".to_owned(),
    }
}

/// To the minute, in UTC: `2026-11-24 02:13 UTC`.
fn time(at: Timestamp) -> String {
    let text = at.to_string();
    let minutes = text.get(.."2026-11-24T02:13".len()).unwrap_or(&text);
    format!("{} UTC", minutes.replace('T', " "))
}

fn reason(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
