//! Secrets: where they come from, and whether they are worth the name.
//!
//! A secret is `{ env = "NAME" }`, `{ file = "/path" }`, `{ credential = "name" }` (systemd's), or a literal text, which is
//! warned about. No value gets into a message. Names of variables and files do, unless they look like a value that was
//! put there by mistake.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use toml::de::DeValue;

use super::{
    field::Field,
    problem::{Problem, Span},
    reader::Reader,
    section::{Keys, Section},
    suggestion,
};

pub(super) const KEYS: Keys = Keys { known: &["env", "file", "credential"], later: &[] };

/// The folder in which systemd puts a service's credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Names of variables are shorter than keys, which have no `_` and some digit.
const LEAST_KEY_LEN: usize = 20;

/// Words in the names of what holds credentials.
const CREDENTIAL_WORDS: &[&str] = &["auth", "cookie", "key", "password", "secret", "token"];

/// A text of the file that may come from a secret instead.
#[derive(Debug, Clone)]
pub(super) enum Given<'t> {
    /// It stands in the file.
    Literal(&'t str),
    /// It came from outside the file.
    Secret(SecretString),
}

impl Given<'_> {
    /// The text, for the place where it is used.
    pub(super) fn expose(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::Secret(secret) => secret.expose_secret(),
        }
    }

    /// Whether it came from outside the file.
    pub(super) fn is_from_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

/// Reads a value that has to be secret.
pub(super) fn read(field: &Field<'_>, example: &str, reader: &mut Reader<'_>) -> Option<SecretString> {
    let given = read_given(field, example, reader)?;
    if given.expose().is_empty() {
        reader.report(field.error("is an empty secret", example));
        return None;
    }
    match given {
        Given::Literal(text) => {
            report_literal(field, reader);
            Some(SecretString::from(text))
        }
        Given::Secret(secret) => Some(secret),
    }
}

/// Whether the value of a header or a constant of this name is a credential.
pub(super) fn is_named_by(name: &str) -> bool {
    let name = name.to_lowercase();
    CREDENTIAL_WORDS.iter().any(|word| name.contains(word))
}

/// Reads a secret that is too long to stand in the file: a text is the path at which it lies.
pub(super) fn read_at_path(field: &Field<'_>, example: &str, reader: &mut Reader<'_>) -> Option<SecretString> {
    match field.value() {
        DeValue::String(_) => read_file(field, example, reader),
        DeValue::Table(_) => read_reference(field, reader),
        _ => {
            reader.report(field.wrong_type("the path of a file, or a secret", example));
            None
        }
    }
}

/// Warns that a secret stands in the file.
pub(super) fn report_literal(field: &Field<'_>, reader: &mut Reader<'_>) {
    let message = "this secret stands in the file, so every copy of the file shows it";
    let help = "put it into the environment and write `{ env = \"NAME\" }`, or into a file and write \
                `{ file = \"/path\" }`";
    reader.report(Problem::warning(field.span(), message).help(help));
}

/// Reads a value that may be secret. A literal isn't shown to people unless the caller reveals it.
pub(super) fn read_given<'t>(field: &Field<'t>, example: &str, reader: &mut Reader<'_>) -> Option<Given<'t>> {
    match field.value() {
        DeValue::String(text) => Some(Given::Literal(text)),
        DeValue::Table(_) => read_reference(field, reader).map(Given::Secret),
        _ => {
            reader.report(field.wrong_type("a text in quotes or a secret", example));
            None
        }
    }
}

fn read_reference(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<SecretString> {
    let section = Section::of("a secret".to_owned(), field, &KEYS, reader)?;
    let present: Vec<_> = KEYS.known.iter().filter_map(|key| section.field(key)).collect();
    let [origin] = present.as_slice() else {
        if present.is_empty() && !section.fields().is_empty() {
            return None; // Unknown keys, reported already.
        }
        let message = format!("a secret is given by one of {}", suggestion::list(KEYS.known));
        reader.report(Problem::error(field.span(), message).help("for example `{ env = \"NAME\" }`"));
        return None;
    };
    match origin.key() {
        "env" => read_variable(origin, reader),
        "file" => read_file(origin, "\"/run/secrets/atoms\"", reader),
        _ => read_credential(origin, reader),
    }
}

fn read_variable(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<SecretString> {
    let name = read_name(field, "\"ATOMS_WEBHOOK_SECRET\"", is_variable_name, reader)?;
    let Some(value) = reader.variable(name) else {
        let message = format!("the environment variable `{name}` is not set");
        let help = "set it where the relay is started: `export` in a shell, `EnvironmentFile=` in a systemd unit";
        reader.report(Problem::error(field.span(), message).help(help));
        return None;
    };
    let Ok(value) = value.into_string().map(SecretString::from) else {
        let message = format!("the environment variable `{name}` is not UTF-8 text");
        reader.report(Problem::error(field.span(), message));
        return None;
    };
    let what = format!("the environment variable `{name}`");
    check_content(value, &what, field.span(), reader)
}

fn read_file(field: &Field<'_>, example: &str, reader: &mut Reader<'_>) -> Option<SecretString> {
    let is_path = |path: &str| !path.is_empty() && !is_key_like(path) && !path.contains('\n');
    let path = read_name(field, example, is_path, reader)?;
    let path = reader.resolve(path);
    read_file_at(&path, Warn::WhenReadableByOthers, field.span(), reader)
}

fn read_credential(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<SecretString> {
    let name = read_name(field, "\"atoms-secret\"", is_credential_name, reader)?;
    let Some(folder) = reader.variable(CREDENTIALS_DIRECTORY) else {
        let message = format!("there are no credentials here: `{CREDENTIALS_DIRECTORY}` is not set");
        let help = format!("start the relay with systemd and `LoadCredential={name}:/path/to/the/secret` in its unit");
        reader.report(Problem::error(field.span(), message).help(help));
        return None;
    };
    read_file_at(&PathBuf::from(folder).join(name), Warn::Never, field.span(), reader)
}

/// The name of a variable, file or credential. What can't be one may be a secret in the wrong place: it stays hidden.
fn read_name<'t>(
    field: &Field<'t>,
    example: &str,
    is_name: impl Fn(&str) -> bool,
    reader: &mut Reader<'_>,
) -> Option<&'t str> {
    let Some(name) = field.value().as_str() else {
        reader.report(field.wrong_type("a text in quotes", example));
        return None;
    };
    if !is_name(name) {
        reader.report(field.error("has to be a name, not the secret itself", example));
        return None;
    }
    reader.reveal(field.span());
    Some(name)
}

/// Whether to warn about a secret file that many may read. systemd guards its credentials itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Warn {
    WhenReadableByOthers,
    Never,
}

fn read_file_at(path: &Path, warn: Warn, span: Span, reader: &mut Reader<'_>) -> Option<SecretString> {
    let what = format!("the secret file {}", path.display());
    let file = match reader.secret_file(path) {
        Ok(file) => file,
        Err(error) => {
            let help = "the user that runs the relay has to be able to read it";
            reader.report(Problem::error(span, format!("{what} can't be read: {error}")).help(help));
            return None;
        }
    };
    if file.readable_by_others && warn == Warn::WhenReadableByOthers {
        let help = format!("chmod 600 {}", path.display());
        reader.report(Problem::warning(span.clone(), format!("{what} can be read by others")).help(help));
    }
    let Ok(text) = std::str::from_utf8(file.content.expose_secret()) else {
        reader.report(Problem::error(span, format!("{what} is not UTF-8 text")));
        return None;
    };
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    check_content(SecretString::from(line), &what, span, reader)
}

fn check_content(value: SecretString, what: &str, span: Span, reader: &mut Reader<'_>) -> Option<SecretString> {
    let text = value.expose_secret();
    if text.is_empty() {
        reader.report(Problem::error(span, format!("{what} is empty")).help("put the secret there"));
        return None;
    }
    if text.trim() != text {
        let message = format!("{what} starts or ends with white space, which counts as part of the secret");
        reader.report(Problem::warning(span, message).help("remove it, unless it really belongs there"));
    }
    Some(value)
}

fn is_variable_name(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !is_key_like(name)
}

fn is_credential_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && name != "." && name != ".." && !is_key_like(name)
}

fn is_key_like(text: &str) -> bool {
    let has_digit = text.contains(|c: char| c.is_ascii_digit());
    text.len() >= LEAST_KEY_LEN && has_digit && text.chars().all(|c| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_known_by_their_names() {
        assert!(is_named_by("X-Api-Key") && is_named_by("Authorization"));
        assert!(!is_named_by("X-Team"));
    }

    #[test]
    fn names_are_told_from_values() {
        assert!(is_variable_name("ATOMS_WEBHOOK_SECRET_2"));
        for value in ["", "2FAST", "a-b", "https://hooks.slack.com/x", "a81f0c2e9d7b46531f0a"] {
            assert!(!is_variable_name(value), "{value}");
        }
        assert!(is_credential_name("atoms-secret"));
        assert!(!is_credential_name("../secret"));
    }
}
