//! From the text of `relay.toml` to a [`Config`] in which everything is typed, checked and resolved, or to all its problems
//! at once, each with its line.
//!
//! The text is parsed into a tree that knows where everything stands (`document`), then each section is read by the file
//! of its name. A reader reports every problem that it meets and goes on with a default, so that one run shows them all; a
//! config with errors never leaves this room. Defaults and bounds stand beside the keys they belong to.
//!
//! Pure, apart from secrets, which come from an [`Environment`], and [`load()`], which reads the file. Only `relay` and `cli`
//! import this room: the others get their own types.

mod admin;
mod alerts;
mod budget;
mod destination;
mod document;
mod entries;
mod environment;
mod field;
mod fingerprint;
mod identity;
mod listen;
mod load;
mod mask;
mod problem;
mod queue;
mod quoted;
mod rate;
mod reader;
mod render;
mod route;
mod secret;
mod section;
mod server;
mod source;
mod suggestion;
mod template;
mod test;
#[cfg(test)]
mod tests;
mod traces;
mod units;

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use http::{HeaderMap, uri::Authority};
use secrecy::SecretString;
use url::Url;

pub use self::{
    budget::Budget,
    destination::{PRESETS, Preset},
    environment::{Environment, FixedEnvironment, ProcessEnvironment, SecretFile},
    fingerprint::Fingerprint,
    identity::{IdentityError, IdentityFiles},
    listen::Endpoint,
    load::{DEFAULT_PATHS, LoadError, load, locate},
    problem::{Position, Problem, Problems, Severity},
    render::Colour,
    test::{Expectation, Test},
};
use self::{
    document::Document,
    reader::Reader,
    section::{Keys, Section},
};
use crate::{
    address,
    alert::Policy,
    auth::{Authorities, Grant, Identity},
    model::{Name, Order, Sampling},
    outcome::Rules,
    rate::Window,
    retry::RetryPolicy,
    route::Routes,
    transform::Target,
    verify::Verifier,
};

/// A configuration that the relay can run.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[admin]`.
    pub admin: Admin,
    /// `[queue]`.
    pub queue: Queue,
    /// `[source.NAME]`, in the order of the file; one at least, no two with the same path.
    pub sources: Vec<Source>,
    /// `[destination.NAME]`, in the order of the file.
    pub destinations: Vec<Destination>,
    /// `[budget.NAME]`, in the order of the file.
    pub budgets: Vec<Budget>,
    /// `[[route]]`. They name only sources and destinations that are there.
    pub routes: Routes,
    /// `[alerts]`, when there is one; it names one destination at least, and only such as are there.
    pub alerts: Option<Policy>,
    /// `[traces]`, when there is one.
    pub traces: Option<Traces>,
    /// `[[test]]`, in the order of the file. They name only sources and destinations that are there.
    pub tests: Vec<Test>,
    /// What a person ought to look at.
    pub warnings: Problems,
}

/// Where events come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The address; port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// The largest body that is taken, in bytes.
    pub max_body: u64,
    /// How long a request may wait for the disk.
    pub accept_deadline: Duration,
    /// How long events are still taken after readiness has ended, before a stop; `None`: not at all, unless asked for.
    pub drain_delay: Option<Duration>,
    /// The certificate, where the relay does the TLS itself.
    pub tls: Option<ServerTls>,
}

impl Server {
    /// What the addresses of sources begin with: `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// How the public listener is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate and its key.
    pub identity: Identity,
    /// Where both can be read again; `None` where they can't have changed.
    pub files: Option<IdentityFiles>,
}

/// Where people and their tools look in.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where; port 0 lets the system choose one. Beyond this machine there is a `token`.
    pub listen: Endpoint,
    /// What those have to know who look in; without one, who can connect may.
    pub token: Option<SecretString>,
    /// Names by which it is called, apart from those of its own address.
    pub names: Vec<Authority>,
}

/// Where events are kept, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The folder. It may not exist yet.
    pub path: PathBuf,
    /// How long delivered events are kept.
    pub retention: Duration,
    /// How long dead letters are kept.
    pub dead_letter_retention: Duration,
    /// For how long a second receipt of an event is recognised.
    pub deduplication: Duration,
    /// Below this many free bytes nothing is accepted.
    pub min_free_disk: u64,
}

/// Who may send events.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub name: Name,
    /// The path of its requests, from `/`.
    pub path: String,
    /// Checks its signatures.
    pub verifier: Verifier,
    /// Of what it was read from.
    pub fingerprint: Fingerprint,
}

/// Whom we call.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its name.
    pub name: Name,
    /// Where it is and what it wants to see.
    pub target: Target,
    /// How access tokens are got, where it wants one.
    pub grant: Option<Grant>,
    /// Which certificates it needs.
    pub tls: Tls,
    /// Which addresses it may have.
    pub policy: address::Policy,
    /// How long connecting may take; at most `timeout`.
    pub connect_timeout: Duration,
    /// How long an attempt may take as a whole.
    pub timeout: Duration,
    /// How many attempts at once.
    pub concurrency: NonZeroUsize,
    /// How many requests it may get, in all of these windows; none: as many as you like.
    pub rate: Vec<Window>,
    /// The budget that it shares with others.
    pub budget: Option<Name>,
    /// In which order it wants the events of a call.
    pub order: Order,
    /// The age at which deliveries are of no use to it any more.
    pub max_age: Option<Duration>,
    /// How it is tried again.
    pub retry: RetryPolicy,
    /// What its answers mean where the built-in table is wrong.
    pub rules: Rules,
    /// Of what it was read from.
    pub fingerprint: Fingerprint,
}

/// Who is told of traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// Where the collector takes OTLP over HTTP.
    pub endpoint: Url,
    /// What it wants to see besides; credentials among them are marked sensitive.
    pub headers: HeaderMap,
    /// Which traces it gets.
    pub sampling: Sampling,
    /// Which certificates are needed.
    pub tls: Tls,
}

/// Certificates beyond those of the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The only authorities whose certificates are believed.
    pub authorities: Option<Authorities>,
    /// The certificate by which the relay is known.
    pub identity: Option<Identity>,
}

const ROOT_KEYS: Keys = Keys {
    known: &["server", "admin", "queue", "source", "destination", "budget", "route", "alerts", "traces", "test"],
    later: &[
        ("atoms", "leave it out: events come from webhooks alone"),
        ("calls", "leave it out: the events of a call are delivered one by one"),
    ],
};

/// Every kind of section with its keys, to say where a misplaced key belongs.
const SECTIONS: &[(&str, &Keys)] = &[
    ("the top level of the file", &ROOT_KEYS),
    ("[server]", &server::KEYS),
    ("`tls` of [server]", &server::TLS_KEYS),
    ("[admin]", &admin::KEYS),
    ("[queue]", &queue::KEYS),
    ("[source.NAME]", &source::KEYS),
    ("[destination.NAME]", &destination::KEYS),
    ("`retry` of [destination.NAME]", &destination::RETRY_KEYS),
    ("`auth` of [destination.NAME]", &destination::AUTH_KEYS),
    ("`basic` in `auth` of [destination.NAME]", &destination::BASIC_KEYS),
    ("`header` in `auth` of [destination.NAME]", &destination::HEADER_KEYS),
    ("`oauth2` in `auth` of [destination.NAME]", &destination::OAUTH2_KEYS),
    ("`hmac` in `auth` of [destination.NAME]", &destination::HMAC_KEYS),
    ("`standard_webhooks` in `auth` of [destination.NAME]", &destination::STANDARD_WEBHOOKS_KEYS),
    ("`tls` of [destination.NAME]", &destination::TLS_KEYS),
    ("[[destination.NAME.outcome]]", &destination::OUTCOME_KEYS),
    ("[budget.NAME]", &budget::KEYS),
    ("[[route]]", &route::KEYS),
    ("[alerts]", &alerts::KEYS),
    ("[traces]", &traces::KEYS),
    ("[[test]]", &test::KEYS),
    ("`expect` of [[test]]", &test::EXPECTATION_KEYS),
    ("a secret", &secret::KEYS),
];

impl Config {
    /// Reads a configuration from `text`. `file_name` is its path as people gave it: it stands in messages, and relative paths
    /// in the text start at its folder.
    ///
    /// # Errors
    /// All problems, warnings among them, when one at least is an error.
    pub fn parse(file_name: &str, text: &str, environment: &dyn Environment) -> Result<Self, Problems> {
        let folder = Path::new(file_name).parent().unwrap_or(Path::new(""));
        let document = Document::parse(text);
        let mut reader = Reader::new(text, &document, folder, environment);
        let mut config = Self::read(&document, &mut reader);

        let (problems, revealed) = reader.finish();
        config.warnings = Problems::new(file_name, mask::mask(text, &document, &revealed), problems);
        if config.warnings.count(Severity::Error) > 0 { Err(config.warnings) } else { Ok(config) }
    }

    /// The file that it was read from, as people gave it.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.warnings.file_name()
    }

    /// The text that it was read from. Secrets are hidden, and so are comments, where old secrets may be.
    #[must_use]
    pub fn masked_text(&self) -> &str {
        self.warnings.masked_text()
    }

    fn read(document: &Document<'_>, reader: &mut Reader<'_>) -> Self {
        let root = Section::root(document.root(), &ROOT_KEYS, reader);
        let (server, listen) = server::read(&root.section("server", &server::KEYS, reader), reader);
        let admin = admin::read(&root.section("admin", &admin::KEYS, reader), &listen, reader);
        let queue = queue::read(&root.section("queue", &queue::KEYS, reader), reader);
        let sources = source::read_all(&root, reader);
        let destinations = destination::read_all(&root, &sources, reader);
        let budgets = budget::read_all(&root, reader);
        let routes = route::read_all(&root, reader);
        let alerts = alerts::read(&root, &queue, &destinations, reader);
        let traces = traces::read(&root, reader);
        let tests = test::read_all(&root, reader);
        let warnings = Problems::default();
        Self { server, admin, queue, sources, destinations, budgets, routes, alerts, traces, tests, warnings }
    }
}
