//! Which requests the admin listener takes at all.
//!
//! A listener on loopback is out of reach for strangers, but not for the browser of somebody who sits at the machine or
//! tunnels to it. Two doors are shut: a foreign name that resolves to 127.0.0.1 (DNS rebinding) fails on `Host`, and a
//! request that another site makes a browser send fails on `Sec-Fetch-Site`, `Origin` and the content type.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, uri::Authority};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};

use super::answer::Problem;

/// The largest request body, in bytes: room for some 15,000 delivery ids.
const MAX_BODY: usize = 1024 * 1024;
/// How long a body may take to arrive. On loopback a longer wait means that nobody sends it.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Refuses a request that wasn't addressed to a loopback name, and gives back the name that it was addressed to.
pub(super) fn check_host(headers: &HeaderMap) -> Result<Authority, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Problem::bad_request("a request needs exactly one Host header"));
    };
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    authority.filter(|authority| is_loopback(authority.host())).ok_or_else(|| {
        Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "the admin API answers to localhost and loopback addresses only, not to other names of this machine",
        )
    })
}

fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Refuses a change that a web page of another origin asks for. Programs other than browsers send none of these headers.
pub(super) fn check_origin(headers: &HeaderMap, host: &Authority) -> Result<(), Problem> {
    let is_ours = |origin: &HeaderValue| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        origin.is_some_and(|origin| origin.authority() == Some(host))
    };
    let is_same_site = |site: &HeaderValue| site == "same-origin" || site == "none";
    let from_elsewhere = headers.get_all(header::ORIGIN).iter().any(|origin| !is_ours(origin))
        || headers.get_all("sec-fetch-site").iter().any(|site| !is_same_site(site));
    if from_elsewhere {
        return Err(Problem::new(StatusCode::FORBIDDEN, "another site can't change anything here"));
    }
    Ok(())
}

/// Reads the JSON object in the body; no body at all stands for an empty object.
pub(super) async fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: Incoming) -> Result<T, Problem> {
    let body = read_body(body).await?;
    if body.is_empty() {
        return parse(b"{}");
    }
    if !is_json(headers) {
        let detail = "send the body as JSON, with Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    parse(&body)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format!("the body is not what is wanted here: {error}")))
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[expect(clippy::disallowed_methods, reason = "the body is limited here, the one place of this room that reads one")]
async fn read_body(body: Incoming) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_DEADLINE, Limited::new(body, MAX_BODY).collect());
    match read.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have at most {MAX_BODY} bytes")))
        }
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body broke off: {error}"))),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

/// The body of a request that needs none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&'static str, &str)| (header::HeaderName::from_static(name), value.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn only_loopback_names_are_ours() {
        for host in ["localhost", "LOCALHOST:9090", "127.0.0.1:9090", "127.8.0.1", "[::1]:9090", "[::1]"] {
            assert!(check_host(&headers(&[("host", host)])).is_ok(), "{host}");
        }
        for host in ["relay.example", "127.0.0.1.example", "localhost.example:9090", "10.0.0.1", "[::2]", "0.0.0.0"] {
            let status = check_host(&headers(&[("host", host)])).unwrap_err().status;
            assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        }
    }

    #[test]
    fn a_request_has_exactly_one_host() {
        for wrong in [headers(&[]), headers(&[("host", "localhost"), ("host", "localhost")])] {
            assert_eq!(check_host(&wrong).unwrap_err().status, StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn another_site_can_change_nothing() {
        let host: Authority = "localhost:9090".parse().unwrap();
        let refused = [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:8080"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ];
        for pair in refused {
            assert!(check_origin(&headers(&[pair]), &host).is_err(), "{pair:?}");
        }
        let taken =
            [("origin", "http://localhost:9090"), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")];
        for pair in taken {
            assert!(check_origin(&headers(&[pair]), &host).is_ok(), "{pair:?}");
        }
        assert!(check_origin(&headers(&[]), &host).is_ok());
    }

    #[test]
    fn a_form_is_not_json() {
        assert!(is_json(&headers(&[("content-type", "Application/JSON; charset=utf-8")])));
        assert!(!is_json(&headers(&[("content-type", "text/plain")])));
        assert!(!is_json(&headers(&[])));
    }
}
