//! `top`: a screen that shows every second how much comes in and goes out, and how each destination is doing.

use std::time::Duration;

use clap::Args;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    Session,
    admin_client::Question,
    console::{Format, is_answered_by_a_person, is_read_by_a_person, say},
    failure::{Exit, Failure},
    screen::{Screen, Size},
    serve::Signals,
    status::{advice, condition, drained_in, queue, readiness},
    table::{Cell, Side, Table, Tone},
    text::{age, grouped, harmless},
};
use crate::{
    admin::view::{DestinationView, StatusView},
    config::Colour,
};

/// How often the screen is new.
const EVERY: Duration = Duration::from_secs(1);

/// The arguments of `top`.
#[derive(Debug, Args)]
pub(super) struct TopArgs {
    /// Show one screen, of the second that is to come, and end.
    #[arg(long)]
    once: bool,
}

/// Runs `top`.
pub(super) async fn run(args: TopArgs, session: &Session) -> Result<(), Failure> {
    let before = ask(session).await?;
    if args.once {
        sleep(EVERY).await;
        let now = ask(session).await?;
        return session.console.show(&now, |now, colour| screen(&before, now, colour).join("\n"));
    }
    if session.console.format() == Format::Json || !is_read_by_a_person() || !is_answered_by_a_person() {
        return Err(Failure::new(Exit::Usage, "`top` needs a terminal: add `--once` for one screen, or use `status`"));
    }
    let mut signals = Signals::listen()?;
    let mut terminal = Screen::enter()?;
    let ended = watch(before, &mut terminal, &mut signals, session).await;
    drop(terminal);
    match ended {
        Ok(()) => Ok(()),
        Err(failure) => {
            say("The relay has gone away.")?;
            Err(failure)
        }
    }
}

/// Shows screens until somebody wants no more, or the relay is gone.
async fn watch(
    mut before: StatusView,
    terminal: &mut Screen,
    signals: &mut Signals,
    session: &Session,
) -> Result<(), Failure> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let colour = session.console.colour();
    Screen::show(&fitting(&screen(&before, &before, Colour::Plain), Screen::size(), Colour::Plain));
    loop {
        tokio::select! {
            _ = signals.next() => return Ok(()),
            key = terminal.key() => if matches!(key, b'q' | b'Q') { return Ok(()) },
            _ = ticks.tick() => {
                let now = ask(session).await?;
                Screen::show(&fitting(&screen(&before, &now, colour), Screen::size(), colour));
                before = now;
            }
        }
    }
}

async fn ask(session: &Session) -> Result<StatusView, Failure> {
    session.admin().get(Question::new(["status"])).await
}

/// The lines of a screen: how `now` is, and what has happened since `before`.
fn screen(before: &StatusView, now: &StatusView, colour: Colour) -> Vec<String> {
    let version = harmless(&now.version);
    let relay =
        format!("atoms-relay {version}, {}, up {}", readiness(&now.readiness, colour), age(now.now, now.started_at));
    let mut lines = vec![relay, rates(before, now), queue(now), String::new()];
    let table = destinations(before, now).render(colour);
    lines.extend(table.lines().map(str::to_owned));
    let advice: Vec<String> = now.destinations.iter().filter_map(|view| advice(view, now.now)).collect();
    if !advice.is_empty() {
        lines.push(String::new());
        lines.extend(advice);
    }
    lines
}

fn rates(before: &StatusView, now: &StatusView) -> String {
    let of = |total: fn(&StatusView) -> u64| rate(total(before), total(now), before, now);
    format!(
        "in {}/s, delivered {}/s, failed {}/s",
        of(|status| status.accepted_total),
        of(|status| status.delivered_total),
        of(|status| status.failed_total)
    )
}

/// How many there were in a second, between two looks. A counter that has become less belongs to a relay that started anew.
fn rate(first: u64, last: u64, before: &StatusView, now: &StatusView) -> String {
    let millis = now.now.since(before.now).as_millis();
    let count = u128::from(if now.started_at == before.started_at { last.saturating_sub(first) } else { last });
    let tenths = (count * 10_000).checked_div(millis).unwrap_or_default();
    let whole = u64::try_from(tenths / 10).unwrap_or(u64::MAX);
    if whole >= 100 { grouped(whole) } else { format!("{whole}.{}", tenths % 10) }
}

fn destinations(before: &StatusView, now: &StatusView) -> Table {
    let mut table = Table::new([
        ("DESTINATION", Side::Left),
        ("CONDITION", Side::Left),
        ("OUT/S", Side::Right),
        ("FAILED/S", Side::Right),
        ("WAITING", Side::Right),
        ("IN FLIGHT", Side::Right),
        ("OLDEST", Side::Right),
        ("DRAINED IN", Side::Right),
        ("DEAD", Side::Right),
    ]);
    for view in &now.destinations {
        let was = before.destinations.iter().find(|was| was.name == view.name);
        let of = |total: fn(&DestinationView) -> u64| rate(was.map_or(0, total), total(view), before, now);
        let bad = |number: u64| Cell(if number > 0 { Tone::Bad } else { Tone::Plain }, grouped(number));
        table.row([
            view.name.as_str().into(),
            condition(view.condition),
            of(|view| view.delivered_total).into(),
            of(|view| view.failed_total).into(),
            grouped(view.waiting).into(),
            grouped(view.in_flight).into(),
            view.oldest.map_or_else(|| "-".to_owned(), |oldest| age(now.now, oldest)).into(),
            drained_in(view).into(),
            bad(view.dead),
        ]);
    }
    table
}

/// As much of the lines as fits. A line of colours that doesn't fit loses its end, not its colours.
fn fitting(lines: &[String], size: Size, colour: Colour) -> Vec<String> {
    let last = size.rows.saturating_sub(1);
    let mut shown: Vec<String> = lines.iter().take(last).map(|line| cut(line, size.columns)).collect();
    shown.resize(last, String::new());
    let more = lines.len().saturating_sub(last);
    let more = if more > 0 { format!("{more} more lines don't fit. ") } else { String::new() };
    shown.push(Tone::Faint.paint(&cut(&format!("{more}q quits"), size.columns), colour));
    shown
}

/// The first `columns` characters of a line; escapes for colours take no room.
fn cut(line: &str, columns: usize) -> String {
    let (mut shown, mut room, mut in_escape) = (String::with_capacity(line.len()), columns, false);
    for character in line.chars() {
        if character == '\u{1b}' {
            in_escape = true;
        } else if !in_escape {
            if room == 0 {
                continue;
            }
            room -= 1;
        }
        shown.push(character);
        in_escape &= character != 'm';
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_its_width_and_keeps_its_colours() {
        assert_eq!(cut("abcdef", 3), "abc");
        assert_eq!(cut("a\u{1b}[31mbcdef\u{1b}[0m", 3), "a\u{1b}[31mbc\u{1b}[0m");
        assert_eq!(cut("äöü", 2), "äö");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let lines: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let shown = fitting(&lines, Size { columns: 40, rows: 5 }, Colour::Plain);
        assert_eq!(shown, ["0", "1", "2", "3", "6 more lines don't fit. q quits"]);
        let shown = fitting(&lines, Size { columns: 7, rows: 12 }, Colour::Plain);
        assert_eq!((shown.len(), shown.last().map(String::as_str)), (12, Some("q quits")));
    }
}
