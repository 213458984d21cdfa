//! Addresses to listen on.

use std::net::SocketAddr;

use super::{
    field::Field,
    problem::{Problem, Span},
    reader::Reader,
};

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
