//! What the relay says of itself while it runs: the log, line by line.

mod log;

pub use log::{Level, Paint, Stamps, UnknownLevel, start};
