//! The listeners: opened before anything else happens, or taken over from the service manager.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use super::{StartError, certificate::PublicCertificate};
use crate::{
    admin,
    config::{Admin, Endpoint},
    ingest,
};

/// A socket on which the service manager listens, as it was passed.
type Passed = Option<std::net::TcpListener>;

/// Listens for events on `address`, or where the service manager does already. Port 0 lets the system choose one.
pub(super) async fn listen_for_events(
    address: SocketAddr,
    passed: Passed,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let open = async {
        let listener = match passed {
            Some(passed) => adopted("server.listen", passed)?,
            None => TcpListener::bind(address).await?,
        };
        let bound = listener.local_addr()?;
        io::Result::Ok((listener, bound))
    };
    let address = Endpoint::Network(address);
    open.await.map_err(|source| StartError::Listen { setting: "server.listen", address, source })
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
pub(super) async fn listen_for_people(
    wanted: &Admin,
    passed: Passed,
) -> Result<(admin::Listener, Endpoint), StartError> {
    let opened = match (passed, &wanted.listen) {
        (Some(passed), _) => adopted("admin.listen", passed).map(admin::Listener::from),
        (None, Endpoint::Network(address)) => admin::Listener::on_network(*address).await,
        (None, Endpoint::Socket(path)) => admin::Listener::on_socket(path).await,
    };
    let listen = wanted.listen.clone();
    match opened {
        Ok(listener) => {
            let address = listener.address().map_or(listen, Endpoint::Network);
            // What a socket unit says isn't seen when the config is checked.
            if wanted.token.is_none() && address.is_beyond_this_machine() {
                return Err(StartError::OpenDoor { address });
            }
            Ok((listener, address))
        }
        Err(source) => Err(StartError::Listen { setting: "admin.listen", address: listen, source }),
    }
}

fn adopted(setting: &str, passed: std::net::TcpListener) -> io::Result<TcpListener> {
    passed.set_nonblocking(true)?;
    let listener = TcpListener::from_std(passed)?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "the service manager listens for us: `{setting}` isn't used");
    Ok(listener)
}
