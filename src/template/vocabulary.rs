//! Whether the filters, tests and functions that some code uses exist. minijinja finds that out when it runs, which would be
//! when an event is there: a slip in the config has to show when the config is read.

use minijinja::Value;

use super::{
    engine::ENGINE,
    flaw::Flaw,
    scan::{Use, uses},
};

/// What recursive loops call, beside the functions of the engine.
const LOOP: &str = "loop";

/// Checks the words in `code`, which begins `offset` bytes behind the start of what people wrote.
///
/// # Errors
/// [`Flaw`] for the first one that doesn't exist.
pub(super) fn check(code: &str, offset: usize) -> Result<(), Flaw> {
    let unknown = uses(code).into_iter().find(|(kind, word, _)| !exists(*kind, word));
    let Some((kind, word, range)) = unknown else { return Ok(()) };
    let kind = match kind {
        Use::Filter => "filter",
        Use::Test => "test",
        Use::Function => "function",
    };
    let message = format!("there is no {kind} `{word}`");
    Err(Flaw { message, range: Some(offset + range.start..offset + range.end) })
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
