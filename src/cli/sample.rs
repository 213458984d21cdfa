//! Events like those of Atoms, made up: to try a relay out without an account.
//!
//! Each has the fields of its type, and ids of its own. People and numbers are invented; the numbers are of the range that
//! is kept free for fiction.

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::text::hex;
use crate::model::Timestamp;

/// The agent of a sample when nobody names another.
pub(super) const AGENT: &str = "68c1f0aa41d2b7e5903c11a4";

const CALLER: &str = "+14155550100";
const CALLED: &str = "+14155550132";

/// The events of one call, in the order in which Atoms sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SampleType {
    /// The call begins.
    PreConversation,
    /// The call has ended: its data, transcript and variables.
    PostConversation,
    /// What the analysis made of it.
    AnalyticsCompleted,
}

impl SampleType {
    /// As Atoms writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PreConversation => "pre-conversation",
            Self::PostConversation => "post-conversation",
            Self::AnalyticsCompleted => "analytics-completed",
        }
    }
}

/// A call's id like those of Atoms.
pub(super) fn call_id(now: Timestamp, dice: [u8; 10]) -> String {
    let [first, second, third, ..] = dice;
    format!("CALL-{:013}-{}", now.as_millis(), hex(&[first, second, third]))
}

/// The body of an event of `call`. `now` and `dice` make its id.
pub(super) fn body(event_type: SampleType, agent: &str, call: &str, now: Timestamp, dice: [u8; 10]) -> Vec<u8> {
    let mut metadata = own_metadata(event_type, call, now);
    let shared = [
        ("agentId", agent),
        ("eventType", event_type.name()),
        ("conversationType", "telephonyOutbound"),
        ("callId", call),
    ];
    metadata.extend(shared.map(|(key, value)| (key.to_owned(), value.into())));
    let event = json!({
        "url": "https://relay.example.net/webhook",
        "description": "A sample made by atoms-relay",
        "event": format!("{agent}.{}", event_type.name()),
        "metadata": metadata,
        "id": format!("{}{:04x}", hex(&dice), now.as_millis() & 0xffff),
    });
    event.to_string().into_bytes()
}

fn own_metadata(event_type: SampleType, call: &str, now: Timestamp) -> Map<String, Value> {
    let fields = match event_type {
        SampleType::PreConversation => json!({ "toPhone": CALLED, "fromPhone": CALLER }),
        SampleType::PostConversation => post_conversation(call, now),
        SampleType::AnalyticsCompleted => json!({ "analytics": analytics(), "callData": call_data(now) }),
    };
    if let Value::Object(fields) = fields { fields } else { Map::new() }
}

fn call_data(now: Timestamp) -> Value {
    let duration = std::time::Duration::from_millis(31_730);
    json!({
        "fromNumber": CALLER,
        "toNumber": CALLED,
        "callDuration": duration.as_secs_f64(),
        "callStatus": "completed",
        "callDirection": "telephony_outbound",
        "answerTime": now.minus(duration),
        "endTime": now,
    })
}

fn post_conversation(call: &str, now: Timestamp) -> Value {
    let said = |role: &str, seconds_ago: u64, content: &str| {
        let at = now.minus(std::time::Duration::from_secs(seconds_ago));
        json!({ "role": role, "content": content, "timestamp": at })
    };
    json!({
        "recordingUrl": format!("https://recordings.example.net/{call}/composite.wav"),
        "callData": call_data(now),
        "transcript": [
            said("agent", 29, "Good morning, this is Mia from Harbor Dental. Is this Dana?"),
            said("user", 26, "Yes, speaking."),
            said("agent", 24, "I'm calling to confirm your cleaning on Thursday at ten."),
            said("user", 18, "Could we make it Friday instead?"),
            said("agent", 9, "Friday at eleven is open. You're set for Friday at eleven."),
        ],
        "variables": {
            "call_id": call,
            "user_number": CALLED,
            "agent_number": CALLER,
            "conversation_type": "telephonyOutbound",
            "default_language": "en",
            "timezone": "America/Los_Angeles",
            "patient_name": "Dana",
        },
    })
}

fn analytics() -> Value {
    json!({
        "summary": "The caller moved her cleaning from Thursday to Friday at eleven.",
        "dispositionMetrics": [{
            "identifier": "appointment_confirmed",
            "value": true,
            "confidence": 0.98,
            "reasoning": "The caller accepted the Friday slot.",
            "dispositionMetricPrompt": "Did the caller confirm an appointment?",
            "dispositionMetricType": "BOOLEAN",
        }],
        "successMetrics": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reading;

    #[test]
    fn samples_are_read_as_what_they_are() {
        let now = Timestamp::from_millis(1_790_012_345_678);
        let call = call_id(now, [0xab; 10]);
        assert_eq!(call, "CALL-1790012345678-ababab");
        for event_type in SampleType::value_variants() {
            let Reading::Read(envelope) = Reading::of(&body(*event_type, AGENT, &call, now, [7; 10])) else { panic!() };
            assert_eq!(&*envelope.event_type, event_type.name());
            assert_eq!(envelope.agent.as_deref(), Some(AGENT));
            assert_eq!(envelope.call.as_deref(), Some(&*call));
            assert_eq!(envelope.id.as_deref(), Some("07070707070707070707cd4e"));
        }
    }
}
