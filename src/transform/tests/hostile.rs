//! What callers say is up to them. Whatever it is, it can't break the JSON around it, add a header, lead a request elsewhere
//! or read a secret.

use proptest::prelude::*;

use super::*;

/// What texts are made of that mean something to a template, to JSON, to an address or to HTTP.
const PIECES: &[&str] = &[
    "{{ vars.key }}",
    "{%",
    "%}",
    "{{",
    "}}",
    "{#",
    "vars.key",
    "\"",
    "\\",
    "\\u0000",
    "\",\"x\":\"",
    "}",
    "\r\n",
    "\n",
    "\0",
    "\r\nX-Evil: 1",
    "/",
    "..",
    ".",
    "%2e",
    "%2F",
    "?",
    "#",
    "&",
    "=",
    "@",
    ":",
    "//evil.example/",
    "\\\\evil",
    " ",
    "é",
    "\u{202e}",
    "\u{7f}",
    "a",
];

fn said() -> impl Strategy<Value = String> {
    let pieces = proptest::collection::vec(proptest::sample::select(PIECES), 0..8).prop_map(|pieces| pieces.concat());
    prop_oneof![any::<String>(), pieces]
}

/// A call about which this was said. Call ids that are long put an event in quarantine, where templates still have it.
fn about(said: &str) -> Event {
    call(&json!({ "variables": { "said": said }, "summary": said }))
}

/// What the document has of it: an empty text says nothing there.
const SAID: &str = "{{ variables.said }}";

proptest! {
    #[test]
    fn it_stays_a_text_in_json(said in said()) {
        let body = Body::Json(JsonTemplate::Object(vec![
            ("alone".to_owned(), leaf(SAID)),
            ("within".to_owned(), leaf(&format!("\"{SAID}\""))),
        ]));
        let request = first(&Target { body, vars: vars(), ..target("https://a.example/") }, &about(&said)).unwrap();
        let got: Json = serde_json::from_slice(&request.body).unwrap();
        prop_assert_eq!(got, json!({ "alone": said, "within": format!("\"{said}\"") }));
    }

    #[test]
    fn it_stays_a_text_in_text(said in said()) {
        let body = Body::Text(Template::compile(&format!("{SAID}|")).unwrap());
        let request = first(&Target { body, vars: vars(), ..target("https://a.example/") }, &about(&said)).unwrap();
        prop_assert_eq!(request.body, format!("{said}|"), "a template within it is text, too");
    }

    #[test]
    fn it_adds_no_header(said in said()) {
        let header_templates = vec![header_template("x-said", &format!("({SAID})"))];
        let plain = first(&target("https://a.example/"), &about("")).unwrap();
        match first(&Target { header_templates, vars: vars(), ..target("https://a.example/") }, &about(&said)) {
            Ok(request) => {
                prop_assert_eq!(request.headers.len(), plain.headers.len() + 1);
                prop_assert_eq!(request.headers["x-said"].as_bytes().to_vec(), format!("({said})").into_bytes());
                prop_assert!(!said.contains(['\r', '\n', '\0']));
            }
            Err(refused) => {
                prop_assert!(said.contains(|c: char| c.is_ascii_control() && c != '\t'), "{}: {:?}", refused, said);
            }
        }
    }

    #[test]
    fn it_leads_nowhere_else(said in said()) {
        let target = templated(&format!("https://a.example/calls/{SAID}/notes?of={SAID}&by=relay"));
        match first(&target, &about(&said)) {
            Ok(OutboundRequest { url, .. }) => {
                prop_assert_eq!(url.origin().ascii_serialization(), "https://a.example");
                let segments: Vec<&str> = url.path_segments().unwrap().collect();
                prop_assert_eq!((segments.len(), segments[0], segments[2]), (3, "calls", "notes"));
                let query: Vec<_> = url.query_pairs().into_owned().collect();
                prop_assert_eq!(query, [("of".to_owned(), said.clone()), ("by".to_owned(), "relay".to_owned())]);
                prop_assert_eq!(url.fragment(), None);
                prop_assert!(url.username().is_empty() && url.password().is_none());
            }
            Err(refused) => prop_assert!(matches!(said.as_str(), "" | "." | ".."), "{}: {:?}", refused, said),
        }
    }

    #[test]
    fn it_reads_no_secret(said in said()) {
        let url = format!("https://a.example/{SAID}");
        let target = Target {
            body: json_body(SAID),
            header_templates: vec![header_template("x-said", SAID)],
            ..templated(&url)
        };
        let (shown, refused) = match first(&target, &about(&said)) {
            Ok(request) => (format!("{request:?} {:?} {} {:?}", request.headers, request.url, request.body.escape_ascii()), None),
            Err(refused) => (String::new(), Some(refused.to_string())),
        };
        prop_assert!(!shown.contains("hunter2"), "{}", shown);
        // A reason names the part of the template; what was said doesn't stand in it.
        prop_assert!(refused.is_none_or(|reason| !reason.contains("evil") && !reason.contains("hunter2")));
    }
}
