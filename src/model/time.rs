//! Points in time as the relay stores and shows them.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time: whole milliseconds since 1970-01-01 UTC, shown as RFC 3339.
///
/// Taken from [`crate::clock`] only, or derived from such a one; arithmetic saturates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// 9999-12-31T23:59:59.999Z, the last instant that RFC 3339 can write.
const LAST_MILLIS: u64 = 253_402_300_799_999;

impl Timestamp {
    /// The start of 1970 (UTC), before every event.
    pub const EPOCH: Self = Self(0);
    /// The last instant that can be written, after every event.
    pub const MAX: Self = Self(LAST_MILLIS);

    /// The instant `millis` milliseconds after 1970-01-01 UTC, at most the end of the year 9999.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        if millis > LAST_MILLIS { Self::MAX } else { Self(millis) }
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How much later this is than `earlier`; zero when it isn't later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This instant, `delay` later. Parts of a millisecond count as a whole one, so that "after" holds.
    #[must_use]
    pub fn plus(self, delay: Duration) -> Self {
        let millis = u64::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(LAST_MILLIS);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// This instant, `delay` earlier; 1970 at the least.
    #[must_use]
    pub fn minus(self, delay: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Reads an RFC 3339 time in UTC, such as `2026-09-22T09:14:06.413Z`, or a date such as `2026-09-22`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let whole;
        let text = if text.len() == "2026-09-22".len() {
            whole = format!("{text}T00:00:00Z");
            &whole
        } else {
            text
        };
        humantime::parse_rfc3339(text).ok().map(Self::from)
    }
}

impl From<SystemTime> for Timestamp {
    /// Times before 1970 become [`Timestamp::EPOCH`].
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(LAST_MILLIS))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(at.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&humantime::format_rfc3339_millis(SystemTime::from(*self)), f)
    }
}

impl Serialize for Timestamp {
    /// RFC 3339 text for people's formats (JSON), milliseconds for our own (the journal).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(Self::from_millis);
        }
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not an RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_shows() {
        let at = Timestamp::from_millis(1_790_012_345_678);
        assert_eq!(at.to_string(), "2026-09-21T17:39:05.678Z");
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
    }

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::EPOCH.minus(Duration::MAX), Timestamp::EPOCH);
        assert_eq!(Timestamp::EPOCH.since(Timestamp::MAX), Duration::ZERO);
    }

    #[test]
    fn a_part_of_a_millisecond_counts_as_a_whole_one() {
        assert_eq!(Timestamp::EPOCH.plus(Duration::from_nanos(1)), Timestamp::from_millis(1));
    }
}
