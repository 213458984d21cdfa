//! A section of the file on its way to being read: which keys it has, which it may have, and which it lacks.
//!
//! Every table of the file passes through here once, so that no unknown key goes unnoticed.

use toml::de::{DeTable, DeValue};

use super::{
    SECTIONS,
    field::Field,
    problem::{Problem, Span},
    reader::Reader,
    suggestion,
};

/// The keys that a section may have.
#[derive(Debug)]
pub(super) struct Keys {
    /// Those that are read.
    pub(super) known: &'static [&'static str],
    /// Those of later versions, each with what to do until then.
    pub(super) later: &'static [(&'static str, &'static str)],
}

/// A table of the file; an absent section is an empty one.
#[derive(Debug, Clone)]
pub(super) struct Section<'t> {
    title: String,
    span: Span,
    table: Option<&'t DeTable<'t>>,
}

impl<'t> Section<'t> {
    /// The whole file.
    pub(super) fn root(table: &'t DeTable<'t>, keys: &Keys, reader: &mut Reader<'_>) -> Self {
        let root = Self { title: "the top level of the file".to_owned(), span: 0..0, table: Some(table) };
        root.check_keys(keys, reader);
        root
    }

    /// The section that `field` holds, called `title` in messages; nothing when it holds something else.
    pub(super) fn of(title: String, field: &Field<'t>, keys: &Keys, reader: &mut Reader<'_>) -> Option<Self> {
        let section = Self::with_free_keys(title, field);
        match &section {
            Ok(section) => section.check_keys(keys, reader),
            Err(message) => {
                let help = format!("it can have {}", suggestion::list(keys.known));
                reader.report(Problem::error(field.span(), message).help(help));
            }
        }
        section.ok()
    }

    /// The section that `field` holds, whose keys are names that people choose.
    ///
    /// # Errors
    /// What is wrong, when it holds something else.
    pub(super) fn with_free_keys(title: String, field: &Field<'t>) -> Result<Self, String> {
        match field.value() {
            DeValue::Table(table) => Ok(Self { title, span: field.span(), table: Some(table) }),
            _ => Err(format!("{title} has to be a section or a table, not {}", field.kind())),
        }
    }

    /// The section `[key]`, empty when the file doesn't have it.
    pub(super) fn section(&self, key: &'static str, keys: &Keys, reader: &mut Reader<'_>) -> Self {
        let title = format!("[{key}]");
        let empty = Self { title: title.clone(), span: self.span(), table: None };
        self.field(key).and_then(|field| Self::of(title, &field, keys, reader)).unwrap_or(empty)
    }

    /// The table under a key of this section, empty when there is none.
    pub(super) fn table(&self, key: &'static str, keys: &Keys, reader: &mut Reader<'_>) -> Self {
        let empty = Self { title: self.title_of(key), span: self.span(), table: None };
        self.given_table(key, keys, reader).unwrap_or(empty)
    }

    /// The table under a key of this section, if there is one.
    pub(super) fn given_table(&self, key: &str, keys: &Keys, reader: &mut Reader<'_>) -> Option<Self> {
        Self::of(self.title_of(key), &self.field(key)?, keys, reader)
    }

    fn title_of(&self, key: &str) -> String {
        format!("`{key}` of {}", self.title)
    }

    /// What people call the section.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Where the section's header stands.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The value of a key, if it is there.
    pub(super) fn field(&self, key: &str) -> Option<Field<'t>> {
        let (key, value) = self.table?.get_key_value(key)?;
        Some(Field::new(key, value))
    }

    /// The value of a key that has to be there; `example` is a value to write.
    pub(super) fn required(&self, key: &str, example: &str, reader: &mut Reader<'_>) -> Option<Field<'t>> {
        let field = self.field(key);
        if field.is_none() {
            let message = format!("{} has no `{key}`", self.title());
            let problem = Problem::error(self.span(), message).help(format!("write `{key} = {example}`"));
            reader.report_absence(problem);
        }
        field
    }

    /// All fields, in the order of the file.
    pub(super) fn fields(&self) -> Vec<Field<'t>> {
        let mut fields: Vec<_> = self.table.into_iter().flatten().map(|(key, value)| Field::new(key, value)).collect();
        fields.sort_by_key(|field| field.key_span().start);
        fields
    }

    fn check_keys(&self, keys: &Keys, reader: &mut Reader<'_>) {
        for field in self.fields().iter().filter(|field| !keys.known.contains(&field.key())) {
            let key = field.key();
            let problem = match keys.later.iter().find(|(later, _)| *later == key) {
                Some((_, until_then)) => {
                    Problem::error(field.key_span(), format!("`{key}` is not in this version")).help(until_then)
                }
                None => Problem::error(field.key_span(), format!("{} has no key `{key}`", self.title()))
                    .help(advice_for_unknown(key, keys)),
            };
            reader.report(problem);
        }
    }
}

fn advice_for_unknown(key: &str, keys: &Keys) -> String {
    if let Some(near) = suggestion::nearest(key, keys.known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    if let Some((title, _)) = SECTIONS.iter().find(|(_, other)| other.known.contains(&key)) {
        return format!("`{key}` belongs into {title}");
    }
    format!("it can have {}", suggestion::list(keys.known))
}
