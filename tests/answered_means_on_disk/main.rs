//! Promise 1: what was answered with 2xx is on disk.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod bench;
mod conformance;
mod damage;
mod full_disk;
mod model;
mod sim_disk;
