//! The sockets that the service manager listens on and passes to the process: `sd_listen_fds(3)`.
//!
//! Connections that arrive while the service restarts wait in such a socket, for the manager keeps it open. The manager's
//! `FileDescriptorName=` says what a socket is for: `ingest` or `admin`. A socket without a name of ours is for events.

use std::{io, net::TcpListener};

use listenfd::ListenFd;

/// What was passed; nothing, where nobody passed anything.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Where events come in.
    pub ingest: Option<TcpListener>,
    /// Where people look in.
    pub admin: Option<TcpListener>,
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Ingest,
    Admin,
}

impl Inherited {
    /// Takes what was passed to this process. Whoever asks a second time gets nothing, and so does a program that this
    /// process starts.
    ///
    /// # Errors
    /// [`InheritError`].
    pub fn take() -> Result<Self, InheritError> {
        // Before anything is taken: taking removes what says how much there is, and for which process.
        let sockets = sd_notify::listen_fds_with_names().map_err(InheritError::Unclear)?;
        let names: Vec<String> = sockets.map(|(_, name)| name).collect();
        if names.is_empty() {
            return Ok(Self::default());
        }
        let (mut passed, mut inherited) = (ListenFd::from_env(), Self::default());
        for (place, purpose) in purposes(&names)?.into_iter().enumerate() {
            match purpose {
                Purpose::Ingest => inherited.ingest = tcp(&mut passed, place)?,
                Purpose::Admin => inherited.admin = tcp(&mut passed, place)?,
            }
        }
        Ok(inherited)
    }
}

/// What each of these sockets is for. Each purpose has one socket at most: who binds `[::]` is reached over IPv4, too.
fn purposes(names: &[String]) -> Result<Vec<Purpose>, InheritError> {
    let purposes: Vec<_> =
        names.iter().map(|name| if name == "admin" { Purpose::Admin } else { Purpose::Ingest }).collect();
    let count = |purpose| purposes.iter().filter(|other| **other == purpose).count();
    if count(Purpose::Ingest) > 1 || count(Purpose::Admin) > 1 {
        return Err(InheritError::TooMany { names: names.join(", ") });
    }
    Ok(purposes)
}

fn tcp(passed: &mut ListenFd, place: usize) -> Result<Option<TcpListener>, InheritError> {
    passed.take_tcp_listener(place).map_err(InheritError::NoTcp)
}

/// Why the sockets that were passed are of no use.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// The variables contradict each other.
    #[error(
        "the service manager passed sockets, but LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES don't fit together: {0}"
    )]
    Unclear(#[source] io::Error),
    /// Two for one purpose.
    #[error(
        "the service manager passed the sockets {names}, and one for events and one for `admin` are all there can be: give \
         the socket unit one ListenStream= (`[::]:8080` takes IPv4 as well), and FileDescriptorName=ingest or admin"
    )]
    TooMany {
        /// Their names.
        names: String,
    },
    /// Events come over TCP.
    #[error("the service manager passed something else than a listening TCP socket: {0}")]
    NoTcp(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purposes_of(names: &[&str]) -> Result<Vec<Purpose>, InheritError> {
        purposes(&names.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_socket_is_for_what_its_name_says_and_for_events_without_one() {
        assert_eq!(purposes_of(&["admin", "ingest"]).unwrap(), [Purpose::Admin, Purpose::Ingest]);
        assert_eq!(purposes_of(&["atoms-relay.socket"]).unwrap(), [Purpose::Ingest]);
        assert_eq!(purposes_of(&["unknown"]).unwrap(), [Purpose::Ingest]);
    }

    #[test]
    fn a_socket_that_nobody_would_serve_is_refused_by_name() {
        let error = purposes_of(&["ingest", "metrics"]).unwrap_err().to_string();
        assert!(error.contains("the sockets ingest, metrics"), "{error}");
        assert!(purposes_of(&["admin", "admin"]).is_err());
    }
}
