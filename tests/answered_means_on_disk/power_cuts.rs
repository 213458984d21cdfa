//! The power is cut at any change of the disk, while the store opens, recovers, works, tidies up or closes.

use fastrand::Rng;

use crate::{
    life::Life,
    sim_disk::Fault,
    trials::{Broken, Tally, asked_for, block_on, run},
};

/// Cuts in the life of one store. What one leaves behind, the next one meets.
const CUTS_PER_LIFE: u64 = 8;
/// How much of what wasn't synced survives: nothing, as with a disk that reorders freely; half; nearly all, which leaves the
/// smallest gaps.
const SURVIVAL: [f64; 3] = [0.0, 0.5, 0.95];
/// Changes that opening a store makes, about.
const CHANGES_OF_A_START: u64 = 14;
/// Changes that a process makes, about.
const CHANGES_OF_A_PROCESS: u64 = 160;
const ACTIONS: usize = 60;

/// Which change is the one at which the power goes: every third time one of the start.
fn moment(dice: &mut Rng) -> u64 {
    let end = if dice.u8(0..3) == 0 { CHANGES_OF_A_START } else { CHANGES_OF_A_PROCESS };
    dice.u64(1..=end)
}

async fn life(seed: u64, tally: &mut Tally) -> Result<(), Broken> {
    let mut life = Life::new(seed);
    let mut outcome = Ok(());
    while outcome.is_ok() && tally.trials < CUTS_PER_LIFE {
        if life.dice().u8(0..4) == 0 {
            life.process(None, ACTIONS).await?;
        }
        let at = moment(life.dice());
        outcome = life.process(Some(Fault::power_off(at)), ACTIONS).await;
        let survival = *life.dice().choice(&SURVIVAL).unwrap();
        life.cut_power(survival);
        tally.trials += 1;
    }
    let outcome = match outcome {
        Ok(()) => life.process(None, ACTIONS).await,
        broken => broken,
    };
    (tally.acknowledged, tally.duplicates) = (life.ledger.acknowledged, life.ledger.duplicates);
    outcome
}

#[test]
fn whenever_the_power_is_cut_nothing_that_was_acknowledged_is_lost() {
    let lives = asked_for("cuts").unwrap_or(200).div_ceil(CUTS_PER_LIFE);
    run("cuts", lives, |seed, tally| block_on(life(seed, tally)));
}
