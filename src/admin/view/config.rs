//! The config as it runs, and what came of reading it again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Name, Timestamp};

/// `GET config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigView {
    /// The file that it is read from.
    pub path: String,
    /// When it was read.
    pub loaded_at: Timestamp,
    /// The file's text at that time, with asterisks for secrets and without comments.
    pub text: String,
    /// Settings that are others in it than those that run, as `section.key`: they wait for the relay's next start.
    pub needs_restart: Vec<String>,
    /// What came of reading it again; null when nobody has asked for that since the start.
    pub last_reload: Option<LastReloadView>,
}

/// What came of the last reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastReloadView {
    /// When the file was read.
    pub at: Timestamp,
    /// Whether it was taken. If not, the relay goes on with what it had.
    pub ok: bool,
    /// The first thing that was wrong with it, in a line.
    pub problem: Option<String>,
    /// All that was wrong with it, as `atoms-relay check` shows it; in `GET config` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<String>,
}

/// The config, in `GET status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigStatusView {
    /// When the config that runs was read.
    pub loaded_at: Timestamp,
    /// Settings of it that wait for the relay's next start.
    pub needs_restart: Vec<String>,
    /// What came of reading it again; null when nobody has asked for that since the start.
    pub last_reload: Option<LastReloadView>,
}

impl From<ConfigView> for ConfigStatusView {
    fn from(config: ConfigView) -> Self {
        let ConfigView { loaded_at, needs_restart, last_reload, .. } = config;
        let in_short = |reload| LastReloadView { problems: None, ..reload };
        Self { loaded_at, needs_restart, last_reload: last_reload.map(in_short) }
    }
}

/// What `POST reload` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadView {
    /// When the file was read.
    pub loaded_at: Timestamp,
    /// Destinations that are new, or named again.
    pub added: Vec<Name>,
    /// Destinations that are others than before, in what the file says of them or in their secrets and certificates.
    pub changed: Vec<Name>,
    /// Destinations that are gone. What waits for them is kept.
    pub removed: Vec<Name>,
    /// Destinations that go on untouched.
    pub unchanged: Vec<Name>,
    /// The same for sources.
    pub sources: SourceChangesView,
    /// Settings that wait for the relay's next start, as `section.key`.
    pub needs_restart: Vec<String>,
    /// What looks wrong about the config, as `atoms-relay check` shows it; empty when nothing does.
    pub warnings: String,
}

/// What a reload did to the sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceChangesView {
    /// New.
    pub added: Vec<Name>,
    /// Others than before.
    pub changed: Vec<Name>,
    /// Gone.
    pub removed: Vec<Name>,
    /// As they were.
    pub unchanged: Vec<Name>,
}
