//! Each operation of the disk fails in turn: once or for good, with EIO, ENOSPC or half of what was to be written.

use crate::{
    life::Life,
    sim_disk::{Counted, Failure, Fault, Lasts},
    trials::{Broken, Tally, asked_for, block_on, run},
};

const ACTIONS: usize = 60;
/// The ways of failing. Each seed sweeps a life of its own in one of them.
const WAYS: [(Failure, Lasts); 6] = [
    (Failure::Io, Lasts::Once),
    (Failure::Io, Lasts::ForGood),
    (Failure::NoSpace, Lasts::Once),
    (Failure::NoSpace, Lasts::ForGood),
    (Failure::Short, Lasts::Once),
    (Failure::Short, Lasts::ForGood),
];
/// In a short run only every so many operations fail; and some of the syncs, the few that promises hang on.
const SHORT_RUN: [(Counted, usize); 2] = [(Counted::All, 149), (Counted::Syncs, 7)];
const LONG_RUN: [(Counted, usize); 1] = [(Counted::All, 1)];

/// An operation of a life's second process fails. What the third one finds holds, also when the power is cut after it.
/// Returns whether there was such an operation.
async fn life(seed: u64, fault: Fault, tally: &mut Tally) -> Result<bool, Broken> {
    let mut life = Life::new(seed);
    life.process(None, ACTIONS).await?;
    life.process(Some(fault), ACTIONS).await?;
    if !life.disk.has_failed() {
        return Ok(false);
    }
    life.process(None, 0).await?;
    life.cut_power(0.5);
    life.process(None, ACTIONS).await?;
    tally.trials += 1;
    tally.acknowledged += life.ledger.acknowledged;
    tally.duplicates += life.ledger.duplicates;
    Ok(true)
}

fn sweep(seed: u64, (counted, stride): (Counted, usize), tally: &mut Tally) -> Result<(), Broken> {
    let (failure, lasts) = WAYS[usize::try_from(seed).unwrap() % WAYS.len()];
    for at in (1..).step_by(stride) {
        let fault = Fault { at, counted, lasts, failure };
        match block_on(life(seed, fault, tally)) {
            Ok(true) => {}
            Ok(false) => break,
            Err(broken) => return Err(broken.during(&format!("{fault:?}"))),
        }
    }
    Ok(())
}

/// Found by it: after a sync had failed with EIO, the next process read the unwritten records from the system's cache, synced
/// the file, was told that all is well, and answered "duplicate" for events that a power cut then took. Found by its
/// predecessor: the same for events that were written but never synced.
#[test]
fn whichever_operation_fails_nothing_that_was_acknowledged_is_lost() {
    let asked = asked_for("sweeps");
    let passes: &[_] = if asked.is_some() { &LONG_RUN } else { &SHORT_RUN };
    let seeds = asked.unwrap_or(1) * WAYS.len() as u64;
    run("sweeps", seeds, |seed, tally| passes.iter().try_for_each(|pass| sweep(seed, *pass, tally)));
}
