//! The public side of the relay over a real store in a directory of its own.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use atoms_relay::{
    clock::Clock,
    ingest::{self, Ingest, Listener, Settings, Source},
    model::{EventId, Name},
    route::{Route, Routes},
    store::{
        EventFilter, EventSummary, Page, Store, StoredEvent,
        embedded::{
            Embedded, Options, Retention,
            disk::{Disk, RealDisk},
        },
    },
    telemetry::{Format, Metrics, Reading, StoreReading},
    verify::Verifier,
};
use http::HeaderName;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    disk::TroubledDisk,
    fixtures::{SECOND_SECRET, SECRET},
    metrics, within,
};

/// The longest body that it takes, unless a test wants another.
pub const MAX_BODY: u64 = 256 * 1024;

/// The destination of all events.
pub const DESTINATION: &str = "crm";

/// In bytes: every machine that can build this has as much.
const MIN_FREE_DISK: u64 = 1024 * 1024;

/// An ingest that runs. It stops when it is dropped.
pub struct Receiver {
    pub address: SocketAddr,
    pub store: Arc<dyn Store>,
    pub metrics: Arc<Metrics>,
    directory: TempDir,
    stop: CancellationToken,
    serving: JoinSet<()>,
}

impl Receiver {
    /// Starts one with an empty store.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts one with an empty store and settings that `adjust` has changed.
    pub async fn start_with(adjust: impl FnOnce(&mut Settings)) -> Self {
        Self::start_in(TempDir::new().unwrap(), adjust).await
    }

    /// Starts one with the store in `directory`.
    pub async fn start_in(directory: TempDir, adjust: impl FnOnce(&mut Settings)) -> Self {
        Self::start_over(Arc::new(RealDisk), directory, adjust).await
    }

    /// Starts one with an empty store on `disk`.
    pub async fn start_on(disk: &TroubledDisk, adjust: impl FnOnce(&mut Settings)) -> Self {
        Self::start_over(Arc::new(disk.clone()), TempDir::new().unwrap(), adjust).await
    }

    async fn start_over(disk: Arc<dyn Disk>, directory: TempDir, adjust: impl FnOnce(&mut Settings)) -> Self {
        let store = open(directory.path(), disk);
        let mut settings = Settings::new(MAX_BODY, Duration::from_secs(20));
        adjust(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let metrics = metrics();
        let counted = Arc::clone(&metrics);
        let ingest = Ingest::new(settings, sources(), Arc::new(routes()), Arc::clone(&store), Clock::system(), counted);
        let mut serving = JoinSet::new();
        serving.spawn(ingest::serve(Listener::plain(listener), Arc::new(ingest), stop.clone()));
        Self { address, store, metrics, directory, stop, serving }
    }

    /// Wants it to stop, but doesn't wait for that.
    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Whether it has stopped.
    pub fn has_stopped(&mut self) -> bool {
        match self.serving.try_join_next() {
            Some(ended) => ended.map(|()| true).unwrap(),
            None => self.serving.is_empty(),
        }
    }

    /// Stops it, and returns the directory with what it stored.
    pub async fn stop(mut self) -> TempDir {
        self.stop.cancel();
        while let Some(ended) = within("stopping", self.serving.join_next()).await {
            ended.unwrap();
        }
        within("closing the store", self.store.close()).await.unwrap();
        self.directory
    }

    /// All that is stored, newest first.
    pub async fn events(&self) -> Vec<EventSummary> {
        let mut events = Vec::new();
        let mut after = None;
        loop {
            let page = Page { after, limit: 1000 };
            let listing = self.store.events(EventFilter::default(), page).await.unwrap();
            events.extend(listing.items);
            after = listing.next;
            if after.is_none() {
                return events;
            }
        }
    }

    /// Whether its metrics have this line, after the prefix that all have.
    pub fn tells(&self, line: &str) -> bool {
        let reading = Reading { checks: Vec::new(), store: StoreReading::default(), destinations: Vec::new() };
        let told = self.metrics.tell(&reading, Format::Prometheus).unwrap();
        told.lines().any(|told| told.strip_prefix("atoms_relay_") == Some(line))
    }

    /// A stored event.
    pub async fn event(&self, id: &str) -> StoredEvent {
        let id: EventId = id.parse().unwrap();
        self.store.event(id).await.unwrap().unwrap_or_else(|| panic!("{id} is not stored"))
    }
}

/// Two sources: one as Atoms is today, with two secrets, and one that uses the older header.
fn sources() -> Vec<Source> {
    let source = |name, path: &str, header, secrets: &[&str]| Source {
        name: Name::new(name).unwrap(),
        path: path.into(),
        verifier: Verifier::new(HeaderName::from_static(header), secrets.iter().copied()).unwrap(),
    };
    vec![
        source("atoms", "/webhook", "x-signature", &[SECOND_SECRET, SECRET]),
        source("atoms-old", "/old", "x-atoms-signature", &[SECRET]),
    ]
}

fn routes() -> Routes {
    let to = vec![Name::new(DESTINATION).unwrap()];
    Routes::new(vec![Route {
        name: "everything".into(),
        sources: None,
        agents: None,
        events: None,
        when: None,
        max_age: None,
        to,
    }])
}

fn open(directory: &Path, disk: Arc<dyn Disk>) -> Arc<dyn Store> {
    let day = Duration::from_secs(24 * 60 * 60);
    let retention = Retention { delivered: day, dead_letters: day, deduplication: day };
    let options = Options { disk, ..Options::new(directory, retention, MIN_FREE_DISK, Clock::system()) };
    Arc::new(Embedded::open(options).unwrap())
}
