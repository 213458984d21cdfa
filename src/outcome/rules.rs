//! What people know of a destination's answers and the built-in table doesn't: `[[destination.NAME.outcome]]`.
//!
//! The first rule that holds says what a reply means. A condition sees
//!
//! | name | is |
//! | --- | --- |
//! | `status` | the number |
//! | `headers` | the values by their names in lower case; those of a name that is there twice, joined by `, ` |
//! | `body` | the body when it is JSON, else null |
//! | `text` | the body as text |
//!
//! of a body of at most 64 KiB; what is longer is cut, and no JSON.
//!
//! A condition that can't be decided, because it asks for what this reply doesn't have, doesn't hold. That is likely on good
//! days (`body.error` of an answer without error), so it must not turn a success into a retry; and it may be a slip, so
//! whoever asks is told of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::HeaderMap;

use super::{Fault, Meaning, Reply, stop};
use crate::{
    model::{self, Timestamp},
    template::{Expression, RenderError, Scope},
};

/// What a rule says about a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The destination has it.
    Success,
    /// It had it already.
    Duplicate,
    /// Not this time.
    Retry,
    /// The destination asks everybody to slow down, for this long if it doesn't say for longer.
    Throttled(Option<Duration>),
    /// It wants other credentials.
    Reauth,
    /// It refuses this event.
    RejectEvent,
    /// It refuses every event.
    StopDestination,
}

impl Class {
    /// In a word, without its pause.
    pub(super) const fn name(self) -> model::Class {
        match self {
            Self::Success => model::Class::Success,
            Self::Duplicate => model::Class::Duplicate,
            Self::Retry => model::Class::Retry,
            Self::Throttled(_) => model::Class::Throttled,
            Self::Reauth => model::Class::Reauth,
            Self::RejectEvent => model::Class::RejectEvent,
            Self::StopDestination => model::Class::StopDestination,
        }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// When it holds.
    pub when: Expression,
    /// What the reply means then.
    pub class: Class,
}

/// The rules of one destination, in order. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(Arc<[Rule]>);

/// A rule that couldn't be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// Its condition, as it was written.
    pub rule: Arc<str>,
    /// The status of the reply.
    pub status: u16,
    /// Why.
    pub reason: RenderError,
}

impl Rules {
    /// These rules.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules.into())
    }

    /// What the first rule says that holds, and the rules before it that couldn't be asked.
    pub(super) fn judge(&self, reply: &Reply) -> (Option<Class>, Vec<Undecided>) {
        let mut undecided = Vec::new();
        if self.0.is_empty() {
            return (None, undecided);
        }
        let scope = scope(reply);
        for rule in &*self.0 {
            match rule.when.holds(&scope) {
                Ok(true) => return (Some(rule.class), undecided),
                Ok(false) => {}
                Err(reason) => {
                    let rule = rule.when.source().into();
                    undecided.push(Undecided { rule, status: reply.status.as_u16(), reason });
                }
            }
        }
        (None, undecided)
    }
}

/// What a reply of this class means. A destination that answers at all is well, unless it says that it isn't (5xx): what
/// it wants tried again concerns this event.
pub(super) fn meaning(class: Class, reply: &Reply, now: Timestamp) -> Meaning {
    match class {
        Class::Success => Meaning::Success,
        Class::Duplicate => Meaning::Duplicate,
        Class::Retry if reply.status.is_server_error() => Meaning::Retry(Fault::Destination),
        Class::Retry => Meaning::Retry(Fault::Event),
        Class::Throttled(pause) => Meaning::Throttled { until: pause.map(|pause| now.plus(pause)) },
        Class::Reauth => Meaning::Reauth,
        Class::RejectEvent => Meaning::RejectEvent,
        Class::StopDestination => stop("a rule in `outcome` says that every event would meet the same"),
    }
}

fn scope(reply: &Reply) -> Scope {
    let body: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
    Scope::default()
        .with("status", &reply.status.as_u16())
        .with("headers", &texts(&reply.headers))
        .with("body", &body)
        .with("text", &String::from_utf8_lossy(&reply.body))
}

fn texts(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        texts
            .entry(name.as_str())
            .and_modify(|text| *text = format!("{text}, {value}"))
            .or_insert_with(|| value.into_owned());
    }
    texts
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderValue, StatusCode, header};

    use super::*;
    use crate::outcome::Judgement;

    const NOW: Timestamp = Timestamp::from_millis(1_790_012_345_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn rules<const N: usize>(rules: [(&str, Class); N]) -> Rules {
        let rules = rules.map(|(when, class)| Rule { when: Expression::compile(when).unwrap(), class });
        Rules::new(rules.into())
    }

    fn reply(status: u16, body: &'static str) -> Reply {
        let body = Bytes::from_static(body.as_bytes());
        Reply { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body }
    }

    fn meaning_of<const N: usize>(list: [(&str, Class); N], reply: Reply) -> Meaning {
        Meaning::of(&Ok(reply), &rules(list), NOW).meaning
    }

    #[test]
    fn a_200_with_an_error_in_it_is_no_success() {
        let slack = [("status == 200 and body.ok is false and body.error == 'ratelimited'", Class::Throttled(None))];
        let limited = reply(200, r#"{"ok":false,"error":"ratelimited"}"#);
        assert_eq!(meaning_of(slack, limited), Meaning::Throttled { until: None });
        assert_eq!(meaning_of(slack, reply(200, r#"{"ok":true}"#)), Meaning::Success);

        let teams = [("status == 200 and 'HTTP error 429' in text", Class::Throttled(Some(MINUTE)))];
        let limited = reply(200, "Webhook message delivery failed: Microsoft Teams endpoint returned HTTP error 429");
        assert_eq!(meaning_of(teams, limited), Meaning::Throttled { until: Some(NOW.plus(MINUTE)) });
        assert_eq!(meaning_of(teams, reply(200, "1")), Meaning::Success);
    }

    #[test]
    fn a_rule_comes_before_the_built_in_table() {
        let salesforce = [
            ("status == 403 and body[0].errorCode == 'REQUEST_LIMIT_EXCEEDED'", Class::Throttled(Some(15 * MINUTE))),
            ("status == 400 and body[0].errorCode == 'UNABLE_TO_LOCK_ROW'", Class::Retry),
        ];
        let limited = reply(403, r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"…"}]"#);
        assert_eq!(meaning_of(salesforce, limited), Meaning::Throttled { until: Some(NOW.plus(15 * MINUTE)) });
        let locked = reply(400, r#"[{"errorCode":"UNABLE_TO_LOCK_ROW"}]"#);
        assert_eq!(meaning_of(salesforce, locked), Meaning::Retry(Fault::Event));
        let other = reply(403, r#"[{"errorCode":"INSUFFICIENT_ACCESS"}]"#);
        assert!(matches!(meaning_of(salesforce, other), Meaning::StopDestination { .. }));
    }

    #[test]
    fn the_first_rule_that_holds_wins() {
        let list = [("status == 404", Class::Success), ("status >= 400", Class::Retry)];
        assert_eq!(meaning_of(list, reply(404, "")), Meaning::Success);
        assert_eq!(meaning_of(list, reply(400, "")), Meaning::Retry(Fault::Event));
        assert_eq!(meaning_of(list, reply(500, "")), Meaning::Retry(Fault::Destination));
    }

    #[test]
    fn every_class_has_its_meaning() {
        let of = |class| meaning_of([("true", class)], reply(418, ""));
        assert_eq!(of(Class::Success), Meaning::Success);
        assert_eq!(of(Class::Duplicate), Meaning::Duplicate);
        assert_eq!(of(Class::Reauth), Meaning::Reauth);
        assert_eq!(of(Class::RejectEvent), Meaning::RejectEvent);
        assert!(matches!(of(Class::StopDestination), Meaning::StopDestination { .. }));
    }

    #[test]
    fn the_longer_of_the_rules_pause_and_retry_after_counts() {
        let throttled = |seconds: u64, pause| {
            let mut reply = reply(200, "");
            reply.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            meaning_of([("true", Class::Throttled(Some(pause)))], reply)
        };
        assert_eq!(throttled(5, MINUTE), Meaning::Throttled { until: Some(NOW.plus(MINUTE)) });
        assert_eq!(throttled(600, MINUTE), Meaning::Throttled { until: Some(NOW.plus(10 * MINUTE)) });
    }

    #[test]
    fn a_rule_that_cannot_be_decided_does_not_hold_and_is_named() {
        let rules = rules([("body.error.code == 5", Class::Retry), ("status == 200", Class::Duplicate)]);
        let Judgement { meaning, class, undecided } = Meaning::of(&Ok(reply(200, "no JSON")), &rules, NOW);
        assert_eq!((meaning, class), (Meaning::Duplicate, Some(model::Class::Duplicate)));
        assert_eq!(undecided.len(), 1);
        assert_eq!((&*undecided[0].rule, undecided[0].status), ("body.error.code == 5", 200));
        assert!(!undecided[0].reason.to_string().contains("no JSON"), "{}", undecided[0].reason);
    }

    #[test]
    fn headers_are_known_by_their_names_in_lower_case_and_joined() {
        let mut reply = reply(200, "");
        for value in ["a", "b"] {
            reply.headers.append("X-Many", HeaderValue::from_static(value));
        }
        let when = "headers['x-many'] == 'a, b' and headers['x-none'] is undefined and body is none and text == ''";
        assert_eq!(meaning_of([(when, Class::RejectEvent)], reply), Meaning::RejectEvent);
    }
}
