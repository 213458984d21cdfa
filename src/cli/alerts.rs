//! `alerts`: whether those who are to be told of troubles can be.

use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::time::{Instant, sleep};

use super::{
    Session,
    admin_client::{AdminClient, Question},
    events::delivery_portrait,
    failure::{Exit, Failure},
};
use crate::{
    admin::view::{DeliveryStateName, EventView},
    config::Colour,
    model::Timestamp,
};

/// How often is asked whether the alert has arrived.
const PAUSE: Duration = Duration::from_millis(200);

/// What to do with alerts.
#[derive(Debug, Subcommand)]
pub(super) enum AlertsCommand {
    /// Send a test alert to every destination of `[alerts]`, through the queue, and say what came of it. It ends with 69 unless
    /// all have it.
    Test(TestArgs),
}

/// The arguments of `alerts test`.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// How long to wait for the answers.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    wait: Duration,
}

/// Runs `alerts`.
pub(super) async fn run(command: AlertsCommand, session: &Session) -> Result<(), Failure> {
    let AlertsCommand::Test(TestArgs { wait }) = command;
    let admin = session.admin();
    let sent: EventView = admin.post(Question::new(["alerts", "test"]), &serde_json::json!({})).await?;
    let ended = ended(&admin, sent, wait).await?;
    let now = session.clock.now();
    session.console.show(&ended, |event, colour| words(event, now, colour))?;
    if ended.deliveries.iter().all(|delivery| delivery.state == DeliveryStateName::Delivered) {
        return Ok(());
    }
    Err(Failure::new(Exit::Unavailable, "not everybody got the test alert; what waits is tried again until it arrives"))
}

/// The event when none of its deliveries waits any more, or as it is after `wait`.
async fn ended(admin: &AdminClient, mut event: EventView, wait: Duration) -> Result<EventView, Failure> {
    let (end, id) = (Instant::now() + wait, event.id.to_string());
    while event.deliveries.iter().any(|delivery| delivery.state == DeliveryStateName::Waiting) && Instant::now() < end {
        sleep(PAUSE).await;
        event = admin.get(Question::new(["events", &id])).await?;
    }
    Ok(event)
}

fn words(event: &EventView, now: Timestamp, colour: Colour) -> String {
    let deliveries = event.deliveries.iter().map(|delivery| delivery_portrait(delivery, now, colour));
    format!("test alert {}\n\n{}", event.id, deliveries.collect::<Vec<_>>().join("\n"))
}
