//! `[server]`: where events come in.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::{
    Server, ServerTls,
    identity::{self, IdentityFiles},
    listen::Listen,
    problem::Problem,
    reader::Reader,
    section::{Keys, Section},
    units::{Bounds, MINUTE, show_size},
};

pub(super) const KEYS: Keys =
    Keys { known: &["listen", "max_body", "accept_deadline", "drain_delay", "tls"], later: &[] };

pub(super) const TLS_KEYS: Keys = Keys { known: &["cert", "key"], later: &[] };

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// A hundred times the largest transcript that Atoms was seen to send (about 50 KB), and more.
const DEFAULT_MAX_BODY: u64 = 8 << 20;

/// A body is held in memory and is one record of the journal, whose segments have 64 MiB.
const MAX_BODY: Bounds<u64> = Bounds {
    least: 1,
    most: 32 << 20,
    reason: "each request in flight may take that much memory",
    example: "\"8MiB\"",
};

/// Below this a long call's transcript might not fit, and its event would be lost.
const SCANT_MAX_BODY: u64 = 1 << 20;

const DEFAULT_ACCEPT_DEADLINE: Duration = Duration::from_secs(20);

/// Atoms waits 30 s for an answer; the answer has to travel, too.
const ACCEPT_DEADLINE: Bounds<Duration> = Bounds {
    least: Duration::from_millis(1),
    most: Duration::from_secs(29),
    reason: "Atoms gives an event up after 30s",
    example: "\"20s\"",
};

/// Load balancers ask every few seconds whether the relay is ready, and turn away after two or three answers.
const DRAIN_DELAY: Bounds<Duration> = Bounds {
    least: Duration::ZERO,
    most: MINUTE,
    reason: "the service manager waits for a stop, but not for ever",
    example: "\"15s\"",
};

/// Reads the section.
pub(super) fn read(section: &Section<'_>, reader: &mut Reader<'_>) -> (Server, Listen) {
    let listen = Listen::read(section.field("listen"), DEFAULT_LISTEN, reader);
    let accept_deadline = section.field("accept_deadline").and_then(|field| field.duration(&ACCEPT_DEADLINE, reader));
    let drain_delay = section.field("drain_delay").and_then(|field| field.duration(&DRAIN_DELAY, reader));
    let server = Server {
        listen: listen.address,
        tls: read_tls(section, reader),
        drain_delay,
        max_body: read_max_body(section, reader).unwrap_or(DEFAULT_MAX_BODY),
        accept_deadline: accept_deadline.unwrap_or(DEFAULT_ACCEPT_DEADLINE),
    };
    (server, listen)
}

fn read_tls(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<ServerTls> {
    let section = section.given_table("tls", &TLS_KEYS, reader)?;
    let identity = identity::read_required(&section, reader)?;
    Some(ServerTls { identity, files: IdentityFiles::of(&section, reader) })
}

fn read_max_body(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<u64> {
    let field = section.field("max_body")?;
    let max_body = field.size(&MAX_BODY, reader)?;
    if max_body < SCANT_MAX_BODY {
        let message = "an event with a larger body than `max_body` is lost: Atoms never sends it again";
        let help = format!("leave it at {}, far above the largest transcript", show_size(DEFAULT_MAX_BODY));
        reader.report(Problem::warning(field.span(), message).help(help));
    }
    Some(max_body)
}
