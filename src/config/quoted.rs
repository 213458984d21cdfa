//! Where in the file a part of a text stands, whose quotes and escapes TOML has taken away.

use super::problem::Span;

/// Where in `text`, as it is written in the file with its quotes, the bytes `range` of its value are.
pub(super) fn place(text: &str, range: &Span) -> Span {
    let (opening, takes_escapes) = opening(text);
    if !takes_escapes {
        return opening + range.start..opening + range.end;
    }
    let pieces = pieces(text.get(opening..).unwrap_or_default());
    let end_of_text = pieces.last().map_or(0, |piece| piece.written.end);
    let start = pieces.iter().find(|piece| piece.meant.end > range.start).map(|piece| piece.written.start);
    let end = pieces.iter().find(|piece| piece.meant.start >= range.end).map(|piece| piece.written.start);
    opening + start.unwrap_or(end_of_text)..opening + end.unwrap_or(end_of_text)
}

/// How long the opening quotes are, with the line break that doesn't count, and whether `\` escapes.
fn opening(text: &str) -> (usize, bool) {
    let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| text.starts_with(quotes)).unwrap_or_default();
    let behind = text.get(quotes.len()..).unwrap_or_default();
    let is_block = quotes.len() == "\"\"\"".len();
    let line_break = ["\r\n", "\n"].into_iter().find(|line_break| is_block && behind.starts_with(line_break));
    (quotes.len() + line_break.map_or(0, str::len), quotes.starts_with('"'))
}

/// A character or an escape.
struct Piece {
    /// Where it is in what is written.
    written: Span,
    /// Where in the value that is which it means; empty for a line break that is escaped.
    meant: Span,
}

fn pieces(written: &str) -> Vec<Piece> {
    let (mut rest, mut pieces, mut meant) = (written, Vec::new(), 0);
    while let Some(first) = rest.chars().next() {
        let (of_file, of_value) = if first == '\\' { escape(rest) } else { (first.len_utf8(), first.len_utf8()) };
        let start = written.len() - rest.len();
        rest = rest.get(of_file..).unwrap_or_default();
        pieces.push(Piece { written: start..written.len() - rest.len(), meant: meant..meant + of_value });
        meant += of_value;
    }
    pieces
}

/// How long the escape is with which `rest` begins, and how long what it stands for.
fn escape(rest: &str) -> (usize, usize) {
    let of_code = |digits: usize| {
        let code = rest.get(2..2 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        (2 + digits, code.and_then(char::from_u32).map_or(1, char::len_utf8))
    };
    match rest.chars().nth(1) {
        Some('x') => of_code(2),
        Some('u') => of_code(4),
        Some('U') => of_code(8),
        Some(c) if c.is_whitespace() => {
            (1 + rest.get(1..).map_or(0, |after| after.len() - after.trim_start().len()), 0)
        }
        _ => (2, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written for a part of the value of `quoted`.
    fn written<'q>(quoted: &'q str, part: &str) -> &'q str {
        let document: toml::Table = format!("a = {quoted}").parse().unwrap();
        let value = document["a"].as_str().unwrap();
        let start = value.find(part).unwrap();
        quoted.get(place(quoted, &(start..start + part.len()))).unwrap()
    }

    #[test]
    fn every_kind_of_quotes_is_looked_through() {
        for quoted in ["\"a {{ b }}\"", "'a {{ b }}'", "\"\"\"\na {{ b }}\"\"\"", "'''\r\na\n{{ b }}'''"] {
            assert_eq!(written(quoted, "{{ b }}"), "{{ b }}", "{quoted}");
        }
    }

    #[test]
    fn escapes_are_counted_as_they_are_written() {
        assert_eq!(written(r#""\"\\\u00e9\U0001F600é {{ b(\"x\") }} y""#, r#"{{ b("x") }}"#), r#"{{ b(\"x\") }}"#);
        assert_eq!(written("\"\"\"a \\\n   \n  {{ b }} c\"\"\"", "{{ b }}"), "{{ b }}");
    }

    #[test]
    fn a_place_that_cannot_be_stays_within_the_text() {
        assert_eq!(place("\"é\\", &(0..99)), 1..4);
        assert_eq!(place("", &(0..0)), 0..0);
    }
}
