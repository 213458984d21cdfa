//! Whatever comes and goes: few messages, and each alert either stands or is followed by its recovery.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn troubles() -> Vec<Trouble> {
    let mut all = vec![Trouble::DiskLow, Trouble::DiskFilling, Trouble::Damage, Trouble::Reload];
    for destination in ["crm", "slack", "erp"].map(name) {
        all.push(Trouble::Stopped(destination.clone()));
        all.push(Trouble::Failing(destination.clone()));
        all.push(Trouble::DeadLetters(destination.clone()));
        all.push(Trouble::Paused(destination));
    }
    all
}

/// What changes, and how long it stays so: mostly for so short that much happens within an hour.
fn changes() -> impl Strategy<Value = Vec<(usize, u64, u64)>> {
    let change = (
        0..troubles().len(),
        prop_oneof![Just(0), 1..5_u64, 1..100_000_u64],
        prop_oneof![9 => 0..120_u64, 1 => 0..3600_u64],
    );
    proptest::collection::vec(change, 1..120)
}

/// Plays the changes; `restart` says after which of them the relay starts anew.
fn play(changes: &[(usize, u64, u64)], restart: impl Fn(usize) -> bool) -> Story {
    let (mut story, all) = (Story::telling(&["slack", "pagerduty"]), troubles());
    for (index, (which, amount, seconds)) in changes.iter().enumerate() {
        match amount {
            0 => story.end(&all[*which]),
            amount => story.set(all[*which].clone(), *amount),
        }
        story.pass(Duration::from_secs(*seconds));
        if restart(index) {
            story.restart();
        }
    }
    story
}

/// A case is played in steps of ten seconds, for hours, so there are few: one for `others` of proptest's usual 256.
/// `PROPTEST_CASES` sets another number than that.
fn one_for(others: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.div_ceil(others), ..usual }
}

proptest! {
    #![proptest_config(one_for(16))]

    #[test]
    fn there_are_never_more_messages_in_an_hour_than_there_may_be(changes in changes(), every in 1..20_usize) {
        let story = play(&changes, |index| index % every == 0);
        for window in story.told.windows(MOST_AN_HOUR + 1) {
            prop_assert!(window[0].after + HOUR <= window[MOST_AN_HOUR].after);
        }
    }

    #[test]
    fn each_alert_stands_or_is_followed_by_its_recovery(changes in changes(), every in 1..20_usize) {
        let mut story = play(&changes, |index| index % every == 0);
        story.wrong.clear();
        story.pass(48 * HOUR);
        let mut standing = BTreeSet::new();
        for news in story.told.iter().flat_map(Told::news) {
            let (state, what) = news.split_once(' ').unwrap();
            match state {
                "raised" => prop_assert!(standing.insert(what.to_owned()), "{} was raised twice", what),
                "still" => prop_assert!(standing.contains(what), "{} goes on, and nobody knew of it", what),
                _ => prop_assert!(standing.remove(what), "{} is over, and nobody knew of it", what),
            }
        }
        prop_assert!(standing.is_empty(), "nobody says that it is over: {:?}", standing);
        prop_assert!(story.told.last().is_none_or(|last| last.body["alert"]["open"] == false));
    }

}

proptest! {
    #![proptest_config(one_for(64))]

    #[test]
    fn what_comes_and_goes_at_any_pace_is_soon_told_rarely(on in 10..3600_u64, off in 10..3600_u64) {
        let mut story = Story::telling(&["slack"]);
        while story.now.since(START) < 48 * HOUR {
            story.set(Trouble::Stopped(crm()), 1);
            story.pass(Duration::from_secs(on));
            story.end(&Trouble::Stopped(crm()));
            story.pass(Duration::from_secs(off));
        }
        let first_day = story.told.iter().filter(|told| told.after < 24 * HOUR).count();
        prop_assert!(first_day <= 16, "{} messages on the first day", first_day);
        prop_assert!(story.told.len() - first_day <= 8, "{} on the second", story.told.len() - first_day);
    }
}
