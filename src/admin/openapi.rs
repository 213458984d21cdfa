//! What the listener says of itself: `OpenAPI` 3.1, made of the table that it works by and of the types that it answers with.

use http::Method;
use schemars::{
    SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};

use super::{
    guard::Access,
    query::Parameter,
    routes::{Content, ROUTES, Route, json_of},
    view::ProblemView,
};

const ABOUT: &str = "\
See and steer a running relay. Lists come in pages: `next` is the `cursor` of the following one, null on the last. Times are \
in UTC. A request that goes wrong is answered with `application/problem+json` (RFC 9457), whose `detail` says what to do. \
Fields may be added to documents within v1; none is renamed or removed.";

/// Collects the schemas that the routes refer to. What is asked and what is answered have generators of their own: a field
/// that may be left out of a question can still be in every answer.
struct Schemas {
    asked: SchemaGenerator,
    answered: SchemaGenerator,
}

/// The document.
pub(super) fn document() -> Value {
    let mut schemas = Schemas { asked: generator(Contract::Deserialize), answered: generator(Contract::Serialize) };
    let problem = json_of::<ProblemView>(&mut schemas.answered);
    let mut paths = Map::new();
    for route in ROUTES {
        let operation = schemas.operation(route);
        let path = paths.entry(route.pattern).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(method(route).as_str().to_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "atoms-relay", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": { "Problem": {
                "description": "What went wrong, and what to do",
                "content": { "application/problem+json": { "schema": problem } },
            } },
        },
    })
}

fn generator(contract: Contract) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.contract = contract;
    settings.into_generator()
}

/// The method that the document names. HEAD goes without saying where GET is taken.
fn method(route: &Route) -> Method {
    route.methods().first().cloned().unwrap_or_default()
}

impl Schemas {
    fn operation(&mut self, route: &Route) -> Value {
        let responses = json!({
            "200": { "description": "OK", "content": self.content(route.answer) },
            "default": { "$ref": "#/components/responses/Problem" },
        });
        let body = route.takes.map(|takes| takes(&mut self.asked));
        let parts = [
            ("operationId", Some(route.what.name().into())),
            ("summary", Some(route.summary.into())),
            ("parameters", Some(self.parameters(route).into())),
            ("requestBody", body.map(|schema| json!({ "content": { "application/json": { "schema": schema } } }))),
            ("security", (route.access == Access::Everyone).then(|| json!([]))),
            ("responses", Some(responses)),
        ];
        parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))).collect()
    }

    fn parameters(&mut self, route: &Route) -> Vec<Value> {
        let in_path = route
            .parameter()
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
        let in_query = route.parameters.iter().copied().flatten().map(|&Parameter { name, about, form }| {
            json!({ "name": name, "in": "query", "description": about, "schema": form(&mut self.asked) })
        });
        in_path.into_iter().chain(in_query).collect()
    }

    fn content(&mut self, content: Content) -> Value {
        match content {
            Content::Json(schema) => json!({ "application/json": { "schema": schema(&mut self.answered) } }),
            Content::Other(media_type) => json!({ media_type: {} }),
        }
    }

    fn definitions(mut self) -> Map<String, Value> {
        let mut definitions = self.asked.take_definitions(true);
        definitions.extend(self.answered.take_definitions(true));
        definitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All values of the key `$ref`, wherever they stand.
    fn references(value: &Value) -> Vec<&str> {
        match value {
            Value::Object(map) => {
                let own = map.get("$ref").and_then(Value::as_str);
                own.into_iter().chain(map.values().flat_map(references)).collect()
            }
            Value::Array(items) => items.iter().flat_map(references).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn every_row_of_the_table_is_described_and_nothing_else() {
        let document = document();
        let described = document["paths"].as_object().unwrap().iter().flat_map(|(path, operations)| {
            operations.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        });
        let routed = ROUTES.iter().map(|route| format!("{} {}", method(route), route.pattern));
        assert_eq!(described.collect::<std::collections::BTreeSet<_>>(), routed.collect());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let references = references(&document);
        assert!(references.contains(&"#/components/schemas/EventView"), "{references:?}");
        for reference in references {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }

    #[test]
    fn a_document_that_is_asked_and_answered_looks_the_same_both_times() {
        let mut schemas = Schemas { asked: generator(Contract::Deserialize), answered: generator(Contract::Serialize) };
        for route in ROUTES {
            schemas.operation(route);
        }
        let answered = schemas.answered.take_definitions(true);
        for (name, asked) in schemas.asked.take_definitions(true) {
            assert!(
                answered.get(&name).is_none_or(|answered| *answered == asked),
                "{name}: give the question its own type"
            );
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let mut ids: Vec<String> = ROUTES.iter().map(|route| route.what.name()).collect();
        ids.sort();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "{ids:?}");
    }
}
