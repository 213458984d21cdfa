//! `retry`: how long a destination is tried again.

use std::time::Duration;

use crate::{
    config::{
        field::Field,
        problem::Problem,
        reader::Reader,
        section::{Keys, Section},
        units::{Bounds, DAY, HOUR, show_duration},
    },
    retry::RetryPolicy,
};

pub(in crate::config) const KEYS: Keys = Keys { known: &["initial", "max", "give_up_after"], later: &[] };

const DEFAULT_INITIAL: Duration = Duration::from_secs(5);
const DEFAULT_MAX: Duration = HOUR;
const DEFAULT_GIVE_UP_AFTER: Duration = DAY.saturating_mul(3);

const INITIAL: Bounds<Duration> = Bounds {
    least: Duration::from_millis(1),
    most: DAY,
    reason: "without a pause a retry is an attack, and after a day nobody counts on it",
    example: "\"5s\"",
};

const MAX: Bounds<Duration> = Bounds {
    least: Duration::from_millis(1),
    most: DAY,
    reason: "a destination that is up again should not wait for longer",
    example: "\"1h\"",
};

const GIVE_UP_AFTER: Bounds<Duration> = Bounds {
    least: Duration::from_millis(1),
    most: DAY.saturating_mul(365),
    reason: "the event has to be kept for that long",
    example: "\"3d\"",
};

const IDEMPOTENCY_WINDOW: Bounds<Duration> = Bounds {
    least: Duration::from_secs(1),
    most: DAY.saturating_mul(365),
    reason: "it is the time for which the destination recognises an `Idempotency-Key`",
    example: "\"2h\"",
};

/// Reads the table; nothing when its policy can't be. Whoever sets one bound beyond the other's default moves both.
pub(super) fn read(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<RetryPolicy> {
    let initial_field = section.field("initial");
    let mut duration = |key, bounds| section.field(key).and_then(|field| field.duration(bounds, reader));
    let (initial, max) = (duration("initial", &INITIAL), duration("max", &MAX));
    let give_up_after = duration("give_up_after", &GIVE_UP_AFTER).unwrap_or(DEFAULT_GIVE_UP_AFTER);

    let initial = initial.unwrap_or_else(|| max.map_or(DEFAULT_INITIAL, |max| max.min(DEFAULT_INITIAL)));
    let max = max.unwrap_or(DEFAULT_MAX.max(initial));
    match RetryPolicy::try_new(initial, max, give_up_after) {
        Ok(policy) => {
            warn_of_no_retry(section.field("give_up_after"), initial, give_up_after, reader);
            Some(policy)
        }
        Err(error) => {
            let span = initial_field.map_or_else(|| section.span(), |field| field.span());
            let help = format!("`max` is {} here", show_duration(max));
            reader.report(Problem::error(span, error.to_string()).help(help));
            None
        }
    }
}

/// Warns when deliveries are tried for longer than the destination recognises that it has them already.
pub(super) fn check_window(destination: &Section<'_>, policy: Option<RetryPolicy>, reader: &mut Reader<'_>) {
    let Some(field) = destination.field("idempotency_window") else { return };
    let window = field.duration(&IDEMPOTENCY_WINDOW, reader);
    let (Some(window), Some(policy)) = (window, policy) else { return };
    if window < policy.give_up_after() {
        let (window, life) = (show_duration(window), show_duration(policy.give_up_after()));
        let message = format!(
            "the destination knows a repeated delivery for {window}, and it is tried for {life}: after that time it may get \
             an event twice"
        );
        let help = "shorten `give_up_after` in `retry`, or let a rule of `outcome` find out";
        reader.report(Problem::warning(field.span(), message).help(help));
    }
}

fn warn_of_no_retry(field: Option<Field<'_>>, initial: Duration, give_up_after: Duration, reader: &mut Reader<'_>) {
    let Some(field) = field.filter(|_| give_up_after < initial) else { return };
    let message = format!("nothing is ever tried again: the first retry comes after {}", show_duration(initial));
    reader.report(Problem::warning(field.span(), message).help("make `give_up_after` longer than `initial`"));
}
