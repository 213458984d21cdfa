//! What differs between two texts, line by line.

use serde::Serialize;

use super::{table::Tone, text::harmless};
use crate::config::Colour;

/// How many lines around a change are shown with it.
const CONTEXT: usize = 3;

/// Two texts of 2000 lines. Larger ones that differ all over are shown one after the other, which costs no memory.
const MOST_CELLS: usize = 4_000_000;

/// On which side a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    /// On both: it hasn't changed.
    Both,
    /// Before only.
    Before,
    /// After only.
    After,
}

/// A line of either text, or of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    side: Side,
    text: String,
}

impl Line {
    fn new(side: Side, text: &str) -> Self {
        Self { side, text: text.to_owned() }
    }

    /// As it is shown, with a mark before it.
    fn words(&self, colour: Colour) -> String {
        let (tone, mark) = match self.side {
            Side::Both => (Tone::Faint, ' '),
            Side::Before => (Tone::Bad, '-'),
            Side::After => (Tone::Good, '+'),
        };
        let line = format!("{mark} {}", harmless(&self.text));
        tone.paint(line.trim_end(), colour)
    }
}

/// All lines of both texts in order, as few of them changed as can be. Empty when there is no difference.
pub(super) fn difference(before: &str, after: &str) -> Vec<Line> {
    if before == after {
        return Vec::new();
    }
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let start = before.iter().zip(&after).take_while(|(before, after)| before == after).count();
    let (shared, before) = before.split_at(start);
    let (_, after) = after.split_at(start);
    let end = before.iter().rev().zip(after.iter().rev()).take_while(|(before, after)| before == after).count();
    let (before, ending) = before.split_at(before.len() - end);
    let (after, _) = after.split_at(after.len() - end);

    let mut lines = all(Side::Both, shared);
    lines.extend(middle(before, after));
    lines.extend(all(Side::Both, ending));
    lines
}

fn all(side: Side, lines: &[&str]) -> Vec<Line> {
    lines.iter().map(|line| Line::new(side, line)).collect()
}

fn middle(mut before: &[&str], mut after: &[&str]) -> Vec<Line> {
    if before.len().saturating_mul(after.len()) > MOST_CELLS {
        return [all(Side::Before, before), all(Side::After, after)].concat();
    }
    let shared = shared_lines(before, after);
    let count =
        |before: &[&str], after: &[&str]| shared.get(before.len()).and_then(|row| row.get(after.len())).copied();
    let mut lines = Vec::new();
    loop {
        match (before.split_first(), after.split_first()) {
            (Some((line, next_before)), Some((other, next_after))) if line == other => {
                lines.push(Line::new(Side::Both, line));
                (before, after) = (next_before, next_after);
            }
            (Some((line, next)), other)
                if other.is_none_or(|(_, next_after)| count(next, after) >= count(before, next_after)) =>
            {
                lines.push(Line::new(Side::Before, line));
                before = next;
            }
            (_, Some((line, next))) => {
                lines.push(Line::new(Side::After, line));
                after = next;
            }
            (_, None) => return lines,
        }
    }
}

/// How many lines the last `i` of the one and the last `j` of the other share in the same order, in row `i`, column `j`.
fn shared_lines(before: &[&str], after: &[&str]) -> Vec<Vec<u32>> {
    let mut rows = vec![vec![0; after.len() + 1]];
    for line in before.iter().rev() {
        let last = rows.last().map(Vec::as_slice).unwrap_or_default();
        let mut row = vec![0];
        for (other, (diagonal, above)) in after.iter().rev().zip(last.iter().zip(last.iter().skip(1))) {
            let beside = row.last().copied().unwrap_or(0);
            row.push(if line == other { diagonal + 1 } else { beside.max(*above) });
        }
        rows.push(row);
    }
    rows
}

/// What has changed, with the lines around it, each line behind `indent`.
pub(super) fn words(lines: &[Line], indent: &str, colour: Colour) -> Vec<String> {
    let is_changed = |line: &Line| line.side != Side::Both;
    let is_shown = |index: usize| {
        let around = index.saturating_sub(CONTEXT)..lines.len().min(index + CONTEXT + 1);
        lines.get(around).is_some_and(|around| around.iter().any(is_changed))
    };
    let mut shown = Vec::new();
    let mut is_gap = false;
    for (index, line) in lines.iter().enumerate() {
        if is_shown(index) {
            shown.push(format!("{indent}{}", line.words(colour)));
        } else if !is_gap {
            shown.push(format!("{indent}{}", Tone::Faint.paint("  …", colour)));
        }
        is_gap = !is_shown(index);
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(before: &str, after: &str) -> String {
        words(&difference(before, after), "", Colour::Plain).join("\n")
    }

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(difference("a\nb", "a\nb"), []);
    }

    #[test]
    fn a_changed_line_is_shown_among_its_neighbours() {
        let before = "1\n2\n3\n4\n5\nsix\n7\n8\n9\n10\n11";
        let after = before.replace("six", "6");
        assert_eq!(shown(before, &after), "  …\n  3\n  4\n  5\n- six\n+ 6\n  7\n  8\n  9\n  …");
    }

    /// The most lines that both can share, found by trying everything.
    fn most_shared(before: &[&str], after: &[&str]) -> usize {
        match (before.split_first(), after.split_first()) {
            (Some((line, before)), Some((other, after))) if line == other => 1 + most_shared(before, after),
            (Some((_, less)), Some((_, fewer))) => most_shared(less, after).max(most_shared(before, fewer)),
            _ => 0,
        }
    }

    #[test]
    fn a_line_that_was_added_is_no_reason_to_call_the_others_changed() {
        assert_eq!(shown("a\nx\nb\nc", "a\nb\nc\ny"), "  a\n- x\n  b\n  c\n+ y");
    }

    #[test]
    fn texts_too_large_to_compare_are_shown_one_after_the_other() {
        let text = |letter: &str| format!("{}shared\n{letter}", format!("{letter}\n").repeat(2_100));
        let lines = difference(&text("a"), &text("b"));
        assert!(lines.iter().take(2_102).all(|line| line.side == Side::Before));
        assert!(lines.iter().skip(2_102).all(|line| line.side == Side::After));
    }

    #[test]
    fn a_stranger_cannot_steer_the_terminal_from_a_changed_line() {
        assert_eq!(shown("a", "\u{1b}[2J"), "- a\n+ \\u{1b}[2J");
    }

    proptest! {
        #[test]
        fn as_little_as_can_be_is_called_changed(before in "[abc]{0,7}", after in "[abc]{0,7}") {
            prop_assume!(before != after);
            let lines = |letters: &str| letters.chars().map(|letter| format!("{letter}\n")).collect::<Vec<_>>().concat();
            let (before, after) = (lines(&before), lines(&after));
            let shared = difference(&before, &after).iter().filter(|line| line.side == Side::Both).count();
            let most = most_shared(&before.lines().collect::<Vec<_>>(), &after.lines().collect::<Vec<_>>());
            prop_assert_eq!(shared, most);
        }

        #[test]
        fn each_side_can_be_read_off_it(before in "[ab\n]{0,12}", after in "[ab\n]{0,12}") {
            prop_assume!(before != after);
            let lines = difference(&before, &after);
            let side = |side: Side| {
                let lines = lines.iter().filter(|line| [side, Side::Both].contains(&line.side));
                lines.map(|line| line.text.clone()).collect::<Vec<_>>()
            };
            prop_assert_eq!(side(Side::Before), before.lines().collect::<Vec<_>>());
            prop_assert_eq!(side(Side::After), after.lines().collect::<Vec<_>>());
        }
    }
}
