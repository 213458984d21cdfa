//! `replay`: sends the past again, or to where it would go today.
//!
//! First it says what that would be, and a person has to agree; where there is none to ask, `--yes` or `--dry-run` has to be
//! said. The relay is asked in portions, so that a long replay shows how far it is and stops at Ctrl-C between two of them.

use clap::Args;

use super::{
    Session,
    admin_client::Question,
    console::{confirm, is_answered_by_a_person},
    events::StateArg,
    failure::{Exit, Failure},
    filter::When,
    progress::Progress,
    text::count,
};
use crate::{
    admin::view::{EventSelection, ReplayRequest, ReplayedView},
    model::{DeliveryId, EventId, Name},
};

/// Events in one portion: a moment's work for the relay.
const PORTION: u64 = 2_000;

/// The arguments of `replay`.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("which").required(true).multiple(true),
    after_help = "\
Examples:
  atoms-relay replay 0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f.crm         one delivery
  atoms-relay replay --call CALL-1790012345678-a1b2c3 --dry-run      all that came of a call
  atoms-relay replay --destination crm --state dead --since 3d       what was given up
  atoms-relay replay --reroute --state unrouted --since 7d           what no route wanted, by today's routes
  atoms-relay replay --reroute --destination billing --since 30d     a new destination's past

What is replayed waits behind events that just came in."
)]
pub(super) struct ReplayArgs {
    /// These events, or these deliveries (an event id, a dot and the destination).
    #[arg(value_name = "ID", group = "which")]
    ids: Vec<Id>,
    /// Only events of this call.
    #[arg(long, value_name = "ID", group = "which")]
    call: Option<String>,
    /// Only events of this agent.
    #[arg(long, value_name = "ID", group = "which")]
    agent: Option<String>,
    /// Only events of this type, such as `post-conversation`.
    #[arg(long = "type", value_name = "TYPE", group = "which")]
    event_type: Option<String>,
    /// Only events from this source.
    #[arg(long, value_name = "NAME", group = "which")]
    source: Option<Name>,
    /// Only to this destination; may be given several times.
    #[arg(long, value_name = "NAME", group = "which")]
    destination: Vec<Name>,
    /// Only deliveries that stand there; with `--reroute` only events that do.
    #[arg(long, value_name = "STATE", group = "which")]
    state: Option<StateArg>,
    /// Only events received since then: a length of time such as `2h`, or a UTC time such as `2026-09-22T09:14:06Z`.
    #[arg(long, value_name = "WHEN", group = "which")]
    since: Option<When>,
    /// Only events received before then.
    #[arg(long, value_name = "WHEN", group = "which")]
    until: Option<When>,
    /// Send nothing again, but make the deliveries that today's routes would make and that aren't there.
    #[arg(long)]
    reroute: bool,
    /// Only say how much it would be.
    #[arg(long)]
    dry_run: bool,
    /// Don't ask.
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
}

/// An event, or one of its deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Id {
    Event(EventId),
    Delivery(DeliveryId),
}

impl std::str::FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let delivery = || text.parse().map(Self::Delivery).map_err(|error| format!("{error}"));
        if text.contains('.') { delivery() } else { text.parse().map(Self::Event).map_err(|error| format!("{error}")) }
    }
}

/// Runs `replay`.
pub(super) async fn run(args: ReplayArgs, session: &Session) -> Result<(), Failure> {
    let request = args.request(session)?;
    if args.yes {
        let done = carry_out(&request, 0, session).await?;
        return session.console.show(&done, |done, _| sentence(done, args.reroute));
    }
    if !args.dry_run && !is_answered_by_a_person() {
        let what = "say --dry-run to see what would be sent again, or --yes to send it";
        return Err(Failure::new(Exit::Usage, what));
    }
    let rehearsal = ReplayRequest { dry_run: true, ..request.clone() };
    let would = carry_out(&rehearsal, 0, session).await?;
    if args.dry_run || would.events == 0 && would.deliveries == 0 {
        return session.console.show(&would, |would, _| sentence(would, args.reroute));
    }
    if !confirm(&format!("{} Go on?", sentence(&would, args.reroute)))? {
        return session.console.show(&would, |_, _| "Nothing was sent again.".to_owned());
    }
    let done = carry_out(&request, would.chosen, session).await?;
    session.console.show(&done, |done, _| sentence(done, args.reroute))
}

impl ReplayArgs {
    fn request(&self, session: &Session) -> Result<ReplayRequest, Failure> {
        let (mut event, mut deliveries) = (Vec::new(), Vec::new());
        for id in &self.ids {
            match id {
                Id::Event(id) => event.push(*id),
                Id::Delivery(id) => deliveries.push(id.clone()),
            }
        }
        let filter = self.filter(event, session);
        let destinations = self.destination.clone();
        if deliveries.is_empty() {
            let (reroute, limit) = (self.reroute, Some(PORTION));
            return Ok(ReplayRequest {
                filter: Some(filter),
                destinations,
                reroute,
                limit,
                ..ReplayRequest::default()
            });
        }
        if filter != EventSelection::default() || !destinations.is_empty() || self.reroute {
            return Err(Failure::new(Exit::Usage, "deliveries are named by their ids alone, without other conditions"));
        }
        Ok(ReplayRequest { deliveries, ..ReplayRequest::default() })
    }

    fn filter(&self, event: Vec<EventId>, session: &Session) -> EventSelection {
        let now = session.clock.now();
        EventSelection {
            agent: self.agent.clone(),
            event_type: self.event_type.clone(),
            call: self.call.clone(),
            source: self.source.clone(),
            state: self.state.map(StateArg::state),
            since: self.since.map(|when| when.before(now)),
            until: self.until.map(|when| when.before(now)),
            event,
            destination: None,
        }
    }
}

/// Asks for one portion after another, of `of` events where that is known, else 0. They go back in time, so
/// what comes in meanwhile isn't among them.
async fn carry_out(request: &ReplayRequest, of: u64, session: &Session) -> Result<ReplayedView, Failure> {
    let mut progress = Progress::new();
    let mut portion = request.clone();
    let mut total = ReplayedView { dry_run: request.dry_run, ..ReplayedView::default() };
    loop {
        let done: ReplayedView = session.admin().post(Question::new(["replays"]), &portion).await?;
        total.deliveries += done.deliveries;
        total.skipped += done.skipped;
        total.chosen += done.chosen;
        total.events += done.events;
        total.created += done.created;
        progress.show(total.chosen, of, || count(total.chosen, "event", "events"));
        if done.next.is_none() {
            return Ok(total);
        }
        portion.cursor = done.next;
    }
}

fn sentence(done: &ReplayedView, is_rerouted: bool) -> String {
    let deliveries = count(done.deliveries, "delivery", "deliveries");
    let events = count(done.events, "event", "events");
    let did = match (is_rerouted, done.dry_run) {
        (false, false) => format!("{deliveries} due now"),
        (false, true) => format!("{deliveries} would be due now"),
        (true, false) => format!("{events} rerouted, {deliveries} made"),
        (true, true) => format!("{events} would be rerouted, {deliveries} made"),
    };
    let of = if is_rerouted || done.events == 0 { String::new() } else { format!(", of {events}") };
    let skipped = count(done.skipped, "id names nothing", "ids name nothing");
    if done.skipped == 0 { format!("{did}{of}.") } else { format!("{did}{of}; {skipped}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_an_event_or_one_of_its_deliveries() {
        let event = "0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f";
        assert!(matches!(event.parse(), Ok(Id::Event(_))));
        assert!(matches!(format!("{event}.crm").parse(), Ok(Id::Delivery(_))));
        assert!("CALL-1".parse::<Id>().is_err());
    }

    #[test]
    fn it_is_said_what_was_done_and_what_would_be() {
        let done = ReplayedView { deliveries: 3, events: 2, ..ReplayedView::default() };
        assert_eq!(sentence(&done, false), "3 deliveries due now, of 2 events.");
        assert_eq!(sentence(&done, true), "2 events rerouted, 3 deliveries made.");
        let would = ReplayedView { dry_run: true, deliveries: 1, skipped: 1, ..ReplayedView::default() };
        assert_eq!(sentence(&would, false), "1 delivery would be due now; 1 id names nothing.");
    }
}
