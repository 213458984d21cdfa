//! The heap of a process that lives for months: glibc's, told to give back what isn't needed.
//!
//! By itself glibc raises its limit for what it takes from the system piece by piece as soon as such a piece is freed; sled's
//! buffers of 512 kB then lie among small things that stay, in a heap for each thread. While a backlog came in, the relay held
//! three times the memory it used. glibc takes orders from the environment only, before the program begins. So `serve` starts
//! itself once more with them: by `exec`, that is as the same process, with the same parent, files and number.
//!
//! Whoever sets one of the variables has decided otherwise. With another C library they change nothing.

use std::{convert::Infallible, env, io, os::unix::process::CommandExt, process::Command};

use crate::config::{Environment, ProcessEnvironment};

/// Variables of glibc (`man 3 mallopt`), and their values: one heap for all threads (a second one takes 5 MB more and saves no
/// time); what has 64 KiB or more comes from the system, always, and goes back to it.
const ORDERS: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536")];

/// Starts the program once more, unless it has its orders. Returns only when it has, or when that isn't possible: then it works
/// all the same, and needs more memory.
pub(super) fn take_orders() {
    let has_orders = ORDERS.iter().any(|(name, _)| ProcessEnvironment.variable(name).is_some());
    if !has_orders && let Err(error) = start_again() {
        tracing::debug!("the heap stays as it is: {error}");
    }
}

fn start_again() -> io::Result<Infallible> {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    Err(Command::new(env::current_exe()?).arg0(name).args(arguments).envs(ORDERS).exec())
}
