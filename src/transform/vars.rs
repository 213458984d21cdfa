//! The constants of a destination, for its templates: channels, tenants, keys that go into a body.
//!
//! Some are secrets. Only templates see those; nobody else is ever shown one.

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret, SecretString};

/// What people see in place of a secret.
pub const MASK: &str = "(secret)";

/// What templates see as `vars.NAME`.
#[derive(Clone, Default)]
pub struct Vars(BTreeMap<String, Var>);

/// One constant.
#[derive(Clone)]
pub enum Var {
    /// Anybody may see it.
    Open(String),
    /// Nobody may.
    Secret(SecretString),
}

impl Var {
    fn expose(&self) -> &str {
        match self {
            Self::Open(text) => text,
            Self::Secret(secret) => secret.expose_secret(),
        }
    }

    fn shown(&self) -> &str {
        match self {
            Self::Open(text) => text,
            Self::Secret(_) => MASK,
        }
    }

    fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

impl Vars {
    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The first secret that may be seen by a template that uses these names. A template names a constant as `vars.NAME`; a
    /// bare `vars` may be all of them.
    #[must_use]
    pub fn secret_in(&self, used: &[String]) -> Option<&str> {
        let mut secrets = self.0.iter().filter(|(_, var)| var.is_secret()).map(|(name, _)| name.as_str());
        secrets.find(|secret| {
            let is_it = |used: &String| used == "vars" || used.split('.').take(2).eq(["vars", secret]);
            used.iter().any(is_it)
        })
    }

    /// The same with masks for secrets, for requests that people look at.
    pub(super) fn masked(&self) -> Self {
        self.0.iter().map(|(name, var)| (name.clone(), Var::Open(var.shown().to_owned()))).collect()
    }

    /// The same without secrets, for what is kept on disk.
    pub(super) fn without_secrets(&self) -> Self {
        self.0.iter().filter(|(_, var)| !var.is_secret()).map(|(name, var)| (name.clone(), var.clone())).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Var::expose)
    }

    pub(super) fn exposed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, var)| (name.as_str(), var.expose()))
    }
}

impl FromIterator<(String, Var)> for Vars {
    fn from_iter<I: IntoIterator<Item = (String, Var)>>(vars: I) -> Self {
        Self(vars.into_iter().collect())
    }
}

impl fmt::Debug for Vars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, var)| (name, var.shown()))).finish()
    }
}
