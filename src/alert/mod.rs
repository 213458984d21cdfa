//! What is wrong, and what do people have to be told of it, when?
//!
//! [`Watch`] makes findings of what is observed; [`Book`] remembers which of them people know already and says what the next
//! message holds. What happens together goes into one message, and nobody is told a thing again and again:
//!
//! | what | when |
//! | --- | --- |
//! | something new | after `gather`, so that what follows from it comes along; what passes within that time is never told |
//! | it goes on | after `repeat`, then after twice that time, and so on, up to a day; a pause by a person isn't repeated |
//! | it has become ten times as much | at once |
//! | it is over | once it has been over for five minutes; each time it comes back within a day, it takes twice as long |
//!
//! However much goes wrong, there are [`MOST_AN_HOUR`] messages an hour at most; what they can't hold is not lost but in
//! the next one. A message never goes to a destination that it is about.
//!
//! Pure: the time and what is observed are arguments. What people know is kept in the messages themselves, each of which is an
//! event in the store: a start reads the last one, and repeats nothing.

mod book;
mod body;
mod finding;
mod trouble;
mod watch;
mod words;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, num::NonZeroU64, time::Duration};

pub use self::{
    body::{EVENT_TYPE, THREAD, drill},
    book::{Book, MOST_AN_HOUR, Message},
    finding::{Finding, Findings},
    trouble::{Severity, Trouble},
    watch::{DestinationSeen, DiskSeen, Observation, SourceSeen, Watch},
};
use crate::{model::Name, rate::Window};

/// From where on people want to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What this relay is called in messages.
    pub relay: String,
    /// Who is told.
    pub to: Vec<Name>,
    /// So many dead letters of a destination.
    pub dead_letters: NonZeroU64,
    /// A delivery that is due has waited for so long.
    pub backlog_age: Duration,
    /// A destination has been failing for so long.
    pub failing: Duration,
    /// So few bytes are free on the queue's disk.
    pub disk_free: u64,
    /// At the present rate the disk is full after this time.
    pub disk_full_in: Duration,
    /// So many requests with a missing or wrong signature, in a time, to one source.
    pub signature_failures: Window,
    /// For how long these sources may be silent.
    pub quiet: BTreeMap<Name, Duration>,
    /// How long it takes until what goes on is told a second time.
    pub repeat: Duration,
    /// How long a message waits for what happens together.
    pub gather: Duration,
}
