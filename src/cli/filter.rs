//! The options that choose events, shared by the commands that list them.

use std::{str::FromStr, time::Duration};

use super::admin_client::Question;
use crate::{
    clock::Clock,
    model::{EventId, Name, Timestamp},
};

/// Which events, by what they say of themselves.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Kinds {
    /// Only events of this agent.
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// Only events of this type, such as `post-conversation`.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only events of this call.
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// Only events from this source.
    #[arg(long, value_name = "NAME")]
    source: Option<Name>,
}

impl Kinds {
    /// `question`, about these events only.
    pub(super) fn narrow(&self, question: Question) -> Question {
        question
            .with("agent", self.agent.as_ref())
            .with("type", self.event_type.as_ref())
            .with("call", self.call.as_ref())
            .with("source", self.source.as_ref())
    }
}

/// Which events, and how many.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Filter {
    #[command(flatten)]
    kinds: Kinds,
    /// Only events received since then: a length of time such as `2h`, or a UTC time such as `2026-09-22T09:14:06Z`.
    #[arg(long, value_name = "WHEN")]
    since: Option<When>,
    /// Only events received before then.
    #[arg(long, value_name = "WHEN")]
    until: Option<When>,
    /// Go on where a list ended: the event that it named.
    #[arg(long, value_name = "ID")]
    cursor: Option<EventId>,
    /// Show at most this many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl Filter {
    /// `question`, about these events only.
    pub(super) fn narrow(&self, question: Question, clock: &Clock) -> Question {
        let at = |when: &Option<When>| when.as_ref().map(|when| when.before(clock.now()));
        self.kinds
            .narrow(question)
            .with("since", at(&self.since))
            .with("until", at(&self.until))
            .with("cursor", self.cursor)
    }

    /// How many to show.
    pub(super) fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}

/// A point in time, as people give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// This one.
    At(Timestamp),
    /// As long ago as this.
    Ago(Duration),
}

impl When {
    /// That time, when it is `now`.
    pub(super) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(length) => now.minus(length),
        }
    }
}

impl FromStr for When {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ago = || humantime::parse_duration(text).ok().map(Self::Ago);
        let wanted = "write a length of time such as 2h or 3d, a date, or a UTC time such as 2026-09-22T09:14:06Z";
        Timestamp::parse(text).map(Self::At).or_else(ago).ok_or(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_given_as_such_or_as_an_age() {
        let now = Timestamp::from_millis(10_000_000);
        assert_eq!("2h".parse::<When>().unwrap().before(now), Timestamp::from_millis(2_800_000));
        assert_eq!("1970-01-01".parse::<When>().unwrap().before(now), Timestamp::EPOCH);
        assert!("yesterday".parse::<When>().is_err());
    }
}
