//! Whether something of the file is what it was when it was read before: by a digest of all that it is made of.
//!
//! That is the section as it stands in the file, without its comments, its spaces and the order of its keys, and whatever
//! was read from outside the file for it: variables, secret files, certificates. What follows from these follows again. So
//! nobody has to compare what was read, and no secret has to be kept for that.

use std::{ffi::OsStr, fmt, path::Path};

use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};

use super::{field::Field, section::Section};

/// The digest of what something was read from. It stays in memory: whoever sees it could try out short secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

/// What was read for one section so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Inputs(Sha256);

impl Inputs {
    /// The section alone.
    pub(super) fn of(section: &Section<'_>) -> Self {
        let mut inputs = Self::default();
        let mut fields = section.fields();
        fields.sort_by_key(Field::key);
        inputs.count(fields.len());
        for field in fields {
            inputs.text(field.key().as_bytes());
            inputs.value(field.value());
        }
        inputs
    }

    /// And this variable.
    pub(super) fn add_variable(&mut self, name: &str, value: Option<&OsStr>) {
        self.text(name.as_bytes());
        self.outside(value.map(OsStr::as_encoded_bytes));
    }

    /// And this file; `None` when it couldn't be read.
    pub(super) fn add_file(&mut self, path: &Path, content: Option<&[u8]>) {
        self.text(path.as_os_str().as_encoded_bytes());
        self.outside(content);
    }

    /// The digest of all of it.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.0.clone().finalize().into())
    }

    fn outside(&mut self, content: Option<&[u8]>) {
        self.count(usize::from(content.is_some()));
        self.text(content.unwrap_or_default());
    }

    /// Each part says what it is and how long, so that no two sections make the same bytes.
    fn value(&mut self, value: &DeValue<'_>) {
        self.text(value.type_str().as_bytes());
        match value {
            DeValue::Table(table) => self.table(table),
            DeValue::Array(items) => {
                self.count(items.len());
                items.iter().for_each(|item| self.value(item.get_ref()));
            }
            DeValue::String(text) => self.text(text.as_bytes()),
            scalar => self.text(format!("{scalar:?}").as_bytes()),
        }
    }

    fn table(&mut self, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.get_ref());
        self.count(entries.len());
        for (key, value) in entries {
            self.text(key.get_ref().as_bytes());
            self.value(value.get_ref());
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn count(&mut self, count: usize) {
        self.0.update(count.to_le_bytes());
    }
}
