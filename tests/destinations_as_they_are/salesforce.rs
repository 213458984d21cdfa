//! Salesforce: a token endpoint whose answer names the instance and no time, sessions that end without a warning, an upsert by
//! external id, and errors as a list.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    support::sink::Got,
    vendor::{Answer, BadDays, Vendor, body, json},
};

pub(crate) const CLIENT_ID: &str = "3MVG9.the-relay";
pub(crate) const CLIENT_SECRET: &str = "client-secret-of-the-tests";
const UPSERT: &str = "/services/data/v62.0/sobjects/Task/Atoms_Call_Id__c/";
/// The fields of a Task that exist.
const FIELDS: [&str; 7] =
    ["Subject", "TaskSubtype", "Status", "CallType", "CallDurationInSeconds", "CallDisposition", "Description"];

pub(crate) struct Salesforce {
    /// By the call's id.
    pub(crate) tasks: BTreeMap<String, Map<String, Value>>,
    /// How many tokens were asked for.
    pub(crate) tokens: u32,
    instance: String,
    days: BadDays,
}

/// What it calls bad days: `INVALID_SESSION_ID` (the session ends), `REQUEST_LIMIT_EXCEEDED`, `UNABLE_TO_LOCK_ROW`.
pub(crate) async fn start(days: BadDays) -> Vendor<Salesforce> {
    let salesforce = Salesforce { tasks: BTreeMap::new(), tokens: 0, instance: String::new(), days };
    let vendor = Vendor::start(salesforce, answer).await;
    vendor.state.lock().unwrap().instance = vendor.sink.url("");
    vendor
}

fn answer(salesforce: &mut Salesforce, got: &Got) -> Answer {
    match got.path.strip_prefix(UPSERT) {
        _ if got.path == "/services/oauth2/token" => salesforce.token(got),
        Some(id) => salesforce.upsert(id, got),
        None => error(404, "NOT_FOUND"),
    }
}

fn error(status: u16, code: &str) -> Answer {
    json(status, &json!([{ "message": "as the vendor says", "errorCode": code }]))
}

impl Salesforce {
    fn token(&mut self, got: &Got) -> Answer {
        let form: BTreeMap<_, _> = url::form_urlencoded::parse(&got.body).into_owned().collect();
        let expected =
            [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET), ("grant_type", "client_credentials")];
        let is_known = expected.iter().all(|(key, value)| form.get(*key).is_some_and(|given| given == value));
        if !is_known {
            return json(400, &json!({ "error": "invalid_client", "error_description": "invalid client credentials" }));
        }
        self.tokens += 1;
        json(
            200,
            &json!({
                "access_token": self.session(), "instance_url": self.instance, "token_type": "Bearer",
                "issued_at": "1790012345678", "id": "https://login.salesforce.com/id/00D/005",
            }),
        )
    }

    /// The session that counts: the latest.
    fn session(&self) -> String {
        format!("00Dsession!{}", self.tokens)
    }

    fn upsert(&mut self, id: &str, got: &Got) -> Answer {
        match self.days.next() {
            Some("INVALID_SESSION_ID") => {
                // From now on only a new one counts.
                return error(401, "INVALID_SESSION_ID");
            }
            Some("REQUEST_LIMIT_EXCEEDED") => return error(403, "REQUEST_LIMIT_EXCEEDED"),
            Some(code) => return error(400, code),
            None => {}
        }
        let bearer = format!("Bearer {}", self.session());
        if got.headers.get("authorization").is_none_or(|given| given.as_bytes() != bearer.as_bytes()) {
            return error(401, "INVALID_SESSION_ID");
        }
        let Some(Value::Object(fields)) = body(got) else { return error(400, "JSON_PARSER_ERROR") };
        if fields.iter().any(|(field, value)| !FIELDS.contains(&field.as_str()) || value.is_null()) {
            return error(400, "INVALID_FIELD");
        }
        let is_new = !self.tasks.contains_key(id);
        self.tasks.entry(id.to_owned()).or_default().extend(fields);
        json(if is_new { 201 } else { 200 }, &json!({ "id": "00T1", "success": true, "created": is_new }))
    }
}
