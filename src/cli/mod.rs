//! What people type: one file per command.

pub mod check;
pub mod init;
