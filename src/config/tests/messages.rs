//! What people are told for each kind of mistake.

use super::*;

#[test]
fn todo() {}
