//! `deliveries`: what is on its way to whom, what one has met, and trying one at once.

use clap::{Args, Subcommand, ValueEnum};

use super::{
    Session,
    admin_client::Question,
    dead::show,
    events::{delivery_state, or_nothing, tell_of_more},
    failure::Failure,
    filter::Filter,
    table::{Side, Table},
    text::age,
};
use crate::{
    admin::view::{ChangedView, DeliveryView, PageView},
    model::{DeliveryId, Name, Timestamp},
};

/// The arguments of `deliveries`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  atoms-relay deliveries --destination crm --state waiting
  atoms-relay deliveries show 0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f.crm
  atoms-relay deliveries retry 0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f.crm"
)]
pub(super) struct DeliveriesArgs {
    #[command(subcommand)]
    command: Option<DeliveriesCommand>,
    #[command(flatten)]
    filter: Filter,
    /// Only deliveries to this destination.
    #[arg(long, value_name = "NAME")]
    destination: Option<Name>,
    /// Only deliveries that stand there.
    #[arg(long, value_name = "STATE")]
    state: Option<StateArg>,
}

#[derive(Debug, Subcommand)]
enum DeliveriesCommand {
    /// Show one, with what was sent and answered.
    Show {
        /// The delivery's id: an event id, a dot and the destination.
        id: DeliveryId,
    },
    /// Make a delivery due at once. One that has arrived is sent again, under a new idempotency key.
    Retry {
        /// The delivery's id: an event id, a dot and the destination.
        id: DeliveryId,
    },
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum StateArg {
    Waiting,
    Delivered,
    Dead,
    Discarded,
    /// Retired for their age.
    Expired,
}

/// Runs `deliveries`.
pub(super) async fn run(args: DeliveriesArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        Some(DeliveriesCommand::Show { id }) => show(&id, session).await,
        Some(DeliveriesCommand::Retry { id }) => retry(&id, session).await,
        None => list(&args, session).await,
    }
}

async fn list(args: &DeliveriesArgs, session: &Session) -> Result<(), Failure> {
    let state = args.state.and_then(|state| state.to_possible_value());
    let question = Question::new(["deliveries"])
        .with("destination", args.destination.as_ref())
        .with("state", state.as_ref().map(clap::builder::PossibleValue::get_name));
    let question = args.filter.narrow(question, &session.clock);
    let page: PageView<DeliveryView> = session.admin().get_list(question, args.filter.limit()).await?;
    let now = session.clock.now();
    session.console.show_list(&page.items, |deliveries, colour| or_nothing(&table(deliveries, now), colour))?;
    tell_of_more(page.next.as_deref());
    Ok(())
}

async fn retry(id: &DeliveryId, session: &Session) -> Result<(), Failure> {
    let question = Question::new(["deliveries", &id.to_string(), "retry"]);
    let done: ChangedView = session.admin().post(question, &serde_json::json!({})).await?;
    session.console.show(&done, |_, _| format!("{id} is due now. See it with `atoms-relay events show {}`.", id.event))
}

fn table(deliveries: &[DeliveryView], now: Timestamp) -> Table {
    let mut table =
        Table::new([("AGE", Side::Right), ("DELIVERY", Side::Left), ("ATTEMPTS", Side::Right), ("STATE", Side::Left)]);
    for delivery in deliveries {
        table.row([
            age(now, delivery.event.timestamp()).into(),
            delivery.id.to_string().into(),
            delivery.attempt_count.to_string().into(),
            delivery_state(delivery, now),
        ]);
    }
    table
}
