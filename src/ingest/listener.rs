//! Where connections come from, and what is spoken on them.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use super::tls::{self, Certificate, TlsError};

/// After a failed accept. What fails here (no file descriptors, no memory) passes when a connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// The public listener.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// HTTP, for a proxy in front or for machines that trust their network.
    #[must_use]
    pub fn plain(tcp: TcpListener) -> Self {
        Self { tcp, tls: None }
    }

    /// HTTPS with `certificate`.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn tls(tcp: TcpListener, certificate: Arc<Certificate>) -> Result<Self, TlsError> {
        Ok(Self { tcp, tls: Some(tls::acceptor(certificate)?) })
    }

    /// What makes TLS of a connection, if it has to be.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.tls.clone()
    }

    /// Waits for the next connection. None is lost when the caller stops waiting.
    pub(super) async fn accept(&self) -> TcpStream {
        loop {
            match self.tcp.accept().await {
                Ok((stream, _)) => {
                    // Answers are small and complete: none should wait for the acknowledgement of another.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(reason = %error, "a connection ended before it began");
                    }
                    return stream;
                }
                Err(error) if is_the_callers(&error) => tracing::debug!(reason = %error, "a connection ended early"),
                Err(error) => {
                    tracing::warn!(reason = %error, "can't accept connections: trying again in {ACCEPT_PAUSE:?}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Whether a failed accept says something about that connection only.
fn is_the_callers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
