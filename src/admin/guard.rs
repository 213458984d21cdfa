//! Who may come in, and what a browser may be made to do.
//!
//! Three doors are shut. Who has not the token, where there is one, sees and changes nothing. A foreign name that resolves
//! to the relay's address (DNS rebinding) fails on `Host`. A request that another site makes a browser send fails on
//! `Origin` and `Sec-Fetch-Site`; programs other than browsers send neither. All three stay shut on every address: a
//! listener on loopback is out of reach for strangers, but not for the browser of somebody who sits at the machine or
//! tunnels to it.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, uri::Authority};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{answer::Problem, listener::Caller};

/// Who may ask for what an address has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever can connect, for example the health check of a load balancer.
    Everyone,
    /// Who has the token, where there is one.
    TokenHolders,
}

/// The doors of an admin listener.
#[derive(Debug, Default)]
pub struct Guard {
    token: Option<Token>,
    names: Vec<Authority>,
}

impl Guard {
    /// Asks for `token` if there is one. `names` are those by which the listener may be called besides its own address.
    #[must_use]
    pub fn new(token: Option<&SecretString>, names: Vec<Authority>) -> Self {
        Self { token: token.map(Token::new), names }
    }

    /// Lets a request pass, or says why not.
    pub(super) fn check(&self, headers: &HeaderMap, caller: Caller, access: Access) -> Result<(), Problem> {
        let host = self.check_host(headers, caller)?;
        if access == Access::Everyone {
            return Ok(());
        }
        self.check_token(headers)?;
        self.check_origin(headers, host.as_ref())
    }

    /// Whether those who came in know a token.
    pub(super) fn wants_token(&self) -> bool {
        self.token.is_some()
    }

    /// Refuses a request that was addressed to another name, and gives back the one that it was addressed to. Who has come
    /// through a Unix socket may call it anything.
    fn check_host(&self, headers: &HeaderMap, caller: Caller) -> Result<Option<Authority>, Problem> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (host, another) = (hosts.next().and_then(read_authority), hosts.next());
        let Caller::Network { ours, .. } = caller else { return Ok(host) };
        if another.is_some() || headers.get(header::HOST).is_none() {
            return Err(Problem::bad_request("a request needs exactly one Host header"));
        }
        match host.filter(|host| is_address_of(host.host(), ours) || self.is_name(host)) {
            Some(host) => Ok(Some(host)),
            None => Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "the admin API answers to its own address and to localhost, not to other names of this machine; if this name \
                 is right, add it to `names` in [admin]",
            )),
        }
    }

    /// Whether it is one of the names in the configuration, which count for every port unless they have one.
    fn is_name(&self, host: &Authority) -> bool {
        let is_it = |name: &Authority| name.port().is_none() && name.host().eq_ignore_ascii_case(host.host());
        self.names.iter().any(|name| name == host || is_it(name))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else { return Ok(()) };
        match bearer(headers) {
            Some(given) if token.is(given) => Ok(()),
            Some(_) => Err(Problem::unauthorized("this is not the admin token of this relay")),
            None => Err(Problem::unauthorized(
                "this relay answers only who has its admin token: send it as `Authorization: Bearer TOKEN`",
            )),
        }
    }

    /// Refuses what a web page of another origin asks for. A proxy may pass on another `Host` than the browser sees, so an
    /// origin is ours too when the configuration names it.
    fn check_origin(&self, headers: &HeaderMap, host: Option<&Authority>) -> Result<(), Problem> {
        let is_ours = |origin: &HeaderValue| {
            let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
            let authority = origin.as_ref().and_then(Uri::authority);
            authority.is_some_and(|authority| Some(authority) == host || self.names.contains(authority))
        };
        let is_same_site = |site: &HeaderValue| site == "same-origin" || site == "none";
        let from_elsewhere = headers.get_all(header::ORIGIN).iter().any(|origin| !is_ours(origin))
            || headers.get_all("sec-fetch-site").iter().any(|site| !is_same_site(site));
        if from_elsewhere {
            return Err(Problem::new(StatusCode::FORBIDDEN, "another site can't see or change anything here"));
        }
        Ok(())
    }
}

/// What is left of a token: enough to recognise it, not to tell it.
#[derive(Debug)]
struct Token([u8; 32]);

impl Token {
    fn new(token: &SecretString) -> Self {
        Self(Sha256::digest(token.expose_secret()).into())
    }

    /// Takes as long for a near miss as for any other, and for any length: digests are compared.
    fn is(&self, given: &str) -> bool {
        self.0.ct_eq(&Sha256::digest(given)).into()
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn read_authority(host: &HeaderValue) -> Option<Authority> {
    host.to_str().ok()?.parse().ok()
}

/// Whether `host` is a loopback name, or the address at which the request arrived: a page that came from elsewhere under a name
/// of its own (DNS rebinding) is sent with that name.
fn is_address_of(host: &str, ours: IpAddr) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_ours = |address: IpAddr| address.is_loopback() || address == ours;
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: Caller = caller([127, 0, 0, 1]);

    const fn caller([a, b, c, d]: [u8; 4]) -> Caller {
        let ours = IpAddr::V4(std::net::Ipv4Addr::new(a, b, c, d));
        Caller::Network { ours, peer: ours }
    }

    fn guard(names: &[&str]) -> Guard {
        Guard::new(None, names.iter().map(|name| name.parse().unwrap()).collect())
    }

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
    fn only_loopback_names_are_ours_on_loopback() {
        let guard = guard(&[]);
        for host in ["localhost", "LOCALHOST:9090", "127.0.0.1:9090", "127.8.0.1", "[::1]:9090", "[::1]"] {
            assert!(guard.check_host(&headers(&[("host", host)]), LOOPBACK).is_ok(), "{host}");
        }
        for host in ["relay.example", "127.0.0.1.example", "localhost.example:9090", "10.0.0.1", "[::2]", "0.0.0.0"] {
            let status = guard.check_host(&headers(&[("host", host)]), LOOPBACK).unwrap_err().status;
            assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        }
    }

    #[test]
    fn the_address_at_which_a_request_arrives_and_the_names_of_the_configuration_are_ours_too() {
        let guard = guard(&["relay.internal", "proxy.example:8443"]);
        for (host, is_ours) in [
            ("10.0.0.1:9090", true),
            ("10.0.0.2:9090", false),
            ("Relay.Internal", true),
            ("relay.internal:9090", true),
            ("evil-relay.internal", false),
            ("proxy.example:8443", true),
            ("proxy.example:9090", false),
        ] {
            let checked = guard.check_host(&headers(&[("host", host)]), caller([10, 0, 0, 1]));
            assert_eq!(checked.is_ok(), is_ours, "{host}");
        }
    }

    #[test]
    fn a_request_has_exactly_one_host() {
        for wrong in [headers(&[]), headers(&[("host", "localhost"), ("host", "localhost")])] {
            assert_eq!(guard(&[]).check_host(&wrong, LOOPBACK).unwrap_err().status, StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn a_unix_socket_may_be_called_anything() {
        let socket = Caller::Socket { user: 1000 };
        for any in [headers(&[]), headers(&[("host", "relay.example")]), headers(&[("host", "a"), ("host", "b")])] {
            assert!(guard(&[]).check_host(&any, socket).is_ok());
        }
    }

    #[test]
    fn another_site_can_see_and_change_nothing() {
        let host: Authority = "localhost:9090".parse().unwrap();
        let refused = [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:8080"),
            ("origin", "https://relay.internal:8443"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ];
        let guard = guard(&["relay.internal"]);
        for pair in refused {
            assert!(guard.check_origin(&headers(&[pair]), Some(&host)).is_err(), "{pair:?}");
        }
        for pair in [
            ("origin", "http://localhost:9090"),
            ("origin", "https://relay.internal"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(guard.check_origin(&headers(&[pair]), Some(&host)).is_ok(), "{pair:?}");
        }
        assert!(guard.check_origin(&headers(&[]), Some(&host)).is_ok());
    }

    #[test]
    fn the_token_opens_and_nothing_else_does() {
        let guard = Guard::new(Some(&SecretString::from("open-sesame")), Vec::new());
        for right in ["Bearer open-sesame", "bearer open-sesame", "Bearer  open-sesame"] {
            assert!(guard.check_token(&headers(&[("authorization", right)])).is_ok(), "{right}");
        }
        for wrong in ["Bearer open-sesam", "Bearer open-sesame1", "Bearer ", "open-sesame", "Basic open-sesame", ""] {
            let problem = guard.check_token(&headers(&[("authorization", wrong)])).unwrap_err();
            assert_eq!(problem.status, StatusCode::UNAUTHORIZED, "{wrong}");
        }
        assert!(guard.check_token(&headers(&[])).is_err());
    }

    #[test]
    fn nobody_is_shown_the_token() {
        let guard = Guard::new(Some(&SecretString::from("open-sesame")), Vec::new());
        assert!(!format!("{guard:?}").contains("sesame"));
    }
}
