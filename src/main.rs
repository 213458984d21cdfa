//! The `atoms-relay` program.
fn main() {}
