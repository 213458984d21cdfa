//! Promise 5: you can see it. Where every event is, why it waits, what was sent, what came back; and send it again.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod admin_api;
mod alerts;
mod audit;
mod canaries;
mod commands;
mod doors;
mod metrics;
mod openapi;
mod reload;
mod past;
mod site;
mod stopped_queue;
mod stream;
mod top;
mod traces;
mod walk;
mod window;
