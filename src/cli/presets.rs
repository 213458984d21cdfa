//! `presets`: which destinations come ready-made, and what exactly stands in them.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Session,
    console::say,
    failure::{Exit, Failure},
    table::{Side, Table},
};
use crate::config::{Colour, PRESETS, Preset};

/// The arguments of `presets`.
#[derive(Debug, Args)]
pub(super) struct PresetsArgs {
    #[command(subcommand)]
    command: Option<PresetsCommand>,
}

#[derive(Debug, Subcommand)]
enum PresetsCommand {
    /// Print a preset: what `preset = "NAME"` gives to a destination, which can override each key of it.
    Show {
        /// The preset.
        name: String,
    },
}

/// A preset in a list.
#[derive(Debug, Serialize)]
struct PresetView {
    name: &'static str,
    summary: &'static str,
}

impl From<&Preset> for PresetView {
    fn from(preset: &Preset) -> Self {
        Self { name: preset.name, summary: preset.summary() }
    }
}

/// Lists the presets, or prints one.
pub(super) fn run(args: &PresetsArgs, session: &Session) -> Result<(), Failure> {
    match &args.command {
        None => session.console.show_list(&PRESETS.each_ref().map(PresetView::from), list),
        Some(PresetsCommand::Show { name }) => show(name),
    }
}

fn show(name: &str) -> Result<(), Failure> {
    let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) else {
        let names = PRESETS.map(|preset| preset.name).join(", ");
        return Err(Failure::new(Exit::Usage, format_args!("there is no preset `{name}`, only {names}")));
    };
    say(preset.text.trim_end())
}

fn list(presets: &[PresetView], colour: Colour) -> String {
    let mut table = Table::new([("PRESET", Side::Left), ("FOR", Side::Left)]);
    for preset in presets {
        table.row([preset.name.into(), preset.summary.into()]);
    }
    table.render(colour) + "\nWhat stands in one: atoms-relay presets show NAME\n"
}
