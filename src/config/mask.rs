//! The text of the file as people may see it: secrets are replaced by asterisks, byte for byte, so that spans still fit.
//!
//! The rule is to hide what nobody has said is harmless. A value is shown only when it was read as something that is no
//! secret; so the value of a misspelt `secret = "…"` is hidden as well. A text whose end was forgotten swallows what follows,
//! so in a file that isn't quite TOML nothing is shown that takes several lines. Comments are blanked: old secrets live on in
//! them. Lines that the parser couldn't make sense of are shown only when their key never has a secret.

use super::{
    ROOT_KEYS, SECTIONS,
    document::{Document, lines, touch},
    problem::Span,
};

/// Keys whose values are no secrets, so that their lines may be shown although they are not TOML. A key that is not here
/// has its line masked, nothing worse.
const HARMLESS_KEYS: &[&str] = &[
    "accept_deadline",
    "agents",
    "allow_private",
    "body",
    "concurrency",
    "connect_timeout",
    "content_type",
    "dead_letter_retention",
    "deduplication",
    "default_ttl",
    "events",
    "listen",
    "max_body",
    "method",
    "min_free_disk",
    "name",
    "path",
    "resend",
    "retention",
    "signature_header",
    "sources",
    "timeout",
    "to",
];

/// Punctuation that shows how a broken line is built, not what is in it.
const STRUCTURE: &[char] = &['[', ']', '{', '}', ',', '"', '\'', ' ', '\t'];

/// Hides in `text`, the text of `document`, all that is neither `revealed` nor harmless by its place.
pub(super) fn mask(text: &str, document: &Document<'_>, revealed: &[Span]) -> String {
    let mut leaves = document.leaves();
    leaves.sort_by_key(|leaf| leaf.start);
    let is_revealed = |leaf: &Span| {
        let is_one_line = text.get(leaf.clone()).is_some_and(|value| !value.contains('\n'));
        let has_end = is_one_line || document.damage().is_empty();
        has_end && revealed.iter().any(|shown| shown.start <= leaf.start && leaf.end <= shown.end)
    };
    let hidden = leaves.iter().filter(|leaf| !is_revealed(leaf)).map(|leaf| unquoted(text, leaf)).collect();
    let mask = Mask { leaves, hidden, damage: document.damage() };

    let mut masked = String::with_capacity(text.len());
    for (line, span) in lines(text) {
        masked.push_str(text.get(masked.len()..span.start).unwrap_or_default());
        mask.push_line(line, &span, &mut masked);
    }
    masked.push_str(text.get(masked.len()..).unwrap_or_default());
    masked
}

struct Mask<'d> {
    leaves: Vec<Span>,
    hidden: Vec<Span>,
    damage: &'d [Span],
}

impl Mask<'_> {
    fn push_line(&self, line: &str, span: &Span, masked: &mut String) {
        let broken_from = self.broken_from(line, span);
        let comment_from = self.comment_from(line, span.start);
        for (at, character) in line.char_indices() {
            let is_secret = match broken_from {
                Some(broken_from) => at >= broken_from && !STRUCTURE.contains(&character),
                None => overlaps_any(&self.hidden, &(span.start + at..span.start + at + 1)),
            };
            match character {
                _ if at >= comment_from => masked.extend(std::iter::repeat_n(' ', character.len_utf8())),
                _ if is_secret => masked.extend(std::iter::repeat_n('*', character.len_utf8())),
                _ => masked.push(character),
            }
        }
    }

    /// From where on a line may hold a secret that the parser has not seen as a value; `None` when it has seen all values.
    fn broken_from(&self, line: &str, span: &Span) -> Option<usize> {
        let is_damaged = self.damage.iter().any(|damage| touch(damage, span));
        let is_lost = !self.damage.is_empty() && !overlaps_any(&self.leaves, span);
        (is_damaged || is_lost).then(|| first_unknown(line))
    }

    /// Where the line's comment starts: at the first `#` outside of a value.
    fn comment_from(&self, line: &str, line_start: usize) -> usize {
        let hashes = line.match_indices('#').map(|(at, _)| at);
        let mut outside = hashes.filter(|at| !overlaps_any(&self.leaves, &(line_start + at..line_start + at + 1)));
        outside.next().unwrap_or(line.len())
    }
}

/// Where the part of a broken line begins that may be anything: behind the key, if there is one that is known, and at the
/// end if that key is harmless.
fn first_unknown(line: &str) -> usize {
    if is_header(line) {
        return line.len();
    }
    let Some((key, value)) = line.split_once('=') else { return 0 };
    let name = key.trim();
    let value_start = key.len() + 1;
    if HARMLESS_KEYS.contains(&name) {
        return value_start + end_of_values(value);
    }
    let is_known = SECTIONS.iter().any(|(_, keys)| keys.known.contains(&name));
    if is_known { value_start } else { 0 }
}

fn is_header(line: &str) -> bool {
    let path = line.trim_matches(['[', ']']);
    let is_known = ROOT_KEYS.known.contains(&path.split('.').next().unwrap_or_default());
    line.starts_with('[') && is_known && !path.contains(|c: char| c.is_whitespace() || "\"'=,".contains(c))
}

/// Where the value, or the list of values, at the start of a line's rest ends. What follows doesn't belong there, so it
/// may have slipped in from a line with a secret.
fn end_of_values(rest: &str) -> usize {
    let mut unread = rest.trim_start().trim_start_matches('[').trim_start();
    loop {
        unread = after_value(unread).trim_start();
        match unread.strip_prefix(',') {
            Some(next) => unread = next.trim_start(),
            None => return rest.len() - unread.len(),
        }
    }
}

/// What follows a text in quotes, closed or not, or a bare word.
fn after_value(text: &str) -> &str {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => text.splitn(3, quote).nth(2).unwrap_or_default(),
        _ => text.trim_start_matches(|c: char| !c.is_whitespace() && !matches!(c, ',' | ']' | '"' | '\'' | '=')),
    }
}

/// The value without its quotes, which may stay.
fn unquoted(text: &str, leaf: &Span) -> Span {
    let value = text.get(leaf.clone()).unwrap_or_default();
    let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| value.starts_with(quotes));
    let length = quotes.map_or(0, str::len);
    let closing = quotes.filter(|quotes| value.len() >= 2 * length && value.ends_with(quotes)).map_or(0, str::len);
    leaf.start + length..leaf.end - closing
}

/// Whether one of the sorted, disjoint spans shares a byte with `span`.
fn overlaps_any(spans: &[Span], span: &Span) -> bool {
    let next = spans.partition_point(|other| other.end <= span.start);
    spans.get(next).is_some_and(|other| other.start < span.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(text: &str) -> String {
        mask(text, &Document::parse(text), &[])
    }

    #[test]
    fn values_are_hidden_and_their_shape_stays() {
        assert_eq!(masked("secrets = [\"geheim\", 'two']\n"), "secrets = [\"******\", '***']\n");
        assert_eq!(masked("password = 1234"), "password = ****");
    }

    #[test]
    fn revealed_values_are_shown() {
        let text = "a = \"one\"\nb = \"two\"\n";
        assert_eq!(mask(text, &Document::parse(text), std::slice::from_ref(&(4..9))), "a = \"one\"\nb = \"***\"\n");
    }

    #[test]
    fn comments_are_blanked_but_a_hash_in_a_text_is_no_comment() {
        let text = "a = \"x#y\" # old: geheim\n# geheim\n";
        assert_eq!(
            mask(text, &Document::parse(text), std::slice::from_ref(&(4..9))),
            "a = \"x#y\"              \n        \n"
        );
    }

    #[test]
    fn a_secret_of_several_lines_is_hidden_on_each() {
        assert_eq!(masked("a = \"\"\"\none\ntwo\"\"\"\n"), "a = \"\"\"\n***\n***\"\"\"\n");
    }

    #[test]
    fn broken_lines_are_shown_only_when_they_can_hold_no_secret() {
        assert_eq!(masked("listen = 127.0.0.1:8080\n"), "listen = 127.0.0.1:8080\n");
        assert_eq!(masked("to = [\"a\", 'b', c\n"), "to = [\"a\", 'b', c\n");
        assert_eq!(
            masked("listen = \"1.2.3.4:5\"bearer = \"geheim\"\n"),
            "listen = \"1.2.3.4:5\"****** * \"******\"\n"
        );
        assert_eq!(masked("bearer = geheim\n"), "bearer = ******\n");
        assert_eq!(masked("secrets = [\"geheim\"\n\"noch\n"), "secrets = [\"******\"\n\"****\n");
        assert_eq!(masked("[source.atoms\n"), "[source.atoms\n");
        assert_eq!(masked("geheim\n"), "******\n");
        assert_eq!(masked("secrets = [\n\"Z2Vo==\n"), "secrets = [\n\"******\n");
    }

    #[test]
    fn what_the_parser_never_reached_is_hidden() {
        assert_eq!(masked("a b = 1\npassword = \"geheim\"\n"), "* * * *\npassword = \"******\"\n");
    }

    #[test]
    fn a_revealed_text_of_several_lines_is_hidden_in_a_broken_file() {
        let text = "a = \"\"\"x\ngeheim\"\"\"\n";
        let all = 0..text.len();
        let shown = |text: &str| mask(text, &Document::parse(text), std::slice::from_ref(&all));
        assert_eq!(shown(text), text);
        assert_eq!(shown(&format!("{text}b c")), "a = \"\"\"*\n******\"\"\"\n* *");
    }

    #[test]
    fn every_header_and_every_dotted_key_stays_readable() {
        let text = "[destination.a]\nretry.initial = \"1s\"\nretry.max = \"2s\"\n[destination.b]\n[[route]]\n";
        let shown = masked(text);
        assert_eq!(shown, text.replace("1s", "**").replace("2s", "**"));
    }

    proptest! {
        #[test]
        fn the_length_and_the_lines_never_change(text in "\\PC*|[a-z=\\[\\]{}\"'#\n .é]{0,80}") {
            let masked = masked(&text);
            prop_assert_eq!(masked.len(), text.len());
            prop_assert_eq!(masked.matches('\n').count(), text.matches('\n').count());
        }
    }
}
