//! The listeners, bound before anything else happens.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use super::StartError;
use crate::{admin::Listener, config::Endpoint};

/// Listens on `address`, which stands in the config as `setting`. Port 0 lets the system choose one.
pub(super) async fn listen(
    setting: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let bind = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        io::Result::Ok((listener, bound))
    };
    bind.await.map_err(|source| StartError::Listen { setting, address: Endpoint::Network(address), source })
}

/// Listens for people, and says where.
pub(super) async fn listen_for_people(wanted: Endpoint) -> Result<(Listener, Endpoint), StartError> {
    let opened = match &wanted {
        Endpoint::Network(address) => Listener::on_network(*address).await,
        Endpoint::Socket(path) => Listener::on_socket(path).await,
    };
    match opened {
        Ok(listener) => {
            let address = listener.address().map_or(wanted, Endpoint::Network);
            Ok((listener, address))
        }
        Err(source) => Err(StartError::Listen { setting: "admin.listen", address: wanted, source }),
    }
}
