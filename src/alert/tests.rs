//! Days with everything that can go wrong, in which people are told what they have to know, and not more.

mod storms;
mod watching;

use std::num::NonZeroUsize;

use serde_json::{Value, json};

use super::*;
use crate::model::Timestamp;

const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn policy(to: &[&str]) -> Policy {
    Policy {
        relay: "atoms-relay".into(),
        to: to.iter().map(|to| name(to)).collect(),
        dead_letters: NonZeroU64::MIN,
        backlog_age: 15 * MINUTE,
        failing: 5 * MINUTE,
        disk_free: 2 << 30,
        disk_full_in: 4 * HOUR,
        signature_failures: Window { limit: NonZeroUsize::new(10).unwrap(), length: 5 * MINUTE },
        quiet: BTreeMap::from([(name("atoms"), 2 * HOUR)]),
        repeat: 4 * HOUR,
        gather: 30 * SECOND,
    }
}

/// A relay whose troubles come and go as a test wants, observed every ten seconds.
struct Story {
    policy: Policy,
    book: Book,
    now: Timestamp,
    wrong: BTreeMap<Trouble, u64>,
    told: Vec<Told>,
}

/// A message that was sent.
#[derive(Debug)]
struct Told {
    after: Duration,
    to: Vec<Name>,
    body: Value,
}

impl Told {
    /// Its news, as `state kind name`.
    fn news(&self) -> Vec<String> {
        let news = self.body["alert"]["news"].as_array().unwrap().iter();
        let words = |news: &Value| {
            let (state, trouble) = (news["state"].as_str().unwrap(), &news["trouble"]);
            let kind = trouble["kind"].as_str().unwrap();
            format!("{state} {kind} {}", trouble["name"].as_str().unwrap_or_default()).trim_end().to_owned()
        };
        news.map(words).collect()
    }
}

impl Story {
    const STEP: Duration = Duration::from_secs(10);

    fn telling(to: &[&str]) -> Self {
        Self { policy: policy(to), book: Book::default(), now: START, wrong: BTreeMap::new(), told: Vec::new() }
    }

    fn set(&mut self, trouble: Trouble, amount: u64) {
        self.wrong.insert(trouble, amount);
    }

    fn end(&mut self, trouble: &Trouble) {
        self.wrong.remove(trouble);
    }

    /// Lets time pass. Returns the news of each message that was sent meanwhile.
    fn pass(&mut self, time: Duration) -> Vec<Vec<String>> {
        let (end, before) = (self.now.plus(time), self.told.len());
        while self.now < end {
            self.now = self.now.plus(Self::STEP);
            self.look();
        }
        self.told[before..].iter().map(Told::news).collect()
    }

    fn look(&mut self) {
        let mut findings = Findings::default();
        for (trouble, amount) in &self.wrong {
            findings.add(trouble.clone(), self.now, *amount, "");
        }
        self.book.note(&findings, self.now);
        while let Some(message) = self.book.next(&self.policy, self.now) {
            let body = serde_json::from_slice(&message.body).unwrap();
            self.told.push(Told { after: self.now.since(START), to: message.to.clone(), body });
            self.book = message.sent();
        }
    }

    /// Stops the relay and starts it again with what the last message knows.
    fn restart(&mut self) {
        let last = self.told.last().map(|told| told.body.to_string()).unwrap_or_default();
        self.book = Book::read(last.as_bytes()).unwrap_or_default();
    }
}

fn crm() -> Name {
    name("crm")
}

#[test]
fn what_happens_together_is_told_in_one_message() {
    let mut story = Story::telling(&["slack"]);
    story.set(Trouble::Stopped(crm()), 3);
    assert!(story.pass(20 * SECOND).is_empty());
    story.set(Trouble::DeadLetters(crm()), 1);
    story.set(Trouble::DiskLow, 1 << 30);
    assert_eq!(story.pass(HOUR), [["raised disk_low", "raised stopped crm", "raised dead_letters crm"]]);
    assert_eq!(story.told[0].to, [name("slack")]);
}

#[test]
fn what_passes_by_itself_is_never_told() {
    let mut story = Story::telling(&["slack"]);
    story.set(Trouble::Stopped(crm()), 3);
    story.pass(20 * SECOND);
    story.end(&Trouble::Stopped(crm()));
    assert!(story.pass(HOUR).is_empty());

    for _ in 0..20 {
        story.set(Trouble::Failing(crm()), 3);
        story.pass(4 * MINUTE);
        story.end(&Trouble::Failing(crm()));
        story.pass(MINUTE);
    }
    assert!(story.told.is_empty(), "it never failed for five minutes on end");
}

#[test]
fn what_goes_on_is_told_again_ever_more_rarely() {
    let mut story = Story::telling(&["slack"]);
    story.set(Trouble::Stopped(crm()), 3);
    story.pass(100 * HOUR);
    let hours: Vec<u64> = story.told.iter().map(|told| told.after.as_secs() / 3600).collect();
    assert_eq!(hours, [0, 4, 12, 28, 52, 76], "after 4, 8, 16 hours, then every day");
    assert_eq!(story.told[1].news(), ["still stopped crm"]);
}

#[test]
fn what_is_told_again_takes_along_what_would_be_soon() {
    let mut story = Story::telling(&["slack"]);
    story.set(Trouble::Stopped(crm()), 3);
    story.pass(30 * MINUTE);
    story.set(Trouble::Stopped(name("erp")), 3);
    story.pass(HOUR);
    assert_eq!(story.pass(20 * HOUR), [["still stopped crm", "still stopped erp"]; 2]);
}

#[test]
fn ten_times_as_many_dead_letters_are_told_at_once() {
    let mut story = Story::telling(&["slack"]);
    story.set(Trouble::DeadLetters(crm()), 2);
    story.pass(MINUTE);
    story.set(Trouble::DeadLetters(crm()), 19);
    assert!(story.pass(HOUR).is_empty());
    story.set(Trouble::DeadLetters(crm()), 20);
    assert_eq!(story.pass(HOUR), [["still dead_letters crm"]]);
}

#[test]
fn that_it_is_over_is_told_when_it_has_been_for_a_while() {
    let mut story = Story::telling(&["slack"]);
    let stopped = Trouble::Stopped(crm());
    story.set(stopped.clone(), 3);
    story.pass(HOUR);
    story.end(&stopped);
    assert!(story.pass(5 * MINUTE).is_empty());
    assert_eq!(story.pass(MINUTE), [["over stopped crm"]]);
    assert_eq!(story.told[1].body["alert"]["open"], false);
    assert!(story.pass(50 * HOUR).is_empty());
}

#[test]
fn what_comes_back_again_and_again_is_told_less_and_less() {
    let mut story = Story::telling(&["slack"]);
    for _ in 0..24 * 4 {
        story.set(Trouble::Stopped(crm()), 3);
        story.pass(8 * MINUTE);
        story.end(&Trouble::Stopped(crm()));
        story.pass(7 * MINUTE);
    }
    assert!(story.told.len() <= 7, "{} messages in a day: {:#?}", story.told.len(), story.told);
}

#[test]
fn one_trouble_after_another_makes_ten_messages_an_hour_and_none_is_left_out() {
    let mut story = Story::telling(&["slack"]);
    for number in 0..60 {
        story.set(Trouble::Stopped(name(&format!("crm-{number}"))), 1);
        story.pass(MINUTE);
    }
    assert_eq!(story.told.len(), MOST_AN_HOUR);
    story.pass(HOUR);
    let raised = story.told.iter().flat_map(Told::news).filter(|news| news.starts_with("raised")).count();
    assert_eq!(raised, 60);
}

#[test]
fn a_pause_is_told_once() {
    let mut story = Story::telling(&["slack"]);
    story.set(Trouble::Paused(crm()), 3);
    assert_eq!(story.pass(100 * HOUR), [["raised paused crm"]]);
    assert_eq!(story.told[0].body["alert"]["open"], false, "nobody has to get up for it");
    story.end(&Trouble::Paused(crm()));
    assert_eq!(story.pass(HOUR), [["over paused crm"]]);
}

#[test]
fn after_a_start_nothing_is_told_that_people_know() {
    let mut story = Story::telling(&["slack"]);
    story.set(Trouble::Stopped(crm()), 3);
    story.set(Trouble::DeadLetters(crm()), 1);
    story.pass(HOUR);
    for _ in 0..20 {
        story.restart();
        assert!(story.pass(5 * MINUTE).is_empty());
    }
    assert_eq!(story.pass(4 * HOUR), [["still stopped crm", "still dead_letters crm"]]);
    story.restart();
    story.wrong.clear();
    assert_eq!(story.pass(HOUR), [["over stopped crm", "over dead_letters crm"]]);
}

#[test]
fn nobody_is_told_of_himself() {
    let mut story = Story::telling(&["slack", "pagerduty"]);
    story.set(Trouble::Stopped(name("slack")), 3);
    story.set(Trouble::Stopped(crm()), 3);
    assert_eq!(story.pass(HOUR), [["raised stopped crm"], ["raised stopped slack"]]);
    assert_eq!(story.told[0].to, [name("slack"), name("pagerduty")]);
    assert_eq!(story.told[1].to, [name("pagerduty")]);

    let mut story = Story::telling(&["slack"]);
    story.set(Trouble::Stopped(name("slack")), 3);
    assert_eq!(story.pass(HOUR), [["raised stopped slack"]]);
    assert!(story.told[0].to.is_empty(), "it is for the log");
}

/// Each message to a destination that refuses it is one more dead letter.
#[test]
fn alerts_that_nobody_takes_cause_no_alerts_without_end() {
    let mut story = Story::telling(&["slack", "pagerduty"]);
    story.set(Trouble::DeadLetters(crm()), 1);
    let mut told = 0;
    for _ in 0..7 * 24 * 60 {
        story.pass(MINUTE);
        for to in story.told[told..].iter().flat_map(|told| told.to.clone()).collect::<Vec<_>>() {
            *story.wrong.entry(Trouble::DeadLetters(to)).or_default() += 1;
        }
        told = story.told.len();
    }
    assert!(told <= 3 * 12, "{told} messages in a week");
}

#[test]
fn an_incident_is_open_while_somebody_has_to_look() {
    let mut story = Story::telling(&["pagerduty"]);
    story.set(Trouble::Stopped(crm()), 3);
    story.set(Trouble::Quiet(name("atoms")), 0);
    story.pass(HOUR);
    story.end(&Trouble::Stopped(crm()));
    story.pass(HOUR);
    story.end(&Trouble::Quiet(name("atoms")));
    story.pass(HOUR);
    let open: Vec<&Value> = story.told.iter().map(|told| &told.body["alert"]["open"]).collect();
    assert_eq!(open, [&json!(true), &json!(true), &json!(false)]);
    assert!(story.told.iter().all(|told| told.body["alert"]["incident"] == "atoms-relay"));
}

#[test]
fn what_is_unknown_stays_as_it_was_and_is_not_repeated() {
    let (policy, mut book, late) = (policy(&["slack"]), Book::default(), Trouble::Backlog(crm()));
    let mut findings = Findings::default();
    findings.add(late.clone(), START, 3, "");
    book.note(&findings, START);
    let mut book = book.next(&policy, START.plus(MINUTE)).unwrap().sent();

    let unknown = Findings { unknown: [late].into(), ..Findings::default() };
    for hours in 1..48 {
        let now = START.plus(HOUR * hours);
        book.note(&unknown, now);
        assert!(book.next(&policy, now).is_none());
    }
}

#[test]
fn every_trouble_says_what_happened_since_when_how_many_and_what_to_do() {
    let all = [
        (Trouble::DiskLow, 1 << 30, ""),
        (Trouble::DiskFilling, 3 * 3600, ""),
        (Trouble::Damage, 2, ""),
        (Trouble::Forged(name("atoms")), 12, ""),
        (Trouble::Quiet(name("atoms")), 0, ""),
        (Trouble::Stopped(crm()), 132, "answered 401: correct the credentials"),
        (Trouble::Failing(crm()), 1, "no connection: connection refused"),
        (Trouble::Backlog(crm()), 40, ""),
        (Trouble::DeadLetters(crm()), 3, ""),
        (Trouble::Reload, 1, ""),
        (Trouble::Paused(crm()), 7, "new tenant"),
    ];
    let (policy, mut book, mut findings) = (policy(&["slack"]), Book::default(), Findings::default());
    for (trouble, amount, detail) in all {
        findings.add(trouble, START, amount, detail);
    }
    book.note(&findings, START);
    let message = book.next(&policy, START.plus(10 * MINUTE)).unwrap();
    assert_eq!(message.title, "little of the queue's disk is free, and 10 more");
    let body: Value = serde_json::from_slice(&message.body).unwrap();
    let texts: Vec<&str> =
        body["alert"]["news"].as_array().unwrap().iter().map(|n| n["text"].as_str().unwrap()).collect();
    assert_eq!(texts.join("\n\n") + "\n", include_str!("tests/texts.txt"));
    let text = body["text"].as_str().unwrap();
    assert!(text.starts_with("atoms-relay: little of the queue's disk is free, and 10 more\nlittle of"), "{text}");
    assert!(text.ends_with("\n\nAnd 1 more: `atoms-relay status`."), "{text}");
}
