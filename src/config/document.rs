//! From text to a TOML tree that remembers where everything stands, also when the text is not quite TOML.
//!
//! A slip such as a missing quote must not hide the other mistakes of the file. So the parser recovers, and what it made
//! up on the way is marked as damaged: what later stages find in damaged places is a consequence, not news.

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use super::problem::{Problem, Span};

/// The syntax that people coming from YAML, JSON or shells miss most often.
const SYNTAX_HELP: &str =
    "TOML has `key = \"text\"`, `key = 15`, `key = [\"a\", \"b\"]`, `key = { a = \"b\" }`, and each key once";

/// A parsed file.
#[derive(Debug)]
pub(super) struct Document<'t> {
    root: Spanned<DeTable<'t>>,
    faults: Vec<Problem>,
    damage: Vec<Span>,
}

impl<'t> Document<'t> {
    /// Parses `text`, however broken it is.
    pub(super) fn parse(text: &'t str) -> Self {
        let (root, mut errors) = DeTable::parse_recoverable(text);
        errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        let mut document = Self { root, faults: Vec::new(), damage: Vec::new() };
        for error in errors {
            document.add_fault(text, &error);
        }
        document
    }

    /// The tree.
    pub(super) fn root(&self) -> &DeTable<'t> {
        self.root.get_ref()
    }

    /// What is not TOML about the text, and which stretches of it nothing can be said about.
    pub(super) fn take_faults(&mut self) -> (Vec<Problem>, Vec<Span>) {
        (std::mem::take(&mut self.faults), self.damage.clone())
    }

    /// The stretches of the text that are not TOML; whole lines.
    pub(super) fn damage(&self) -> &[Span] {
        &self.damage
    }

    /// The spans of all texts, numbers, dates and truth values, in no particular order.
    pub(super) fn leaves(&self) -> Vec<Span> {
        let mut leaves = Vec::new();
        collect_leaves(self.root(), &mut leaves);
        leaves
    }

    /// One slip makes the parser stumble several times: only the first error of a statement counts, and running into the end
    /// of the file counts only by itself.
    fn add_fault(&mut self, text: &str, error: &Error) {
        let span = error.span().unwrap_or_default();
        let is_at_end = span.start >= text.trim_end().len();
        let is_consequence = self.damage.iter().any(|damage| touch(damage, &span));
        if is_consequence || (is_at_end && !self.damage.is_empty()) {
            return;
        }
        let statement = statement_at(text, self.root(), &span);
        self.damage.push(lines_around(text, &statement));
        self.faults.push(Problem::error(span, format!("this is not TOML: {}", error.message())).help(SYNTAX_HELP));
    }
}

/// Whether two spans share a byte, or one ends where the other starts.
pub(super) fn touch(a: &Span, b: &Span) -> bool {
    a.start <= b.end && b.start <= a.end
}

/// What goes with `span`: the whole value in which it stands, as far as the parser took it to reach.
fn statement_at(text: &str, root: &DeTable<'_>, span: &Span) -> Span {
    let mut values = Vec::new();
    collect_statements(text, root, &mut values);
    let around = values.into_iter().filter(|value| value.start <= span.start && span.start <= value.end);
    around.fold(span.clone(), |all, value| all.start.min(value.start)..all.end.max(value.end))
}

fn lines_around(text: &str, span: &Span) -> Span {
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let end = text.get(span.end..).and_then(|after| after.find('\n')).map_or(text.len(), |newline| span.end + newline);
    start..end
}

fn collect_statements(text: &str, table: &DeTable<'_>, statements: &mut Vec<Span>) {
    for (_, value) in table {
        match value.get_ref() {
            DeValue::Table(table) if !starts_with(text, &value.span(), "{") => {
                collect_statements(text, table, statements);
            }
            DeValue::Array(items) if is_array_of_sections(text, items) => {
                for table in items.iter().filter_map(|item| item.get_ref().as_table()) {
                    collect_statements(text, table, statements);
                }
            }
            _ => statements.push(value.span()),
        }
    }
}

fn is_array_of_sections(text: &str, items: &[Spanned<DeValue<'_>>]) -> bool {
    items.first().is_some_and(|item| item.get_ref().is_table() && starts_with(text, &item.span(), "[["))
}

fn starts_with(text: &str, span: &Span, prefix: &str) -> bool {
    text.get(span.clone()).is_some_and(|value| value.starts_with(prefix))
}

fn collect_leaves(table: &DeTable<'_>, leaves: &mut Vec<Span>) {
    for (_, value) in table {
        collect_leaves_of(value, leaves);
    }
}

fn collect_leaves_of(value: &Spanned<DeValue<'_>>, leaves: &mut Vec<Span>) {
    match value.get_ref() {
        DeValue::Table(table) => collect_leaves(table, leaves),
        DeValue::Array(items) => items.iter().for_each(|item| collect_leaves_of(item, leaves)),
        _ => leaves.push(value.span()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut document = Document::parse(text);
        let (faults, _) = document.take_faults();
        faults
            .iter()
            .map(|fault| format!("{:?}: {}", text.get(fault.span().unwrap().clone()).unwrap(), fault.message()))
            .collect()
    }

    #[test]
    fn one_slip_is_one_fault() {
        for slip in [
            "[source.a]\nsecrets = [\"abc\"\npath = \"/x\"\n[admin]\nlisten = \"y\"\n",
            "[source.a]\nsecrets = [{ env = \"abc\" ]\npath = \"/x\"\n[admin]\nlisten = \"y\"\n",
            "[server]\nlisten = \"127.0.0.1:8080\nmax_body = \"8MiB\"\n",
            "[server\nlisten = \"x\"\n",
            "[server]\nlisten: \"x\"\n",
            "{\"server\": 1}",
            "a = 1\na = 2\n",
        ] {
            assert_eq!(faults(slip).len(), 1, "{slip}: {:#?}", faults(slip));
        }
    }

    #[test]
    fn slips_in_different_places_are_different_faults() {
        let found = faults("a = 15s\nb = \"x\"\nc = True\n[d]\ne = /webhook\n");
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[2].starts_with("\"/webhook\": this is not TOML: "), "{found:#?}");
    }

    #[test]
    fn the_end_of_an_open_list_is_damaged_to_its_end() {
        let text = "a = 1\nb = [\"x\"\nc = 2\n";
        let document = Document::parse(text);
        assert_eq!(
            document.damage().iter().map(|span| text.get(span.clone()).unwrap()).collect::<Vec<_>>(),
            ["b = [\"x\"\nc = 2"]
        );
    }
}
