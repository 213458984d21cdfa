//! `[traces]`: what it becomes, and what is told of its slips.

use super::*;
use crate::model::Sampling;

/// [`MINIMAL`] with the section and these lines.
fn traces(lines: &str) -> String {
    minimal_with_line("[traces]", lines)
}

const ENDPOINT: &str = "endpoint = \"http://127.0.0.1:4318/v1/traces\"";

#[test]
fn an_endpoint_is_all_that_has_to_be_said() {
    assert!(valid(MINIMAL).traces.is_none());
    let config = valid(&traces(ENDPOINT));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    let read = config.traces.unwrap();
    assert_eq!((read.endpoint.as_str(), read.sampling), ("http://127.0.0.1:4318/v1/traces", Sampling::ALL));
    assert!(read.headers.is_empty());
}

#[test]
fn headers_are_secrets_and_a_ratio_is_a_part() {
    let lines = "headers = { X-Api-Key = { env = \"CRM_TOKEN\" } }\nratio = 0.25";
    let read = valid(&traces(&format!("{ENDPOINT}\n{lines}"))).traces.unwrap();
    assert_eq!(read.sampling, Sampling::of_ratio(0.25).unwrap());
    assert_eq!(read.headers["x-api-key"], "crm-token-0123456789");
    assert!(!format!("{read:?}").contains("crm-token"), "{read:?}");
}

#[test]
fn slips_are_told_with_what_to_write() {
    for (lines, expected) in [
        (
            "ratio = 1",
            "error: [traces] | [traces] has no `endpoint` | write `endpoint = \"http://127.0.0.1:4318/v1/traces\"`",
        ),
        (
            "endpoint = \"http://127.0.0.1:4317/v1/traces\"",
            "warning: \"http://127.0.0.1:4317/v1/traces\" | collectors speak gRPC on port 4317, which the relay doesn't; HTTP is \
             on 4318 | for example `endpoint = \"http://127.0.0.1:4318/v1/traces\"`",
        ),
        (
            "endpoint = \"https://otel.example\"",
            "warning: \"https://otel.example\" | this has no path, and collectors take traces at one | for example \
             `endpoint = \"http://127.0.0.1:4318/v1/traces\"`",
        ),
        (
            "endpoint = \"https://otel.example/v1/traces\"\nratio = 10",
            "error: 10 | `ratio` has to be a number from 0 (no traces) to 1 (those of all events) | write `ratio = 0.1`",
        ),
        (
            "endpoint = \"https://otel.example/v1/traces\"\nheaders = { Content-Type = \"text/plain\" }",
            "error: Content-Type | the header `Content-Type` can't be set here: the relay sets it | leave it out, or choose \
             another name",
        ),
    ] {
        assert_eq!(only_problem(&traces(lines)), expected);
    }
}
