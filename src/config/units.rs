//! Durations and sizes as people write them: `"15s"`, `"3d"`, `"8MiB"`.

use std::time::Duration;

use bytesize::ByteSize;
use toml::de::DeValue;

use super::{field::Field, reader::Reader};

/// One minute.
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// One hour.
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
/// One day.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Between which bounds a value makes sense, both included.
#[derive(Debug)]
pub(super) struct Bounds<T> {
    /// The least.
    pub(super) least: T,
    /// The most.
    pub(super) most: T,
    /// Why, for a person who wanted another value.
    pub(super) reason: &'static str,
    /// A good value as it stands in the file.
    pub(super) example: &'static str,
}

impl Field<'_> {
    /// The value as a duration within the bounds.
    pub(super) fn duration(&self, bounds: &Bounds<Duration>, reader: &mut Reader<'_>) -> Option<Duration> {
        reader.reveal(self.span());
        let text = self.measured("a duration", "s", bounds.example, reader)?;
        let Some(duration) = parse_duration(text) else {
            let message = "has to be a number with a unit: ms, s, m, h, d, for example \"250ms\", \"15s\", \"1h 30m\"";
            reader.report(self.error(message, bounds.example));
            return None;
        };
        if bounds.least <= duration && duration <= bounds.most {
            return Some(duration);
        }
        self.report_bounds(&show_duration(bounds.least), &show_duration(bounds.most), bounds, reader);
        None
    }

    /// The value as a number of bytes within the bounds.
    pub(super) fn size(&self, bounds: &Bounds<u64>, reader: &mut Reader<'_>) -> Option<u64> {
        reader.reveal(self.span());
        let text = self.measured("a size", "B", bounds.example, reader)?;
        let Ok(ByteSize(bytes)) = text.parse() else {
            let message = "has to be a number with a unit: B, KiB, MiB, GiB (1024s) or KB, MB, GB (1000s)";
            reader.report(self.error(message, bounds.example));
            return None;
        };
        if bounds.least <= bytes && bytes <= bounds.most {
            return Some(bytes);
        }
        self.report_bounds(&show_size(bounds.least), &show_size(bounds.most), bounds, reader);
        None
    }

    /// The text of a value with a unit. A bare number is the most frequent slip: it gets its own advice.
    fn measured(&self, what: &str, unit: &str, example: &str, reader: &mut Reader<'_>) -> Option<&str> {
        if let Some(text) = self.value().as_str() {
            return Some(text);
        }
        let expected = format!("{what} in quotes, with its unit");
        match self.value() {
            DeValue::Integer(number) => {
                reader.report(self.wrong_type(&expected, &format!("\"{}{unit}\"", number.as_str())));
            }
            _ => reader.report(self.wrong_type(&expected, example)),
        }
        None
    }

    fn report_bounds<T>(&self, least: &str, most: &str, bounds: &Bounds<T>, reader: &mut Reader<'_>) {
        let message = format!("has to be between {least} and {most}: {}", bounds.reason);
        reader.report(self.error(message, bounds.example));
    }
}

/// A duration as people write it. humantime also takes `M` for months, and years; whoever writes `30M` means minutes, and no duration here is as long as a
/// year needs.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    if text.contains('M') {
        return None;
    }
    humantime::parse_duration(text).ok()
}

/// A duration as the file writes it.
pub(super) fn show_duration(duration: Duration) -> String {
    let days = duration.as_secs() / DAY.as_secs();
    if days > 0 && DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX)) == duration {
        return format!("{days}d");
    }
    humantime::format_duration(duration).to_string()
}

/// A size as the file writes it.
pub(super) fn show_size(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(size, _)| bytes > 0 && bytes.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", bytes / size),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_the_file_writes_them() {
        assert_eq!(show_duration(30 * DAY), "30d");
        assert_eq!(show_duration(DAY), "1d");
        assert_eq!(show_duration(Duration::from_millis(250)), "250ms");
        assert_eq!(show_duration(HOUR + 30 * MINUTE), "1h 30m");
    }

    #[test]
    fn a_capital_m_is_neither_minutes_nor_months() {
        assert_eq!(parse_duration("30m"), Some(30 * MINUTE));
        assert_eq!(parse_duration("30M"), None);
    }

    #[test]
    fn sizes_are_shown_in_their_largest_whole_unit() {
        assert_eq!(show_size(8 << 20), "8MiB");
        assert_eq!(show_size(1 << 30), "1GiB");
        assert_eq!(show_size(1000), "1000B");
        assert_eq!(show_size(0), "0B");
    }
}
