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
    let outermost = || tokens(expression).filter(|token| token.depth == 0);
    if outermost().any(|token| ["or", "if", "else"].contains(&token.text)) {
        return vec![expression.trim()];
    }
    let mut start = 0;
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for and in outermost().filter(|token| token.text == "and") {
        ranges.push(start..and.range.start);
        start = and.range.end;
    }
    ranges.push(start..expression.len());
    ranges.into_iter().filter_map(|range| expression.get(range)).map(str::trim).collect()
}

/// What a word is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// `x | word`.
    Filter,
    /// `x is word`.
    Test,
    /// `word(…)`.
    Function,
}

/// Words before a bracket that are no functions.
const KEYWORDS: &[&str] = &["and", "elif", "else", "for", "if", "in", "is", "not", "or", "set", "with"];

/// The words of some code that are used as something that has to exist, and where they stand.
pub(super) fn uses(code: &str) -> Vec<(Use, &str, Range<usize>)> {
    let tokens: Vec<Token<'_>> = tokens(code).collect();
    let text = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map_or("", |token| token.text);
    let as_what = |at: usize| match (text(at.checked_sub(2)), text(at.checked_sub(1)), text(Some(at + 1))) {
        (_, "|" | "filter", _) => Some(Use::Filter),
        (_, "is", _) | ("is", "not", _) => Some(Use::Test),
        (_, before, "(") if before != "." => Some(Use::Function),
        _ => None,
    };
    let words = tokens.iter().enumerate().filter(|(_, token)| token.is_word() && !KEYWORDS.contains(&token.text));
    words.filter_map(|(at, word)| Some((as_what(at)?, word.text, word.range.clone()))).collect()
}

/// The first operator that other languages have in some code, where it stands, and the word for it in this one.
pub(super) fn foreign_operator(code: &str) -> Option<(Range<usize>, &'static str)> {
    let tokens: Vec<Token<'_>> = tokens(code).collect();
    tokens.iter().zip(tokens.iter().skip(1)).find_map(|(token, next)| {
        let both = token.range.start..next.range.end;
        match (code.get(both.clone())?, token.text) {
            ("&&", _) => Some((both, "and")),
            ("||", _) => Some((both, "or")),
            (pair, "!") if pair != "!=" => Some((token.range.clone(), "not")),
            _ => None,
        }
    })
}

/// What stands between the marks of a template, `{{ … }}` and `{% … %}`.
pub(super) fn code_in(template: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (mark, behind) = rest.split_at(at).1.split_at_checked(2).unwrap_or_default();
        let (code, after) = match mark {
            "{{" => behind.split_at(code_len(behind, '}')),
            "{%" => behind.split_at(code_len(behind, '%')),
            "{#" => ("", behind.split_once("#}").map_or("", |(_, after)| after)),
            _ => ("", rest.get(at + 1..).unwrap_or_default()),
        };
        rest = after;
        if code.trim_matches(['-', '+', ' ']) == "raw" {
            rest = after.split_once("endraw").map_or("", |(_, after)| after);
        } else if !code.is_empty() {
            let start = template.len() - after.len() - code.len();
            found.push(start..start + code.len());
        }
    }
    found
}

/// How long the code is up to `}}` or `%}`.
fn code_len(behind: &str, mark: char) -> usize {
    let is_end = |token: &Token<'_>| {
        let is_mark = token.text.starts_with(mark) && token.depth == 0;
        is_mark && behind.get(token.range.end..).is_some_and(|after| after.starts_with('}'))
    };
    tokens(behind).find(is_end).map_or(behind.len(), |end| end.range.start)
}

/// A word, a string or another character.
#[derive(Debug, PartialEq, Eq)]
struct Token<'s> {
    text: &'s str,
    range: Range<usize>,
    /// In how many brackets it stands.
    depth: usize,
}

impl Token<'_> {
    fn is_word(&self) -> bool {
        self.text.starts_with(is_of_word)
    }
}

/// The tokens of some code, without spaces.
fn tokens(code: &str) -> impl Iterator<Item = Token<'_>> {
    let (mut rest, mut depth) = (code, 0_usize);
    let all = std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (text, after) = rest.split_at(token_len(rest, first));
        let start = code.len() - rest.len();
        rest = after;
        let token = Token { text, range: start..start + text.len(), depth };
        match first {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        Some(token)
    });
    all.filter(|token| !token.text.starts_with(char::is_whitespace))
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
    fn what_is_used_has_a_place() {
        let code = "a | upper and b is not nosuch(1) and c.get(2) in (f(x), 'g(y) | z')";
        let uses = uses(code).into_iter().map(|(kind, word, range)| (kind, word, code.get(range) == Some(word)));
        let expected = [(Use::Filter, "upper", true), (Use::Test, "nosuch", true), (Use::Function, "f", true)];
        assert_eq!(uses.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_operator_of_another_language_has_a_place_and_a_word() {
        for (code, expected) in [
            ("a == 'x' && b", Some((9..11, "and"))),
            ("a || b", Some((2..4, "or"))),
            ("a and !b", Some((6..7, "not"))),
            ("a != 'x && y' | upper", None),
        ] {
            assert_eq!(foreign_operator(code), expected, "{code}");
        }
    }

    #[test]
    fn code_is_found_between_marks_and_nowhere_else() {
        let template = "a { | b {{ {'}}': {}} }} {# {{ c }} #}{%- if d -%}{% raw %}{{ e | f }}{% endraw %}{{ g }} {{ h";
        let code: Vec<&str> = code_in(template).into_iter().map(|range| template.get(range).unwrap()).collect();
        assert_eq!(code, [" {'}}': {}} ", "- if d -", " g ", " h"]);
    }

    #[test]
    fn a_value_alone_is_told_from_text_around_it() {
        assert_eq!(only_value("{{ a }}"), Some(" a "));
        assert_eq!(only_value("{{- a -}}"), Some(" a "));
        assert_eq!(only_value(" {{ a }}"), None);
    }
}
