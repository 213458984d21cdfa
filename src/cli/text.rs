//! How values look to people: ages, sizes, and texts of strangers made harmless for a terminal.

use std::{fmt::Write, time::Duration};

use crate::model::Timestamp;

/// `text` without anything that could steer a terminal, break a line or turn the reading direction around: such
/// characters are shown as escapes. What events and destinations say goes through here before it is printed.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) { shown.extend(character.escape_default()) } else { shown.push(character) }
    }
    shown
}

/// The same for a text of several lines, which stay lines.
pub(super) fn harmless_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| harmless(line.strip_suffix('\r').unwrap_or(line))).collect();
    lines.join("\n")
}

/// The same for JSON, which stays the same JSON: harmful characters stand in its strings only.
pub(super) fn harmless_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if character != '\n' && is_harmful(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                push_unit(&mut shown, *unit);
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

fn push_unit(shown: &mut String, unit: u16) {
    // Writing to a String can't fail.
    let _infallible = write!(shown, "\\u{unit:04x}");
}

fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A length of time in its largest whole unit, such as `4m`.
pub(super) fn span(length: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let seconds = length.as_secs();
    match UNITS.iter().find(|(unit, _)| seconds >= *unit) {
        Some((unit, name)) => format!("{}{name}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

/// How long ago `at` was.
pub(super) fn age(now: Timestamp, at: Timestamp) -> String {
    span(now.since(at))
}

/// How long it is until `at`, such as `in 12s`.
pub(super) fn until(now: Timestamp, at: Timestamp) -> String {
    if at <= now { "now".to_owned() } else { format!("in {}", span(at.since(now))) }
}

/// A number of bytes, such as `3.4 KiB`.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}

/// A number and what it counts: `1 event`, `2 events`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(number)) }
}

/// A number with its thousands set apart: `1,204`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut shown, byte| {
        shown.extend([byte >> 4, byte & 15].map(|nibble| char::from_digit(nibble.into(), 16).unwrap_or('0')));
        shown
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stranger_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc\u{9b}1m"), r"a\u{1b}[2Jb\nc\u{9b}1m");
        assert_eq!(harmless("abc\u{202e}def"), r"abc\u{202e}def");
        assert_eq!(harmless("नमस्ते, Zoë ✓"), "नमस्ते, Zoë ✓");
        assert_eq!(harmless_lines("a\r\nb\tc"), "a\nb\\tc");
    }

    #[test]
    fn ages_are_short() {
        for (seconds, shown) in [(0, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (7_200, "2h"), (200_000, "2d")] {
            assert_eq!(span(Duration::from_secs(seconds)), shown);
        }
        let now = Timestamp::from_millis(100_000);
        assert_eq!(until(now, Timestamp::from_millis(112_500)), "in 12s");
        assert_eq!(until(now, now), "now");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(
            (count(1, "event", "events"), count(2_000, "event", "events")),
            ("1 event".into(), "2,000 events".into())
        );
        assert_eq!(size(3_500), "3.4 KiB");
        assert_eq!(hex(&[0x0f, 0xa0]), "0fa0");
    }

    proptest! {
        #[test]
        fn nothing_harmful_passes(text in any::<String>()) {
            prop_assert!(!harmless(&text).chars().any(is_harmful));
        }

        #[test]
        fn harmless_json_says_the_same(text in any::<String>()) {
            let json = harmless_json(&serde_json::to_string(&text).unwrap());
            prop_assert!(!json.chars().any(is_harmful));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
