//! What does the head of a request ask for, and may its body be read?
//!
//! Pure. All that can be refused without reading a body is refused here, so that the sender of 8 GiB doesn't have to
//! send them first.

use http::{HeaderMap, Method, Version, header, request::Parts};

use super::{Source, answer::Refused};

/// Where one asks whether the process serves.
const HEALTH_PATH: &str = "/healthz";

/// What a request wants.
#[derive(Debug)]
pub(super) enum Wanted<'a> {
    /// To know that we serve.
    Health,
    /// To hand in an event of this source.
    HandIn(&'a Source),
}

/// Reads `head`. `length` is the body's length where the head says it, `max_body` the longest that is taken.
///
/// An absolute-form target (`POST http://host/path`) counts as its path, as RFC 9112 section 3.2.2 wants it.
pub(super) fn screen<'a>(
    head: &Parts,
    length: Option<u64>,
    sources: &'a [Source],
    max_body: u64,
) -> Result<Wanted<'a>, Refused> {
    if !names_one_host(head) {
        return Err(Refused::Host);
    }
    let wanted = find(head, sources)?;
    if !is_identity(&head.headers) {
        return Err(Refused::Encoded);
    }
    if length.is_some_and(|length| length > max_body) {
        return Err(Refused::TooLarge { max: max_body });
    }
    Ok(wanted)
}

/// RFC 9112 section 3.2: a request without a `Host`, or with two, must be refused; two parties may understand it in two
/// ways. HTTP/1.0 doesn't know the header.
fn names_one_host(head: &Parts) -> bool {
    match head.headers.get_all(header::HOST).iter().count() {
        0 => head.version < Version::HTTP_11,
        hosts => hosts == 1,
    }
}

fn find<'a>(head: &Parts, sources: &'a [Source]) -> Result<Wanted<'a>, Refused> {
    let path = head.uri.path();
    if let Some(source) = sources.iter().find(|source| source.path == path) {
        return if head.method == Method::POST {
            Ok(Wanted::HandIn(source))
        } else {
            Err(Refused::Method { allowed: "POST" })
        };
    }
    if path != HEALTH_PATH {
        return Err(Refused::NotFound);
    }
    if matches!(head.method, Method::GET | Method::HEAD) {
        Ok(Wanted::Health)
    } else {
        Err(Refused::Method { allowed: "GET, HEAD" })
    }
}

fn is_identity(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.is_empty() || coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, Request};

    use super::*;
    use crate::{model::Name, verify::Verifier};

    const MAX_BODY: u64 = 100;

    fn sources() -> Vec<Source> {
        let verifier = Verifier::new(HeaderName::from_static("x-signature"), ["s"]).unwrap();
        vec![
            Source { name: Name::new("eu").unwrap(), path: "/eu".into(), verifier: verifier.clone() },
            Source { name: Name::new("us").unwrap(), path: "/us".into(), verifier },
        ]
    }

    /// What becomes of `request`: the source's name, `health`, or the refusal in the log's words.
    fn outcome(request: http::request::Builder, length: Option<u64>) -> String {
        let (head, ()) = request.body(()).unwrap().into_parts();
        match screen(&head, length, &sources(), MAX_BODY) {
            Ok(Wanted::Health) => "health".into(),
            Ok(Wanted::HandIn(source)) => source.name.to_string(),
            Err(refused) => refused.to_string(),
        }
    }

    fn post(target: &str) -> http::request::Builder {
        Request::post(target).header("host", "relay")
    }

    #[test]
    fn a_source_is_found_by_its_whole_path() {
        assert_eq!(outcome(post("/us"), Some(0)), "us");
        assert_eq!(outcome(post("/us?from=console"), Some(0)), "us");
        assert_eq!(outcome(post("http://elsewhere.example/eu"), Some(0)), "eu");
        for other in ["/", "/us/", "/USs", "/eu/../us", "//us"] {
            assert_eq!(outcome(post(other), Some(0)), Refused::NotFound.to_string(), "{other}");
        }
    }

    #[test]
    fn only_post_hands_in_and_only_get_asks_for_health() {
        let get = |target| Request::get(target).header("host", "relay");
        assert_eq!(outcome(get("/healthz"), None), "health");
        assert_eq!(outcome(get("/us"), None), Refused::Method { allowed: "POST" }.to_string());
        assert_eq!(outcome(post("/healthz"), None), Refused::Method { allowed: "GET, HEAD" }.to_string());
    }

    #[test]
    fn one_host_is_needed_from_http_1_1_on() {
        let refused = Refused::Host.to_string();
        assert_eq!(outcome(Request::post("/us"), Some(0)), refused);
        assert_eq!(outcome(post("/us").header("host", "relay"), Some(0)), refused);
        assert_eq!(outcome(Request::post("/us").version(Version::HTTP_10), Some(0)), "us");
        assert_eq!(outcome(post("/us").version(Version::HTTP_10).header("host", "b"), Some(0)), refused);
    }

    #[test]
    fn any_coding_but_identity_is_refused() {
        assert_eq!(outcome(post("/us").header("content-encoding", "Identity"), Some(0)), "us");
        for coding in ["gzip", "identity, gzip", "br"] {
            let request = post("/us").header("content-encoding", "identity").header("content-encoding", coding);
            assert_eq!(outcome(request, Some(0)), Refused::Encoded.to_string(), "{coding}");
        }
    }

    #[test]
    fn a_body_may_be_as_long_as_the_limit() {
        assert_eq!(outcome(post("/us"), Some(MAX_BODY)), "us");
        assert_eq!(outcome(post("/us"), None), "us");
        assert_eq!(outcome(post("/us"), Some(MAX_BODY + 1)), Refused::TooLarge { max: MAX_BODY }.to_string());
    }
}
