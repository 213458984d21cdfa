//! Addresses to listen on.

use std::{fmt, net::SocketAddr, path::PathBuf};

use serde::{Serialize, Serializer};

use super::{
    field::Field,
    problem::{Problem, Span},
    reader::Reader,
};

/// How the path of a Unix socket is told from an address.
const SOCKET_PREFIX: &str = "unix:";
const SOCKET_EXAMPLE: &str = "\"unix:/run/atoms-relay/admin.sock\"";

/// In bytes. The system takes 107; the relay makes a new socket beside the old one, under a name that is longer by one.
const MAX_SOCKET_PATH: usize = 106;

/// Where the admin listener can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// An address of this machine.
    Network(SocketAddr),
    /// A Unix socket at this path.
    Socket(PathBuf),
}

impl Endpoint {
    /// The address in the network, if that is what it is.
    #[must_use]
    pub fn network(&self) -> Option<SocketAddr> {
        match self {
            Self::Network(address) => Some(*address),
            Self::Socket(_) => None,
        }
    }

    /// What `--admin` takes.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Network(address) => format!("http://{address}"),
            Self::Socket(_) => self.to_string(),
        }
    }

    /// Whether other machines may reach it.
    #[must_use]
    pub fn is_beyond_this_machine(&self) -> bool {
        self.network().is_some_and(|address| !address.ip().is_loopback())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => address.fmt(f),
            Self::Socket(path) => write!(f, "{SOCKET_PREFIX}{}", path.display()),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads the path of a Unix socket; `None` when the text is something else, and then nothing is said of it.
pub(super) fn read_socket(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<PathBuf> {
    let path = field.value().as_str()?.strip_prefix(SOCKET_PREFIX)?;
    field.text(SOCKET_EXAMPLE, reader);
    let resolved = reader.resolve(path);
    if path.is_empty() || path.ends_with('/') {
        reader.report(field.error("names no file after `unix:`", SOCKET_EXAMPLE));
    } else if resolved.as_os_str().len() > MAX_SOCKET_PATH {
        let message = format!("names a path of more than {MAX_SOCKET_PATH} bytes, which no socket can have");
        reader.report(field.error(message, SOCKET_EXAMPLE));
    }
    Some(resolved)
}

/// An address to listen on, and where the file says so; no span for a default.
#[derive(Debug, Clone)]
pub(super) struct Listen {
    /// The address; port 0 lets the system choose one.
    pub(super) address: SocketAddr,
    /// Where it stands.
    pub(super) span: Option<Span>,
}

impl Listen {
    /// What the file says, or `default`.
    pub(super) fn read(field: Option<Field<'_>>, default: SocketAddr, reader: &mut Reader<'_>) -> Self {
        let span = field.as_ref().map(Field::span);
        let address = field.and_then(|field| read_address(&field, default, reader)).unwrap_or(default);
        Self { address, span }
    }

    /// Whether the system would refuse to open both.
    fn collides(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.address, other.address);
        let any = ours.ip().is_unspecified() || theirs.ip().is_unspecified();
        ours.port() != 0 && ours.port() == theirs.port() && (any || ours.ip() == theirs.ip())
    }

    /// Reports when this address can't be opened beside `other`, whose key is `[section] listen`.
    pub(super) fn check_apart(&self, other: &Self, section: &str, reader: &mut Reader<'_>) {
        if !self.collides(other) {
            return;
        }
        let message = format!("[{section}] listens on {} already", other.address);
        let problem = match (&self.span, &other.span) {
            (Some(here), Some(there)) => Problem::error(here.clone(), message).related(there.clone(), "here"),
            (Some(span), None) | (None, Some(span)) => Problem::error(span.clone(), message),
            (None, None) => Problem::error_of_file(message),
        };
        reader.report(problem.help("give each of the two a port of its own"));
    }
}

fn read_address(field: &Field<'_>, default: SocketAddr, reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let example = format!("\"{default}\"");
    let text = field.text(&example, reader)?;
    let address = text.parse().ok();
    if address.is_none() {
        let example = completed(text).map_or(example, |address| format!("\"{address}\""));
        reader.report(field.error("has to be an IP address and a port", &example));
    }
    address
}

/// What was probably meant by a port alone, a host name, or an address without a port.
fn completed(text: &str) -> Option<SocketAddr> {
    let port_alone = format!("127.0.0.1:{text}");
    let every_interface = format!("0.0.0.0{text}");
    let local = text.replacen("localhost", "127.0.0.1", 1);
    [port_alone, every_interface, local].iter().find_map(|guess| guess.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str) -> Listen {
        Listen { address: address.parse().unwrap(), span: None }
    }

    #[test]
    fn one_port_on_all_interfaces_leaves_no_room_for_another() {
        assert!(listen("0.0.0.0:80").collides(&listen("127.0.0.1:80")));
        assert!(listen("127.0.0.1:80").collides(&listen("127.0.0.1:80")));
        assert!(!listen("127.0.0.1:80").collides(&listen("127.0.0.2:80")));
        assert!(!listen("127.0.0.1:0").collides(&listen("127.0.0.1:0")));
    }

    #[test]
    fn what_was_meant_is_guessed() {
        let guess = |text| completed(text).map(|address| address.to_string());
        assert_eq!(guess("8080").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(guess(":8080").as_deref(), Some("0.0.0.0:8080"));
        assert_eq!(guess("localhost:8080").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(guess("example.com:8080"), None);
    }
}
