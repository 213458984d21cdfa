//! `atoms-relay init`: a first configuration to begin with. It asks nothing and overwrites nothing.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    Session,
    console::say,
    failure::{Exit, Failure},
};

/// What `init` takes.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// Print the configuration instead of writing it to a file.
    #[arg(long)]
    pub stdout: bool,
}

/// Where the configuration is written when nobody says where.
pub const DEFAULT_PATH: &str = "relay.toml";

/// The configuration that is written. It works when the environment variable that it names is set.
pub const STARTER: &str = r#"# atoms-relay. All settings with their defaults and reasons are in relay.toml.example.

# Atoms posts its events to https://<your host>/webhook. A reverse proxy with TLS hands them on to this address.
[server]
listen = "127.0.0.1:8080"

# Events are kept in this folder until they are delivered, and for some days after that. A relative path starts at the
# folder of this file.
[queue]
path = "data"

# The secret is the signing secret that Atoms shows for your webhook. It stays out of this file.
[source.atoms]
path = "/webhook"
secrets = [{ env = "ATOMS_WEBHOOK_SECRET" }]

# One of your systems: put its address here. It gets every event as Atoms sent it, byte for byte.
[destination.crm]
url = "https://crm.example.com/api/calls"
# auth = { bearer = { env = "CRM_TOKEN" } }

# Which events go where. Without `events` the route takes all of them; there are also "pre-conversation" and
# "analytics-completed".
[[route]]
name = "finished calls"
events = ["post-conversation"]
to = ["crm"]
"#;

/// Runs `init`.
pub(super) fn run(args: &InitArgs, session: &Session) -> Result<(), Failure> {
    if args.stdout {
        return say(STARTER.trim_end());
    }
    let path = session.config.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
    write_to(path).map_err(|error| Failure::new(Exit::Io, error))?;
    say(next_steps(path).trim_end())
}

/// Writes [`STARTER`] to a new file.
///
/// # Errors
/// [`InitError`]; an existing file is left as it is.
pub fn write_to(path: &Path) -> Result<(), InitError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists { path: path.to_owned() },
        _ => InitError::Unwritable { path: path.to_owned(), source },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(STARTER.as_bytes()).map_err(failed)
}

/// What to do after [`STARTER`] was written to `path`, for people.
#[must_use]
pub fn next_steps(path: &Path) -> String {
    let shown = path.display();
    let option = if path == Path::new(DEFAULT_PATH) { String::new() } else { format!(" --config {shown}") };
    format!(
        "Wrote {shown}. Put the address of your system into it, then:\n\n  \
         1. export ATOMS_WEBHOOK_SECRET=…   with the signing secret that Atoms shows for your webhook\n  \
         2. atoms-relay check{option}\n  \
         3. atoms-relay serve{option}\n"
    )
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a file already.
    #[error("{} is there already and stays as it is; `--stdout` prints a new one, `--config FILE` names another place", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It can't be written.
    #[error("{} can't be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Config, FixedEnvironment};

    #[test]
    fn the_starter_works_when_its_secret_is_set() {
        let secret = "5f1c0a9e7b3d48266a90c1e2f7d8b4a35e6f708192a3b4c5d6e7f8091a2b3c4d";
        let environment = FixedEnvironment::default().with_variable("ATOMS_WEBHOOK_SECRET", secret);
        let config = Config::parse(DEFAULT_PATH, STARTER, &environment).unwrap();
        assert!(config.warnings.is_empty(), "{}", config.warnings);
    }

    #[test]
    fn the_starter_without_its_secret_says_only_that() {
        let problems = Config::parse(DEFAULT_PATH, STARTER, &FixedEnvironment::default()).unwrap_err();
        assert_eq!(problems.iter().count(), 1, "{problems}");
    }

    #[test]
    fn a_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.toml");
        write_to(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), STARTER);
        fs::write(&path, "mine").unwrap();
        assert!(matches!(write_to(&path), Err(InitError::Exists { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert!(matches!(write_to(&folder.path().join("no/folder")), Err(InitError::Unwritable { .. })));
    }

    #[test]
    fn the_next_steps_name_the_file_where_they_have_to() {
        assert!(next_steps(Path::new("relay.toml")).contains("\n  2. atoms-relay check\n"));
        assert!(next_steps(Path::new("/etc/r.toml")).contains("atoms-relay serve --config /etc/r.toml\n"));
    }
}
