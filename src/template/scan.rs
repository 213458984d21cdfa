//! What can be said of a template's source without compiling it. minijinja keeps its syntax tree to itself, so this knows
//! as much of the language as it has to: strings, brackets and words.

use std::ops::Range;

/// Whether anything in `source` is more than text.
pub(super) fn has_markup(source: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| source.contains(mark))
}

/// What stands between `{{` and `}}` where `source` begins with the one and ends with the other. Whether there are others
/// in between shows when that is compiled: it is no expression then.
pub(super) fn only_value(source: &str) -> Option<&str> {
    let inner = source.strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner))
}

/// The operands of the outermost `and`s of an expression; the expression itself when something binds weaker than `and`.
pub(super) fn operands(expression: &str) -> Vec<&str> {
    let outermost = || words(expression).filter(|word| word.depth == 0).map(|word| (word.text, word.range));
    if outermost().any(|(word, _)| ["or", "if", "else"].contains(&word)) {
        return vec![expression.trim()];
    }
    let mut start = 0;
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (_, and) in outermost().filter(|(word, _)| *word == "and") {
        ranges.push(start..and.start);
        start = and.end;
    }
    ranges.push(start..expression.len());
    ranges.into_iter().filter_map(|range| expression.get(range)).map(str::trim).collect()
}

/// A name or keyword in an expression.
#[derive(Debug, PartialEq, Eq)]
struct Word<'s> {
    text: &'s str,
    range: Range<usize>,
    /// In how many brackets it stands.
    depth: usize,
}

/// The words of an expression, but for those in strings.
fn words(expression: &str) -> impl Iterator<Item = Word<'_>> {
    let (mut rest, mut depth) = (expression, 0_usize);
    std::iter::from_fn(move || {
        loop {
            let first = rest.chars().next()?;
            let (token, after) = rest.split_at(token_len(rest, first));
            let start = expression.len() - rest.len();
            rest = after;
            match first {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ if is_of_word(first) => return Some(Word { text: token, range: start..start + token.len(), depth }),
                _ => {}
            }
        }
    })
}

/// How long the string, the word or the other character is that `rest` starts with.
fn token_len(rest: &str, first: char) -> usize {
    match first {
        '"' | '\'' => string_len(rest, first),
        _ if is_of_word(first) => rest.find(|char| !is_of_word(char)).unwrap_or(rest.len()),
        _ => first.len_utf8(),
    }
}

fn string_len(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn is_of_word(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_outermost_ands_part_an_expression() {
        assert_eq!(
            operands("a == 'x and y' and (b and c) and d[e and f]"),
            ["a == 'x and y'", "(b and c)", "d[e and f]"]
        );
        assert_eq!(operands("not a and b is not defined"), ["not a", "b is not defined"]);
        assert_eq!(operands(r#"a == "\" and " and band"#), [r#"a == "\" and ""#, "band"]);
    }

    #[test]
    fn what_binds_weaker_than_and_keeps_an_expression_whole() {
        assert_eq!(operands("a and b or c"), ["a and b or c"]);
        assert_eq!(operands("a and b if c else d"), ["a and b if c else d"]);
    }

    #[test]
    fn a_value_alone_is_told_from_text_around_it() {
        assert_eq!(only_value("{{ a }}"), Some(" a "));
        assert_eq!(only_value("{{- a -}}"), Some(" a "));
        assert_eq!(only_value(" {{ a }}"), None);
    }
}
