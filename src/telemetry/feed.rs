//! What happens, told as it happens to whoever listens.
//!
//! Nobody is waited for: a listener that is too slow misses the oldest of what it hasn't heard yet, and learns how much. While
//! nobody listens nothing is put together, so that telling costs nothing. There is no body here, and nothing of an answer.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::broadcast;

use crate::model::{Attempt, DeadReason, Delivery, DeliveryId, EventId, Name, NewEvent, Reading, Timestamp};

/// What a listener may be behind: a burst of some seconds at a usual pace, and 100 KiB at most.
const MAX_BEHIND: usize = 1024;

/// What happened, with a number that counts what was told.
#[derive(Debug, Clone)]
pub struct News {
    /// From 1 at the start of the relay.
    pub number: u64,
    /// What it is.
    pub what: Happening,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Happening {
    /// An event was stored for the first time.
    Accepted {
        /// Which one.
        id: EventId,
        /// Who sent it.
        source: Name,
        /// What it says of itself.
        reading: Reading,
        /// Bytes of its body.
        body_len: u32,
        /// How its deliveries begin.
        deliveries: Vec<Delivery>,
    },
    /// An attempt is over.
    Attempted {
        /// At which delivery.
        id: DeliveryId,
        /// What its event is about.
        about: About,
        /// What was met.
        attempt: Attempt,
    },
    /// A delivery waits no more.
    Settled {
        /// Which one.
        id: DeliveryId,
        /// What its event is about.
        about: About,
        /// When.
        at: Timestamp,
        /// How it ended.
        end: End,
    },
    /// How a destination is doing has changed.
    Destination(Name),
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The destination has it.
    Delivered,
    /// It was given up.
    Dead(DeadReason),
    /// It was retired for its age.
    Expired,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Who sent it.
    pub source: Name,
    /// What it says of itself.
    pub reading: Reading,
}

impl Happening {
    /// That an event is stored, if it is.
    #[must_use]
    pub fn accepted(new: &NewEvent) -> Self {
        let event = &new.event;
        Self::Accepted {
            id: event.id,
            source: event.source.clone(),
            reading: event.reading.clone(),
            body_len: u32::try_from(event.body.len()).unwrap_or(u32::MAX),
            deliveries: new.deliveries.iter().map(|delivery| delivery.begin(event.received_at).0).collect(),
        }
    }
}

/// Where news are told. Clones tell the same listeners.
#[derive(Debug, Clone)]
pub struct Feed {
    listeners: broadcast::Sender<Arc<News>>,
    told: Arc<AtomicU64>,
}

impl Feed {
    /// Nobody listens yet.
    pub(super) fn new() -> Self {
        Self { listeners: broadcast::Sender::new(MAX_BEHIND), told: Arc::default() }
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.listeners.receiver_count() > 0
    }

    /// Tells whoever listens.
    pub fn tell(&self, what: Happening) {
        let number = self.told.fetch_add(1, Ordering::Relaxed) + 1;
        // When the last one has just left, nobody misses it.
        let _unheard = self.listeners.send(Arc::new(News { number, what }));
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener(self.listeners.subscribe())
    }
}

/// Hears what is told.
pub struct Listener(broadcast::Receiver<Arc<News>>);

/// What a listener learns.
#[derive(Debug, Clone)]
pub enum Heard {
    /// This happened.
    News(Arc<News>),
    /// So much happened that wasn't listened to in time.
    Missed(u64),
}

impl Listener {
    /// Waits for the next; `None` when nothing will be told any more.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(news) => Some(Heard::News(news)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        Name::new("crm").unwrap()
    }

    #[tokio::test]
    async fn who_is_too_slow_learns_how_much_was_missed_and_hears_the_rest() {
        let feed = Feed::new();
        assert!(!feed.is_heard());
        let mut listener = feed.listen();
        assert!(feed.is_heard());
        let more = 10;
        for _ in 0..MAX_BEHIND + more {
            feed.tell(Happening::Destination(name()));
        }
        assert!(matches!(listener.next().await, Some(Heard::Missed(missed)) if missed == more as u64));
        let Some(Heard::News(news)) = listener.next().await else { panic!("nothing is left") };
        assert_eq!(news.number, more as u64 + 1);
    }
}
