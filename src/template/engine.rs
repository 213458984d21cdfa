//! The one environment that expressions and templates are compiled for and run in: what they can call, how much they may
//! use, and how a value is written into a text.
//!
//! Bounds. minijinja's fuel counts work and memory alike: one for an instruction, one for 64 bytes made, one for 4 bytes
//! of serialized JSON. It can't be refilled within a run.
//!
//! What isn't there: other templates (`include`, `import`, `extends`) and macros, since minijinja is built without them;
//! `namespace`, with which a loop could build a value deeper than our stack; `debug`, which prints everything there is;
//! `safe`, which would let event content into an address unencoded; `sum`, which takes minutes for lists of lists without
//! using any fuel (minijinja 3.1).

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, Error, Output, State, UndefinedBehavior, Value, syntax::SyntaxConfig};

use super::{
    filters,
    value::{Omit, percent_encode, text_of},
};

/// The longest text, and the longest JSON as text, that comes out of a template: 2 MiB. The longest transcript in our
/// fixtures has 49 KB, and no destination we know takes 1 MiB.
pub(super) const MAX_OUTPUT: usize = 2 << 20;

/// What one run may use: enough to serialize [`MAX_OUTPUT`] once, at a fuel for each 4 bytes. 2 MiB / 4 = 524,288, which
/// is also 524,288 instructions or 32 MiB of memory.
const FUEL: u64 = (MAX_OUTPUT / 4) as u64;

/// How deep blocks and recursive loops may nest. JSON is read to a depth of 128, so a loop can follow it to its end.
const MAX_DEPTH: usize = 160;

/// The name, and thereby the escaping, of templates whose values are written as they are.
pub(super) const TEXT: &str = "text";

/// The name, and thereby the escaping, of templates whose values are percent-encoded.
pub(super) const URL: &str = "url";

/// Compiles and runs expressions; templates are kept in copies of it.
pub(super) static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_debug(true); // Errors say where, and which name is undefined, only then.
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine.set_recursion_limit(MAX_DEPTH);
    engine.set_syntax(whole_lines());
    engine.set_auto_escape_callback(|name| if name == URL { AutoEscape::Custom(URL.into()) } else { AutoEscape::None });
    engine.set_formatter(write_value);
    for filter in ["safe", "escape", "e", "pprint", "sum"] {
        engine.remove_filter(filter);
    }
    for function in ["namespace", "debug"] {
        engine.remove_global(function);
    }
    filters::add_to(&mut engine);
    engine.add_global("omit", Value::from_object(Omit));
    engine
});

/// A line that holds only a block leaves nothing behind; a text ends as it is written.
fn whole_lines() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    syntax.build().unwrap_or_default()
}

/// Writes the value of a `{{ … }}` into a text. What an address gets is encoded whatever `{% autoescape %}` says.
fn write_value(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = text_of(value)?;
    let must_encode = state.name() == URL && !value.is_safe();
    out.write_str(&if must_encode { percent_encode(&text).into() } else { text })?;
    Ok(())
}
