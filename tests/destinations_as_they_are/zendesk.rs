//! Zendesk: honours `Idempotency-Key` for two hours, and refuses the same key with another body.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    support::sink::Got,
    vendor::{Answer, BadDays, Vendor, body, json, retry_after},
};

/// The base64 of `agent@example.com/token:zendesk-token-of-the-tests`.
pub(crate) const BASIC: &str = "Basic YWdlbnRAZXhhbXBsZS5jb20vdG9rZW46emVuZGVzay10b2tlbi1vZi10aGUtdGVzdHM=";

pub(crate) struct Zendesk {
    pub(crate) tickets: Vec<Value>,
    /// The body of each key.
    keys: BTreeMap<String, Bytes>,
    /// Requests that were answered from memory.
    pub(crate) hits: u32,
    days: BadDays,
}

/// What it calls bad days: `429`; `lost`: it makes the ticket, and the answer breaks on its way.
pub(crate) async fn start(days: BadDays) -> Vendor<Zendesk> {
    let zendesk = Zendesk { tickets: Vec::new(), keys: BTreeMap::new(), hits: 0, days };
    Vendor::start(zendesk, answer).await
}

fn answer(zendesk: &mut Zendesk, got: &Got) -> Answer {
    let day = zendesk.days.next();
    if day == Some("429") {
        return retry_after(json(429, &json!({ "error": "TooManyRequests" })), 1);
    }
    if got.headers.get("authorization").is_none_or(|given| given.as_bytes() != BASIC.as_bytes()) {
        return json(401, &json!({ "error": "Couldn't authenticate you" }));
    }
    let answer = zendesk.create(got);
    if day == Some("lost") { json(502, &json!({})) } else { answer }
}

impl Zendesk {
    fn create(&mut self, got: &Got) -> Answer {
        let key = got.header("idempotency-key").to_owned();
        match self.keys.get(&key) {
            Some(known) if *known == got.body => {
                self.hits += 1;
                return json(201, &json!({ "ticket": { "id": 1 } }));
            }
            Some(_) => return json(400, &json!({ "error": "IdempotentRequestError" })),
            None => {}
        }
        let Some(body) = body(got) else { return json(400, &json!({ "error": "InvalidJSON" })) };
        let ticket = &body["ticket"];
        let has_comment = ticket["comment"]["body"].as_str().is_some_and(|text| !text.is_empty());
        if !ticket["subject"].is_string() || !has_comment {
            return json(422, &json!({ "error": "RecordInvalid" }));
        }
        self.keys.insert(key, got.body.clone());
        self.tickets.push(ticket.clone());
        json(201, &json!({ "ticket": { "id": self.tickets.len() } }))
    }
}
