//! `[traces]`: the collector that is told of each event, from its receipt to each attempt.

use toml::de::DeValue;
use url::Url;

use super::{
    Traces,
    destination::{Fixed, read_constant_headers, read_tls},
    field::Field,
    problem::Problem,
    reader::Reader,
    section::{Keys, Section},
};
use crate::{address::Policy, model::Sampling};

pub(super) const KEYS: Keys = Keys { known: &["endpoint", "headers", "ratio", "tls"], later: &[] };

const ENDPOINT_EXAMPLE: &str = "\"http://127.0.0.1:4318/v1/traces\"";
const RATIO_EXAMPLE: &str = "0.1";

/// Where collectors take OTLP over gRPC, which the relay doesn't speak, and over HTTP.
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

/// Reads the section, if the file has one.
pub(super) fn read(root: &Section<'_>, reader: &mut Reader<'_>) -> Option<Traces> {
    root.field("traces")?;
    let section = root.section("traces", &KEYS, reader);
    let endpoint = section.required("endpoint", ENDPOINT_EXAMPLE, reader);
    let endpoint = endpoint.and_then(|field| read_endpoint(&field, reader));
    let headers = read_constant_headers(&section, reader);
    let sampling = section.field("ratio").and_then(|field| read_ratio(&field, reader)).unwrap_or(Sampling::ALL);
    let tls = read_tls(&section, reader);
    Some(Traces { endpoint: endpoint?, headers, sampling, tls })
}

fn read_endpoint(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Url> {
    let Fixed { url, .. } = Fixed::read(field, Policy::AllowPrivate, reader)?;
    if let Some(message) = doubt_about(&url) {
        let help = format!("for example `{} = {ENDPOINT_EXAMPLE}`", field.key());
        reader.report(Problem::warning(field.span(), message).help(help));
    }
    Some(url)
}

fn doubt_about(endpoint: &Url) -> Option<String> {
    if endpoint.port() == Some(GRPC_PORT) {
        Some(format!("collectors speak gRPC on port {GRPC_PORT}, which the relay doesn't; HTTP is on {HTTP_PORT}"))
    } else if endpoint.path() == "/" {
        Some("this has no path, and collectors take traces at one".to_owned())
    } else {
        None
    }
}

fn read_ratio(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Sampling> {
    reader.reveal(field.span());
    let ratio = match field.value() {
        DeValue::Integer(integer) => integer.as_str().parse().ok(),
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => None,
    };
    let sampling = ratio.and_then(Sampling::of_ratio);
    if sampling.is_none() {
        reader.report(field.error("has to be a number from 0 (no traces) to 1 (those of all events)", RATIO_EXAMPLE));
    }
    sampling
}
