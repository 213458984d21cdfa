//! The process itself, under the names that Prometheus' own libraries use.
//!
//! What the system doesn't tell is left out. Nothing outside of `/proc/self` is read: a sandbox hides the rest
//! (`ProcSubset=pid`).

use std::{fs, sync::atomic::AtomicU64};

use prometheus_client::{
    metrics::{counter::ConstCounter, gauge::Gauge},
    registry::{Registry, Unit},
};
use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use crate::model::Timestamp;

/// The present state of this process, which started at `started_at`.
pub(super) fn registry(started_at: Timestamp) -> Registry {
    let mut registry = Registry::default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    registry.register_with_unit("process_cpu", "Time on a processor", Unit::Seconds, ConstCounter::new(cpu_seconds()));
    let mut add = |name: &str, help: &str, unit: Option<Unit>, value: Option<u64>| match (value, unit) {
        (Some(value), Some(unit)) => registry.register_with_unit(name, help, unit, level(value)),
        (Some(value), None) => registry.register(name, help, level(value)),
        (None, _) => {}
    };
    add("process_resident_memory", "Memory in use", Some(Unit::Bytes), bytes_of(&status, "VmRSS:"));
    add("process_virtual_memory", "Address space in use", Some(Unit::Bytes), bytes_of(&status, "VmSize:"));
    add("process_open_fds", "Open file descriptors", None, open_files());
    add("process_max_fds", "File descriptors that may be open", None, getrlimit(Resource::Nofile).current);
    let help = "When the relay started, since the beginning of 1970";
    add("process_start_time", help, Some(Unit::Seconds), Some(started_at.as_millis() / 1000));
    registry
}

fn level(value: u64) -> Gauge<u64, AtomicU64> {
    let level = Gauge::default();
    level.set(value);
    level
}

fn cpu_seconds() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "2^53 seconds of processor time are far away")]
    let (seconds, nanos) = (spent.tv_sec as f64, spent.tv_nsec as f64);
    seconds + nanos / 1e9
}

/// A line of `/proc/self/status` such as `VmRSS:     5132 kB`.
fn bytes_of(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn open_files() -> Option<u64> {
    // The one that the listing itself opens is not counted.
    fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1))
}
