//! `[[destination.NAME.outcome]]`: what answers mean where the built-in table is wrong.

use std::time::Duration;

use crate::{
    config::{
        field::Field,
        problem::Problem,
        reader::Reader,
        section::{Keys, Section},
        suggestion, template,
        units::{Bounds, DAY},
    },
    outcome::{Class, Rule, Rules},
};

pub(in crate::config) const KEYS: Keys = Keys { known: &["when", "class", "pause"], later: &[] };

const WHEN_EXAMPLE: &str = "\"status == 200 and 'HTTP error 429' in text\"";
const CLASS_EXAMPLE: &str = "\"throttled\"";

/// The classes by their names, without a pause.
const CLASSES: &[(&str, Class)] = &[
    ("success", Class::Success),
    ("duplicate", Class::Duplicate),
    ("retry", Class::Retry),
    ("throttled", Class::Throttled(None)),
    ("reauth", Class::Reauth),
    ("reject_event", Class::RejectEvent),
    ("stop_destination", Class::StopDestination),
];

/// What the conditions of rules see of an answer.
const ANSWER: template::Names = &[("status", &[]), ("headers", &[]), ("body", &[]), ("text", &[])];

const PAUSE: Bounds<Duration> = Bounds {
    least: Duration::from_millis(1),
    most: DAY,
    reason: "all deliveries of the destination wait for that long",
    example: "\"15m\"",
};

/// Reads the rules of a destination, in the order of the file; those of its preset follow.
pub(super) fn read(destination: &Section<'_>, reader: &mut Reader<'_>) -> Rules {
    let mut rules = Vec::new();
    for field in destination.layers("outcome") {
        rules.extend(read_layer(&field, destination, reader));
    }
    Rules::new(rules)
}

fn read_layer(field: &Field<'_>, destination: &Section<'_>, reader: &mut Reader<'_>) -> Vec<Rule> {
    let Some(items) = field.items() else {
        let message = "there can be several rules, so each has its header in double brackets";
        let help = format!("write `[[{}.outcome]]`", destination.title().trim_matches(['[', ']']));
        reader.report(Problem::error(field.span(), message).help(help));
        return Vec::new();
    };
    let numbered = (1..).zip(&items);
    numbered.filter_map(|(number, item)| read_one(number, item, destination, reader)).collect()
}

fn read_one(number: usize, item: &Field<'_>, destination: &Section<'_>, reader: &mut Reader<'_>) -> Option<Rule> {
    let title = format!("`outcome` number {number} of {}", destination.title());
    let section = Section::of(title, item, &KEYS, reader)?;
    let when = section
        .required("when", WHEN_EXAMPLE, reader)
        .and_then(|field| template::condition(&field, ANSWER, WHEN_EXAMPLE, reader));
    let class = section.required("class", CLASS_EXAMPLE, reader).and_then(|field| read_class(&field, reader));
    let pause = section.field("pause").and_then(|field| read_pause(&field, class, reader));
    let class = match class? {
        Class::Throttled(_) => Class::Throttled(pause),
        other => other,
    };
    Some(Rule { when: when?, class })
}

fn read_class(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Class> {
    let text = field.text(CLASS_EXAMPLE, reader)?;
    let class = CLASSES.iter().find(|(name, _)| *name == text).map(|(_, class)| *class);
    if class.is_none() {
        let names = CLASSES.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let meant = suggestion::nearest(text, names.iter().copied()).unwrap_or("retry");
        let message = format!("has to be one of {}", suggestion::list(&names));
        reader.report(field.error(message, &format!("\"{meant}\"")));
    }
    class
}

fn read_pause(field: &Field<'_>, class: Option<Class>, reader: &mut Reader<'_>) -> Option<Duration> {
    let pause = field.duration(&PAUSE, reader);
    if class.is_some_and(|class| !matches!(class, Class::Throttled(_))) {
        let message = "`pause` holds the whole destination, which only `class = \"throttled\"` does";
        let help = "leave it out, or write `class = \"throttled\"`";
        reader.report(Problem::error(field.key_span(), message).help(help));
    }
    pause
}
