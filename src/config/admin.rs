//! `[admin]`: where people and their tools look in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{
    Admin,
    listen::Listen,
    problem::Problem,
    reader::Reader,
    section::{Keys, Section},
};

pub(super) const KEYS: Keys = Keys {
    known: &["listen"],
    later: &[("token", "leave it out and listen on a loopback address; reach it from afar through SSH")],
};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// Reads the section; `server` is where events come in.
pub(super) fn read(section: &Section<'_>, server: &Listen, reader: &mut Reader<'_>) -> Admin {
    let listen = Listen::read(section.field("listen"), DEFAULT_LISTEN, reader);
    listen.check_apart(server, "server", reader);
    if let Some(span) = listen.span.clone().filter(|_| !listen.address.ip().is_loopback()) {
        let message = "the admin listener has no password in this version, so it has to stay on this machine";
        let help = format!("write `listen = \"127.0.0.1:{}\"`", listen.address.port());
        reader.report(Problem::error(span, message).help(help));
    }
    Admin { listen: listen.address }
}
