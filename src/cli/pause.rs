//! `pause` and `resume`: hold a destination back, and let it go on.

use clap::Args;

use super::{Session, admin_client::Question, failure::Failure};
use crate::{
    admin::view::{DestinationView, PauseRequest},
    model::Name,
};

/// The arguments of `pause`.
#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// The destination.
    destination: Name,
    /// Why, for those who see it later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// The arguments of `resume`.
#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// The destination.
    destination: Name,
}

/// Runs `pause`.
pub(super) async fn pause(args: PauseArgs, session: &Session) -> Result<(), Failure> {
    let question = Question::new(["destinations", args.destination.as_str(), "pause"]);
    let view: DestinationView = session.admin().post(question, &PauseRequest { reason: args.reason }).await?;
    session.console.show(&view, |view, _| {
        format!("{} is paused; its deliveries wait. To go on: `atoms-relay resume {}`.", view.name, view.name)
    })
}

/// Runs `resume`.
pub(super) async fn resume(args: ResumeArgs, session: &Session) -> Result<(), Failure> {
    let question = Question::new(["destinations", args.destination.as_str(), "resume"]);
    let view: DestinationView = session.admin().post(question, &serde_json::json!({})).await?;
    session.console.show(&view, |view, _| format!("{} goes on; {} waiting.", view.name, view.waiting))
}
