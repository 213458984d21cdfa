//! Where requests differ from what a test expects of them.
//!
//! Requests are compared as people may see them: what is secret has a mask, which a test can expect. Where a mask stands in
//! what came, what was expected isn't repeated, for it may be the secret.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    cli::preview::{Preview, Request},
    config::Expectation,
    model::Name,
    transform::{Body, MASK},
};

/// One thing that isn't as expected.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Complaint {
    /// Whose request it is about, if it is about one.
    pub(super) destination: Option<Name>,
    /// What is wrong.
    pub(super) what: String,
    /// What it should be, where it is something else.
    pub(super) expected: Option<String>,
    /// What it is.
    pub(super) came: Option<String>,
}

impl Complaint {
    /// A complaint about a test as a whole.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { destination: None, what: what.into(), expected: None, came: None }
    }

    /// It is about the request of `destination`.
    fn of(self, destination: &Name) -> Self {
        Self { destination: Some(destination.clone()), ..self }
    }

    /// That `what` is another one.
    fn other(what: impl Into<String>, expected: impl Into<String>, came: impl Into<String>) -> Self {
        let (expected, came) = (expected.into(), came.into());
        if came.contains(MASK) {
            let what = format!("{} is another one; what is secret of it has to be expected as `{MASK}`", what.into());
            return Self { came: Some(came), ..Self::new(what) };
        }
        Self { expected: Some(expected), came: Some(came), ..Self::new(format!("{} is another one", what.into())) }
    }
}

/// All complaints: the event has to reach the destinations of `expected` and no other, each with a request as it is expected.
pub(super) fn judge(expected: &[(Name, Expectation)], previews: &[Preview]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (name, expectation) in expected {
        let found = match previews.iter().find(|preview| preview.destination == *name) {
            None => vec![Complaint::new("the event should reach it, and doesn't; `atoms-relay explain` says why")],
            Some(Preview { request: Err(why), .. }) => vec![Complaint::new(format!("no request can be made: {why}"))],
            Some(Preview { request: Ok(request), .. }) => differences(expectation, request),
        };
        complaints.extend(found.into_iter().map(|complaint| complaint.of(name)));
    }
    let unexpected = previews.iter().filter(|preview| expected.iter().all(|(name, _)| *name != preview.destination));
    let unexpected =
        unexpected.map(|preview| Complaint::new("the event reaches it, and shouldn't").of(&preview.destination));
    complaints.extend(unexpected);
    complaints
}

fn differences(expectation: &Expectation, request: &Request) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if let Some(method) = expectation.method.as_ref().filter(|method| **method != request.method) {
        complaints.push(Complaint::other("the method", method.as_str(), request.method.as_str()));
    }
    complaints.extend(expectation.url.as_deref().and_then(|url| address(url, request)));
    complaints.extend(expectation.headers.iter().filter_map(|(name, value)| header(name.as_str(), value, request)));
    complaints.extend(expectation.body.as_ref().and_then(|body| kind(body, request)));
    if let Some(text) = expectation.text.as_ref().filter(|text| **text != request.text()) {
        complaints.push(Complaint::other("the body", text, request.text()));
    }
    complaints.extend(expectation.json.iter().flat_map(|json| json_body(json, request)));
    complaints
}

/// An address can be expected as a whole, or as `explain` shows it.
fn address(expected: &str, request: &Request) -> Option<Complaint> {
    if [&request.whole_address, &request.address].contains(&&expected.to_owned()) {
        return None;
    }
    if request.has_secret_address {
        let what = "the address is another one; as it is secret, expect what `explain` shows";
        return Some(Complaint { came: Some(request.address.clone()), ..Complaint::new(what) });
    }
    let shown = expected.split('?').next().unwrap_or_default();
    if request.address.split('?').next() == Some(shown) {
        return Some(Complaint::new("the query of the address is another one; nobody is shown it"));
    }
    Some(Complaint::other("the address", shown, &request.address))
}

fn header(name: &str, expected: &str, request: &Request) -> Option<Complaint> {
    let mut values = request.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
    match values.next() {
        Some(value) if value == expected => None,
        Some(value) => Some(Complaint::other(format!("the header `{name}`"), expected, value)),
        None => Some(Complaint::new(format!("there is no header `{name}`"))),
    }
}

fn kind(expected: &Body, request: &Request) -> Option<Complaint> {
    let (expected, came) = (kind_name(expected), kind_name(&request.kind));
    (expected != came).then(|| Complaint::other("the kind of body", expected, came))
}

fn kind_name(body: &Body) -> &'static str {
    match body {
        Body::Raw => "raw",
        Body::Normalized => "normalized",
        Body::Json(_) => "json",
        Body::Text(_) => "text",
    }
}

fn json_body(expected: &Value, request: &Request) -> Vec<Complaint> {
    match serde_json::from_slice(&request.body) {
        Ok(came) => compared("json", expected, &came),
        Err(_) => vec![Complaint::new("the body is no JSON")],
    }
}

/// Where `came` lacks something of `expected`. `path` leads to them.
fn compared(path: &str, expected: &Value, came: &Value) -> Vec<Complaint> {
    match (expected, came) {
        (Value::Object(expected), Value::Object(came)) => {
            expected.iter().flat_map(|(key, value)| member(path, key, value, came)).collect()
        }
        (Value::Array(expected), Value::Array(came)) if expected.len() == came.len() => {
            let items = expected.iter().zip(came).enumerate();
            items.flat_map(|(index, (expected, came))| compared(&format!("{path}[{index}]"), expected, came)).collect()
        }
        _ if are_equal(expected, came) => Vec::new(),
        _ => vec![Complaint::other(format!("`{path}`"), expected.to_string(), came.to_string())],
    }
}

fn member(path: &str, key: &str, expected: &Value, came: &Map<String, Value>) -> Vec<Complaint> {
    let path = format!("{path}.{key}");
    match came.get(key) {
        Some(came) => compared(&path, expected, came),
        None => vec![Complaint::new(format!("there is no `{path}`"))],
    }
}

/// Numbers are compared by their values: people write `31` for `31.0`.
fn are_equal(expected: &Value, came: &Value) -> bool {
    expected == came || expected.as_f64().is_some_and(|number| came.as_f64() == Some(number))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn request(body: &Value) -> Request {
        Request {
            method: Method::POST,
            address: "https://crm.example/calls?…".to_owned(),
            whole_address: "https://crm.example/calls?id=1".to_owned(),
            has_secret_address: false,
            headers: vec![("x-team".to_owned(), "voice".to_owned()), ("authorization".to_owned(), MASK.to_owned())],
            kind: Body::Normalized,
            body: body.to_string().into_bytes(),
        }
    }

    fn preview(destination: &str) -> Preview {
        Preview { destination: name(destination), request: Ok(request(&json!({}))) }
    }

    /// The complaints about a JSON body, as `what`, `expected` and `came`.
    fn complaints(expected: Value, came: &Value) -> Vec<String> {
        told(differences(&Expectation { json: Some(expected), ..Expectation::default() }, &request(came)))
    }

    fn told(complaints: Vec<Complaint>) -> Vec<String> {
        let told = |complaint: Complaint| {
            let Complaint { what, expected, came, .. } = complaint;
            [Some(what), expected, came].into_iter().flatten().collect::<Vec<_>>().join(" | ")
        };
        complaints.into_iter().map(told).collect()
    }

    #[test]
    fn exactly_the_expected_destinations_get_it() {
        let expected = [(name("crm"), Expectation::default()), (name("slack"), Expectation::default())];
        let refused = Preview { destination: name("slack"), request: Err("why".to_owned()) };
        let found = judge(&expected, &[preview("archive"), refused]);
        let found: Vec<_> =
            found.iter().map(|it| (it.destination.as_ref().unwrap().as_str(), it.what.as_str())).collect();
        assert_eq!(
            found,
            [
                ("crm", "the event should reach it, and doesn't; `atoms-relay explain` says why"),
                ("slack", "no request can be made: why"),
                ("archive", "the event reaches it, and shouldn't")
            ]
        );
        assert_eq!(judge(&expected, &[preview("slack"), preview("crm")]), []);
        assert_eq!(judge(&[], &[]), []);
    }

    #[test]
    fn objects_may_hold_more_than_is_expected_and_lists_may_not() {
        let came = json!({ "a": { "b": [1.0, { "c": null, "d": "x" }] }, "e": 2 });
        assert!(complaints(json!({ "a": { "b": [1, { "c": null }] } }), &came).is_empty());
        assert_eq!(
            complaints(json!({ "a": { "b": [2, { "c": "y", "z": 1 }] } }), &came),
            [
                "`json.a.b[0]` is another one | 2 | 1.0",
                "`json.a.b[1].c` is another one | \"y\" | null",
                "there is no `json.a.b[1].z`"
            ]
        );
        let shorter = complaints(json!({ "a": { "b": [1] } }), &came);
        assert_eq!(shorter, ["`json.a.b` is another one | [1] | [1.0,{\"c\":null,\"d\":\"x\"}]"]);
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        assert!(complaints(json!({ "key": MASK }), &json!({ "key": MASK })).is_empty());
        let of_json = complaints(json!({ "key": "hunter2" }), &json!({ "key": MASK }));
        let headers = vec![(http::header::AUTHORIZATION, "hunter2".to_owned())];
        let of_header = told(differences(&Expectation { headers, ..Expectation::default() }, &request(&json!({}))));
        let url = Some("https://crm.example/hunter2".to_owned());
        let secret = Request { has_secret_address: true, ..request(&json!({})) };
        let of_address = told(differences(&Expectation { url, ..Expectation::default() }, &secret));
        for told in [of_json, of_header, of_address] {
            assert!(told.len() == 1 && !told.concat().contains("hunter2"), "{told:?}");
        }
    }

    #[test]
    fn each_part_of_a_request_is_compared() {
        let expectation = Expectation {
            body: Some(Body::Raw),
            json: None,
            text: Some("{\n}".to_owned()),
            url: Some("https://crm.example/calls?id=2".to_owned()),
            method: Some(Method::PUT),
            headers: vec![("x-team".parse().unwrap(), "crm".to_owned()), ("x-none".parse().unwrap(), String::new())],
        };
        assert_eq!(
            told(differences(&expectation, &request(&json!({})))),
            [
                "the method is another one | PUT | POST",
                "the query of the address is another one; nobody is shown it",
                "the header `x-team` is another one | crm | voice",
                "there is no header `x-none`",
                "the kind of body is another one | raw | normalized",
                "the body is another one | {\n} | {}"
            ]
        );
        let expectation = Expectation {
            body: Some(Body::Normalized),
            url: Some("https://crm.example/calls?id=1".to_owned()),
            method: Some(Method::POST),
            headers: vec![("x-team".parse().unwrap(), "voice".to_owned())],
            text: Some("{}".to_owned()),
            json: Some(json!({})),
        };
        assert!(differences(&expectation, &request(&json!({}))).is_empty());
    }

    #[test]
    fn a_body_that_is_no_json_is_none_for_an_expectation_of_it() {
        let text = Request { body: b"x".to_vec(), ..request(&json!({})) };
        let expectation = Expectation { json: Some(json!({})), ..Expectation::default() };
        assert_eq!(told(differences(&expectation, &text)), ["the body is no JSON"]);
    }
}
