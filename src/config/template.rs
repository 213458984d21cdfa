//! Templates and conditions in the file: compiled where they stand, each flaw underlined where it is, each name looked up.
//!
//! A name that no event ever has would make a dead letter of every event, so it is an error here. What an agent's owner
//! names, such as variables and dispositions, can't be looked up.

use std::collections::BTreeMap;

use super::{
    field::Field,
    problem::{Problem, Span},
    reader::Reader,
    suggestion,
};
use crate::{
    template::{Expression, Flaw, Remedy, Scope},
    transform::Vars,
};

/// Names, each with all that can stand behind it. Where that is nothing, its parts are not ours to name.
pub(super) type Names = &'static [(&'static str, &'static [&'static str])];

/// What templates and conditions see of an event: the normalized document.
pub(super) const DOCUMENT: Names = &[
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

/// What the language brings.
const FUNCTIONS: &[&str] = &["dict", "omit", "range"];

/// Whether a text holds more than text.
pub(super) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// Reports a flaw of the template in `field`.
pub(super) fn report(field: &Field<'_>, flaw: &Flaw, reader: &mut Reader<'_>) {
    report_as("template", field, flaw, reader);
}

fn report_as(what: &str, field: &Field<'_>, flaw: &Flaw, reader: &mut Reader<'_>) {
    let span = flaw.range.as_ref().map_or_else(|| field.span(), |range| reader.place(field, range));
    let problem = Problem::error(span, format!("`{}` is no {what}: {}", field.key(), flaw.message));
    reader.report(match remedy(field, flaw) {
        Some(help) => problem.help(help),
        None => problem,
    });
}

/// What to write instead of what is wrong.
fn remedy(field: &Field<'_>, flaw: &Flaw) -> Option<String> {
    let wrong = field.value().as_str()?.get(flaw.range.clone()?)?;
    match flaw.remedy {
        None if wrong == "=" => Some("to compare, write `==`".to_owned()),
        None => None,
        Some(Remedy::Write(word)) => Some(format!("write `{word}`")),
        Some(Remedy::OneOf(words)) => {
            suggestion::nearest(wrong, words.iter().copied()).map(|near| format!("did you mean `{near}`?"))
        }
    }
}

/// The value as a condition over `names`, of one or more lines.
pub(super) fn condition(field: &Field<'_>, names: Names, example: &str, reader: &mut Reader<'_>) -> Option<Expression> {
    reader.reveal(field.span());
    let Some(text) = field.value().as_str() else {
        reader.report(field.wrong_type("a text in quotes", example));
        return None;
    };
    let condition = Expression::compile(text).map_err(|flaw| report_as("condition", field, &flaw, reader)).ok()?;
    let roots = || names.iter().map(|(root, _)| *root).collect();
    report_unknown(field, &condition.names(), reader, |name| unknown(name, roots(), |root| members_in(names, root)));
    warn_of_no_boolean(field, &condition, names, reader);
    Some(condition)
}

/// Warns of a condition that already an event which says nothing shows to be none, such as `a == 'x' or 'y'`. What it can't be
/// asked of such an event shows when one is there.
fn warn_of_no_boolean(field: &Field<'_>, condition: &Expression, names: Names, reader: &mut Reader<'_>) {
    let Some(other) = condition.other_type(&nothing(names)) else { return };
    let message = format!("`{}` isn't always true or false: it can come to a value of type {other}", field.key());
    reader.report(Problem::warning(field.span(), message).help(
        "compare each part with something, as in `a == 'x' or a == 'y'`; what can't be decided makes dead letters or is \
         passed over",
    ));
}

/// What a condition sees of an event that says nothing.
fn nothing(names: Names) -> Scope {
    let nulls =
        |members: &[&'static str]| members.iter().map(|member| (*member, None)).collect::<BTreeMap<_, Option<()>>>();
    let known = names.iter().filter(|(_, members)| !members.is_empty());
    known.fold(Scope::default(), |scope, (root, members)| scope.with(root, &nulls(members)))
}

/// Reports those of the `used` names that stand for nothing. In a broken file nobody knows: a constant may have got lost, and
/// a secret may have become the name of one.
fn report_unknown<'n>(
    field: &Field<'_>,
    used: &[String],
    reader: &mut Reader<'_>,
    unknown: impl Fn(&str) -> Option<(String, Vec<&'n str>)>,
) {
    if reader.is_broken() {
        return;
    }
    for (name, known) in used.iter().filter_map(|name| unknown(name)) {
        let span = reader.place(field, &part_of(field, &name));
        let problem = Problem::error(span, format!("nothing is called `{name}` here"));
        reader.report(problem.help(advice(&name, &known)));
    }
}

/// The part of a name that stands for nothing, if there is one, and what could stand in its place.
fn unknown<'n>(
    name: &str,
    roots: Vec<&'n str>,
    members: impl Fn(&str) -> Option<Vec<&'n str>>,
) -> Option<(String, Vec<&'n str>)> {
    let mut parts = name.split('.');
    let (root, member) = (parts.next()?, parts.next());
    if FUNCTIONS.contains(&root) {
        return None;
    }
    if !roots.contains(&root) {
        return Some((root.to_owned(), roots));
    }
    let (member, members) = (member?, members(root)?);
    (!members.contains(&member)).then(|| (format!("{root}.{member}"), members))
}

/// All that can stand behind a name, if that is known.
fn members_in(names: Names, root: &str) -> Option<Vec<&'static str>> {
    let (_, members) = names.iter().find(|(known, _)| *known == root)?;
    (!members.is_empty()).then(|| members.to_vec())
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
    /// Reports those of the `used` names that stand for nothing.
    pub(super) fn check(&self, field: &Field<'_>, used: &[String], reader: &mut Reader<'_>) {
        report_unknown(field, used, reader, |name| unknown(name, Self::roots(), |root| self.members(root)));
    }

    fn roots() -> Vec<&'static str> {
        DOCUMENT.iter().map(|(root, _)| *root).chain(["vars", "auth", "delivery"]).collect()
    }

    /// All that can stand behind a name, if that is known.
    fn members(&self, root: &str) -> Option<Vec<&str>> {
        match root {
            "vars" => Some(self.vars.names().collect()),
            "auth" => Some(self.captured?.iter().map(String::as_str).collect()),
            "delivery" => Some(DELIVERY.to_vec()),
            _ => members_in(DOCUMENT, root),
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::{Event, EventId, Name, Normalized, OriginalHeaders, Reading, Timestamp};

    #[test]
    fn the_names_are_those_of_the_document() {
        let event = Event {
            id: EventId::lowest_at(Timestamp::EPOCH),
            source: Name::new("atoms").unwrap(),
            received_at: Timestamp::EPOCH,
            reading: Reading::Quarantined("why".into()),
            headers: OriginalHeaders::default(),
            body: Bytes::new(),
        };
        let document = serde_json::to_value(Normalized::of(&event)).unwrap();
        assert_eq!(document.as_object().unwrap().len(), DOCUMENT.len());
        for (root, members) in DOCUMENT {
            let keys: Vec<&String> = document[root].as_object().into_iter().flat_map(|part| part.keys()).collect();
            assert_eq!(keys.len(), members.len(), "{root}");
            assert!(keys.iter().all(|key| members.contains(&key.as_str())), "{root}: {keys:?}");
        }
    }
}
