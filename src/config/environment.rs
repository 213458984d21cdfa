//! What a configuration takes from outside its file: environment variables, secret files and certificates.
//!
//! [`ProcessEnvironment`] is the only place in the relay that reads the process environment; [`FixedEnvironment`] holds
//! given values, for tests and for configurations that are made up on the spot.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use secrecy::{SecretSlice, SecretString};

/// The longest secret file, in bytes. A longer one is something else by mistake; tokens and keys have a few KiB.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// The longest file of certificates, in bytes. All authorities that a system trusts together have about 250 KiB.
const MAX_CERTIFICATE_FILE: u64 = 2 * 1024 * 1024;

/// The bits of a file's mode that let its group or others read it.
const READABLE_BY_OTHERS: u32 = 0o044;

/// Where secrets come from.
pub trait Environment {
    /// The value of an environment variable; `None` when it isn't set.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// Reads a secret file.
    ///
    /// # Errors
    /// When it can't be read, or is too long for a secret.
    fn secret_file(&self, path: &Path) -> io::Result<SecretFile>;

    /// Reads a file of certificates, which everybody may see.
    ///
    /// # Errors
    /// When it can't be read, or is too long.
    fn certificate_file(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The content of a secret file.
#[derive(Debug, Clone)]
pub struct SecretFile {
    /// All of it.
    pub content: SecretSlice<u8>,
    /// Whether the file's group or others may read it.
    pub readable_by_others: bool,
}

/// The environment of this process, and its file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment for all others")]
    fn variable(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn secret_file(&self, path: &Path) -> io::Result<SecretFile> {
        let file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode();
        let mut content = Vec::new();
        file.take(MAX_SECRET_FILE + 1).read_to_end(&mut content)?;
        let content = SecretSlice::from(content);
        if is_too_long(&content) {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 64 KiB, so hardly a secret"));
        }
        Ok(SecretFile { content, readable_by_others: mode & READABLE_BY_OTHERS != 0 })
    }

    fn certificate_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        if file.metadata()?.len() > MAX_CERTIFICATE_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 2 MiB, so hardly certificates"));
        }
        let mut content = Vec::new();
        file.take(MAX_CERTIFICATE_FILE).read_to_end(&mut content)?;
        Ok(content)
    }
}

fn is_too_long(content: &SecretSlice<u8>) -> bool {
    use secrecy::ExposeSecret;
    u64::try_from(content.expose_secret().len()).is_ok_and(|len| len > MAX_SECRET_FILE)
}

/// Variables and files that are given, not looked up.
#[derive(Debug, Clone, Default)]
pub struct FixedEnvironment {
    variables: BTreeMap<String, SecretString>,
    files: BTreeMap<PathBuf, SecretFile>,
}

impl FixedEnvironment {
    /// The same, with an environment variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), SecretString::from(value));
        self
    }

    /// The same, with a secret file that only its owner may read.
    #[must_use]
    pub fn with_file(self, path: impl Into<PathBuf>, content: &[u8]) -> Self {
        self.with_secret_file(path, SecretFile { content: content.to_vec().into(), readable_by_others: false })
    }

    /// The same, with a secret file.
    #[must_use]
    pub fn with_secret_file(mut self, path: impl Into<PathBuf>, file: SecretFile) -> Self {
        self.files.insert(path.into(), file);
        self
    }
}

impl Environment for FixedEnvironment {
    fn variable(&self, name: &str) -> Option<OsString> {
        use secrecy::ExposeSecret;
        self.variables.get(name).map(|value| value.expose_secret().into())
    }

    fn secret_file(&self, path: &Path) -> io::Result<SecretFile> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn certificate_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        use secrecy::ExposeSecret;
        Ok(self.secret_file(path)?.content.expose_secret().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_real_secret_file_tells_who_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "s3cret\n").unwrap();
        for (mode, readable_by_others) in [(0o600, false), (0o640, true), (0o604, true), (0o400, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let file = ProcessEnvironment.secret_file(&path).unwrap();
            assert_eq!(file.content.expose_secret(), b"s3cret\n");
            assert_eq!(file.readable_by_others, readable_by_others, "{mode:o}");
        }
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let error = ProcessEnvironment.secret_file(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn debug_output_shows_no_values() {
        let environment = FixedEnvironment::default().with_variable("A", "hunter2").with_file("/s", b"hunter2");
        assert!(!format!("{environment:?}").contains("hunter2"));
    }
}
