//! The listeners, bound before anything else happens.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use super::StartError;

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
    bind.await.map_err(|source| StartError::Listen { setting, address, source })
}
