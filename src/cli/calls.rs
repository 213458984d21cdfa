//! `calls`: which calls there were, and one call as a timeline: what came in, where each went, what was met there.

use clap::{Args, Subcommand};

use super::{
    Session,
    admin_client::Question,
    events::{StateArg, attempt_line, delivery_state, event_type, or_dash, or_nothing, state, tell_of_more},
    failure::Failure,
    filter::Filter,
    table::{Cell, Side, Table, Tone},
    text::{age, harmless, span},
};
use crate::{
    admin::view::{CallEventView, CallSummaryView, CallView, EventView, PageView},
    config::Colour,
    model::Timestamp,
    store::EventState,
};

/// The arguments of `calls`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  atoms-relay calls --since 2h
  atoms-relay calls --state dead --agent 68c1f0aa41d2b7e5903c11a4
  atoms-relay calls show CALL-1790012345678-a1b2c3"
)]
pub(super) struct CallsArgs {
    #[command(subcommand)]
    command: Option<CallsCommand>,
    #[command(flatten)]
    filter: Filter,
    /// Only calls with an event that stands there.
    #[arg(long, value_name = "STATE")]
    state: Option<StateArg>,
}

#[derive(Debug, Subcommand)]
enum CallsCommand {
    /// Show one call: its events in order, and what became of each at each destination.
    Show {
        /// The call's id.
        id: String,
    },
}

/// Runs `calls`.
pub(super) async fn run(args: CallsArgs, session: &Session) -> Result<(), Failure> {
    match &args.command {
        Some(CallsCommand::Show { id }) => show(id, session).await,
        None => list(&args, session).await,
    }
}

async fn list(args: &CallsArgs, session: &Session) -> Result<(), Failure> {
    let question = Question::new(["calls"]).with("state", args.state.map(StateArg::name));
    let question = args.filter.narrow(question, &session.clock);
    let page: PageView<CallSummaryView> = session.admin().get_list(question, args.filter.limit()).await?;
    let now = session.clock.now();
    session.console.show_list(&page.items, |calls, colour| or_nothing(&table(calls, now), colour))?;
    tell_of_more(page.next.as_deref());
    Ok(())
}

fn table(calls: &[CallSummaryView], now: Timestamp) -> Table {
    let mut table = Table::new([
        ("AGE", Side::Right),
        ("CALL", Side::Left),
        ("AGENT", Side::Left),
        ("STATE", Side::Left),
        ("EVENTS", Side::Left),
    ]);
    for call in calls {
        let events: Vec<String> = call.events.iter().map(|event| or_dash(event.event_type.as_deref())).collect();
        table.row([
            age(now, call.last_received_at).into(),
            harmless(&call.call).into(),
            or_dash(call.agent.as_deref()).into(),
            worst(&call.events),
            events.join(", ").into(),
        ]);
    }
    table
}

/// Where a call stands: where its event stands that most needs somebody.
fn worst(events: &[CallEventView]) -> Cell {
    const BY_NEED: [(EventState, Tone, &str); 6] = [
        (EventState::Dead, Tone::Bad, "dead"),
        (EventState::Quarantined, Tone::Bad, "quarantined"),
        (EventState::Waiting, Tone::Warning, "waiting"),
        (EventState::Expired, Tone::Faint, "expired"),
        (EventState::Delivered, Tone::Good, "delivered"),
        (EventState::Unrouted, Tone::Faint, "unrouted"),
    ];
    let has = |state: EventState| events.iter().any(|event| event.state == state);
    let found = BY_NEED.into_iter().find(|(state, ..)| has(*state));
    found.map_or_else(|| "-".into(), |(_, tone, word)| Cell(tone, word.to_owned()))
}

async fn show(id: &str, session: &Session) -> Result<(), Failure> {
    let call: CallView = session.admin().get(Question::new(["calls", id])).await?;
    let now = session.clock.now();
    session.console.show(&call, |call, colour| timeline(call, now, colour))
}

fn timeline(call: &CallView, now: Timestamp, colour: Colour) -> String {
    let name = Tone::Strong.paint(&harmless(&call.call), colour);
    let mut lines = vec![format!("call {name}, agent {}, {}", or_dash(call.agent.as_deref()), standing(call, colour))];
    let Some(first) = call.events.first() else { return lines.join("\n") };
    for event in &call.events {
        lines.push(String::new());
        lines.push(heading(event, first.received_at, colour));
        lines.extend(event.deliveries.iter().flat_map(|delivery| {
            let Cell(tone, standing) = delivery_state(delivery, now);
            let line = format!("  {}: {}", delivery.destination, tone.paint(&standing, colour));
            [line].into_iter().chain(delivery.attempts.iter().flatten().map(attempt_line))
        }));
    }
    lines.join("\n")
}

fn standing(call: &CallView, colour: Colour) -> String {
    if call.complete {
        return Tone::Good.paint("complete", colour);
    }
    let missing: Vec<String> = call.missing.iter().map(|missing| harmless(missing)).collect();
    Tone::Warning.paint(&format!("without {}", missing.join(" and ")), colour)
}

/// When an event came in, as the time since the call's first one; what it is and where it stands.
fn heading(event: &EventView, first: Timestamp, colour: Colour) -> String {
    let Cell(tone, standing) = state(event);
    let (event_type, id) = (Tone::Strong.paint(&event_type(event), colour), event.id);
    let after = span(event.received_at.since(first));
    let reason =
        event.quarantine_reason.as_deref().map_or_else(String::new, |reason| format!(": {}", harmless(reason)));
    format!("{} (+{after})  {event_type}  {}{reason}\n  event {id}", event.received_at, tone.paint(&standing, colour))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        model::{DeadReason, Delivery, EventId, Name, Reading, Verdict},
        store::EventSummary,
    };

    const FIRST: Timestamp = Timestamp::from_millis(1_790_012_000_000);

    fn event(event_type: &str, after: u64, verdict: Verdict) -> EventView {
        let at = FIRST.plus(Duration::from_secs(after));
        let body = format!(r#"{{"event":"A.{event_type}","metadata":{{"callId":"C\u001b[2J"}}}}"#);
        let delivery = Delivery::new(Name::new("crm").unwrap(), at).after(verdict, None, at).unwrap();
        EventView::from(EventSummary {
            id: EventId::lowest_at(at),
            source: Name::new("atoms").unwrap(),
            reading: Reading::of(body.as_bytes()),
            body_len: 1,
            deliveries: vec![delivery],
        })
    }

    #[test]
    fn a_call_is_told_in_the_order_in_which_it_came() {
        let now = FIRST.plus(Duration::from_secs(600));
        let waits = event("post-conversation", 95, Verdict::RetryAt(now.plus(Duration::from_secs(30))));
        let call = CallView {
            call: "C\u{1b}[2J".into(),
            agent: Some("A".into()),
            complete: false,
            missing: vec!["analytics-completed".into()],
            events: vec![event("pre-conversation", 0, Verdict::Done), waits],
        };
        let wanted = r"call C\u{1b}[2J, agent A, without analytics-completed

2026-09-21T17:33:20.000Z (+0s)  pre-conversation  delivered
  event 01a0c507-8700-7000-8000-000000000000
  crm: delivered 10m ago

2026-09-21T17:34:55.000Z (+1m)  post-conversation  waiting: crm
  event 01a0c508-fa18-7000-8000-000000000000
  crm: waiting, due in 30s";
        assert_eq!(timeline(&call, now, Colour::Plain), wanted);
    }

    #[test]
    fn a_call_stands_where_the_event_stands_that_most_needs_somebody() {
        let of = |verdicts: &[Verdict]| {
            let events = verdicts.iter().map(|verdict| event("x", 0, *verdict)).map(CallEventView::from);
            worst(&events.collect::<Vec<_>>()).1
        };
        assert_eq!(of(&[Verdict::Done, Verdict::RetryAt(FIRST)]), "waiting");
        assert_eq!(of(&[Verdict::RetryAt(FIRST), Verdict::Dead(DeadReason::Rejected)]), "dead");
        assert_eq!(of(&[Verdict::Done]), "delivered");
    }
}
