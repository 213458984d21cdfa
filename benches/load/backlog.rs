//! What a backlog costs: memory, starts, the drain, and the disk afterwards.
//!
//! A destination is down while events come in as fast as they are accepted. Then the relay is stopped and started, killed and
//! started, and started without its index; at last the destination is there, and takes all of it.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    CONNECTIONS,
    bodies::Bodies,
    generator,
    server::{Destination, End, Memory, Server, free_address},
    sink::Sink,
};

/// A start may have to make the index anew from the whole journal.
const START: Duration = Duration::from_secs(600);
const DRAIN: Duration = Duration::from_secs(1_200);
/// Housekeeping looks once a minute for what has expired, and then at the index; it may have to look twice.
const TIDY: Duration = Duration::from_secs(180);

/// Measures a backlog of `events`, and prints it.
pub(crate) async fn measure(events: u64) {
    let (bodies, address) = (Bodies::load(), free_address());
    let mut relay = Server::relay(&Destination::Later(address)).await;
    print("memory, idle", &megabytes(relay.memory()));
    let load = generator::count(&relay.target(), &bodies, CONNECTIONS, events).await;
    print("events that wait", &events);
    print("accepted in", &seconds(load.took));
    print("CPU µs per accept", &(relay.cpu().as_micros() / u128::from(events)));
    print("memory, with all of them waiting", &megabytes(relay.memory()));
    print("disk, journal", &disk(&relay.queue().join("journal")));
    print("disk, index", &disk(&relay.queue().join("index")));

    relay.end(End::Asked);
    print("accepting after a start", &seconds(relay.again(START).await));
    relay.end(End::Killed);
    print("accepting after a kill and a start", &seconds(relay.again(START).await));
    print("memory, after that", &megabytes(relay.memory()));
    relay.end(End::Asked);
    fs::remove_dir_all(relay.queue().join("index")).unwrap();
    print("accepting after the index was made anew", &seconds(relay.again(START).await));
    print("memory, after that", &megabytes(relay.memory()));
    relay.end(End::Asked);

    drain(&mut relay, &Sink::start_at(address, &bodies).await, events).await;
}

async fn drain(relay: &mut Server, sink: &Sink, events: u64) {
    let start = Instant::now();
    relay.again(START).await;
    sink.wait_for(1, DRAIN).await;
    print("first delivery after a start", &seconds(start.elapsed()));
    let before = relay.cpu();
    sink.wait_for(events, DRAIN).await;
    print("drained in", &seconds(start.elapsed()));
    print("CPU µs per delivery", &(relay.cpu().saturating_sub(before).as_micros() / u128::from(events)));
    print("memory, after that", &megabytes(relay.memory()));
    let (journal, index) = (relay.queue().join("journal"), relay.queue().join("index"));
    let (end, large) = (Instant::now() + TIDY, bytes(&index));
    while (bytes(&journal) > LITTLE || bytes(&index) > large / 2) && Instant::now() < end {
        sleep(Duration::from_secs(1)).await;
    }
    print("disk, journal, when all has expired", &disk(&journal));
    print("disk, index, when all has expired", &disk(&index));
    print("memory, when all has expired", &megabytes(relay.memory()));
}

/// Two segments of the journal: one that is being written, and one that is about to go.
const LITTLE: u64 = 128 * 1024 * 1024;

fn print(what: &str, value: &impl ToString) {
    println!("{what:<58} {:>24}", value.to_string());
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn megabytes(Memory { now, peak }: Memory) -> String {
    format!("{now} MB (peak {peak} MB)")
}

fn disk(folder: &Path) -> String {
    format!("{} MB", bytes(folder) >> 20)
}

/// What the files below a folder take. One that goes meanwhile takes nothing.
fn bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
