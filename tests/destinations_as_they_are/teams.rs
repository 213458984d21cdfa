//! Microsoft Teams behind a Workflows address: takes Adaptive Cards only, and says 200 when it means 429.

use std::time::Duration;

use serde_json::Value;

use crate::{
    pace::Pace,
    support::sink::Got,
    vendor::{Answer, BadDays, Vendor, body, text},
};

/// Bytes of a card at most.
const LARGEST: usize = 28 * 1024;

const THROTTLED: &str = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId \
                         tcid=0.";

pub(crate) struct Teams {
    pub(crate) cards: Vec<Value>,
    pub(crate) pace: Pace,
    days: BadDays,
}

/// Its only kind of bad day is a 200 that means 429.
pub(crate) async fn start(days: BadDays) -> Vendor<Teams> {
    let teams = Teams { cards: Vec::new(), pace: Pace::new(20, Duration::from_secs(1)), days };
    Vendor::start(teams, answer).await
}

fn answer(teams: &mut Teams, got: &Got) -> Answer {
    if teams.days.next().is_some() || !teams.pace.admits() {
        return text(200, THROTTLED);
    }
    if got.body.len() > LARGEST {
        return text(413, "too large");
    }
    match body(got).filter(is_card) {
        Some(card) => {
            teams.cards.push(card["attachments"][0]["content"].clone());
            text(202, "")
        }
        None => text(400, "the request is not a card"),
    }
}

fn is_card(message: &Value) -> bool {
    let attachment = &message["attachments"][0];
    let elements = attachment["content"]["body"].as_array();
    message["type"] == "message"
        && attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        && attachment["content"]["type"] == "AdaptiveCard"
        && attachment["content"]["version"].is_string()
        && elements.is_some_and(|elements| elements.iter().all(is_text_block))
}

fn is_text_block(element: &Value) -> bool {
    element["type"] == "TextBlock"
        && element["text"].is_string()
        && matches!(element["isVisible"], Value::Null | Value::Bool(_))
}
