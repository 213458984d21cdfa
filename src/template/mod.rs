//! Does this hold, and what does this text become? The language of `when` and of templates.
//!
//! Both are Jinja (the crate minijinja, which only this room knows) over what a [`Scope`] names: for an event the
//! [normalized document](crate::model::Normalized). Everything is compiled when the config is read; what an event holds is
//! data and never compiled. A run is bounded in work, memory, depth and output (see `engine`).
//!
//! Strict: a name that is undefined is an error, and a condition is true or false or an error, never "truthy". What is
//! absent from an event is null, which is defined: it is written as nothing, and passes through the filters below. Agents
//! have metrics and variables of their own, so any name in `variables`, `analytics.disposition` and `analytics.success` is
//! defined (and `in` finds them all; ask for `is none`).
//!
//! In text, booleans are `true` and `false`, lists and objects are JSON. A line with nothing but a `{% … %}` leaves no
//! empty line. Nothing is escaped but in addresses, where each value is percent-encoded; JSON is built as a tree
//! ([`JsonTemplate`]), so nothing in it needs escaping.
//!
//! Beside Jinja's own filters, as far as minijinja has them:
//!
//! | filter | of | gives |
//! | --- | --- | --- |
//! | `date` | `"2026-09-22T09:14:06.413Z"`, or seconds or milliseconds since 1970 | `2026-09-22 09:14 UTC` |
//! | `date('date')`, `('time')`, `('iso')` | the same | `2026-09-22`, `09:14`, `2026-09-22T09:14:06.413Z` |
//! | `date('s')`, `date('ms')` | the same | the number `1790068446`, `1790068446413` |
//! | `default('none')` | undefined or null | `none`; everything else stays as it is |
//! | `default('none', true)` | also false, 0 and the empty text | `none` |
//! | `duration` | seconds, `252.4` | `4 min 12 s` |
//! | `e164` | a number with its country code, `0049 30 901820` | `+4930901820` |
//! | `mask` | `+14155550132` | `+********132`; a third is shown at most |
//! | `tojson` | any value | JSON in one line |
//! | `truncate(40)`, `truncate(40, end='...')` | a text | at most 40 characters, the last of them `…` when it was longer |
//! | `urlencode` | a text | all but letters, digits and `-._~` percent-encoded |
//!
//! A text of JSON that comes to `omit` leaves its key out: `"{{ call.from | default(omit) }}"`.
//!
//! What isn't there: other templates (`include`, `import`, `extends`), macros, the filters `safe`, `escape`, `pprint` and
//! `sum`, the functions `namespace` and `debug`.

mod engine;
mod expression;
mod filters;
mod flaw;
mod json;
mod scan;
mod scope;
mod text;
mod value;
mod vocabulary;

#[cfg(test)]
mod tests;

pub use expression::{Expression, Part};
pub use flaw::{Flaw, Remedy, RenderError};
pub use json::{JsonTemplate, Leaf};
pub use scope::Scope;
pub use text::Template;
