//! Whether the filters, tests and functions that some code uses exist. minijinja finds that out when it runs, which would be
//! when an event is there: a slip in the config has to show when the config is read.

use minijinja::Value;

use super::{
    engine::ENGINE,
    flaw::{Flaw, Remedy},
    scan::{Use, uses},
};

/// What recursive loops call, beside the functions of the engine.
const LOOP: &str = "loop";

/// The words that people mean when they mistype one. The engine doesn't list its own.
const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "date",
    "default",
    "dictsort",
    "duration",
    "e164",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "mask",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "zip",
];

/// As [`FILTERS`].
const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "even",
    "false",
    "float",
    "in",
    "integer",
    "iterable",
    "lower",
    "mapping",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
    "upper",
];

/// As [`FILTERS`].
const FUNCTIONS: &[&str] = &["dict", "range"];

/// Checks the words in `code`, which begins `offset` bytes behind the start of what people wrote.
///
/// # Errors
/// [`Flaw`] for the first one that doesn't exist.
pub(super) fn check(code: &str, offset: usize) -> Result<(), Flaw> {
    let unknown = uses(code).into_iter().find(|(kind, word, _)| !exists(*kind, word));
    let Some((kind, word, range)) = unknown else { return Ok(()) };
    let (kind, known) = match kind {
        Use::Filter => ("filter", FILTERS),
        Use::Test => ("test", TESTS),
        Use::Function => ("function", FUNCTIONS),
    };
    let message = format!("there is no {kind} `{word}`");
    let range = Some(offset + range.start..offset + range.end);
    Err(Flaw { message, range, remedy: Some(Remedy::OneOf(known)) })
}

fn exists(kind: Use, word: &str) -> bool {
    let is_known = |question| {
        let scope = Value::from_pairs([("word", word)]);
        let answer = ENGINE.compile_expression(question).and_then(|question| question.eval(scope));
        answer.is_ok_and(|answer| answer.is_true())
    };
    match kind {
        Use::Filter => is_known("word is filter"),
        Use::Test => is_known("word is test"),
        Use::Function => word == LOOP || ENGINE.globals().any(|(known, _)| known == word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_suggested_that_does_not_exist() {
        for (kind, words) in [(Use::Filter, FILTERS), (Use::Test, TESTS), (Use::Function, FUNCTIONS)] {
            let unknown: Vec<_> = words.iter().filter(|word| !exists(kind, word)).collect();
            assert!(unknown.is_empty(), "{kind:?}: {unknown:?}");
        }
    }
}
