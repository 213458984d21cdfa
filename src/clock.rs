//! The only wall clock and the only dice. Decisions get the time and their chances as arguments.

use std::{sync::Arc, time::SystemTime};

use crate::model::Timestamp;

/// Tells the time. Cheap to clone; all clones agree.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock. It may jump, forwards and backwards, when somebody sets it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    pub fn system() -> Self {
        Self(Arc::new(|| SystemTime::now().into()))
    }

    /// A clock that tells what `read` returns, for tests and simulations of time.
    pub fn from_fn(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Ten random bytes of the operating system, for ids.
///
/// # Errors
/// When the operating system has no entropy, which on Linux happens in the first moments of a boot only.
pub fn random_bytes() -> Result<[u8; 10], getrandom::Error> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A random fraction in `0.0..1.0`, for jitter.
#[must_use]
pub fn roll() -> f64 {
    fastrand::f64()
}
