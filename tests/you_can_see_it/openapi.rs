//! What the admin API says of itself, held against what it answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{support::fixtures, window::Window};

/// The description that an admin API gives of itself.
struct Description(Value);

impl Description {
    /// Every path that can be read as JSON, with the schema of its answer.
    fn documents(&self) -> Vec<(&str, &Value)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        paths.filter_map(|(path, operations)| Some((path.as_str(), answer_of(operations.get("get")?)?))).collect()
    }

    /// The schema of what a change of this path answers.
    fn answer_to_change(&self, path: &str) -> &Value {
        answer_of(&self.0["paths"][path]["post"]).unwrap()
    }

    /// What is wrong with `value`, when it should look like `schema`: an unknown field too.
    fn complaints(&self, schema: &Value, value: &Value, place: &str) -> Vec<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let schema = self.0.pointer(reference.trim_start_matches('#')).unwrap();
            return self.complaints(schema, value, place);
        }
        if let Some(choices) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
            let tried = choices.iter().map(|choice| self.complaints(choice, value, place));
            return tried.min_by_key(Vec::len).unwrap();
        }
        let mut complaints = Vec::new();
        if !has_a_type_of(schema, value) {
            complaints.push(format!("{place}: {value} is no {}", schema["type"]));
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            complaints.push(format!("{place}: {value} is none of {}", schema["enum"]));
        }
        if schema.get("const").is_some_and(|only| only != value) {
            complaints.push(format!("{place}: {value} is not {}", schema["const"]));
        }
        complaints.extend(self.complaints_of_parts(schema, value, place));
        complaints
    }

    fn complaints_of_parts(&self, schema: &Value, value: &Value, place: &str) -> Vec<String> {
        match (value, schema["properties"].as_object()) {
            (Value::Array(items), _) => {
                items.iter().flat_map(|item| self.complaints(&schema["items"], item, &format!("{place}[]"))).collect()
            }
            (Value::Object(fields), Some(known)) => {
                let required = schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
                let missing = required.filter(|name| !fields.contains_key(*name));
                let missing = missing.map(|name| format!("{place}.{name} is missing"));
                let wrong = fields.iter().flat_map(|(name, value)| match known.get(name) {
                    Some(schema) => self.complaints(schema, value, &format!("{place}.{name}")),
                    None => vec![format!("{place}.{name} isn't described")],
                });
                missing.chain(wrong).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn answer_of(operation: &Value) -> Option<&Value> {
    operation.pointer("/responses/200/content/application~1json/schema")
}

fn has_a_type_of(schema: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("what is {other}?"),
    };
    match &schema["type"] {
        Value::Null => true,
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}

async fn described(window: &Window) -> Description {
    Description(window.read("openapi.json").await)
}

#[tokio::test]
async fn answers_have_exactly_the_fields_that_are_described() {
    let window = Window::open().await;
    let [dead, waiting] = window.accept_many(2).await.try_into().unwrap();
    window.answer_all(422, "no such phone").await;
    window.post(&format!("deliveries/{waiting}.crm/retry"), "").await;
    window.accept("no json").await;
    window.post("destinations/crm/pause", r#"{"reason":"moving house"}"#).await;

    let description = described(&window).await;
    for (path, schema) in description.documents() {
        let address = path.replace("{id}", &dead).replace("{call}", "CALL-e0");
        let answer = window.get(&address).await;
        assert_eq!(answer.status, 200, "{address}: {answer:?}");
        let complaints = description.complaints(schema, &serde_json::from_str(&answer.body).unwrap(), "");
        assert!(complaints.is_empty(), "GET {address}: {complaints:#?}");
    }
}

#[tokio::test]
async fn what_changes_answer_is_described() {
    let window = Window::open().await;
    let id = window.accept(fixtures::event("e1")).await;
    window.answer_all(422, "").await;
    let description = described(&window).await;
    for (path, body) in [
        ("destinations/{name}/pause", r#"{"reason":"x"}"#),
        ("destinations/{name}/resume", ""),
        ("deliveries/{id}/retry", ""),
        ("replays", r#"{"all":true}"#),
        ("dead-letters/discard", r#"{"all":true}"#),
    ] {
        let address = path.replace("{name}", "crm").replace("{id}", &format!("{id}.crm"));
        let schema = description.answer_to_change(&format!("/api/v1/{path}"));
        let complaints = description.complaints(schema, &window.post(&address, body).await, "");
        assert!(complaints.is_empty(), "POST {address}: {complaints:#?}");
    }
}

#[tokio::test]
async fn a_problem_looks_as_described() {
    let window = Window::open().await;
    let description = described(&window).await;
    let schema = description.0.pointer("/components/responses/Problem/content/application~1problem+json/schema");
    let answer = window.get("/api/v1/events/nonsense").await;
    let complaints = description.complaints(schema.unwrap(), &serde_json::from_str(&answer.body).unwrap(), "");
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test]
async fn the_parameters_that_are_described_are_those_that_are_taken() {
    let window = Window::open().await;
    let description = described(&window).await;
    let named: BTreeSet<&str> = description.0["paths"]["/api/v1/events"]["get"]["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    let answer = window.get("/api/v1/events?nonsense=1").await.text("detail");
    let taken = answer.split_once("it knows ").unwrap().1.split(", ").collect();
    assert_eq!(named, taken);
}

#[test]
fn what_is_not_described_is_noticed() {
    let description = Description(json!({}));
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] });
    for wrong in [json!({}), json!({ "a": "text" }), json!({ "a": 1, "b": 2 }), json!([])] {
        assert!(!description.complaints(&schema, &wrong, "").is_empty(), "{wrong}");
    }
    assert_eq!(description.complaints(&schema, &json!({ "a": 1 }), ""), Vec::<String>::new());
}
