//! No text makes the parser panic, and no text makes it show a secret.

use proptest::prelude::*;

use super::*;
