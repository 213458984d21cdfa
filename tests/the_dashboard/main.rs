//! The dashboard, in a real browser: what people see and press, what strangers put in, who is let in, who can't use a mouse.
//!
//! Without Chromium and its driver on this machine nothing is tested here, and each test says so. `scripts/test` installs both.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod again;
mod browser;
mod door;
mod hostile;
mod pictures;
mod reload;
mod site;
mod walk;
