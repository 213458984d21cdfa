//! Sections that people name: `[source.NAME]`, `[destination.NAME]`.

use super::{
    field::Field,
    problem::Problem,
    reader::Reader,
    section::{Keys, Section},
};
use crate::model::Name;

/// The names in all headers `[kind.NAME]`, in the order of the file, whatever is wrong with their sections.
pub(super) fn names<'t>(kind: &str, root: &Section<'t>) -> Vec<Field<'t>> {
    let all = root.field(kind).and_then(|field| Section::with_free_keys(kind.to_owned(), &field).ok());
    all.map(|all| all.fields()).unwrap_or_default()
}

/// All sections `[kind.NAME]`, in the order of the file. A section whose name can't be one is read all the same, for its
/// problems.
pub(super) fn read<'t>(
    kind: &str,
    keys: &Keys,
    root: &Section<'t>,
    reader: &mut Reader<'_>,
) -> Vec<(Option<Name>, Section<'t>)> {
    if let Some(Err(message)) = root.field(kind).map(|field| Section::with_free_keys(format!("`{kind}`"), &field)) {
        let span = root.field(kind).map_or(0..0, |field| field.span());
        reader.report(Problem::error(span, message).help(format!("write `[{kind}.NAME]` with a name of your choice")));
    }
    names(kind, root).iter().filter_map(|entry| read_one(kind, entry, keys, reader)).collect()
}

fn read_one<'t>(
    kind: &str,
    entry: &Field<'t>,
    keys: &Keys,
    reader: &mut Reader<'_>,
) -> Option<(Option<Name>, Section<'t>)> {
    if !entry.value().is_table() {
        let message = format!("`{}` stands in [{kind}], which lacks a name", entry.key());
        reader.report(Problem::error(entry.key_span(), message).help(format!("write `[{kind}.NAME]` above it")));
        return None;
    }
    let name = Name::new(entry.key());
    if let Err(error) = &name {
        reader.report(Problem::error(entry.key_span(), error.to_string()));
    }
    let section = Section::of(format!("[{kind}.{}]", entry.key()), entry, keys, reader)?;
    Some((name.ok(), section))
}
