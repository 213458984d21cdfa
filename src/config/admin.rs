//! `[admin]`: where people and their tools look in, and who may.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::uri::Authority;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Admin,
    field::Field,
    listen::{Endpoint, Listen, read_socket},
    problem::{Problem, Span},
    reader::Reader,
    secret,
    section::{Keys, Section},
};

pub(super) const KEYS: Keys = Keys { known: &["listen", "token", "names"], later: &[] };

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

const TOKEN_EXAMPLE: &str = "{ file = \"/etc/atoms-relay/admin-token\" }";
const NAMES_EXAMPLE: &str = "[\"relay.internal\"]";

/// With 16 letters and digits there are 10^28 tokens; what is much shorter can be tried out over a network.
const SCANT_TOKEN: usize = 16;

/// Reads the section; `server` is where events come in.
pub(super) fn read(section: &Section<'_>, server: &Listen, reader: &mut Reader<'_>) -> Admin {
    let token_field = section.field("token");
    let token = token_field.as_ref().and_then(|field| read_token(field, reader));
    let (listen, span) = read_listen(section, server, reader);
    if let (None, Some(span)) = (&token_field, span.filter(|_| listen.is_beyond_this_machine())) {
        report_open_door(span, &listen, reader);
    }
    Admin { listen, token, names: section.field("names").map_or_else(Vec::new, |field| read_names(&field, reader)) }
}

fn read_listen(section: &Section<'_>, server: &Listen, reader: &mut Reader<'_>) -> (Endpoint, Option<Span>) {
    let field = section.field("listen");
    if let Some(socket) = field.as_ref().and_then(|field| read_socket(field, reader)) {
        return (Endpoint::Socket(socket), None);
    }
    let listen = Listen::read(field, DEFAULT_LISTEN, reader);
    listen.check_apart(server, "server", reader);
    (Endpoint::Network(listen.address), listen.span)
}

fn report_open_door(span: Span, listen: &Endpoint, reader: &mut Reader<'_>) {
    let message = format!("whoever can reach {listen} could see and steer the relay, for [admin] has no `token`");
    let help = format!("add `token = {TOKEN_EXAMPLE}`, or listen on a loopback address or on a Unix socket");
    reader.report(Problem::error(span, message).help(help));
}

fn read_token(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<SecretString> {
    let token = secret::read(field, TOKEN_EXAMPLE, reader)?;
    let text = token.expose_secret();
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        reader.report(field.error("holds something that can't stand in an `Authorization` header", TOKEN_EXAMPLE));
        return None;
    }
    if text.len() < SCANT_TOKEN {
        let message = format!("this token has less than {SCANT_TOKEN} characters, so it can be guessed");
        reader.report(Problem::warning(field.span(), message).help("make one with `openssl rand -hex 32`"));
    }
    Some(token)
}

fn read_names(field: &Field<'_>, reader: &mut Reader<'_>) -> Vec<Authority> {
    let mut names = Vec::new();
    for (text, span) in field.texts(NAMES_EXAMPLE, reader).unwrap_or_default() {
        match text.parse::<Authority>() {
            Ok(name) if !text.contains('@') => names.push(name),
            _ => {
                let message = format!("`{text}` is not the name of a host");
                let help = format!("write the name by which browsers and tools call it: `names = {NAMES_EXAMPLE}`");
                reader.report(Problem::error(span, message).help(help));
            }
        }
    }
    names
}
