//! `PagerDuty`, Events API v2: the key is in the body, and one `dedup_key` is one alert.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    support::sink::Got,
    vendor::{Answer, BadDays, Vendor, body, json},
};

pub(crate) const ROUTING_KEY: &str = "R0UT1NGKEY0FTHETESTS000000000000";

pub(crate) struct PagerDuty {
    /// By their `dedup_key`.
    pub(crate) alerts: BTreeMap<String, Value>,
    /// The keys of those that were resolved.
    pub(crate) resolved: Vec<String>,
    days: BadDays,
}

/// What it calls bad days: statuses.
pub(crate) async fn start(days: BadDays) -> Vendor<PagerDuty> {
    Vendor::start(PagerDuty { alerts: BTreeMap::new(), resolved: Vec::new(), days }, answer).await
}

fn answer(pagerduty: &mut PagerDuty, got: &Got) -> Answer {
    if let Some(status) = pagerduty.days.next() {
        return json(status.parse().unwrap(), &json!({ "status": "throttle exceeded" }));
    }
    let body = body(got).unwrap_or_default();
    let payload = &body["payload"];
    let is_valid = body["routing_key"] == ROUTING_KEY
        && (body["event_action"] == "trigger" || body["event_action"] == "resolve")
        && body["dedup_key"].as_str().is_some_and(|key| (1..=255).contains(&key.len()))
        && payload["summary"].as_str().is_some_and(|summary| (1..=1024).contains(&summary.len()))
        && payload["source"].is_string()
        && ["critical", "error", "warning", "info"].iter().any(|severity| payload["severity"] == *severity);
    if !is_valid {
        return json(400, &json!({ "status": "invalid event", "message": "Event object is invalid" }));
    }
    let key = body["dedup_key"].as_str().unwrap().to_owned();
    if body["event_action"] == "resolve" {
        pagerduty.resolved.push(key.clone());
    } else {
        pagerduty.alerts.insert(key.clone(), payload.clone());
    }
    json(202, &json!({ "status": "success", "message": "Event processed", "dedup_key": key }))
}
