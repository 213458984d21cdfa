//! What is counted of the requests that come in, by source.

use std::{borrow::Cow, time::Duration};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{
    Durations, Labels,
    split::{Split, Word},
};
use crate::{model::EventId, telemetry::Feed};

/// A request: a millisecond where the disk is fast, up to the 30 s after which Atoms gives up.
const REQUEST_BOUNDS: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];
/// A body, in steps of four: 1 KiB to 16 MiB. Calls of an hour have about 50 kB.
const BODY_BOUNDS: [f64; 8] = [1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

/// What is answered; 499 are those who hung up before, 500 our bugs.
const STATUSES: [u16; 11] = [200, 400, 401, 404, 405, 408, 413, 415, 499, 500, 503];

/// The event types of Atoms, and what every other type counts as.
const EVENT_TYPES: [&str; 4] = ["pre-conversation", "post-conversation", "analytics-completed", OTHER_TYPE];
const OTHER_TYPE: &str = "other";

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// No source has the path.
    Path,
    /// The path takes other methods.
    Method,
    /// Not exactly one `Host`.
    Host,
    /// The body is compressed.
    Encoding,
    /// The body is too long.
    TooLarge,
    /// The body didn't come in time.
    TooSlow,
    /// The body ended early.
    Broken,
    /// The signature is missing or wrong.
    Signature,
    /// Too many long bodies at a time.
    Memory,
    /// The disk is nearly full.
    DiskFull,
    /// The store failed, is closed, or didn't answer in time.
    Store,
}

/// All reasons.
const REASONS: [RefusalReason; 11] = [
    RefusalReason::Path,
    RefusalReason::Method,
    RefusalReason::Host,
    RefusalReason::Encoding,
    RefusalReason::TooLarge,
    RefusalReason::TooSlow,
    RefusalReason::Broken,
    RefusalReason::Signature,
    RefusalReason::Memory,
    RefusalReason::DiskFull,
    RefusalReason::Store,
];

impl Word for RefusalReason {
    fn word(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Path => "path",
            Self::Method => "method",
            Self::Host => "host",
            Self::Encoding => "encoding",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::Broken => "broken",
            Self::Signature => "signature",
            Self::Memory => "memory",
            Self::DiskFull => "disk_full",
            Self::Store => "store",
        })
    }
}

/// The families of which each source has a part.
pub(super) struct SourceFamilies {
    requests: Family<Labels<2>, Counter>,
    durations: Family<Labels<1>, Durations, fn() -> Durations>,
    bodies: Family<Labels<1>, Histogram, fn() -> Histogram>,
    refused: Family<Labels<2>, Counter>,
    accepted: Family<Labels<2>, Counter>,
    duplicates: Family<Labels<1>, Counter>,
    quarantined: Family<Labels<1>, Counter>,
    unrouted: Family<Labels<1>, Counter>,
    /// Events of all sources and types, readable or not.
    stored: Counter,
    feed: Feed,
}

impl SourceFamilies {
    pub(super) fn register(registry: &mut Registry, feed: Feed) -> Self {
        let families = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Durations::within(REQUEST_BOUNDS)),
            bodies: Family::new_with_constructor(|| Histogram::new(BODY_BOUNDS)),
            refused: Family::default(),
            accepted: Family::default(),
            duplicates: Family::default(),
            quarantined: Family::default(),
            unrouted: Family::default(),
            stored: Counter::default(),
            feed,
        };
        let help = "Requests that came in, by the status of their answer";
        registry.register("ingest_requests", help, families.requests.clone());
        registry.register("ingest_refused", "Requests that were refused, by reason", families.refused.clone());
        let help = "Events that were stored for the first time and could be read";
        registry.register("events_accepted", help, families.accepted.clone());
        let help = "Events that were stored already when they came";
        registry.register("events_duplicate", help, families.duplicates.clone());
        let help = "Authentic events that were stored but could not be read";
        registry.register("events_quarantined", help, families.quarantined.clone());
        let help = "Events that were stored but fitted no route";
        registry.register("events_unrouted", help, families.unrouted.clone());
        let help = "From the end of a request's head to its answer";
        registry.register_with_unit("ingest_request_duration", help, Unit::Seconds, families.durations.clone());
        let help = "Sizes of authentic bodies";
        registry.register_with_unit("ingest_body", help, Unit::Bytes, families.bodies.clone());
        families
    }

    /// Events that were stored for the first time, from all sources.
    pub(super) fn stored(&self) -> u64 {
        self.stored.get()
    }

    /// The part of a source, there from now on.
    pub(super) fn of(&self, source: &str) -> SourceMetrics {
        let (of, alone) = (("source", source), [("source", source.to_owned())]);
        SourceMetrics {
            requests: Split::new(&self.requests, of, "code", &STATUSES),
            durations: self.durations.get_or_create_owned(&alone),
            bodies: self.bodies.get_or_create_owned(&alone),
            refused: Split::new(&self.refused, of, "reason", &REASONS),
            accepted: Split::new(&self.accepted, of, "type", &EVENT_TYPES),
            duplicates: self.duplicates.get_or_create_owned(&alone),
            quarantined: self.quarantined.get_or_create_owned(&alone),
            unrouted: self.unrouted.get_or_create_owned(&alone),
            stored: self.stored.clone(),
            feed: self.feed.clone(),
        }
    }
}

/// The series of one source. Clones count together.
#[derive(Debug, Clone)]
pub struct SourceMetrics {
    requests: Split<u16>,
    durations: Durations,
    bodies: Histogram,
    refused: Split<RefusalReason>,
    accepted: Split<&'static str>,
    duplicates: Counter,
    quarantined: Counter,
    unrouted: Counter,
    stored: Counter,
    feed: Feed,
}

impl SourceMetrics {
    /// A request was answered with `status` after it `took` so long; `event` is the one that it brought.
    pub fn answered(&self, status: u16, took: Duration, event: Option<EventId>) {
        self.requests.count(status);
        self.durations.note(took, event);
    }

    /// How many authentic events came so far, those included that were there already or can't be read.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.accepted.expected() + self.duplicates.get() + self.quarantined.get()
    }

    /// How many requests had no valid signature so far.
    #[must_use]
    pub fn forged(&self) -> u64 {
        self.refused.counted(RefusalReason::Signature)
    }

    /// It brought an authentic body of `length` bytes.
    pub fn body(&self, length: usize) {
        #[expect(clippy::cast_precision_loss, reason = "bodies are far shorter than 2^53 bytes")]
        self.bodies.observe(length as f64);
    }

    /// It was refused.
    pub fn refused(&self, reason: RefusalReason) {
        self.refused.count(reason);
    }

    /// Its event is stored, and of this type.
    pub fn accepted(&self, event_type: &str) {
        let known = EVENT_TYPES.into_iter().find(|known| *known == event_type);
        self.accepted.count(known.unwrap_or(OTHER_TYPE));
        self.stored.inc();
    }

    /// Where it is told that its event is stored.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Its event was stored already.
    pub fn duplicate(&self) {
        self.duplicates.inc();
    }

    /// Its event is stored, but can't be read.
    pub fn quarantined(&self) {
        self.quarantined.inc();
        self.stored.inc();
    }

    /// Its event is stored, but fits no route.
    pub fn unrouted(&self) {
        self.unrouted.inc();
    }
}
