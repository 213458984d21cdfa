//! No text makes the parser panic, and none makes it show a secret.

use proptest::{prelude::*, sample::Index};

use super::*;
use crate::config::Colour;

const EXAMPLE: &str = include_str!("../../../relay.toml.example");
const MISTAKES: &str = include_str!("mistakes.toml");

/// What texts of this kind are made of.
const PIECES: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\"",
    "\"\"\"",
    "'",
    "#",
    "\n",
    " ",
    "server",
    "source.a",
    "secrets",
    "destination.b",
    "route",
    "to",
    "url",
    "retry",
    "auth",
    "basic",
    "listen",
    "1",
    "true",
    "1979-05-27",
    "\"/x\"",
    "é",
    "\\",
    "\r\n",
    "\u{feff}",
    "\0",
    "\"https://a/\"",
    "json",
    "vars",
    "\"{{ vars.a }}\"",
    "{{",
    "}}",
];

/// A change at some place of a text.
#[derive(Debug, Clone)]
enum Slip {
    Remove(Index, usize),
    Insert(Index, &'static str),
    Repeat(Index, usize),
}

/// Slips of at most so many characters each.
fn slips(most: usize) -> impl Strategy<Value = Vec<Slip>> {
    let slip = prop_oneof![
        (any::<Index>(), 1..=most).prop_map(|(at, length)| Slip::Remove(at, length)),
        (any::<Index>(), proptest::sample::select(PIECES)).prop_map(|(at, piece)| Slip::Insert(at, piece)),
        (any::<Index>(), 1..=most).prop_map(|(at, length)| Slip::Repeat(at, length)),
    ];
    proptest::collection::vec(slip, 1..4)
}

fn apply(text: &str, slips: &[Slip]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for slip in slips {
        let (Slip::Remove(at, _) | Slip::Insert(at, _) | Slip::Repeat(at, _)) = slip;
        let at = at.index(characters.len() + 1);
        match slip {
            Slip::Remove(_, length) => drop(characters.drain(at..(at + length).min(characters.len()))),
            Slip::Insert(_, piece) => drop(characters.splice(at..at, piece.chars())),
            Slip::Repeat(_, length) => {
                let again = characters[at..(at + length).min(characters.len())].to_vec();
                characters.splice(at..at, again);
            }
        }
    }
    characters.into_iter().collect()
}

/// Parses and shows everything; the result is what people would see.
fn seen(text: &str) -> String {
    match parse(text) {
        Ok(config) => format!("{config:?}{}", config.warnings.render(Colour::Ansi)),
        Err(problems) => {
            assert!(problems.count(Severity::Error) > 0);
            for problem in &problems {
                assert_eq!(problems.position(problem).is_some(), problem.span().is_some());
            }
            problems.render(Colour::Plain)
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        seen(&text);
    }

    #[test]
    fn any_heap_of_pieces_is_read_or_refused(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..40)) {
        seen(&pieces.concat());
    }

    #[test]
    fn a_damaged_config_is_read_or_refused(slips in slips(60)) {
        seen(&apply(EXAMPLE, &slips));
        seen(&apply(MINIMAL, &slips));
    }

    /// All secrets of the file are made of `hunter2`. A slip of one character damages what is around them; longer ones could
    /// make a secret part of another value, which is another file and not a damaged one.
    #[test]
    fn no_slip_uncovers_a_secret(slips in slips(1)) {
        let shown = seen(&apply(MISTAKES, &slips));
        prop_assert!(!shown.contains("hunter2"), "{}", shown);
    }
}

#[test]
fn nesting_without_end_is_refused() {
    for opening in ["[", "{a=", "a."] {
        seen(&format!("a = {}", opening.repeat(100_000)));
        seen(&opening.repeat(100_000));
    }
}
