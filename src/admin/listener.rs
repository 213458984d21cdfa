//! Where the admin listener listens, in the network or on a Unix socket, and who is at the other end of a connection.
//!
//! The file of a Unix socket outlives a process that is killed. It is replaced only when nobody answers there any more, and
//! never when it is something else than a socket. A new one is made beside it and put in its place at once, so that nobody
//! ever finds one with the wrong mode, or none.

use std::{
    fmt, fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::timeout,
};
use tokio_util::either::Either;

/// Who may connect to the socket: the relay's user and group.
const SOCKET_MODE: u32 = 0o660;
/// How long another process may take to answer on a socket before it counts as alive but busy.
const ANSWER_DEADLINE: Duration = Duration::from_secs(1);

/// A listener that is open.
pub struct Listener(Kind);

enum Kind {
    Network(TcpListener),
    Socket {
        /// It goes before the listener is closed: what stands at its path later is another's.
        _file: SocketFile,
        listener: UnixListener,
    },
}

/// Who is at the other end of a connection, as far as the system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody in the network.
    Network {
        /// The address of ours at which they came in.
        ours: IpAddr,
        /// Theirs, or that of a proxy.
        peer: IpAddr,
    },
    /// A user of this machine.
    Socket {
        /// Their number.
        user: u32,
    },
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { peer, .. } => peer.fmt(f),
            Self::Socket { user } => write!(f, "unix uid {user}"),
        }
    }
}

/// A connection of either kind.
pub(super) type Stream = Either<TcpStream, UnixStream>;

impl Listener {
    /// Listens on an address. Port 0 lets the system choose one.
    ///
    /// # Errors
    /// What the system says.
    pub async fn on_network(address: SocketAddr) -> io::Result<Self> {
        Ok(TcpListener::bind(address).await?.into())
    }

    /// Listens on a Unix socket at `path`, which the relay's user and group may use.
    ///
    /// # Errors
    /// What the system says; `AddrInUse` when somebody answers there, `AlreadyExists` when it is another kind of file.
    pub async fn on_socket(path: &Path) -> io::Result<Self> {
        make_way(path).await?;
        let mut beside = path.as_os_str().to_owned();
        beside.push("~");
        let beside = SocketFile(beside.into());
        remove(&beside.0)?;
        let listener = UnixListener::bind(&beside.0)?;
        fs::set_permissions(&beside.0, fs::Permissions::from_mode(SOCKET_MODE))?;
        fs::rename(&beside.0, path)?;
        Ok(Self(Kind::Socket { _file: SocketFile(path.to_owned()), listener }))
    }

    /// The address in the network, if it has one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Network(listener) => listener.local_addr().ok(),
            Kind::Socket { .. } => None,
        }
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Caller)> {
        match &self.0 {
            Kind::Network(listener) => {
                let (stream, peer) = listener.accept().await?;
                let caller =
                    Caller::Network { ours: stream.local_addr()?.ip().to_canonical(), peer: peer.ip().to_canonical() };
                Ok((Either::Left(stream), caller))
            }
            Kind::Socket { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let caller = Caller::Socket { user: stream.peer_cred()?.uid() };
                Ok((Either::Right(stream), caller))
            }
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(Kind::Network(listener))
    }
}

/// A socket in the file system, removed when this is dropped.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::debug!(%error, path = %self.0.display(), "the admin socket can't be removed");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes sure that what stands at `path` may be replaced.
async fn make_way(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
        }
        Ok(_) => {}
    }
    match timeout(ANSWER_DEADLINE, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[tokio::test]
    async fn a_socket_is_for_its_user_and_group_and_goes_with_its_listener() {
        let folder = folder();
        let path = folder.path().join("admin.sock");
        let listener = Listener::on_socket(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, SOCKET_MODE);
        let (connected, accepted) = tokio::join!(UnixStream::connect(&path), listener.accept());
        let user = connected.unwrap().peer_cred().unwrap().uid();
        assert_eq!(accepted.unwrap().1, Caller::Socket { user });
        drop(listener);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_socket_that_nobody_answers_at_is_replaced() {
        let folder = folder();
        let path = folder.path().join("admin.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(fs::exists(&path).unwrap(), "it is left over, as after a kill");
        let _listener = Listener::on_socket(&path).await.unwrap();
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test]
    async fn a_socket_that_somebody_answers_at_is_left_alone() {
        let folder = folder();
        let path = folder.path().join("admin.sock");
        let _first = Listener::on_socket(&path).await.unwrap();
        let refused = Listener::on_socket(&path).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = folder();
        let path = folder.path().join("precious");
        fs::write(&path, "data").unwrap();
        let refused = Listener::on_socket(&path).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"data");
    }
}
