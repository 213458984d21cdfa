//! From measurements to the table that people read.

use std::time::Duration;

use crate::generator::Load;

/// The two columns.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) floor: Column,
    pub(crate) relay: Column,
}

/// What was measured of one server, one number for each round.
#[derive(Default)]
pub(crate) struct Column {
    calm_p50: Vec<f64>,
    calm_p99: Vec<f64>,
    accepts: Vec<f64>,
    accept_cpu: Vec<f64>,
    journey_p50: Vec<f64>,
    journey_p99: Vec<f64>,
    accepts_while_delivering: Vec<f64>,
    delivered: Vec<f64>,
    journey_cpu: Vec<f64>,
}

impl Column {
    /// Accepting at a calm rate.
    pub(crate) fn calm(&mut self, load: &Load) {
        self.calm_p50.push(millis_at(0.5, &load.latencies));
        self.calm_p99.push(millis_at(0.99, &load.latencies));
    }

    /// Accepting in haste, with `cpu` used.
    pub(crate) fn accepting(&mut self, load: &Load, cpu: Duration) {
        self.accepts.push(rate(load.accepted, load.took));
        self.accept_cpu.push(micros_each(cpu, load.accepted));
    }

    /// From sender to destination at a calm rate.
    pub(crate) fn journey(&mut self, latencies: &[u64]) {
        self.journey_p50.push(millis_at(0.5, latencies));
        self.journey_p99.push(millis_at(0.99, latencies));
    }

    /// Accepting and delivering in haste, with `cpu` used until all was delivered.
    pub(crate) fn delivering(&mut self, load: &Load, drained_in: Duration, cpu: Duration) {
        self.accepts_while_delivering.push(rate(load.accepted, load.took));
        self.delivered.push(rate(load.accepted, load.took + drained_in));
        self.journey_cpu.push(micros_each(cpu, load.accepted));
    }
}

impl Report {
    /// Prints medians over the rounds, and ratios where both sides have a number.
    #[rustfmt::skip]
    pub(crate) fn print(&self) {
        let (floor, relay) = (&self.floor, &self.relay);
        let connections = crate::CONNECTIONS;
        let calm = crate::CALM_RATE;
        println!();
        println!("{:<58} {:>10} {:>10} {:>7}", "", "floor", "relay", "ratio");
        row(&format!("accepts/s, {connections} connections, destination down"), &floor.accepts, &relay.accepts);
        row("CPU µs per accept", &floor.accept_cpu, &relay.accept_cpu);
        row(&format!("accept p50 in ms at {calm}/s"), &floor.calm_p50, &relay.calm_p50);
        row(&format!("accept p99 in ms at {calm}/s"), &floor.calm_p99, &relay.calm_p99);
        row(&format!("accepts/s, {connections} connections, while delivering"), &floor.accepts, &relay.accepts_while_delivering);
        row("delivered/s, until the last of them", &[], &relay.delivered);
        row("CPU µs per event, accepted and delivered", &[], &relay.journey_cpu);
        row(&format!("sent to delivered p50 in ms at {calm}/s"), &[], &relay.journey_p50);
        row(&format!("sent to delivered p99 in ms at {calm}/s"), &[], &relay.journey_p99);
    }
}

fn row(what: &str, floor: &[f64], relay: &[f64]) {
    let (floor, relay) = (median(floor), median(relay));
    let ratio = floor.zip(relay).map(|(floor, relay)| relay / floor);
    println!("{what:<58} {:>10} {:>10} {:>7}", number(floor), number(relay), number(ratio));
}

fn number(number: Option<f64>) -> String {
    match number {
        None => "-".into(),
        Some(number) if number >= 100.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.2}"),
    }
}

fn median(numbers: &[f64]) -> Option<f64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_by(f64::total_cmp);
    let upper = numbers.get(numbers.len() / 2)?;
    let lower = numbers.get((numbers.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// The latency that this share of all is not above, in milliseconds.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]
fn millis_at(share: f64, latencies: &[u64]) -> f64 {
    let mut latencies = latencies.to_vec();
    latencies.sort_unstable();
    let last = latencies.len().checked_sub(1).expect("something was measured");
    latencies[(last as f64 * share).round() as usize] as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
fn micros_each(cpu: Duration, count: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / count as f64
}
