//! `HubSpot`: an upsert of calls by a property of one's own, all of whose values are texts, and quotas by the second and the day.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

use crate::{
    pace::Pace,
    support::sink::Got,
    vendor::{Answer, BadDays, Vendor, body, json},
};

pub(crate) const TOKEN: &str = "pat-eu1-of-the-tests";

pub(crate) struct HubSpot {
    /// Properties by the call's id.
    pub(crate) calls: BTreeMap<String, Map<String, Value>>,
    pub(crate) pace: Pace,
    days: BadDays,
}

/// What it calls bad days: `TEN_SECONDLY_ROLLING` and `DAILY` (429), `423`, `477`, `502`.
pub(crate) async fn start(days: BadDays) -> Vendor<HubSpot> {
    let hubspot = HubSpot { calls: BTreeMap::new(), pace: Pace::new(20, Duration::from_secs(1)), days };
    Vendor::start(hubspot, answer).await
}

fn error(status: u16, category: &str) -> Answer {
    json(status, &json!({ "status": "error", "message": "as the vendor says", "category": category }))
}

fn over_quota(policy: &str) -> Answer {
    json(429, &json!({ "status": "error", "errorType": "RATE_LIMIT", "policyName": policy, "message": "slow down" }))
}

fn answer(hubspot: &mut HubSpot, got: &Got) -> Answer {
    match hubspot.days.next() {
        Some(status @ ("423" | "477" | "502")) => return error(status.parse().unwrap(), "TRANSIENT"),
        Some(policy) => return over_quota(policy),
        None => {}
    }
    if !hubspot.pace.admits() {
        return over_quota("TEN_SECONDLY_ROLLING");
    }
    if got.headers.get("authorization").is_none_or(|given| given.as_bytes() != format!("Bearer {TOKEN}").as_bytes()) {
        return error(401, "INVALID_AUTHENTICATION");
    }
    if got.path != "/crm/v3/objects/calls/batch/upsert" {
        return error(404, "OBJECT_NOT_FOUND");
    }
    hubspot.upsert(&body(got).unwrap_or_default())
}

impl HubSpot {
    fn upsert(&mut self, body: &Value) -> Answer {
        let [input] = body["inputs"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            return error(400, "VALIDATION_ERROR");
        };
        let (Some(id), Some(properties)) = (input["id"].as_str(), input["properties"].as_object()) else {
            return error(400, "VALIDATION_ERROR");
        };
        let are_texts = properties.values().all(Value::is_string);
        if input["idProperty"] != "atoms_call_id" || !are_texts || !properties.contains_key("hs_timestamp") {
            return error(400, "VALIDATION_ERROR");
        }
        self.calls.entry(id.to_owned()).or_default().extend(properties.clone());
        json(200, &json!({ "status": "COMPLETE", "results": [{ "id": "1", "properties": properties }] }))
    }
}
