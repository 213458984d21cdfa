//! Requests over plain `http`, past reqwest, on the client that reqwest itself stands on.
//!
//! reqwest makes each request ready for redirects, proxies and retries, none of which there are here: that costs 5 µs of
//! processor time a request, where all of it costs 20 (one thread, to a sink on the same machine). What it sets for a
//! connection is set here as well, from the same values.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        self, ResponseFuture,
        connect::{Connect, HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time;
use tower::{ServiceExt, service_fn};
use url::Url;

use super::{POOL_IDLE, TCP_KEEPALIVE, TCP_PROBE_INTERVAL, TCP_PROBES, TCP_UNACKNOWLEDGED, guard::Guard};

/// Open connections, and the way to make more. Cheap to clone; clones share them.
#[derive(Clone)]
pub(super) struct Plain(Arc<dyn Fn(Request<Full<Bytes>>) -> ResponseFuture + Send + Sync>);

impl Plain {
    /// None yet. One is made within `limit`, name lookup included.
    pub(super) fn new(limit: Duration, guard: Guard) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .build(connector(limit, guard));
        Self(Arc::new(move |request| client.request(request)))
    }

    /// Whether this is the way to `url`. Credentials in an address are reqwest's to make a header of.
    pub(super) fn leads_to(url: &Url) -> bool {
        url.scheme() == "http" && url.username().is_empty() && url.password().is_none()
    }

    /// Sends a request, and waits for the start of its answer.
    ///
    /// # Errors
    /// What the library says when there is none.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, legacy::Error> {
        (self.0)(request).await
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain")
    }
}

fn connector(limit: Duration, guard: Guard) -> impl Connect + Clone + Send + Sync + 'static {
    let mut tcp = HttpConnector::new_with_resolver(service_fn(move |name: Name| {
        guard.clone().addresses(name.as_str().to_owned())
    }));
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(limit));
    tcp.set_keepalive(Some(TCP_KEEPALIVE));
    tcp.set_keepalive_interval(Some(TCP_PROBE_INTERVAL));
    tcp.set_keepalive_retries(Some(TCP_PROBES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(TCP_UNACKNOWLEDGED));
    service_fn(move |uri: Uri| {
        let connecting = time::timeout(limit, tcp.clone().oneshot(uri));
        Box::pin(async move { Ok::<_, Box<dyn Error + Send + Sync>>(connecting.await.map_err(io::Error::from)??) })
    })
}
