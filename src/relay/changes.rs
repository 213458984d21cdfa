//! What another config changes: told from the fingerprints of what runs, which are kept where the config itself is not.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    config::{Admin, Config, Endpoint, Fingerprint, Queue, Server, Traces},
    model::Name,
};

/// What there is of one kind, each with its fingerprint.
pub(super) type Stamps = BTreeMap<Name, Fingerprint>;

/// Names of one kind, by what becomes of them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) added: Vec<Name>,
    pub(super) changed: Vec<Name>,
    pub(super) removed: Vec<Name>,
    pub(super) unchanged: Vec<Name>,
}

impl Changes {
    /// What is different in `next` from what was `before`.
    pub(super) fn between(before: &Stamps, next: &Stamps) -> Self {
        let mut changes = Self::default();
        for (name, stamp) in next {
            let list = match before.get(name) {
                None => &mut changes.added,
                Some(former) if former == stamp => &mut changes.unchanged,
                Some(_) => &mut changes.changed,
            };
            list.push(name.clone());
        }
        changes.removed = before.keys().filter(|name| !next.contains_key(*name)).cloned().collect();
        changes
    }

    /// In words for the log; nothing when all is as it was.
    pub(super) fn words(&self) -> Option<String> {
        let lists = [("new", &self.added), ("changed", &self.changed), ("gone", &self.removed)];
        let told = lists.into_iter().filter(|(_, names)| !names.is_empty());
        let told: Vec<String> = told.map(|(what, names)| format!("{what} {}", listed(names))).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}

fn listed(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(" ")
}

/// What stays as it is until the relay starts anew.
#[derive(Debug, Clone)]
pub(super) struct Fixed {
    server: Server,
    admin: Admin,
    /// Where people are listened to, whatever the config says.
    admin_address: Endpoint,
    queue: Queue,
    traces: Option<Traces>,
}

impl Fixed {
    /// That of `config`, for a relay that listens to people at `admin_address`.
    pub(super) fn of(config: &Config, admin_address: Endpoint) -> Self {
        let (server, admin) = (config.server.clone(), config.admin.clone());
        let (queue, traces) = (config.queue.clone(), config.traces.clone());
        Self { server, admin, admin_address, queue, traces }
    }

    /// Whether what `config` says of who may look in is enough for the address at which that is possible.
    pub(super) fn may_be_guarded_as(&self, config: &Config) -> bool {
        let is_same_address = self.admin.listen == config.admin.listen;
        is_same_address && (config.admin.token.is_some() || !self.admin_address.is_beyond_this_machine())
    }

    /// The settings that are others in `config`, as `section.key`.
    pub(super) fn unlike(&self, config: &Config) -> Vec<&'static str> {
        let ((was, is), (queue, next)) = ((&self.server, &config.server), (&self.queue, &config.queue));
        // What is in these files is looked at without a reload.
        let certificate = |server: &Server| server.tls.as_ref().map(|tls| tls.files.clone());
        let settings = [
            ("server.listen", was.listen != is.listen),
            ("server.drain_delay", was.drain_delay != is.drain_delay),
            ("server.tls", certificate(was) != certificate(is)),
            ("admin.listen", self.admin.listen != config.admin.listen),
            ("admin.token", !self.may_be_guarded_as(config)),
            ("queue.path", queue.path != next.path),
            ("queue.retention", queue.retention != next.retention),
            ("queue.dead_letter_retention", queue.dead_letter_retention != next.dead_letter_retention),
            ("queue.deduplication", queue.deduplication != next.deduplication),
            ("queue.min_free_disk", queue.min_free_disk != next.min_free_disk),
            ("traces", self.traces != config.traces),
        ];
        settings.into_iter().filter(|(_, is_other)| *is_other).map(|(setting, _)| setting).collect()
    }
}

/// The fingerprints of all destinations and sources that run.
#[derive(Debug, Default, Clone)]
pub(super) struct Running {
    pub(super) destinations: Arc<Stamps>,
    pub(super) sources: Arc<Stamps>,
}

impl Running {
    /// Those of `config`.
    pub(super) fn of(config: &Config) -> Self {
        let destinations = config.destinations.iter().map(|one| (one.name.clone(), one.fingerprint));
        let sources = config.sources.iter().map(|one| (one.name.clone(), one.fingerprint));
        Self { destinations: Arc::new(destinations.collect()), sources: Arc::new(sources.collect()) }
    }
}
