//! `preset`: what many people have at the other end, described with this file's own keys. A preset fills in what a destination
//! leaves out; whatever the destination says itself wins, key by key.
//!
//! Presets are data: the files below `presets/` are what `atoms-relay presets show` prints, to be read and copied.

use std::sync::LazyLock;

use toml::{Spanned, de::DeTable};

use crate::config::{reader::Reader, section::Section, suggestion};

/// Keys of which a destination has one: with another body than the preset's, the preset's is gone.
const ALTERNATIVES: &[&str] = &["body", "json", "text"];

/// A ready-made description of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// What `preset = "…"` calls it.
    pub name: &'static str,
    /// What stands in it: TOML with comments for people.
    pub text: &'static str,
}

/// All presets, the plain one last.
pub const PRESETS: [Preset; 8] = [
    Preset { name: "slack", text: include_str!("presets/slack.toml") },
    Preset { name: "slack-api", text: include_str!("presets/slack-api.toml") },
    Preset { name: "teams", text: include_str!("presets/teams.toml") },
    Preset { name: "hubspot", text: include_str!("presets/hubspot.toml") },
    Preset { name: "salesforce", text: include_str!("presets/salesforce.toml") },
    Preset { name: "zendesk", text: include_str!("presets/zendesk.toml") },
    Preset { name: "pagerduty", text: include_str!("presets/pagerduty.toml") },
    Preset { name: "generic", text: include_str!("presets/generic.toml") },
];

impl Preset {
    /// What it is for, in one line: the first line of its text.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }
}

/// The presets as parsed; a test holds that they are TOML.
static TABLES: LazyLock<Vec<(&str, Spanned<DeTable<'static>>)>> = LazyLock::new(|| {
    let parse = |preset: &Preset| (preset.name, DeTable::parse_recoverable(preset.text).0);
    PRESETS.iter().map(parse).collect()
});

/// The section of a destination, completed by the preset that it names.
pub(super) fn complete<'t>(section: Section<'t>, reader: &mut Reader<'_>) -> Section<'t> {
    let Some(field) = section.field("preset") else { return section };
    let Some(name) = field.text("\"slack\"", reader) else { return section };
    if let Some((_, table)) = TABLES.iter().find(|(preset, _)| *preset == name) {
        return section.with_preset(table.get_ref(), field.span(), ALTERNATIVES);
    }
    let names = PRESETS.map(|preset| preset.name);
    let meant = suggestion::nearest(name, names).unwrap_or("generic");
    let message = format!("has to be one of {}", suggestion::list(&names));
    reader.report(field.error(message, &format!("\"{meant}\"")));
    section
}
