//! Whose turn it is among the deliveries that are due to one destination. Pure.
//!
//! | kind | deliveries | share, where all have some due |
//! | --- | --- | --- |
//! | live | first attempts of events received within the last minute | five of eight |
//! | backlog | first attempts of older ones | two of eight |
//! | again | those that failed before, or were put off | one of eight |
//! | replayed | those that a person sent again or rerouted | one of eight, while none is live |
//!
//! A share that its kind doesn't use falls to the best of the others, in the order of the table. So what just came in isn't
//! held up by a backlog, nor by what fails again and again; and neither of these can starve: with one of them due, live
//! deliveries get seven of eight turns at most, and six where there is a backlog. What is replayed is the past, and may be
//! much of it: it never goes before a live delivery, and waits for as long as there always is one.

/// A kind of deliveries that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Live,
    Backlog,
    Again,
    Replayed,
}

/// The turns of a round. The rare ones lie as far apart as they can. That of what is replayed is a live one first.
const ROUND: [Kind; 8] =
    [Kind::Replayed, Kind::Live, Kind::Backlog, Kind::Live, Kind::Again, Kind::Live, Kind::Backlog, Kind::Live];

/// Where in the round a destination is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turns(usize);

impl Turns {
    /// The kinds in the order in which they may have the next delivery: the first that has one gets it.
    pub(super) fn preference(self) -> [Kind; 4] {
        match ROUND.get(self.0 % ROUND.len()) {
            Some(Kind::Backlog) => [Kind::Backlog, Kind::Live, Kind::Again, Kind::Replayed],
            Some(Kind::Again) => [Kind::Again, Kind::Live, Kind::Backlog, Kind::Replayed],
            Some(Kind::Replayed) => [Kind::Live, Kind::Replayed, Kind::Backlog, Kind::Again],
            Some(Kind::Live) | None => [Kind::Live, Kind::Backlog, Kind::Again, Kind::Replayed],
        }
    }

    /// Goes on to the next turn, after a delivery was claimed.
    pub(super) fn advance(&mut self) {
        self.0 = (self.0 + 1) % ROUND.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a round from `start` on gives to each kind, where these have deliveries without end.
    fn shares(start: usize, due: [bool; 4]) -> [usize; 4] {
        let mut turns = Turns(start);
        let mut shares = [0; 4];
        for _ in 0..ROUND.len() {
            let next = turns.preference().into_iter().find(|kind| due[*kind as usize]);
            shares[next.unwrap() as usize] += 1;
            turns.advance();
        }
        shares
    }

    proptest! {
        #[test]
        fn whoever_has_something_due_gets_a_share_of_every_round(start in 0usize..8, due in any::<[bool; 4]>()) {
            prop_assume!(due.contains(&true));
            let [live, backlog, again, replayed] = shares(start, due);
            prop_assert_eq!(live + backlog + again + replayed, ROUND.len(), "a turn was left unused");
            let others = due[1] || due[2];
            prop_assert!(!due[0] || live >= 5);
            prop_assert!(!others || live <= 7);
            prop_assert!(!due[1] || (backlog >= 2 && live <= 6));
            prop_assert!(!due[2] || again >= 1);
            let wanted = if due[0] { replayed == 0 } else { !due[3] || replayed >= 1 };
            prop_assert!(wanted);
        }
    }

    #[test]
    fn what_nobody_else_uses_falls_to_the_best() {
        assert_eq!(shares(0, [true, true, true, true]), [5, 2, 1, 0]);
        assert_eq!(shares(0, [true, false, true, true]), [7, 0, 1, 0]);
        assert_eq!(shares(0, [false, true, true, false]), [0, 7, 1, 0]);
        assert_eq!(shares(0, [false, true, true, true]), [0, 6, 1, 1]);
        assert_eq!(shares(0, [false, false, true, false]), [0, 0, 8, 0]);
        assert_eq!(shares(0, [false, false, false, true]), [0, 0, 0, 8]);
    }
}
