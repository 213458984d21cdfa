//! A clock that a test can put forward, so that hours pass in it while it waits for milliseconds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use atoms_relay::clock::Clock;

/// How far it is ahead of the system's clock. Clones are the same one.
#[derive(Clone, Default)]
pub struct Forward(Arc<AtomicU64>);

impl Forward {
    /// Puts it forward by so many whole seconds.
    pub fn by(&self, time: Duration) {
        self.0.fetch_add(time.as_secs(), Ordering::SeqCst);
    }

    /// The clock.
    pub fn clock(&self) -> Clock {
        let (system, ahead) = (Clock::system(), Arc::clone(&self.0));
        Clock::from_fn(move || system.now().plus(Duration::from_secs(ahead.load(Ordering::SeqCst))))
    }
}
