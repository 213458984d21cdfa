//! `allow_private`: which addresses a destination may have. Those that are given as such are checked here already; what
//! names lead to is checked when they are called.

use url::Url;

use crate::{
    address::Policy,
    config::{
        field::Field,
        problem::{Problem, Span},
        reader::Reader,
        section::Section,
    },
};

/// Reads `allow_private`.
pub(super) fn read(destination: &Section<'_>, reader: &mut Reader<'_>) -> Policy {
    let allowed = destination.field("allow_private").and_then(|field| read_truth(&field, reader));
    if allowed == Some(false) { Policy::PublicOnly } else { Policy::AllowPrivate }
}

fn read_truth(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<bool> {
    reader.reveal(field.span());
    let truth = field.value().as_bool();
    if truth.is_none() {
        reader.report(field.wrong_type("true or false, without quotes", "false"));
    }
    truth
}

/// Reports an address that could never be called.
pub(super) fn check(policy: Policy, url: &Url, span: Span, reader: &mut Reader<'_>) {
    let Err(forbidden) = policy.check_literal(url) else { return };
    let help = if forbidden.is_private() {
        "write `allow_private = true`, or leave it out, if the relay is meant to reach it"
    } else {
        "write the address of a server"
    };
    reader.report(Problem::error(span, format!("the relay won't call this: {forbidden}")).help(help));
}
