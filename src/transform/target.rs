//! A destination as its owner configured it: where it is and what it wants to see.

use std::fmt;

use http::{HeaderMap, Method};
use url::Url;

/// Where and how a destination wants to be called. Its `Debug` shows what people may see.
#[derive(Clone)]
pub struct Target {
    /// The HTTP method.
    pub method: Method,
    /// The address; `http` or `https`.
    pub url: Url,
    /// Whether the path of the address is a secret (it came from one, as Slack's do): nobody is shown more than the host
    /// then.
    pub secret_url: bool,
    /// Headers to add; credentials among them are marked sensitive.
    pub headers: HeaderMap,
}

impl Target {
    /// Method and address as a person may see them: without credentials, query and secret path.
    #[must_use]
    pub fn shown(&self) -> String {
        let (scheme, host) = (self.url.scheme(), self.url.host_str().unwrap_or_default());
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = if self.secret_url { "/…" } else { self.url.path() };
        let query = if self.url.query().is_some() && !self.secret_url { "?…" } else { "" };
        format!("{} {scheme}://{host}{port}{path}{query}", self.method)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.shown())
    }
}
