//! What can be wrong, and how bad each of it is. The order is that of a message: what can lose events comes first.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::model::Name;

/// Something that people have to look at. Names are those of destinations, or of sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Trouble {
    /// Little of the queue's disk is free, or so little that events are refused.
    DiskLow,
    /// The queue's disk will soon be full.
    DiskFilling,
    /// The disk has damaged some of the queue.
    Damage,
    /// Requests to a source have no valid signature.
    Forged(Name),
    /// A source sends nothing.
    Quiet(Name),
    /// A destination is set up wrong, and waits for a person.
    Stopped(Name),
    /// A destination has been failing for some time.
    Failing(Name),
    /// Deliveries to a destination come late.
    Backlog(Name),
    /// Deliveries to a destination were given up.
    DeadLetters(Name),
    /// A configuration was refused, and the relay runs with the one before.
    Reload,
    /// A person has paused a destination.
    Paused(Name),
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To be known, and nothing to be done.
    Info,
    /// To be looked at; nothing is lost meanwhile.
    Warning,
    /// Events are lost, or soon will be, or nothing goes on without a person.
    Critical,
}

impl Trouble {
    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::DiskLow | Self::DiskFilling | Self::Damage | Self::Forged(_) | Self::Stopped(_) => Severity::Critical,
            Self::Quiet(_) | Self::Failing(_) | Self::Backlog(_) | Self::DeadLetters(_) | Self::Reload => {
                Severity::Warning
            }
            Self::Paused(_) => Severity::Info,
        }
    }

    /// The destination that it is about.
    #[must_use]
    pub const fn destination(&self) -> Option<&Name> {
        match self {
            Self::Stopped(name)
            | Self::Failing(name)
            | Self::Backlog(name)
            | Self::DeadLetters(name)
            | Self::Paused(name) => Some(name),
            Self::DiskLow | Self::DiskFilling | Self::Damage | Self::Forged(_) | Self::Quiet(_) | Self::Reload => None,
        }
    }

    /// How long it has to last before people are told.
    pub(super) const fn patience(&self, policy: &Policy) -> Duration {
        match self {
            Self::Failing(_) => policy.failing,
            _ => Duration::ZERO,
        }
    }

    /// Whether people are told again while it lasts. A pause is what a person wants, and damage is what can't be undone.
    pub(super) const fn is_repeated(&self) -> bool {
        !matches!(self, Self::Paused(_) | Self::Damage)
    }

    /// Whether ten times as much of it is news.
    pub(super) const fn grows(&self) -> bool {
        matches!(self, Self::DeadLetters(_) | Self::Damage)
    }
}
