//! TLS on the public side: the handshake, and a certificate that can be renewed while connections go on.
//!
//! TLS 1.2 and 1.3 as rustls does them, HTTP/1.1 alone, no early data (it could be played back). A handshake has to be over
//! in the time that a request's head gets, and until then the connection makes room for others like any that has said
//! nothing yet.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Settings, connections::Activity};
use crate::auth::Identity;

/// The certificate that clients are shown.
#[derive(Debug)]
pub struct Certificate {
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// One that starts as `identity`.
    #[must_use]
    pub fn new(identity: &Identity) -> Arc<Self> {
        Arc::new(Self { current: RwLock::new(identity.certified()) })
    }

    /// Who connects from now on is shown `identity`.
    pub fn renew(&self, identity: &Identity) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = identity.certified();
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// What makes TLS of connections with `certificate`.
pub(super) fn acceptor(certificate: Arc<Certificate>) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The TLS library can do no version of TLS, which is a bug.
#[derive(Debug, thiserror::Error)]
#[error("a bug in the relay, please report it: TLS can't be set up: {0}")]
pub struct TlsError(#[from] rustls::Error);

/// Makes TLS of a connection; `None` when the other side doesn't, or not in time, or when its place is needed.
pub(super) async fn handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    activity: &Activity,
    settings: &Settings,
) -> Option<TlsStream<TcpStream>> {
    tokio::select! {
        biased;
        shaken = acceptor.accept(stream) => shaken
            .inspect_err(|error| tracing::debug!(reason = %error, "a TLS handshake failed"))
            .ok(),
        () = activity.has_to_go() => None,
        () = activity.patience_ends(settings) => None,
    }
}
