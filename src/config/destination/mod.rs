//! `[destination.NAME]`: whom we call, how, and how patiently.

mod address;
mod auth;
mod body;
mod guard;
mod headers;
mod json;
mod outcome;
mod preset;
mod retry;
mod tls;
mod vars;

use std::{num::NonZeroUsize, time::Duration};

use http::Method;

pub use self::preset::{PRESETS, Preset};
pub(super) use self::{
    address::Fixed,
    auth::{BASIC_KEYS, HEADER_KEYS, HMAC_KEYS, KEYS as AUTH_KEYS, OAUTH2_KEYS, STANDARD_WEBHOOKS_KEYS},
    body::read_body,
    headers::read_constant as read_constant_headers,
    json::read_number,
    outcome::KEYS as OUTCOME_KEYS,
    retry::KEYS as RETRY_KEYS,
    tls::{KEYS as TLS_KEYS, read as read_tls},
};
use self::{auth::Auth, body::BodyKeys, headers::Headers};
use super::{
    Destination, Source, budget, entries,
    field::Field,
    problem::Problem,
    rate,
    reader::Reader,
    route::MAX_AGE,
    section::{Keys, Section},
    suggestion,
    template::Known,
    units::{Bounds, MINUTE, show_duration},
};
use crate::{
    address::Policy,
    model::{Name, Order},
    retry::RetryPolicy,
    transform::Target,
};

pub(super) const KEYS: Keys = Keys {
    known: &[
        "url",
        "method",
        "headers",
        "auth",
        "vars",
        "body",
        "json",
        "text",
        "content_type",
        "resend",
        "alert",
        "timeout",
        "connect_timeout",
        "concurrency",
        "rate",
        "budget",
        "order",
        "max_age",
        "idempotency_window",
        "retry",
        "outcome",
        "allow_private",
        "tls",
        "preset",
    ],
    later: &[],
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The compiler checks that it is one.
const DEFAULT_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// Each request in flight takes a connection and the memory of its body.
pub(super) const MAX_CONCURRENCY: usize = 1000;

const TIMEOUT: Bounds<Duration> = Bounds {
    least: Duration::from_millis(1),
    most: MINUTE.saturating_mul(10),
    reason: "an attempt that hangs takes one of the `concurrency` places for that long",
    example: "\"15s\"",
};

const CONNECT_TIMEOUT: Bounds<Duration> = Bounds { example: "\"5s\"", ..TIMEOUT };

/// What a request with a body can be.
const METHODS: &[Method] = &[Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Reads all destinations of the file. `sources` are those of the file: their signature headers travel with raw bodies.
pub(super) fn read_all(root: &Section<'_>, sources: &[Source], reader: &mut Reader<'_>) -> Vec<Destination> {
    let sections = entries::read("destination", &KEYS, root, reader);
    sections.into_iter().filter_map(|(name, section)| read_one(name, section, root, sources, reader)).collect()
}

/// Everything is read before anything is given up, so that all problems are found.
fn read_one(
    name: Option<Name>,
    section: Section<'_>,
    root: &Section<'_>,
    sources: &[Source],
    reader: &mut Reader<'_>,
) -> Option<Destination> {
    reader.begin(&section);
    let section = preset::complete(section, reader);
    let policy = guard::read(&section, reader);
    let auth = Auth::read(&section, policy, sources, reader);
    let target = read_target(&section, &auth, policy, sources, reader);
    let tls = tls::read(&section, reader);
    let (connect_timeout, timeout) = read_timeouts(&section, reader);
    let concurrency = read_concurrency(&section, reader);
    let rate = section.field("rate").map(|field| rate::read(&field, reader)).unwrap_or_default();
    let budget = section.field("budget").and_then(|field| budget::read_reference(&field, root, reader));
    let order = section.field("order").and_then(|field| read_order(&field, reader)).unwrap_or_default();
    let max_age = section.field("max_age").and_then(|field| field.duration(&MAX_AGE, reader));
    let rules = outcome::read(&section, reader);
    let retry = read_retry(&section, reader);
    let (name, target, retry, grant) = (name?, target?, retry?, auth.grant);
    Some(Destination {
        name,
        target,
        grant,
        tls,
        policy,
        connect_timeout,
        timeout,
        concurrency,
        rate,
        budget,
        order,
        max_age,
        retry,
        rules,
        fingerprint: reader.fingerprint(),
    })
}

fn read_target(
    section: &Section<'_>,
    auth: &Auth,
    policy: Policy,
    sources: &[Source],
    reader: &mut Reader<'_>,
) -> Option<Target> {
    let vars = vars::read(section, reader);
    let known = Known { vars: &vars, captured: auth.captured(section) };
    let url = section.required("url", address::EXAMPLE, reader);
    let url = url.and_then(|url| address::read(&url, &known, policy, reader));
    let method = section.field("method").and_then(|field| read_method(&field, reader)).unwrap_or(Method::POST);
    let mut headers = headers::read(section, sources, &known, reader);
    add_auth(&mut headers, auth, section, reader);
    let BodyKeys { body, content_type, resend, alert } = body::read(section, &known, reader);
    let Headers { fixed: headers, templates: header_templates } = headers;
    Some(Target {
        method,
        url: url?,
        headers,
        header_templates,
        body,
        alert,
        content_type,
        resend,
        vars,
        signing: auth.signer.clone(),
    })
}

/// Adds the header of `auth`, and reports it when `headers` has the same.
fn add_auth(headers: &mut Headers, auth: &Auth, section: &Section<'_>, reader: &mut Reader<'_>) {
    let names = auth.header_names();
    for (name, field) in names.iter().filter(|name| headers.has(name)).zip(section.field("auth")) {
        let message = format!("`auth` makes the header `{name}`, and `headers` has it, too");
        reader.report(Problem::error(field.span(), message).help("leave one of them out"));
    }
    if let Some((name, value)) = &auth.header {
        headers.fixed.insert(name, value.clone());
    }
}

/// The value as a method of a request with a body.
pub(super) fn read_method(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Method> {
    let text = field.text("\"POST\"", reader)?;
    let method = METHODS.iter().find(|method| method.as_str() == text).cloned();
    if method.is_none() {
        let names = METHODS.iter().map(Method::as_str);
        let meant = suggestion::nearest(text, names.clone()).unwrap_or("POST");
        let message = format!("has to be one of {}", suggestion::list(&names.collect::<Vec<_>>()));
        reader.report(field.error(message, &format!("\"{meant}\"")));
    }
    method
}

fn read_order(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Order> {
    match field.text("\"call\"", reader)? {
        "none" => Some(Order::None),
        "call" => Some(Order::Call),
        _ => {
            reader.report(field.error("has to be `none` or `call`", "\"call\""));
            None
        }
    }
}

fn read_concurrency(section: &Section<'_>, reader: &mut Reader<'_>) -> NonZeroUsize {
    let field = section.field("concurrency");
    field.and_then(|field| field.count(MAX_CONCURRENCY, "8", reader)).unwrap_or(DEFAULT_CONCURRENCY)
}

fn read_retry(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<RetryPolicy> {
    let retry = retry::read(&section.table("retry", &RETRY_KEYS, reader), reader);
    retry::check_window(section, retry, reader);
    retry
}

/// How long connecting may take, and an attempt as a whole.
fn read_timeouts(section: &Section<'_>, reader: &mut Reader<'_>) -> (Duration, Duration) {
    let field = section.field("timeout");
    let timeout = field.and_then(|field| field.duration(&TIMEOUT, reader)).unwrap_or(DEFAULT_TIMEOUT);
    (read_connect_timeout(section, timeout, reader), timeout)
}

/// Connecting is part of an attempt, so it never takes longer than the whole.
fn read_connect_timeout(section: &Section<'_>, timeout: Duration, reader: &mut Reader<'_>) -> Duration {
    let field = section.field("connect_timeout");
    let given = field.as_ref().and_then(|field| field.duration(&CONNECT_TIMEOUT, reader));
    if let (Some(field), Some(_)) = (field, given.filter(|connect| *connect > timeout)) {
        let message = format!("`connect_timeout` is longer than `timeout` ({})", show_duration(timeout));
        let help = "connecting is part of `timeout`: shorten the one, or lengthen the other";
        reader.report(Problem::error(field.span(), message).help(help));
    }
    given.unwrap_or(DEFAULT_CONNECT_TIMEOUT).min(timeout)
}
