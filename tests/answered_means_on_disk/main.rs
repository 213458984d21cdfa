//! Promise 1: what was answered with 2xx is on disk.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod arrivals;
mod bench;
mod broken_disk;
mod claims;
mod clock_jumps;
mod conformance;
mod damage;
mod failures;
mod format;
mod full_disk;
mod kills;
mod ledger;
mod life;
mod load;
mod made_anew;
mod memory_limit;
mod model;
mod overload;
mod power_cuts;
mod preload;
mod process;
mod random_damage;
mod restarts;
mod shutdown;
mod sim_disk;
mod sled_files;
mod strangers;
mod supervision;
mod trials;
