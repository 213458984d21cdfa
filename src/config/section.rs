//! A section of the file on its way to being read: which keys it has, which it may have, and which it lacks.
//!
//! Every table of the file passes through here once, so that no unknown key goes unnoticed.

use toml::de::{DeTable, DeValue};

use super::{
    SECTIONS,
    field::{Field, Origin},
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

/// A table of the file; an absent section is an empty one. What it leaves out may come from a preset.
#[derive(Debug, Clone)]
pub(super) struct Section<'t> {
    title: String,
    span: Span,
    table: Option<Table<'t>>,
    preset: Option<Table<'t>>,
}

/// Entries, and which text they stand in.
#[derive(Debug, Clone)]
struct Table<'t> {
    entries: &'t DeTable<'t>,
    origin: Origin,
    /// Keys that don't count.
    without: &'static [&'static str],
}

impl<'t> Table<'t> {
    fn field(&self, key: &str) -> Option<Field<'t>> {
        let (key, value) = self.entries.get_key_value(key).filter(|_| !self.without.contains(&key))?;
        Some(Field::new(key, value, self.origin.clone()))
    }

    fn table(&self, key: &str) -> Option<Self> {
        let DeValue::Table(entries) = self.entries.get(key)?.get_ref() else { return None };
        Some(Self { entries, origin: self.origin.clone(), without: &[] })
    }

    fn fields(&self) -> impl Iterator<Item = Field<'t>> {
        self.entries.into_iter().map(|(key, value)| Field::new(key, value, self.origin.clone()))
    }
}

impl<'t> Section<'t> {
    /// The whole file.
    pub(super) fn root(table: &'t DeTable<'t>, keys: &Keys, reader: &mut Reader<'_>) -> Self {
        let table = Some(Table { entries: table, origin: Origin::File, without: &[] });
        let root = Self { title: "the top level of the file".to_owned(), span: 0..0, table, preset: None };
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
            DeValue::Table(entries) => {
                let table = Some(Table { entries, origin: field.origin(), without: &[] });
                Ok(Self { title, span: field.span(), table, preset: None })
            }
            _ => Err(format!("{title} has to be a section or a table, not {}", field.kind())),
        }
    }

    /// The section `[key]`, empty when the file doesn't have it.
    pub(super) fn section(&self, key: &'static str, keys: &Keys, reader: &mut Reader<'_>) -> Self {
        let title = format!("[{key}]");
        let empty = self.empty(title.clone());
        self.field(key).and_then(|field| Self::of(title, &field, keys, reader)).unwrap_or(empty)
    }

    /// The table under a key of this section, empty when there is none.
    pub(super) fn table(&self, key: &'static str, keys: &Keys, reader: &mut Reader<'_>) -> Self {
        let given = self.given_table(key, keys, reader);
        let mut section = given.unwrap_or_else(|| self.empty(self.title_of(key)));
        section.preset = self.preset.as_ref().and_then(|preset| preset.table(key));
        section
    }

    /// The table under a key of this section, if there is one.
    pub(super) fn given_table(&self, key: &str, keys: &Keys, reader: &mut Reader<'_>) -> Option<Self> {
        Self::of(self.title_of(key), &self.field(key)?, keys, reader)
    }

    fn title_of(&self, key: &str) -> String {
        format!("`{key}` of {}", self.title)
    }

    fn empty(&self, title: String) -> Self {
        Self { title, span: self.span(), table: None, preset: None }
    }

    /// The same section, with `preset` for the keys that it leaves out. `named` is where the file names the preset. Of
    /// `alternatives` only one can be there: the file's, if it has one.
    pub(super) fn with_preset(
        mut self,
        preset: &'t DeTable<'t>,
        named: Span,
        alternatives: &'static [&'static str],
    ) -> Self {
        let has_own = alternatives.iter().any(|key| self.field(key).is_some());
        let without = if has_own { alternatives } else { &[] };
        self.preset = Some(Table { entries: preset, origin: Origin::Preset(named), without });
        self
    }

    /// What people call the section.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Where the section's header stands.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The value of a key, if it is there: the file's own, or else the preset's.
    pub(super) fn field(&self, key: &str) -> Option<Field<'t>> {
        self.tables().find_map(|table| table.field(key))
    }

    /// The entries of the table under a key, whose keys are names that people choose: the file's, and of the preset's those
    /// that the file doesn't have.
    pub(super) fn free_table(&self, key: &str, example: &str, reader: &mut Reader<'_>) -> Vec<Field<'t>> {
        let mut entries: Vec<Field<'t>> = Vec::new();
        for field in self.layers(key) {
            match Self::with_free_keys(format!("`{key}`"), &field) {
                Ok(section) => {
                    let is_new = |entry: &Field<'t>| entries.iter().all(|own| own.key() != entry.key());
                    let new: Vec<_> = section.fields().into_iter().filter(is_new).collect();
                    entries.extend(new);
                }
                Err(message) => {
                    reader.report(Problem::error(field.span(), message).help(format!("write `{key} = {example}`")));
                }
            }
        }
        entries
    }

    /// The values of a key that both the file and its preset may have, the file's first.
    pub(super) fn layers(&self, key: &str) -> Vec<Field<'t>> {
        self.tables().filter_map(|table| table.field(key)).collect()
    }

    fn tables(&self) -> impl Iterator<Item = &Table<'t>> {
        self.table.iter().chain(&self.preset)
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

    /// All fields of the file, in its order.
    pub(super) fn fields(&self) -> Vec<Field<'t>> {
        let mut fields: Vec<_> = self.table.iter().flat_map(Table::fields).collect();
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
                    .help(self.advice_for_unknown(key, keys)),
            };
            reader.report(problem);
        }
    }

    /// What to write instead. A value within a section, such as a secret, has its own keys, and those of sections mean others.
    fn advice_for_unknown(&self, key: &str, keys: &Keys) -> String {
        if let Some(near) = suggestion::nearest(key, keys.known.iter().copied()) {
            return format!("did you mean `{near}`?");
        }
        let home = SECTIONS.iter().find(|(_, other)| self.title().starts_with('[') && other.known.contains(&key));
        if let Some((title, _)) = home {
            return format!("`{key}` belongs into {title}");
        }
        format!("it can have {}", suggestion::list(keys.known))
    }
}
