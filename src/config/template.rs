//! Templates in the file: compiled where they stand, each flaw underlined where it is, each name looked up.
//!
//! A name that no event ever has would make a dead letter of every event, so it is an error here. What an agent's owner
//! names, such as variables and dispositions, can't be looked up.

use super::{
    field::Field,
    problem::{Problem, Span},
    reader::Reader,
    suggestion,
};
use crate::{template::Flaw, transform::Vars};

/// What templates see of an event (DESIGN 4.6). Where nothing stands behind a name, its parts are not ours to name.
const DOCUMENT: &[(&str, &[&str])] = &[
    ("event", &["id", "type", "source", "received_at", "delivery_id", "recovered"]),
    ("agent", &["id"]),
    ("call", CALL),
    ("transcript", &[]),
    ("variables", &[]),
    ("analytics", &["summary", "disposition", "success", "metrics"]),
    ("payload", &[]),
];

const CALL: &[&str] = &[
    "id",
    "from",
    "to",
    "direction",
    "channel",
    "status",
    "duration_seconds",
    "answered_at",
    "ended_at",
    "recording_url",
];

/// What the templates of a destination see besides.
const DELIVERY: &[&str] = &["id", "attempt", "idempotency_key"];

/// Functions of the language.
const FUNCTIONS: &[&str] = &["dict", "range"];

/// Whether a text holds more than text.
pub(super) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// Reports a flaw of the template in `field`.
pub(super) fn report(field: &Field<'_>, flaw: &Flaw, reader: &mut Reader<'_>) {
    let span = flaw.range.as_ref().map_or_else(|| field.span(), |range| reader.place(field, range));
    reader.report(Problem::error(span, format!("`{}` is no template: {}", field.key(), flaw.message)));
}

/// What the templates of a destination can name besides the document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'k> {
    /// Its constants.
    pub(super) vars: &'k Vars,
    /// What comes with its credentials, if that is known.
    pub(super) captured: Option<&'k [String]>,
}

impl Known<'_> {
    /// Reports those of the `used` names that stand for nothing. In a broken file nobody knows: a constant may have got lost,
    /// and a secret may have become the name of one.
    pub(super) fn check(&self, field: &Field<'_>, used: &[String], reader: &mut Reader<'_>) {
        if reader.is_broken() {
            return;
        }
        for (name, known) in used.iter().filter_map(|name| self.unknown(name)) {
            let span = reader.place(field, &part_of(field, &name));
            let problem = Problem::error(span, format!("nothing is called `{name}` here"));
            reader.report(problem.help(advice(&name, &known)));
        }
    }

    /// The part of a name that stands for nothing, if there is one, and what could stand in its place.
    fn unknown(&self, name: &str) -> Option<(String, Vec<&str>)> {
        let mut parts = name.split('.');
        let (root, member) = (parts.next()?, parts.next());
        let roots = DOCUMENT.iter().map(|(root, _)| *root).chain(["vars", "auth", "delivery"]).collect::<Vec<_>>();
        if FUNCTIONS.contains(&root) {
            return None;
        }
        if !roots.contains(&root) {
            return Some((root.to_owned(), roots));
        }
        let (member, members) = (member?, self.members(root)?);
        (!members.contains(&member)).then(|| (format!("{root}.{member}"), members))
    }

    /// All that can stand behind a name, if that is known.
    fn members(&self, root: &str) -> Option<Vec<&str>> {
        match root {
            "vars" => Some(self.vars.names().collect()),
            "auth" => Some(self.captured?.iter().map(String::as_str).collect()),
            "delivery" => Some(DELIVERY.to_vec()),
            _ => {
                let (_, members) = DOCUMENT.iter().find(|(known, _)| *known == root)?;
                (!members.is_empty()).then(|| members.to_vec())
            }
        }
    }
}

fn advice(name: &str, known: &[&str]) -> String {
    let (of, last) = name.split_once('.').unwrap_or(("", name));
    match suggestion::nearest(last, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if of == "auth" => "name it in `capture` of `oauth2`".to_owned(),
        None if known.is_empty() => format!("write it into `{of}` of this destination"),
        None => format!("there are {}", suggestion::list(known)),
    }
}

/// Where a name stands in the text of `field`; all of the text where it is written in another way.
fn part_of(field: &Field<'_>, name: &str) -> Span {
    let text = field.value().as_str().unwrap_or_default();
    text.find(name).map_or(0..text.len(), |start| start..start + name.len())
}
