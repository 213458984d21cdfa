//! What exactly is sent? From an event and a destination's target to one request.

use http::{HeaderMap, Method};
use url::Url;

/// Where and how a destination wants to be called.
#[derive(Debug, Clone)]
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
