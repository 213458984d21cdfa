//! `[budget.NAME]`: what several destinations may use together, such as the calls that one account allows.

use std::num::NonZeroUsize;

use super::{
    destination::MAX_CONCURRENCY,
    entries,
    field::Field,
    problem::Problem,
    rate,
    reader::Reader,
    section::{Keys, Section},
    suggestion,
};
use crate::{model::Name, rate::Window};

pub(super) const KEYS: Keys = Keys { known: &["rate", "concurrency"], later: &[] };

/// What destinations that name it share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its name.
    pub name: Name,
    /// How many requests, in all of these windows; none: as many as you like.
    pub rate: Vec<Window>,
    /// How many attempts at once; `None`: as many as its destinations allow.
    pub concurrency: Option<NonZeroUsize>,
}

/// Reads all budgets of the file.
pub(super) fn read_all(root: &Section<'_>, reader: &mut Reader<'_>) -> Vec<Budget> {
    let mut budgets = Vec::new();
    for (name, section) in entries::read("budget", &KEYS, root, reader) {
        let rate_field = section.field("rate");
        let concurrency_field = section.field("concurrency");
        if section.fields().is_empty() {
            let message = format!("{} limits nothing", section.title());
            reader.report_absence(Problem::error(section.span(), message).help("write `rate = \"100/m\"`"));
        }
        let rate = rate_field.map(|field| rate::read(&field, reader)).unwrap_or_default();
        let concurrency = concurrency_field.and_then(|field| field.count(MAX_CONCURRENCY, "8", reader));
        budgets.extend(name.map(|name| Budget { name, rate, concurrency }));
    }
    budgets
}

/// The budget that a destination draws from.
pub(super) fn read_reference(field: &Field<'_>, root: &Section<'_>, reader: &mut Reader<'_>) -> Option<Name> {
    let known = entries::names("budget", root);
    let known: Vec<&str> = known.iter().map(Field::key).collect();
    let name = field.text("\"hubspot\"", reader)?;
    if known.contains(&name) {
        return Name::new(name).ok(); // A name that can't be one was reported where it is given.
    }
    let help = match suggestion::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write a section `[budget.{name}]`"),
    };
    reader.report_absence(Problem::error(field.span(), format!("there is no budget `{name}`")).help(help));
    None
}
