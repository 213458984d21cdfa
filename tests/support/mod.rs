//! What the test binaries share: a client that speaks HTTP by hand, the fixtures, and parts of a relay to talk to.
//!
//! Nothing here pretends to be a part of the relay. Every wait has a deadline and panics at it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses what it needs")]

pub mod disk;
pub mod fixtures;
pub mod forward;
pub mod receiver;
pub mod relay;
pub mod scripted;
pub mod sender;
pub mod sink;
pub mod wire;

use std::{sync::Arc, time::Duration};

use atoms_relay::{clock::Clock, telemetry::Metrics};
use tokio::time::{Instant, sleep, timeout};

/// Longer than anything takes on a machine that is busy with other tests.
const DEADLINE: Duration = Duration::from_secs(30);

/// Awaits `what`.
///
/// # Panics
/// After half a minute.
pub async fn within<F: Future>(doing: &str, what: F) -> F::Output {
    timeout(DEADLINE, what).await.unwrap_or_else(|_| panic!("{doing} took longer than {DEADLINE:?}"))
}

/// Asks `question` until it has an answer.
///
/// # Panics
/// After half a minute.
pub async fn eventually<T>(doing: &str, mut question: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = question().await {
            return answer;
        }
        assert!(Instant::now() < end, "{doing} took longer than {DEADLINE:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Metrics of a relay, or of the part of one, that starts now.
pub fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(Clock::system().now()))
}
