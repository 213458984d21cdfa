//! `events`: what came in, where it stands, and one event in full.

use clap::{Args, Subcommand, ValueEnum};

use super::{
    Session,
    admin_client::Question,
    console::{Format, is_read_by_a_person, put, remark, say},
    failure::Failure,
    filter::Filter,
    table::{Cell, Side, Table, Tone},
    text::{age, count, harmless, harmless_lines, size, until},
};
use crate::{
    admin::view::{AttemptView, DeliveryStateName, DeliveryView, EventView, OutcomeView, PageView},
    config::Colour,
    model::{EventId, Timestamp},
    store::EventState,
};

/// The arguments of `events`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  atoms-relay events --call CALL-1790012345678-a1b2c3
  atoms-relay events --state dead --since 3d --json
  atoms-relay events show 0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f
  atoms-relay events show 0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f --body > event.json"
)]
pub(super) struct EventsArgs {
    #[command(subcommand)]
    command: Option<EventsCommand>,
    #[command(flatten)]
    filter: Filter,
    /// Only events that stand there.
    #[arg(long, value_name = "STATE")]
    state: Option<StateArg>,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// Show one event with its deliveries and their attempts.
    Show(ShowArgs),
}

/// The arguments of `events show`.
#[derive(Debug, Args)]
struct ShowArgs {
    /// The event's id.
    id: EventId,
    /// Write the body instead, byte for byte. On a terminal, control characters are shown as escapes.
    #[arg(long)]
    body: bool,
}

/// Where an event stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum StateArg {
    Waiting,
    Delivered,
    Dead,
    Expired,
    Unrouted,
    Quarantined,
}

impl StateArg {
    pub(super) fn state(self) -> EventState {
        match self {
            Self::Waiting => EventState::Waiting,
            Self::Delivered => EventState::Delivered,
            Self::Dead => EventState::Dead,
            Self::Expired => EventState::Expired,
            Self::Unrouted => EventState::Unrouted,
            Self::Quarantined => EventState::Quarantined,
        }
    }

    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Runs `events`.
pub(super) async fn run(args: EventsArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        Some(EventsCommand::Show(ShowArgs { id, body: true })) => show_body(id, session).await,
        Some(EventsCommand::Show(ShowArgs { id, body: false })) => show(id, session).await,
        None => list(&args, session).await,
    }
}

async fn list(args: &EventsArgs, session: &Session) -> Result<(), Failure> {
    let question = Question::new(["events"]).with("state", args.state.map(StateArg::name));
    let question = args.filter.narrow(question, &session.clock);
    let page: PageView<EventView> = session.admin().get_list(question, args.filter.limit()).await?;
    let now = session.clock.now();
    session.console.show_list(&page.items, |events, colour| or_nothing(&table(events, now), colour))?;
    tell_of_more(page.next.as_deref());
    Ok(())
}

/// A table, or that there is nothing to show in it.
pub(super) fn or_nothing(table: &Table, colour: Colour) -> String {
    if table.is_empty() { "Nothing found.".to_owned() } else { table.render(colour) }
}

/// Says on standard error that a list goes on, and how to see the rest.
pub(super) fn tell_of_more(next: Option<&str>) {
    if let Some(cursor) = next {
        remark(&format!("There is more: add `--cursor {}`, or a larger `--limit`.", harmless(cursor)));
    }
}

fn table(events: &[EventView], now: Timestamp) -> Table {
    let mut table = Table::new([
        ("AGE", Side::Right),
        ("EVENT", Side::Left),
        ("TYPE", Side::Left),
        ("CALL", Side::Left),
        ("STATE", Side::Left),
    ]);
    for event in events {
        table.row([
            age(now, event.received_at).into(),
            event.id.to_string().into(),
            event_type(event).into(),
            or_dash(event.call.as_deref()).into(),
            state(event),
        ]);
    }
    table
}

/// The event's type, harmless.
pub(super) fn event_type(event: &EventView) -> String {
    or_dash(event.event_type.as_deref())
}

/// The text, harmless.
pub(super) fn or_dash(text: Option<&str>) -> String {
    text.map_or_else(|| "-".to_owned(), harmless)
}

/// Where an event stands; of several destinations those that matter.
pub(super) fn state(event: &EventView) -> Cell {
    let names = |state: DeliveryStateName| {
        let held = event.deliveries.iter().filter(|delivery| delivery.state == state);
        held.map(|delivery| delivery.destination.as_str()).collect::<Vec<_>>().join(", ")
    };
    match event.state {
        EventState::Waiting => Cell(Tone::Warning, format!("waiting: {}", names(DeliveryStateName::Waiting))),
        EventState::Dead => Cell(Tone::Bad, format!("dead: {}", names(DeliveryStateName::Dead))),
        EventState::Expired => Cell(Tone::Faint, format!("expired: {}", names(DeliveryStateName::Expired))),
        EventState::Delivered => Cell(Tone::Good, "delivered".to_owned()),
        EventState::Unrouted => Cell(Tone::Faint, "unrouted".to_owned()),
        EventState::Quarantined => Cell(Tone::Bad, "quarantined".to_owned()),
    }
}

async fn show(id: EventId, session: &Session) -> Result<(), Failure> {
    let event: EventView = session.admin().get(Question::new(["events", &id.to_string()])).await?;
    let now = session.clock.now();
    session.console.show(&event, |event, colour| portrait(event, now, colour))
}

async fn show_body(id: EventId, session: &Session) -> Result<(), Failure> {
    let body = session.admin().get_bytes(Question::new(["events", &id.to_string(), "body"])).await?;
    if is_read_by_a_person() && session.console.format() == Format::Text {
        return say(&harmless_lines(&String::from_utf8_lossy(&body)));
    }
    put(&body)
}

/// An event in full.
pub(super) fn portrait(event: &EventView, now: Timestamp, colour: Colour) -> String {
    let Cell(tone, standing) = state(event);
    let body = match &event.content_type {
        Some(content_type) => format!("{}, {}", size(event.body_bytes), harmless(content_type)),
        None => size(event.body_bytes),
    };
    let received = format!("{} ({} ago)", event.received_at, age(now, event.received_at));
    let facts = [
        ("event", Tone::Strong.paint(&event.id.to_string(), colour)),
        ("state", tone.paint(&standing, colour)),
        ("reason", event.quarantine_reason.as_deref().map_or_else(String::new, harmless)),
        ("received", received),
        ("source", event.source.to_string()),
        ("type", event_type(event)),
        ("agent", or_dash(event.agent.as_deref())),
        ("call", or_dash(event.call.as_deref())),
        ("sender's id", or_dash(event.source_id.as_deref())),
        ("body", body),
    ];
    let known = facts.iter().filter(|(_, fact)| !fact.is_empty());
    let mut lines: Vec<String> =
        known.map(|(name, fact)| format!("{} {fact}", Tone::Faint.paint(&format!("{name:<12}"), colour))).collect();
    for delivery in &event.deliveries {
        lines.push(String::new());
        lines.push(delivery_portrait(delivery, now, colour));
    }
    lines.join("\n")
}

/// A delivery and what its attempts met.
pub(super) fn delivery_portrait(delivery: &DeliveryView, now: Timestamp, colour: Colour) -> String {
    let Cell(tone, standing) = delivery_state(delivery, now);
    let attempts = count(delivery.attempt_count.into(), "attempt", "attempts");
    let name = Tone::Strong.paint(delivery.destination.as_str(), colour);
    let mut lines = vec![format!("{name}: {} ({attempts})", tone.paint(&standing, colour))];
    lines.extend(delivery.attempts.iter().flatten().map(attempt_line));
    lines.join("\n")
}

/// An attempt and what it met.
pub(super) fn attempt_line(attempt: &AttemptView) -> String {
    let AttemptView { number, started_at, took_ms, request, outcome } = attempt;
    format!("{number:>5}. {started_at}  {}  {} ({took_ms} ms)", harmless(request), outcome_words(outcome))
}

/// What an attempt met.
pub(super) fn outcome_words(outcome: &OutcomeView) -> String {
    match outcome {
        OutcomeView::Answered { status, excerpt, class } => {
            let class = class.map_or_else(String::new, |class| format!(" ({class} by a rule)"));
            let excerpt =
                if excerpt.is_empty() { excerpt.clone() } else { format!(": {}", shortened(&harmless(excerpt))) };
            format!("{status}{class}{excerpt}")
        }
        OutcomeView::Failed { failure, detail } => format!("{failure}: {}", harmless(detail)),
    }
}

/// As much of an answer as helps on a terminal; `--json` has all that is kept.
fn shortened(excerpt: &str) -> String {
    const ENOUGH: usize = 120;
    match excerpt.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{}…", excerpt.get(..end).unwrap_or(excerpt)),
        None => excerpt.to_owned(),
    }
}

/// Where a delivery stands.
pub(super) fn delivery_state(delivery: &DeliveryView, now: Timestamp) -> Cell {
    let ago = delivery.settled_at.map_or_else(String::new, |at| format!(" {} ago", age(now, at)));
    match delivery.state {
        DeliveryStateName::Waiting => {
            let due = delivery.due.map_or_else(String::new, |due| format!(", due {}", until(now, due)));
            Cell(Tone::Warning, format!("waiting{due}"))
        }
        DeliveryStateName::Delivered => Cell(Tone::Good, format!("delivered{ago}")),
        DeliveryStateName::Dead => {
            let reason = delivery.reason.map_or_else(String::new, |reason| format!(": {reason}"));
            Cell(Tone::Bad, format!("dead{ago}{reason}"))
        }
        DeliveryStateName::Discarded => Cell(Tone::Faint, format!("discarded{ago}")),
        DeliveryStateName::Expired => Cell(Tone::Faint, format!("expired{ago}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Class, DeadReason, DeliveryId, FailureKind, Name};

    const NOW: Timestamp = Timestamp::from_millis(1_790_012_345_678);

    fn delivery(state: DeliveryStateName, attempts: Option<Vec<AttemptView>>) -> DeliveryView {
        let (event, destination) = (EventId::lowest_at(NOW), Name::new("crm").unwrap());
        DeliveryView {
            id: DeliveryId { event, destination: destination.clone() },
            event,
            destination,
            state,
            due: None,
            settled_at: Some(NOW.minus(std::time::Duration::from_secs(90))),
            reason: Some(DeadReason::Rejected),
            attempt_count: 2,
            round: 0,
            attempts,
        }
    }

    fn event(event_type: &str, deliveries: Vec<DeliveryView>) -> EventView {
        EventView {
            id: EventId::lowest_at(NOW),
            received_at: NOW.minus(std::time::Duration::from_secs(240)),
            source: Name::new("atoms").unwrap(),
            state: EventState::Dead,
            event_type: Some(event_type.into()),
            agent: None,
            call: Some("CALL-1".into()),
            source_id: None,
            quarantine_reason: None,
            body_bytes: 10,
            content_type: Some("application/json".into()),
            deliveries,
        }
    }

    #[test]
    fn a_list_names_the_destination_that_matters() {
        let events = [event("post\u{1b}[2J", vec![delivery(DeliveryStateName::Dead, None)])];
        let wanted = r"AGE  EVENT                                 TYPE           CALL    STATE
 4m  01a0c50c-cd4e-7000-8000-000000000000  post\u{1b}[2J  CALL-1  dead: crm
";
        assert_eq!(table(&events, NOW).render(Colour::Plain), wanted);
    }

    #[test]
    fn a_portrait_shows_what_each_attempt_met() {
        let attempt = |number, outcome| AttemptView {
            number,
            started_at: NOW,
            took_ms: 12,
            request: "POST http://crm.internal/calls".into(),
            outcome,
        };
        let attempts = vec![
            attempt(1, OutcomeView::Failed { failure: FailureKind::Timeout, detail: "after 15s".into() }),
            attempt(2, OutcomeView::Answered { status: 422, excerpt: "no\nphone\u{9b}".into(), class: None }),
            attempt(3, OutcomeView::Answered { status: 200, excerpt: String::new(), class: Some(Class::Throttled) }),
        ];
        let event = event("post-conversation", vec![delivery(DeliveryStateName::Dead, Some(attempts))]);
        let wanted = r"event        01a0c50c-cd4e-7000-8000-000000000000
state        dead: crm
received     2026-09-21T17:35:05.678Z (4m ago)
source       atoms
type         post-conversation
agent        -
call         CALL-1
sender's id  -
body         10 B, application/json

crm: dead 1m ago: refused by the destination (2 attempts)
    1. 2026-09-21T17:39:05.678Z  POST http://crm.internal/calls  timed out: after 15s (12 ms)
    2. 2026-09-21T17:39:05.678Z  POST http://crm.internal/calls  422: no\nphone\u{9b} (12 ms)
    3. 2026-09-21T17:39:05.678Z  POST http://crm.internal/calls  200 (throttled by a rule) (12 ms)";
        assert_eq!(portrait(&event, NOW, Colour::Plain), wanted);
    }

    #[test]
    fn a_long_answer_is_cut_between_two_characters() {
        assert_eq!(shortened(&"ü".repeat(121)), format!("{}…", "ü".repeat(120)));
        assert_eq!(shortened("short"), "short");
    }
}
