//! From text to a TOML tree that remembers where everything stands, also when the text is not quite TOML.
//!
//! A slip such as a missing quote must not hide the other mistakes of the file. So the parser recovers, and what it made
//! up on the way is marked as damaged: what later stages find in damaged places is a consequence, not news. When it
//! has skipped something, nothing can be said to be missing.

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use super::problem::{Problem, Span};

/// The syntax that people coming from YAML, JSON or shells miss most often.
const SYNTAX_HELP: &str = "TOML has `key = \"text\"`, `key = 15`, `key = [\"a\", \"b\"]`, `key = { a = \"b\" }`";

/// A parsed file.
#[derive(Debug)]
pub(super) struct Document<'t> {
    root: Spanned<DeTable<'t>>,
    faults: Vec<Problem>,
    damage: Vec<Span>,
    has_gaps: bool,
    /// The last header of a section that is there already: each of its keys may be, too, which is no news.
    repeated: Option<Span>,
}

impl<'t> Document<'t> {
    /// Parses `text`, however broken it is.
    pub(super) fn parse(text: &'t str) -> Self {
        let (root, mut errors) = DeTable::parse_recoverable(text);
        errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        let mut document = Self { root, faults: Vec::new(), damage: Vec::new(), has_gaps: false, repeated: None };
        for error in errors {
            document.add_fault(text, &error);
        }
        document.has_gaps = document.find_gaps(text);
        document
    }

    /// The tree.
    pub(super) fn root(&self) -> &DeTable<'t> {
        self.root.get_ref()
    }

    /// What is not TOML about the text.
    pub(super) fn faults(&self) -> &[Problem] {
        &self.faults
    }

    /// Whether some of the text is not in the tree.
    pub(super) fn has_gaps(&self) -> bool {
        self.has_gaps
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

    /// A line is in the tree when some of its spans are. A damaged line that is TOML by itself was refused because it is there
    /// twice, so the tree has the first one.
    fn find_gaps(&self, text: &str) -> bool {
        let mut spans = Vec::new();
        collect_spans(self.root(), &mut spans);
        let is_gap = |(line, span): (&str, Span)| {
            let says_something = !line.trim().is_empty() && !line.trim_start().starts_with('#');
            let is_damaged = self.damage.iter().any(|damage| touch(damage, &span));
            let is_in_tree = spans.iter().any(|other| touch(other, &span));
            says_something && !is_in_tree && !(is_damaged && DeTable::parse(line).is_ok())
        };
        let is_long = |damage: &Span| text.get(damage.clone()).is_some_and(|lines| lines.trim().contains('\n'));
        !self.damage.is_empty() && (self.damage.iter().any(is_long) || lines(text).any(is_gap))
    }

    /// One slip makes the parser stumble several times: only the first error of a statement counts, and running into the end
    /// of the file counts only by itself.
    fn add_fault(&mut self, text: &str, error: &Error) {
        let span = error.span().unwrap_or_default();
        let statement = statement_at(text, self.root(), &span);
        let is_consequence = self.damage.iter().any(|damage| touch(damage, &statement));
        let is_end_of_nothing = statement == span && span.start >= text.trim_end().len();
        if is_consequence || (is_end_of_nothing && !self.damage.is_empty()) {
            return;
        }
        let is_told = self.repeated.as_ref().is_some_and(|header| is_in_section_of(text, header, &span));
        let lines = lines_around(text, &statement);
        if !is_told {
            let fault = self.fault(text, span, &lines, error.message());
            self.faults.push(fault);
        }
        self.damage.push(lines);
    }

    /// What is wrong in these `lines`: not the language, where they say what stands above them already.
    fn fault(&mut self, text: &str, span: Span, lines: &Span, message: &str) -> Problem {
        let (above, line) = text.split_at_checked(lines.start).unwrap_or_default();
        let line = line.get(..lines.len()).unwrap_or_default();
        if let Some(number) = line_of_section(above, line) {
            self.repeated = Some(lines.clone());
            let message = format!("this section is there already, in line {number}");
            return Problem::error(span, message).help("give one of them another name, or make one of both");
        }
        if has_key(above, line) {
            return Problem::error(span, "this key is there already").help("take one of them out");
        }
        Problem::error(span, format!("this is not TOML: {message}")).help(SYNTAX_HELP)
    }
}

/// Whether a line begins a section.
fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

/// Whether no other section begins between `header` and `span`.
fn is_in_section_of(text: &str, header: &Span, span: &Span) -> bool {
    text.get(header.end..span.start).is_some_and(|between| !between.lines().any(is_header))
}

/// The number of the line `above` that begins the same section as `line`, from 1; a list of sections has no such line.
fn line_of_section(above: &str, line: &str) -> Option<usize> {
    let is_section = is_header(line) && !line.trim_start().starts_with("[[");
    let found = lines(above).position(|(other, _)| is_section && other.trim() == line.trim());
    found.map(|before| before + 1)
}

/// Whether the section at the end of `above` has the key of `line`.
fn has_key(above: &str, line: &str) -> bool {
    let key_of = |line: &str| line.split_once('=').map(|(key, _)| key.trim().to_owned());
    let section = above.lines().rev().take_while(|line| !is_header(line));
    key_of(line).is_some_and(|key| section.map(key_of).any(|other| other.as_deref() == Some(&*key)))
}

/// Each line, without its line break, and its span.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (&str, Span)> {
    text.split_inclusive('\n').scan(0, |next, line| {
        let start = *next;
        *next += line.len();
        let line = line.trim_end_matches(['\n', '\r']);
        Some((line, start..start + line.len()))
    })
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

fn collect_spans(table: &DeTable<'_>, spans: &mut Vec<Span>) {
    for (_, value) in table {
        spans.push(value.span());
        if let DeValue::Table(table) = value.get_ref() {
            collect_spans(table, spans);
        }
        let items = value.get_ref().as_array().into_iter().flat_map(|items| items.iter());
        for item in items {
            spans.push(item.span());
            item.get_ref().as_table().into_iter().for_each(|table| collect_spans(table, spans));
        }
    }
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
        Document::parse(text)
            .faults()
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
    fn what_is_there_twice_is_told_once_and_where_it_was_first() {
        let twice = "[a.b]\nc = 1\nd = 2\n\n[a.b]\nc = 3\nd = 4\n[e]\nf = 1\nf = 2\n";
        assert_eq!(
            faults(twice),
            ["\"b\": this section is there already, in line 1", "\"f\": this key is there already"]
        );
        let unclosed = faults("[a]\nb = { c = d, e = f\n[a.g]\nh = 1\n[i]\nj = 2\n");
        assert!(unclosed.iter().all(|fault| fault.contains("this is not TOML: ")), "{unclosed:#?}");
    }

    #[test]
    fn a_text_that_never_ends_is_a_fault_of_its_own() {
        let found = faults("a = data\nb = \"\"\"x\nc = 1\n");
        assert_eq!(found.len(), 2, "{found:#?}");
    }

    #[test]
    fn slips_in_different_places_are_different_faults() {
        let found = faults("a = 15s\nb = \"x\"\nc = True\n[d]\ne = /webhook\n");
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[2].starts_with("\"/webhook\": this is not TOML: "), "{found:#?}");
    }

    #[test]
    fn what_was_skipped_is_known() {
        for whole in ["a = 1\n[b]\n", "a = data\n[b]\nc = 1\n", "a = 1\na = 2\n[b]\n", "a = {\n b = 1,\n}\n"] {
            assert!(!Document::parse(whole).has_gaps(), "{whole}");
        }
        for skipped in ["a: 1\n[b]\n", "a = [\"x\n[b]\nc = 1\n", "a b = 1\nc = 2\n", "[a\nb = 1\n"] {
            assert!(Document::parse(skipped).has_gaps(), "{skipped}");
        }
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
