//! From a path to a [`Config`]: which file, and reading it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Config, Problems, ProcessEnvironment};

/// Where the configuration is looked for when nobody says where it is, in this order.
pub const DEFAULT_PATHS: [&str; 2] = ["relay.toml", "/etc/atoms-relay/relay.toml"];

/// The file to read: the one given, or the first of [`DEFAULT_PATHS`] that is there.
///
/// # Errors
/// [`LoadError::Missing`].
pub fn locate(given: Option<&Path>) -> Result<PathBuf, LoadError> {
    let candidates = match given {
        Some(path) => vec![path.to_owned()],
        None => DEFAULT_PATHS.map(PathBuf::from).to_vec(),
    };
    match candidates.iter().find(|path| path.exists()) {
        Some(path) => Ok(path.clone()),
        None => Err(LoadError::Missing { tried: candidates }),
    }
}

/// Reads the configuration in the file at `path`, with secrets from this process's environment.
///
/// # Errors
/// [`LoadError`].
pub fn load(path: &Path) -> Result<Config, LoadError> {
    let bytes = fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LoadError::Missing { tried: vec![path.to_owned()] },
        _ => LoadError::Unreadable { path: path.to_owned(), source },
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = valid.split(|byte| *byte == b'\n').count();
        LoadError::NotText { path: path.to_owned(), line }
    })?;
    Config::parse(&path.display().to_string(), &text, &ProcessEnvironment).map_err(LoadError::Invalid)
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no file.
    #[error("there is no configuration file: tried {}", show_paths(.tried))]
    Missing {
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// There is a file that can't be read.
    #[error("the configuration file {} can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not UTF-8.
    #[error("the configuration file {} is not UTF-8 text (line {line})", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first line that isn't.
        line: usize,
    },
    /// The file has mistakes. Its text is what [`Problems::render`] makes of them.
    #[error("{0}")]
    Invalid(Problems),
}

impl LoadError {
    /// What happened, with its cause.
    #[must_use]
    pub fn with_cause(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }

    /// What to do about it; nothing where each problem says so itself.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "`atoms-relay init` writes one; `--config FILE` names another place.",
            Self::Unreadable { .. } => "The user that runs the relay has to be able to read it.",
            Self::NotText { .. } => "Save it as UTF-8.",
            Self::Invalid(_) => "",
        }
    }
}

fn show_paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_says_where_it_was_looked_for() {
        let error = locate(Some(Path::new("/nowhere/relay.toml"))).unwrap_err();
        assert_eq!(error.to_string(), "there is no configuration file: tried /nowhere/relay.toml");
        assert!(matches!(load(Path::new("/nowhere/relay.toml")), Err(LoadError::Missing { .. })));
    }

    #[test]
    fn a_file_in_another_encoding_is_told_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.toml");
        fs::write(&path, b"[server]\nlisten = \"\xff\"\n").unwrap();
        assert!(matches!(load(&path), Err(LoadError::NotText { line: 2, .. })));
    }

    #[test]
    fn a_folder_is_no_configuration() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(load(folder.path()), Err(LoadError::Unreadable { .. })));
    }
}
