//! Rates as people write them: `"50/s"`, `"4/1s"`, `"100/m"`, or several of them, which all hold.

use std::{num::NonZeroUsize, time::Duration};

use super::{
    field::Field,
    reader::Reader,
    units::{self, DAY, show_duration},
};
use crate::rate::Window;

const EXAMPLE: &str = "\"50/s\"";

/// Vendors count in windows of a second to a month.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = DAY.saturating_mul(31);

/// More than a relay sends in a window of any length that vendors count in.
const MOST: usize = 100_000_000;

/// Windows of one rate. Each takes up to 24 KiB.
const MOST_WINDOWS: usize = 16;

/// The windows of `rate`; none when there is something wrong with it.
pub(super) fn read(field: &Field<'_>, reader: &mut Reader<'_>) -> Vec<Window> {
    let Some(items) = field.items() else { return read_one(field, reader).into_iter().collect() };
    if items.is_empty() || items.len() > MOST_WINDOWS {
        let message = format!("has to name one window at least, and {MOST_WINDOWS} at most");
        reader.report(field.error(message, "[\"4/1s\", \"60/30s\"]"));
    }
    items.iter().filter_map(|item| read_one(item, reader)).collect()
}

/// The only window of a rate; nothing when there is something wrong with it.
pub(super) fn read_one(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Window> {
    let text = field.text(EXAMPLE, reader)?;
    let Some((limit, length)) = parse(text) else {
        let message = "has to be a number of requests and a length of time, for example \"50/s\", \"4/1s\", \"100/m\", \
                       or a list of such";
        reader.report(field.error(message, EXAMPLE));
        return None;
    };
    let window = NonZeroUsize::new(limit).filter(|limit| limit.get() <= MOST).map(|limit| Window { limit, length });
    let window = window.filter(|window| (SHORTEST..=LONGEST).contains(&window.length));
    if window.is_none() {
        let (shortest, longest) = (show_duration(SHORTEST), show_duration(LONGEST));
        let message = format!("has to be 1 to {MOST} requests in {shortest} to {longest}");
        reader.report(field.error(message, EXAMPLE));
    }
    window
}

/// A number and what it is counted in. A unit without a number is one of it.
fn parse(text: &str) -> Option<(usize, Duration)> {
    let (limit, length) = text.split_once('/')?;
    let length = length.trim();
    let whole = if length.starts_with(|c: char| c.is_ascii_digit()) { length.to_owned() } else { format!("1{length}") };
    Some((limit.trim().parse().ok()?, units::parse_duration(&whole)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!(parse("50/s"), Some((50, Duration::from_secs(1))));
        assert_eq!(parse("4/1s"), Some((4, Duration::from_secs(1))));
        assert_eq!(parse("60 / 30s"), Some((60, Duration::from_secs(30))));
        assert_eq!(parse("100/m"), Some((100, Duration::from_secs(60))));
        assert_eq!(parse("650000/d"), Some((650_000, DAY)));
        for text in ["50", "50/", "/s", "x/s", "-1/s", "1.5/s", "5/fortnight", "5/M"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
