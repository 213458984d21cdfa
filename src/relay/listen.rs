//! The listeners, bound before anything else happens.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use super::{StartError, certificate::PublicCertificate};
use crate::{admin, config::Endpoint, ingest};

/// Listens for events on `address`. Port 0 lets the system choose one.
pub(super) async fn listen_for_events(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bind = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        io::Result::Ok((listener, bound))
    };
    let address = Endpoint::Network(address);
    bind.await.map_err(|source| StartError::Listen { setting: "server.listen", address, source })
}

/// What takes events: HTTPS where there is a certificate, HTTP otherwise.
pub(super) fn taking_events(
    tcp: TcpListener,
    certificate: Option<&PublicCertificate>,
) -> Result<ingest::Listener, StartError> {
    match certificate {
        Some(certificate) => Ok(ingest::Listener::tls(tcp, certificate.shown())?),
        None => Ok(ingest::Listener::plain(tcp)),
    }
}

/// Listens for people, and says where.
pub(super) async fn listen_for_people(wanted: Endpoint) -> Result<(admin::Listener, Endpoint), StartError> {
    let opened = match &wanted {
        Endpoint::Network(address) => admin::Listener::on_network(*address).await,
        Endpoint::Socket(path) => admin::Listener::on_socket(path).await,
    };
    match opened {
        Ok(listener) => {
            let address = listener.address().map_or(wanted, Endpoint::Network);
            Ok((listener, address))
        }
        Err(source) => Err(StartError::Listen { setting: "admin.listen", address: wanted, source }),
    }
}
