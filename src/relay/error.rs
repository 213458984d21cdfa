//! Why a relay doesn't start, and why one ends.

use std::io;

use crate::{
    audit::TrailError,
    config::Endpoint,
    ingest,
    model::Name,
    send::ClientError,
    store::{StoreError, embedded::OpenError},
};

/// Why the relay can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error("can't listen on {address} ({setting}): {source}")]
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// The address.
        address: Endpoint,
        /// What the system said.
        source: io::Error,
    },
    /// The queue can't be opened.
    #[error("can't open the queue: {0}")]
    Store(#[from] OpenError),
    /// The audit trail can't be opened.
    #[error(transparent)]
    Audit(#[from] TrailError),
    /// A destination can't be called at all.
    #[error("destination `{destination}`: {source}")]
    Destination {
        /// Its name.
        destination: Name,
        /// Why.
        source: ClientError,
    },
    /// The collector of traces can't be called at all.
    #[error("[traces]: {0}")]
    Traces(#[source] ClientError),
    /// The service manager passed a socket that everybody could steer the relay by.
    #[error(
        "the service manager listens on {address} for people, whoever can reach that could see and steer the relay, and \
         [admin] has no `token`: add one, or let the socket unit listen on a loopback address"
    )]
    OpenDoor {
        /// Where it listens.
        address: Endpoint,
    },
    /// The public listener can't speak TLS.
    #[error(transparent)]
    Tls(#[from] ingest::TlsError),
    /// Something panicked.
    #[error("a bug in the relay, please report it: opening {0} panicked")]
    Bug(&'static str),
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}; nothing that was acknowledged is lost, and a restart recovers it")]
pub struct RelayError(pub(super) StoreError);
