//! What becomes of the delivery? From an attempt's meaning, the time and a roll of the dice to a [`Verdict`].

use std::time::Duration;

/// How a destination wants failed deliveries tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    initial: Duration,
    max: Duration,
    give_up_after: Duration,
}

impl RetryPolicy {
    /// A policy: the first retry comes `initial` after the first failure, each further one twice as late, at most `max`; after
    /// `give_up_after` since the event came in, the delivery is given up.
    ///
    /// # Errors
    /// [`RetryPolicyError`].
    pub fn try_new(initial: Duration, max: Duration, give_up_after: Duration) -> Result<Self, RetryPolicyError> {
        if initial.is_zero() {
            return Err(RetryPolicyError::NoDelay);
        }
        if max < initial {
            return Err(RetryPolicyError::MaxBelowInitial);
        }
        Ok(Self { initial, max, give_up_after })
    }
}

/// Why a policy can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetryPolicyError {
    /// Retrying without a pause is an attack.
    #[error("`initial` has to be longer than nothing")]
    NoDelay,
    /// The bounds are the wrong way round.
    #[error("`max` has to be at least `initial`")]
    MaxBelowInitial,
}
