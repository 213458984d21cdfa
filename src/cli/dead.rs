//! `dead`: the deliveries that were given up, and what becomes of them.

use clap::{Args, Subcommand};

use super::{
    Session,
    admin_client::Question,
    console::{confirm, is_answered_by_a_person},
    events::{delivery_portrait, event_type, tell_of_more},
    failure::{Exit, Failure},
    table::{Side, Table},
    text::{age, count},
};
use crate::{
    admin::view::{ChangedView, DeadLetterView, EventView, PageView, SelectionRequest},
    config::Colour,
    model::{DeliveryId, Name, Timestamp},
};

/// How `dead` is used.
pub(super) const EXAMPLES: &str = "\
Examples:
  atoms-relay dead list --destination crm
  atoms-relay dead replay 0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f.crm
  atoms-relay dead replay --destination crm --dry-run
  atoms-relay dead discard --all";

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// List dead letters, oldest first.
    List(ListArgs),
    /// Show one dead letter with all its attempts.
    Show {
        /// The delivery's id: an event id, a dot and the destination.
        id: DeliveryId,
    },
    /// Deliver dead letters after all, under their old idempotency keys.
    Replay(SelectionArgs),
    /// Throw dead letters away for good.
    Discard(DiscardArgs),
}

/// The arguments of `dead list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of this destination.
    #[arg(long, value_name = "NAME")]
    destination: Option<Name>,
    /// Go on where a list ended.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Show at most this many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Which dead letters.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub(super) struct SelectionArgs {
    /// These deliveries.
    #[arg(value_name = "ID", group = "which", conflicts_with_all = ["all", "destination"])]
    ids: Vec<DeliveryId>,
    /// All dead letters.
    #[arg(long, group = "which")]
    all: bool,
    /// All dead letters of this destination.
    #[arg(long, value_name = "NAME", group = "which")]
    destination: Option<Name>,
    /// Only say how many it would be.
    #[arg(long)]
    dry_run: bool,
}

/// The arguments of `dead discard`.
#[derive(Debug, Args)]
pub(super) struct DiscardArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

impl SelectionArgs {
    fn request(&self) -> SelectionRequest {
        SelectionRequest {
            deliveries: self.ids.clone(),
            all: self.ids.is_empty(),
            destination: self.destination.clone(),
            dry_run: self.dry_run,
        }
    }
}

/// Runs `dead`.
pub(super) async fn run(command: DeadCommand, session: &Session) -> Result<(), Failure> {
    match command {
        DeadCommand::List(args) => list(&args, session).await,
        DeadCommand::Show { id } => show(&id, session).await,
        DeadCommand::Replay(args) => replay(&args, session).await,
        DeadCommand::Discard(args) => discard(&args, session).await,
    }
}

async fn list(args: &ListArgs, session: &Session) -> Result<(), Failure> {
    let question = Question::new(["dead-letters"])
        .with("destination", args.destination.as_ref())
        .with("cursor", args.cursor.as_ref());
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let page: PageView<DeadLetterView> = session.admin().get_list(question, limit).await?;
    let now = session.clock.now();
    session.console.show_list(&page.items, |letters, colour| words(letters, now, colour))?;
    tell_of_more(page.next.as_deref());
    Ok(())
}

fn words(letters: &[DeadLetterView], now: Timestamp, colour: Colour) -> String {
    if letters.is_empty() {
        return "There are no dead letters.".to_owned();
    }
    let mut table =
        Table::new([("DEAD FOR", Side::Right), ("DELIVERY", Side::Left), ("TYPE", Side::Left), ("REASON", Side::Left)]);
    for letter in letters {
        table.row([
            age(now, letter.dead_at).into(),
            letter.id.to_string().into(),
            event_type(&letter.event).into(),
            letter.reason.to_string().into(),
        ]);
    }
    table.render(colour)
}

/// Shows a delivery, dead or not, with its attempts.
pub(super) async fn show(id: &DeliveryId, session: &Session) -> Result<(), Failure> {
    let event: EventView = session.admin().get(Question::new(["events", &id.event.to_string()])).await?;
    let delivery = event.deliveries.into_iter().find(|delivery| delivery.destination == id.destination);
    let missing =
        || Failure::new(Exit::Data, format_args!("the event {} was never meant for `{}`", id.event, id.destination));
    let delivery = delivery.ok_or_else(missing)?;
    let now = session.clock.now();
    session.console.show(&delivery, |delivery, colour| delivery_portrait(delivery, now, colour))
}

async fn replay(args: &SelectionArgs, session: &Session) -> Result<(), Failure> {
    let done: ChangedView = session.admin().post(Question::new(["replays"]), &args.request()).await?;
    session.console.show(&done, |done, _| sentence(done, "due now", "would be due now"))
}

async fn discard(args: &DiscardArgs, session: &Session) -> Result<(), Failure> {
    let question = Question::new(["dead-letters", "discard"]);
    let request = args.selection.request();
    if !args.yes && !request.dry_run && is_answered_by_a_person() {
        let rehearsal = SelectionRequest { dry_run: true, ..request.clone() };
        let would: ChangedView = session.admin().post(question.clone(), &rehearsal).await?;
        let letters = count(would.deliveries, "dead letter", "dead letters");
        if would.deliveries > 0 && !confirm(&format!("Throw away {letters} for good?"))? {
            return session.console.show(&would, |_, _| "Nothing was thrown away.".to_owned());
        }
    }
    let done: ChangedView = session.admin().post(question, &request).await?;
    session.console.show(&done, |done, _| sentence(done, "thrown away", "would be thrown away"))
}

fn sentence(done: &ChangedView, did: &str, would: &str) -> String {
    let did = if done.dry_run { would } else { did };
    let deliveries = count(done.deliveries, "delivery", "deliveries");
    match done.skipped {
        0 => format!("{deliveries} {did}."),
        skipped => format!(
            "{deliveries} {did}; {} left alone.",
            count(skipped, "id names nothing of the kind and was", "ids name nothing of the kind and were")
        ),
    }
}
