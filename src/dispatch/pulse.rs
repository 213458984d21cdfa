//! Whether a lane's loop still turns: it is asked for a turn, and the turn is waited for.
//!
//! An idle lane sleeps for a long time, so its silence alone says nothing.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// The lane's side. When the last one is dropped, the lane has ended.
#[derive(Debug, Clone)]
pub(super) struct Heart {
    wanted: Arc<Notify>,
    turns: Arc<watch::Sender<u64>>,
}

/// The side of whoever wants to know.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    wanted: Arc<Notify>,
    turns: watch::Receiver<u64>,
}

/// The two sides for a lane.
pub(super) fn heart() -> (Heart, Pulse) {
    let (wanted, (turns, seen)) = (Arc::new(Notify::new()), watch::channel(0));
    (Heart { wanted: Arc::clone(&wanted), turns: Arc::new(turns) }, Pulse { wanted, turns: seen })
}

impl Heart {
    /// The lane has turned once more.
    pub(super) fn beat(&self) {
        self.turns.send_modify(|turns| *turns += 1);
    }

    /// Waits until somebody asks for a turn.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

impl Pulse {
    /// Asks for a turn and waits until the lane has made one, or has ended.
    pub(super) async fn feel(mut self) {
        self.turns.mark_unchanged();
        self.wanted.notify_one();
        if self.turns.changed().await.is_err() {
            tracing::trace!("a lane that has ended has no pulse");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_turns_has_a_pulse_and_one_that_is_stuck_has_none() {
        let (heart, pulse) = heart();
        let stuck = timeout(Duration::from_secs(3_600), pulse.clone().feel()).await;
        assert!(stuck.is_err());
        let turn = async {
            heart.wanted().await;
            heart.beat();
        };
        tokio::join!(pulse.clone().feel(), turn);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_lane_that_has_ended() {
        let (heart, pulse) = heart();
        tokio::join!(pulse.feel(), async { drop(heart) });
    }
}
