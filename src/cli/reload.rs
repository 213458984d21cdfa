//! `reload`: a running relay reads its configuration again, and this says what became of that.

use super::{
    Session,
    admin_client::Question,
    console::remark,
    failure::{Exit, Failure},
    text::{count, harmless_lines},
};
use crate::{
    admin::view::{ReloadView, SourceChangesView},
    model::Name,
};

/// Runs `reload`.
pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let asked = session.admin().post(Question::new(["reload"]), &serde_json::json!({})).await;
    let done: ReloadView = asked.map_err(explained)?;
    session.console.show(&done, |done, _| words(done))?;
    remark(harmless_lines(&done.warnings).trim_end());
    Ok(())
}

fn words(done: &ReloadView) -> String {
    let ReloadView { added, changed, removed, unchanged, sources, needs_restart, .. } = done;
    let as_before = format!("{} as before", count(unchanged.len() as u64, "destination", "destinations"));
    let mut lines = vec![format!("The configuration was read again; {as_before}.")];
    let SourceChangesView { added: sources_added, changed: sources_changed, removed: sources_removed, .. } = sources;
    let lists = [
        ("new destination", added),
        ("changed destination", changed),
        ("removed destination", removed),
        ("new source", sources_added),
        ("changed source", sources_changed),
        ("removed source", sources_removed),
    ];
    lines.extend(lists.iter().flat_map(|(what, names)| names.iter().map(move |name| format!("  {what:<20}{name}"))));
    lines.extend(removed.first().map(parked));
    if !needs_restart.is_empty() {
        lines.push(format!("Only a restart of the relay changes {}.", needs_restart.join(", ")));
    }
    lines.join("\n")
}

fn parked(first: &Name) -> String {
    format!("What waits for a removed destination is kept: `atoms-relay deliveries --destination {first}`.")
}

/// With what that means for the relay, when it is about the configuration.
fn explained(failure: Failure) -> Failure {
    match failure.message() {
        Some(problems) if failure.exit() == Exit::Config => {
            Failure::new(Exit::Config, format_args!("the relay goes on as before:\n{problems}"))
        }
        _ => failure,
    }
}
