//! `tail`: what happens in a running relay, as it happens, until Ctrl-C.
//!
//! When the relay goes away it says so, and goes on when the relay is back. What happened meanwhile is in `events`.

use std::time::Duration;

use clap::Args;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::{
    Session,
    admin_client::Question,
    console::{Format, remark, say_on},
    events::{event_type, or_dash, outcome_words, state},
    failure::{Exit, Failure},
    filter::Kinds,
    listening::{Listening, Told},
    serve::Signals,
    status::condition,
    table::{Cell, Tone},
    text::{count, harmless, harmless_json},
};
use crate::{
    admin::view::{
        AttemptNewsView, DeliveryStateName, DestinationView, EventView, LaggedView, OutcomeView, SettledView,
    },
    config::Colour,
    model::{Name, Timestamp},
};

/// How long to wait before a relay that is gone is looked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// The arguments of `tail`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atoms-relay tail
  atoms-relay tail --destination crm
  atoms-relay tail --call CALL-1790012345678-a1b2c3 --json")]
pub(super) struct TailArgs {
    /// Only what goes to this destination.
    #[arg(long, value_name = "NAME")]
    destination: Option<Name>,
    #[command(flatten)]
    kinds: Kinds,
}

/// Runs `tail`.
pub(super) async fn run(args: TailArgs, session: &Session) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        ended = follow(&args, session) => ended,
        _ = signals.next() => Ok(()),
    }
}

/// Listens, and again whenever the relay has gone away. A relay that isn't there at the beginning is an error.
async fn follow(args: &TailArgs, session: &Session) -> Result<(), Failure> {
    let mut listening = session.admin().listen(args.question()).await?;
    loop {
        let Ended::Gone(why) = tell_all(&mut listening, session).await? else { return Ok(()) };
        remark(&format!("The relay has gone away: {}. Waiting for it to come back.", harmless(&why)));
        listening = loop {
            sleep(AGAIN).await;
            if let Ok(listening) = session.admin().listen(args.question()).await {
                break listening;
            }
        };
        remark("It is back. What happened meanwhile: `atoms-relay events`.");
    }
}

/// How a stream ended.
enum Ended {
    /// The relay has ended it.
    Gone(String),
    /// Nobody reads any more (`| head`).
    Unread,
}

/// Tells everything until the stream ends.
async fn tell_all(listening: &mut Listening, session: &Session) -> Result<Ended, Failure> {
    loop {
        let told = match listening.next().await {
            Ok(told) if told.event == "stopping" => return Ok(Ended::Gone("it stops".to_owned())),
            Ok(told) => told,
            Err(why) => return Ok(Ended::Gone(why)),
        };
        let line = match session.console.format() {
            Format::Json => Some(line_of_json(&told)),
            Format::Text => line(&told, session)?,
        };
        if let Some(line) = line
            && say_on(&line)?.is_break()
        {
            return Ok(Ended::Unread);
        }
    }
}

impl TailArgs {
    fn question(&self) -> Question {
        self.kinds.narrow(Question::new(["stream"]).with("destination", self.destination.as_ref()))
    }
}

/// The document, with the kind of event that it is.
fn line_of_json(told: &Told) -> String {
    let event = serde_json::Value::from(told.event.as_str());
    harmless_json(&format!("{{\"event\":{event},\"data\":{}}}", told.document))
}

/// What is shown of it; `None` where that is nothing, or said beside the rest.
fn line(told: &Told, session: &Session) -> Result<Option<String>, Failure> {
    let (now, colour) = (session.clock.now(), session.console.colour());
    Ok(match told.event.as_str() {
        "accepted" => Some(accepted(&read(told)?, colour)),
        "attempt" => Some(attempt(&read(told)?, colour)),
        "settled" => settled(&read(told)?, colour),
        "destination" => Some(destination(&read(told)?, now, colour)),
        "lagged" => {
            let LaggedView { missed } = read(told)?;
            let lines = count(missed, "line was", "lines were");
            remark(&format!("{lines} missed: more happens than can be shown here."));
            None
        }
        // A newer relay tells of more.
        _ => None,
    })
}

fn read<T: DeserializeOwned>(told: &Told) -> Result<T, Failure> {
    serde_json::from_str(&told.document)
        .map_err(|error| Failure::new(Exit::Unavailable, format_args!("what the relay tells can't be read: {error}")))
}

fn accepted(event: &EventView, colour: Colour) -> String {
    let destinations: Vec<&str> = event.deliveries.iter().map(|delivery| delivery.destination.as_str()).collect();
    let Cell(tone, standing) = state(event);
    let goes =
        if destinations.is_empty() { tone.paint(&standing, colour) } else { format!("to {}", destinations.join(", ")) };
    let kind = Tone::Strong.paint("event", colour);
    format!(
        "{}  {kind}    {}  call {}  {goes}  {}",
        time(event.received_at),
        event_type(event),
        or_dash(event.call.as_deref()),
        Tone::Faint.paint(&event.id.to_string(), colour)
    )
}

fn attempt(news: &AttemptNewsView, colour: Colour) -> String {
    let tried = &news.attempt;
    let tone = match tried.outcome {
        OutcomeView::Answered { status: 200..=299, class: None, .. } => Tone::Good,
        _ => Tone::Warning,
    };
    format!(
        "{}  attempt  {}  call {}  to {}: {} ({} ms, no. {})  {}",
        time(tried.started_at),
        or_dash(news.event_type.as_deref()),
        or_dash(news.call.as_deref()),
        news.destination,
        tone.paint(&outcome_words(&tried.outcome), colour),
        tried.took_ms,
        tried.number,
        Tone::Faint.paint(&news.event.to_string(), colour)
    )
}

/// That a delivery has ended badly; that it has arrived its attempt has said already.
fn settled(news: &SettledView, colour: Colour) -> Option<String> {
    let reason = news.reason.map_or_else(String::new, |reason| format!(": {reason}"));
    let standing = match news.state {
        DeliveryStateName::Dead => Tone::Bad.paint(&format!("dead{reason}"), colour),
        DeliveryStateName::Expired => Tone::Faint.paint("expired", colour),
        DeliveryStateName::Waiting | DeliveryStateName::Delivered | DeliveryStateName::Discarded => return None,
    };
    Some(format!("{}  settled  {}  {standing}", time(news.at), news.delivery))
}

fn destination(view: &DestinationView, now: Timestamp, colour: Colour) -> String {
    let Cell(tone, word) = condition(view.condition);
    let reason = view.reason.as_deref().filter(|reason| !reason.is_empty());
    let reason = reason.map_or_else(String::new, |reason| format!(": {}", harmless(reason)));
    format!("{}  {}  {}{reason}", time(now), Tone::Strong.paint(view.name.as_str(), colour), tone.paint(&word, colour))
}

/// The time of day, to the millisecond.
fn time(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('T').map_or(text.clone(), |(_, time)| time.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_is_one_line_and_harmless() {
        let told = Told { event: "attempt".into(), document: "{\"a\":\"\u{202e}\"}".into() };
        assert_eq!(line_of_json(&told), r#"{"event":"attempt","data":{"a":"\u202e"}}"#);
    }

    #[test]
    fn the_time_of_day_is_enough() {
        assert_eq!(time(Timestamp::from_millis(1_790_012_345_678)), "17:39:05.678Z");
    }
}
