//! Name lookup that gives out only addresses that may be called.
//!
//! A connection goes to one of the addresses that were given out here, and to no other: a name server that answers
//! differently the second time (DNS rebinding) gains nothing by it. A host that is an address already is never looked up;
//! [`super::connections`] checks it.

use std::{
    error::Error,
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    vec,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::task;

use crate::address::{Forbidden, Policy};

/// How a name becomes addresses.
type Lookup = dyn Fn(String) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Looks up names as the system does, and holds back what may not be called.
#[derive(Clone)]
pub(super) struct Guard {
    policy: Policy,
    lookup: Arc<Lookup>,
}

impl Guard {
    /// A guard over the system's name lookup.
    pub(super) fn new(policy: Policy) -> Self {
        Self::over(policy, |host| Ok((host.as_str(), 0).to_socket_addrs()?.collect()))
    }

    /// A guard over another lookup, which may block.
    pub(super) fn over(
        policy: Policy,
        lookup: impl Fn(String) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self { policy, lookup: Arc::new(lookup) }
    }

    /// The rule it holds.
    pub(super) fn policy(&self) -> Policy {
        self.policy
    }

    /// The addresses of a host that may be called.
    ///
    /// # Errors
    /// The system's when it knows none, [`Forbidden`] when none of them may be.
    pub(super) async fn addresses(
        self,
        host: String,
    ) -> Result<vec::IntoIter<SocketAddr>, Box<dyn Error + Send + Sync>> {
        let Self { policy, lookup } = self;
        let found = task::spawn_blocking(move || lookup(host)).await??;
        Ok(allowed(found, policy)?.into_iter())
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({:?})", self.policy)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.clone().addresses(name.as_str().to_owned());
        Box::pin(async move { Ok(Box::new(addresses.await?) as Addrs) })
    }
}

/// Those of the addresses that may be called. A name with none of them is refused for its first.
fn allowed(found: Vec<SocketAddr>, policy: Policy) -> Result<Vec<SocketAddr>, Forbidden> {
    let (allowed, refused): (Vec<_>, Vec<_>) =
        found.into_iter().map(|address| policy.check(address.ip()).map(|()| address)).partition(Result::is_ok);
    match refused.into_iter().find_map(Result::err) {
        Some(forbidden) if allowed.is_empty() => Err(forbidden),
        _ => Ok(allowed.into_iter().flatten().collect()),
    }
}
