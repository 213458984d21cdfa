//! What people know already, and what they are told next.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Finding, Findings, Policy, Trouble, body};
use crate::model::{Name, Timestamp};

/// Messages in an hour at most, about whatever and to whomever: one every six minutes can be read, more are noise.
pub const MOST_AN_HOUR: usize = 10;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long something has to be gone until people are told that it is over, the first time. It doubles with each relapse.
const CALM: Duration = Duration::from_secs(5 * 60);
/// The longest of these times. A day would never end for what happens every night.
const LONGEST_CALM: Duration = HOUR.saturating_mul(6);
/// For how long it is remembered that something was wrong: what comes back within that time is a relapse.
const MEMORY: Duration = DAY;
/// The longest time until what goes on is told again.
const LONGEST_SILENCE: Duration = DAY;
/// What would be repeated within this time is repeated along with what is told now.
const ALONG: Duration = HOUR;
/// So many times as much of something is news.
const GROWTH: u64 = 10;

/// All that is wrong or was lately, and what people know of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    cases: Vec<Case>,
    /// When messages were sent, over the last hour.
    sent: Vec<Timestamp>,
}

/// One trouble, from its first finding until it is forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Case {
    pub(super) trouble: Trouble,
    /// Since when it is wrong.
    pub(super) since: Timestamp,
    /// How much there was of it when it was found last.
    pub(super) amount: u64,
    #[serde(default)]
    pub(super) detail: String,
    stage: Stage,
    /// How often people were told that it is wrong, and each time but the last that it was over.
    raised: u32,
    #[serde(skip)]
    presence: Presence,
}

/// Whether something is wrong as far as it was noticed last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Presence {
    /// Nobody knows, so it is as it was.
    #[default]
    Unknown,
    Found,
    Missing {
        since: Timestamp,
    },
}

/// What people know of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Nothing yet.
    Found { at: Timestamp },
    /// That it is wrong.
    Told { at: Timestamp, times: u32, amount: u64 },
    /// That it is over.
    Over { at: Timestamp },
}

/// What a message says of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum News {
    /// It is wrong.
    Raised,
    /// It still is.
    Still,
    /// It is over.
    Over,
}

/// A message that is due: what is said, to whom, and what people know then.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who gets it; nobody, when it is about the only one who could.
    pub to: Vec<Name>,
    /// What it says, in one line.
    pub title: String,
    /// All of it: JSON, with the book as it is once this is sent.
    pub body: Vec<u8>,
    after: Book,
}

impl Message {
    /// The book once the message is sent.
    #[must_use]
    pub fn sent(self) -> Book {
        self.after
    }
}

impl Book {
    /// The book as the last message has it; `None` when `body` isn't one of ours.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        body::read_book(body)
    }

    /// Takes note of what is wrong at `now`, and of what isn't any more.
    pub fn note(&mut self, findings: &Findings, now: Timestamp) {
        for (trouble, finding) in &findings.found {
            match self.cases.iter_mut().find(|case| case.trouble == *trouble) {
                Some(case) => case.found(finding, now),
                None => self.cases.push(Case::new(trouble.clone(), finding, now)),
            }
        }
        for case in self.cases.iter_mut().filter(|case| !findings.found.contains_key(&case.trouble)) {
            if findings.unknown.contains(&case.trouble) { case.lost_sight() } else { case.missing(now) }
        }
        self.cases.retain(|case| case.is_remembered(now));
        self.cases.sort_by(|one, other| one.trouble.cmp(&other.trouble));
        self.sent.retain(|at| *at <= now && now.since(*at) < HOUR);
    }

    /// The next message that is due at `now`; `None` when there is none, or none may go out yet. It counts as sent once the
    /// book is replaced by [`Message::sent`].
    #[must_use]
    pub fn next(&self, policy: &Policy, now: Timestamp) -> Option<Message> {
        if policy.to.is_empty() || self.sent.len() >= MOST_AN_HOUR {
            return None;
        }
        let mut audiences: BTreeMap<Option<&Name>, Vec<&Case>> = BTreeMap::new();
        for case in &self.cases {
            let barred = case.trouble.destination().filter(|name| policy.to.contains(name));
            audiences.entry(barred).or_default().push(case);
        }
        audiences.into_iter().find_map(|(barred, cases)| self.message(&cases, barred, policy, now))
    }

    /// The message about these cases, which are for everybody but `barred`.
    fn message(&self, cases: &[&Case], barred: Option<&Name>, policy: &Policy, now: Timestamp) -> Option<Message> {
        let first = cases.iter().filter_map(|case| case.due(policy)).map(|(_, due)| due).min()?;
        if first.plus(policy.gather) > now {
            return None;
        }
        let told: Vec<(News, &Case)> = cases.iter().filter_map(|case| Some((case.news(policy, now)?, *case))).collect();
        let mut after = self.clone();
        after.tell(&told, now);
        let to = policy.to.iter().filter(|name| Some(*name) != barred).cloned().collect();
        let (title, body) = body::write(&told, &after, policy);
        Some(Message { to, title, body, after })
    }

    fn tell(&mut self, told: &[(News, &Case)], now: Timestamp) {
        for (news, case) in told {
            if let Some(own) = self.cases.iter_mut().find(|own| own.trouble == case.trouble) {
                own.tell(*news, now);
            }
        }
        self.sent.push(now);
    }

    /// What people know to be wrong.
    pub(super) fn standing(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| matches!(case.stage, Stage::Told { .. }))
    }
}

impl Case {
    fn new(trouble: Trouble, finding: &Finding, now: Timestamp) -> Self {
        let Finding { since, amount, detail } = finding.clone();
        let stage = Stage::Found { at: now };
        Self { trouble, since, amount, detail, stage, raised: 0, presence: Presence::Found }
    }

    fn found(&mut self, finding: &Finding, now: Timestamp) {
        if matches!(self.stage, Stage::Over { .. }) {
            (self.stage, self.since) = (Stage::Found { at: now }, finding.since);
        }
        (self.amount, self.detail, self.presence) = (finding.amount, finding.detail.clone(), Presence::Found);
    }

    fn missing(&mut self, now: Timestamp) {
        self.forget_untold(now);
        if !matches!(self.presence, Presence::Missing { .. }) {
            self.presence = Presence::Missing { since: now };
        }
    }

    fn lost_sight(&mut self) {
        self.presence = Presence::Unknown;
    }

    /// What nobody knows of, and what isn't there any more, nobody has to know of.
    fn forget_untold(&mut self, now: Timestamp) {
        if matches!(self.stage, Stage::Found { .. }) {
            self.stage = Stage::Over { at: now };
        }
    }

    fn is_remembered(&self, now: Timestamp) -> bool {
        !matches!(self.stage, Stage::Over { at } if self.raised == 0 || now.since(at) >= MEMORY)
    }

    /// What there is to be told, and when.
    fn due(&self, policy: &Policy) -> Option<(News, Timestamp)> {
        match (self.stage, self.presence) {
            (Stage::Found { at }, Presence::Found) => Some((News::Raised, at.plus(self.trouble.patience(policy)))),
            (Stage::Told { .. }, Presence::Missing { since }) => Some((News::Over, since.plus(calm(self.raised)))),
            (Stage::Told { at, amount, .. }, Presence::Found) if self.has_grown(amount) => Some((News::Still, at)),
            (Stage::Told { at, times, .. }, Presence::Found) if self.trouble.is_repeated() => {
                Some((News::Still, at.plus(silence(times, policy.repeat))))
            }
            _ => None,
        }
    }

    /// What a message that goes out at `now` has to say of it.
    fn news(&self, policy: &Policy, now: Timestamp) -> Option<News> {
        let (news, due) = self.due(policy)?;
        let told_at = if let Stage::Told { at, .. } = self.stage { at } else { now };
        let comes_along = news == News::Still && now.since(told_at) >= ALONG && due <= now.plus(ALONG);
        (due <= now || comes_along).then_some(news)
    }

    fn tell(&mut self, news: News, now: Timestamp) {
        self.stage = self.stage.after(news, self.amount, now);
        self.raised = self.raised.saturating_add((news == News::Raised).into());
    }

    fn has_grown(&self, told: u64) -> bool {
        self.trouble.grows() && self.amount >= told.saturating_mul(GROWTH)
    }
}

impl Stage {
    /// What people know after this was told.
    const fn after(self, news: News, amount: u64, now: Timestamp) -> Self {
        match (news, self) {
            (News::Over, _) => Self::Over { at: now },
            (News::Still, Self::Told { times, .. }) => Self::Told { at: now, times: times.saturating_add(1), amount },
            (News::Raised | News::Still, _) => Self::Told { at: now, times: 1, amount },
        }
    }
}

/// How long something has to be gone that was raised so many times.
fn calm(raised: u32) -> Duration {
    doubled(CALM, raised.saturating_sub(1)).min(LONGEST_CALM)
}

/// How long nothing is said of what was told so many times.
fn silence(times: u32, repeat: Duration) -> Duration {
    doubled(repeat, times.saturating_sub(1)).min(LONGEST_SILENCE.max(repeat))
}

fn doubled(time: Duration, times: u32) -> Duration {
    time.saturating_mul(2_u32.saturating_pow(times))
}
