//! What the documents of the API look like, as JSON Schema: for the types of other rooms, which don't know of it.
//!
//! The documents themselves ([`super::view`]) derive theirs.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{
    model::{Class, DeadReason, DeliveryId, EventId, FailureKind, Name, Timestamp},
    store::EventState,
};

/// Gives a type that is written as a text its schema.
macro_rules! written_as_text {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

written_as_text!(Timestamp, "Time", {
    "type": "string",
    "format": "date-time",
    "description": "In UTC, to the millisecond; where one is given, a date alone is enough.",
    "examples": ["2026-09-22T09:14:06.000Z"],
});
written_as_text!(Name, "Name", { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" });
written_as_text!(EventId, "EventId", { "type": "string", "format": "uuid" });
written_as_text!(DeliveryId, "DeliveryId", {
    "type": "string",
    "description": "The event's id, a dot, and the destination's name.",
    "examples": ["0198c5f0-7d5e-7c3a-9f00-1a2b3c4d5e6f.crm"],
});
written_as_text!(EventState, "EventState", {
    "type": "string",
    "enum": ["waiting", "dead", "expired", "delivered", "unrouted", "quarantined"],
});
written_as_text!(DeadReason, "DeadReason", { "type": "string", "enum": ["rejected", "gave_up", "unsendable"] });
written_as_text!(FailureKind, "FailureKind", {
    "type": "string",
    "enum": [
        "connect", "timeout", "broken", "unsendable", "interrupted", "bug", "forbidden", "token", "credentials", "unkept",
    ],
});
written_as_text!(Class, "Class", {
    "type": "string",
    "enum": ["success", "duplicate", "retry", "throttled", "reauth", "reject_event", "stop_destination"],
});

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;

    /// The words that serde knows for a type; it names them when it meets another.
    fn words_of<T: DeserializeOwned>() -> Vec<String> {
        let error = serde_json::from_value::<T>(json!("?")).err().unwrap().to_string();
        let quoted = error.split('`').skip(1).step_by(2);
        quoted.map(str::to_owned).filter(|word| word != "?").collect()
    }

    fn assert_names_all_words<T: JsonSchema + DeserializeOwned>() {
        let schema = T::json_schema(&mut SchemaGenerator::default());
        assert_eq!(schema.get("enum"), Some(&json!(words_of::<T>())), "{}", T::schema_name());
    }

    #[test]
    fn the_words_are_those_that_are_written() {
        assert_names_all_words::<EventState>();
        assert_names_all_words::<DeadReason>();
        assert_names_all_words::<FailureKind>();
        assert_names_all_words::<Class>();
    }
}
