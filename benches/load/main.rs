//! How fast is the relay, next to the least that anybody could do?
//!
//! `cargo bench --bench load` starts the relay's binary and, in turns on the same machine, a floor: a server of the same
//! crates that reads, verifies, parses, appends and syncs in groups, and does nothing else. Rates on a shared machine
//! mean little by themselves; the ratio to a floor of the same minute does. Generator, sink and server share the
//! machine's cores.
//!
//! | environment | default | |
//! | --- | --- | --- |
//! | `RELAY_BENCH_ROUNDS` | 2 | floor and relay in turns, so many times; the table shows medians |
//! | `RELAY_BENCH_SECONDS` | 3 | length of each of the five measurements of a round |
//! | `RELAY_BENCH_BINARY` | the one cargo has built | another relay to measure |
//! | `RELAY_BENCH_BACKLOG` | 0 | instead of all that: what so many waiting events cost. See `scripts/backlog` |

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a benchmark prints, and may panic")]
#![expect(clippy::indexing_slicing, reason = "a benchmark may panic")]

mod backlog;
mod bodies;
mod floor;
mod generator;
mod report;
mod server;
mod sink;

use std::time::Duration;

use bodies::Bodies;
use generator::Target;
use report::Report;
use server::{Destination, Server};
use sink::Sink;
use tokio::runtime;

/// As many as keep a group commit busy.
const CONNECTIONS: usize = 64;

/// Events per second where latency is measured: far from what saturates anything.
const CALM_RATE: f64 = 100.0;

/// Before each measurement, to open connections and warm caches.
const WARM_UP: Duration = Duration::from_millis(500);

/// How long a backlog may take to drain.
const DRAIN: Duration = Duration::from_secs(60);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, directory] = &arguments[..]
        && mode == server::FLOOR_MODE
    {
        floor::serve(directory);
        return;
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let backlog = setting("RELAY_BENCH_BACKLOG", 0);
    if backlog > 0 {
        runtime.block_on(backlog::measure(backlog));
        return;
    }
    runtime.block_on(measure(setting("RELAY_BENCH_ROUNDS", 2), Duration::from_secs(setting("RELAY_BENCH_SECONDS", 3))));
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is not configured by relay.toml")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

async fn measure(rounds: u64, length: Duration) {
    let bodies = Bodies::load();
    let mut report = Report::default();
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        for is_floor in [true, false] {
            let start = async || if is_floor { Server::floor().await } else { Server::relay(&Destination::Down).await };
            let column = if is_floor { &mut report.floor } else { &mut report.relay };
            let server = start().await;
            let calm = generator::open(&server.target(), &bodies, CALM_RATE, length).await;
            column.calm(&calm);
            let (busy, cpu) = saturate(&server, &bodies, length).await;
            column.accepting(&busy, cpu);
        }
        delivering_calmly(&mut report, &bodies, length).await;
        delivering_in_haste(&mut report, &bodies, length).await;
    }
    report.print();
}

/// Posts as fast as the server answers. Returns what happened, and the CPU time that the server took.
async fn saturate(server: &Server, bodies: &Bodies, length: Duration) -> (generator::Load, Duration) {
    let target: Target = server.target();
    generator::closed(&target, bodies, CONNECTIONS, WARM_UP).await;
    let before = server.cpu();
    let load = generator::closed(&target, bodies, CONNECTIONS, length).await;
    (load, server.cpu().saturating_sub(before))
}

/// From the sender to the destination, while nothing is in a hurry.
async fn delivering_calmly(report: &mut Report, bodies: &Bodies, length: Duration) {
    let sink = Sink::start(bodies).await;
    let server = Server::relay(&Destination::Up(sink.address())).await;
    let load = generator::open(&server.target(), bodies, CALM_RATE, length).await;
    sink.wait_for(load.accepted, DRAIN).await;
    report.relay.journey(&sink.latencies());
}

/// Accepting and delivering at the same time, until all is delivered.
async fn delivering_in_haste(report: &mut Report, bodies: &Bodies, length: Duration) {
    let sink = Sink::start(bodies).await;
    let server = Server::relay(&Destination::Up(sink.address())).await;
    let before = server.cpu();
    let load = generator::closed(&server.target(), bodies, CONNECTIONS, length).await;
    let drained_in = sink.wait_for(load.accepted, DRAIN).await;
    report.relay.delivering(&load, drained_in, server.cpu().saturating_sub(before));
}
