//! Names that people give to sources and destinations in `relay.toml`.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::OWN_SOURCE;

/// The longest name, in bytes. Names stand in store keys, metric labels and URLs, so they stay short.
const MAX_NAME: usize = 64;

/// The name of a source or of a destination: 1 to 64 of `A-Z a-z 0-9 _ -`.
///
/// The alphabet leaves out everything that would need escaping in a URL, a header, a store key or a log line. Cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "Arc<str>")]
pub struct Name(Arc<str>);

impl Name {
    /// Takes `text` as a name.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, longer than 64 bytes or holds another character.
    pub fn new(text: &str) -> Result<Self, NameError> {
        Self::try_from(Arc::from(text))
    }

    /// The name of the relay as a source.
    pub(super) fn own() -> Self {
        Self(Arc::from(OWN_SOURCE))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<Arc<str>> for Name {
    type Error = NameError;

    fn try_from(text: Arc<str>) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        match text.chars().find(|c| !is_name_char(*c)) {
            Some(character) => Err(NameError::Character(character)),
            None => Ok(Self(text)),
        }
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

impl From<Name> for Arc<str> {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No characters.
    #[error("a name can't be empty")]
    Empty,
    /// More than 64 bytes.
    #[error("a name has at most {MAX_NAME} characters")]
    TooLong,
    /// A character outside the alphabet.
    #[error("a name can't hold {0:?}: use letters, digits, `-` and `_`")]
    Character(char),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_has_a_name_that_could_be_anybody_s() {
        assert_eq!(Name::new(OWN_SOURCE), Ok(Name::own()));
    }

    #[test]
    fn a_name_holds_nothing_that_needs_escaping() {
        assert!(Name::new("crm-2_EU").is_ok());
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("a.b"), Err(NameError::Character('.')));
        assert_eq!(Name::new(&"x".repeat(65)), Err(NameError::TooLong));
    }
}
