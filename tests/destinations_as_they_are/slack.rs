//! Slack, both ways in: the incoming webhook, which answers in plain words, and `chat.postMessage`, which answers 200 whatever
//! happens and says in the body whether it worked. One message a second; here a little faster, for the tests' sake.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    pace::Pace,
    support::sink::Got,
    vendor::{Answer, BadDays, Vendor, body, json, retry_after, text},
};

pub(crate) const TOKEN: &str = "xoxb-4711-a-bot-of-the-tests";
pub(crate) const CHANNEL: &str = "C0123456789";
/// Slack's own error is that a section's text must be less than 3001 characters; of a message, 40,000.
const LONGEST_TEXT: usize = 40_000;

pub(crate) struct Slack {
    pub(crate) posted: Vec<String>,
    pub(crate) pace: Pace,
    days: BadDays,
}

impl Slack {
    fn new(days: BadDays) -> Self {
        Self { posted: Vec::new(), pace: Pace::new(20, Duration::from_secs(1)), days }
    }

    fn post(&mut self, body: &Value) -> Result<(), &'static str> {
        match body["text"].as_str() {
            None | Some("") => Err("no_text"),
            Some(long) if long.chars().count() > LONGEST_TEXT => Err("msg_too_long"),
            Some(message) => {
                self.posted.push(message.to_owned());
                Ok(())
            }
        }
    }
}

/// The incoming webhook. What it calls bad days: `429`, `rollup_error`, `channel_is_archived`.
pub(crate) async fn webhook(days: BadDays) -> Vendor<Slack> {
    Vendor::start(Slack::new(days), answer_webhook).await
}

fn answer_webhook(slack: &mut Slack, got: &Got) -> Answer {
    match slack.days.next() {
        Some("429") => return retry_after(text(429, "rate_limited"), 1),
        Some("rollup_error") => return text(500, "rollup_error"),
        Some(other) => return text(410, other),
        None => {}
    }
    if !slack.pace.admits() {
        return retry_after(text(429, "rate_limited"), 1);
    }
    let Some(body) = body(got) else { return text(400, "invalid_payload") };
    match slack.post(&body) {
        Ok(()) => text(200, "ok"),
        Err(error) => text(400, error),
    }
}

/// `chat.postMessage`. Its bad days are errors in a 200, by Slack's own names, and `429`.
pub(crate) async fn api(days: BadDays) -> Vendor<Slack> {
    Vendor::start(Slack::new(days), answer_api).await
}

fn answer_api(slack: &mut Slack, got: &Got) -> Answer {
    let refusal = |error: &str| json(200, &json!({ "ok": false, "error": error }));
    match slack.days.next() {
        Some("429") => return retry_after(json(429, &json!({ "ok": false, "error": "ratelimited" })), 1),
        Some(error) => return refusal(error),
        None => {}
    }
    if !slack.pace.admits() {
        return retry_after(refusal("ratelimited"), 1);
    }
    if got.headers.get("authorization").is_none_or(|value| value.as_bytes() != format!("Bearer {TOKEN}").as_bytes()) {
        return refusal("invalid_auth");
    }
    let Some(body) = body(got) else { return refusal("invalid_json") };
    if body["channel"] != CHANNEL {
        return refusal("channel_not_found");
    }
    match slack.post(&body) {
        Ok(()) => json(200, &json!({ "ok": true, "channel": CHANNEL, "ts": "1790012345.000100" })),
        Err(error) => refusal(error),
    }
}
