//! `vars`: constants for a destination's templates. Some are secrets.

use crate::{
    config::{
        field::Field,
        problem::Problem,
        reader::Reader,
        secret::{self, Given},
        section::Section,
    },
    transform::{Var, Vars},
};

const EXAMPLE: &str = "{ channel = \"C0123\", routing_key = { env = \"PAGERDUTY_KEY\" } }";

/// Reads the table, if there is one.
pub(super) fn read(destination: &Section<'_>, reader: &mut Reader<'_>) -> Vars {
    destination.free_table("vars", EXAMPLE, reader).iter().filter_map(|entry| read_var(entry, reader)).collect()
}

fn read_var(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<(String, Var)> {
    if !is_name(field.key()) {
        let message = format!("no template could name `vars.{}`", field.key());
        reader.report(Problem::error(field.key_span(), message).help("use letters, digits and `_`"));
        return None;
    }
    let var = match secret::read_given(field, "\"C0123\"", reader) {
        None => Var::Secret(String::new().into()), // Reported already; the name is there all the same.
        Some(Given::Secret(secret)) => Var::Secret(secret),
        Some(Given::Literal(text)) if secret::is_named_by(field.key()) => {
            secret::report_literal(field, reader);
            Var::Secret(text.into())
        }
        Some(Given::Literal(text)) => {
            reader.reveal(field.span());
            Var::Open(text.to_owned())
        }
    };
    Some((field.key().to_owned(), var))
}

fn is_name(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
