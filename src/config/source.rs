//! `[source.NAME]`: who may send events, on which path, and how they prove it.

use http::HeaderName;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Source, entries,
    field::Field,
    problem::{Problem, Span},
    reader::Reader,
    secret,
    section::{Keys, Section},
};
use crate::{model::OWN_SOURCE, verify::Verifier};

pub(super) const KEYS: Keys = Keys { known: &["path", "secrets", "signature_header"], later: &[] };

const PATH_EXAMPLE: &str = "\"/webhook\"";
const SECRETS_EXAMPLE: &str = "[{ env = \"ATOMS_WEBHOOK_SECRET\" }]";
const HEADER_EXAMPLE: &str = "\"X-Signature\"";

/// In lower case, as HTTP libraries keep it.
const DEFAULT_SIGNATURE_HEADER: HeaderName = HeaderName::from_static("x-signature");

/// Answered by the relay itself.
const RESERVED_PATHS: &[&str] = &["/healthz"];

/// Headers that every request has or that belong to the connection: no signature stands there.
const RESERVED_HEADERS: &[&str] =
    &["connection", "content-encoding", "content-length", "content-type", "host", "transfer-encoding"];

/// Atoms' secrets have 64 hex digits. Below half of that a secret was made up by a person, and can be guessed.
const SCANT_SECRET_LEN: usize = 32;

/// What people write where a secret is to come, without case and punctuation.
const PLACEHOLDERS: &[&str] = &["changeme", "changethis", "replaceme", "replacethis", "yoursecret", "placeholder"];

/// Reads all sources of the file.
pub(super) fn read_all(root: &Section<'_>, reader: &mut Reader<'_>) -> Vec<Source> {
    let mut paths: Vec<(&str, Span)> = Vec::new();
    let mut sources = Vec::new();
    for (name, section) in entries::read("source", &KEYS, root, reader) {
        reader.begin(&section);
        let path = read_path(&section, &mut paths, reader);
        let verifier = read_verifier(&section, reader);
        if let (Some(name), Some(path), Some(verifier)) = (name, path, verifier) {
            sources.push(Source { name, path: path.to_owned(), verifier, fingerprint: reader.fingerprint() });
        }
    }
    check_reserved(root, reader);
    if root.field("source").is_none() {
        let problem = Problem::error_of_file("there is no source: nothing could ever come in");
        reader.report_absence(problem.help("write a section `[source.atoms]` with `path` and `secrets`"));
    }
    sources
}

fn check_reserved(root: &Section<'_>, reader: &mut Reader<'_>) {
    for field in entries::names("source", root).iter().filter(|field| field.key() == OWN_SOURCE) {
        let message = format!("`{OWN_SOURCE}` is the source of the relay's own alerts");
        reader.report(Problem::error(field.key_span(), message).help("give this source another name"));
    }
}

fn read_path<'t>(section: &Section<'t>, taken: &mut Vec<(&'t str, Span)>, reader: &mut Reader<'_>) -> Option<&'t str> {
    let field = section.required("path", PATH_EXAMPLE, reader)?;
    let path = field.text(PATH_EXAMPLE, reader)?;
    if let Some(flaw) = flaw_of_path(path) {
        reader.report(field.error(flaw, PATH_EXAMPLE));
        return None;
    }
    if let Some((_, first)) = taken.iter().find(|(other, _)| *other == path) {
        let problem = Problem::error(field.span(), format!("two sources have the path `{path}`"));
        reader.report(problem.related(first.clone(), "the first one").help("give each source a path of its own"));
        return None;
    }
    taken.push((path, field.span()));
    Some(path)
}

fn flaw_of_path(path: &str) -> Option<&'static str> {
    let is_path_char = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%/".contains(c);
    if !path.starts_with('/') {
        return Some("has to begin with `/`");
    }
    if path.contains(['?', '#']) {
        return Some("is a path only, without `?` or `#`");
    }
    if !path.chars().all(is_path_char) {
        return Some("holds a character that a path can't have");
    }
    RESERVED_PATHS.contains(&path).then_some("is a path that the relay answers itself")
}

fn read_verifier(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<Verifier> {
    let header = match section.field("signature_header") {
        Some(field) => read_header(&field, reader),
        None => Some(DEFAULT_SIGNATURE_HEADER),
    };
    let field = section.required("secrets", SECRETS_EXAMPLE, reader)?;
    let secrets = read_secrets(&field, reader)?;
    match Verifier::new(header?, secrets.iter().map(ExposeSecret::expose_secret)) {
        Ok(verifier) => Some(verifier),
        Err(error) => {
            reader.report(Problem::error(field.span(), error.to_string()));
            None
        }
    }
}

fn read_header(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<HeaderName> {
    let text = field.text(HEADER_EXAMPLE, reader)?;
    let header = HeaderName::try_from(text).ok().filter(|name| !RESERVED_HEADERS.contains(&name.as_str()));
    if header.is_none() {
        reader.report(field.error("is not a header that could carry a signature", HEADER_EXAMPLE));
    }
    header
}

/// All secrets; nothing when one of them is unusable.
fn read_secrets(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Vec<SecretString>> {
    let items = field.list(SECRETS_EXAMPLE, reader)?;
    if items.is_empty() {
        reader.report(field.error("is empty: a source needs at least one secret", SECRETS_EXAMPLE));
        return None;
    }
    let secrets: Vec<_> = items.iter().map(|item| read_secret(item, reader)).collect();
    secrets.into_iter().collect()
}

fn read_secret(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<SecretString> {
    let secret = secret::read(field, SECRETS_EXAMPLE, reader)?;
    if is_placeholder(secret.expose_secret()) {
        let message = "this secret is a placeholder: whoever knows it can forge events";
        reader.report(Problem::error(field.span(), message).help("take the signing secret that Atoms shows"));
        return None;
    }
    if secret.expose_secret().len() < SCANT_SECRET_LEN {
        let message = format!("this secret has less than {SCANT_SECRET_LEN} characters, so it may be guessed");
        reader.report(Problem::warning(field.span(), message).help("Atoms' own signing secrets have 64"));
    }
    Some(secret)
}

fn is_placeholder(secret: &str) -> bool {
    let folded: String = secret.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let is_template = secret.starts_with('<') && secret.ends_with('>');
    is_template || PLACEHOLDERS.iter().any(|placeholder| folded.contains(placeholder))
}
