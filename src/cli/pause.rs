//! `pause` and `resume`: hold a destination back, and let it go on.

use std::time::Duration;

use clap::Args;

use super::{Session, admin_client::Question, failure::Failure, text::until};
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
    /// For how long, such as `2h`; without it until `resume`.
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    length: Option<Duration>,
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
    let now = session.clock.now();
    let request = PauseRequest { reason: args.reason, until: args.length.map(|length| now.plus(length)) };
    let view: DestinationView = session.admin().post(question, &request).await?;
    session.console.show(&view, |view, _| {
        let end = view.until.map_or_else(String::new, |end| format!(" It goes on by itself {}.", until(now, end)));
        format!("{} is paused; its deliveries wait.{end} To go on: `atoms-relay resume {}`.", view.name, view.name)
    })
}

/// Runs `resume`.
pub(super) async fn resume(args: ResumeArgs, session: &Session) -> Result<(), Failure> {
    let question = Question::new(["destinations", args.destination.as_str(), "resume"]);
    let view: DestinationView = session.admin().post(question, &serde_json::json!({})).await?;
    session.console.show(&view, |view, _| format!("{} goes on; {} waiting.", view.name, view.waiting))
}
