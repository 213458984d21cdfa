//! The front of a list of deliveries: those that come next, in memory. Pure.
//!
//! ```text
//!            from                       upto
//!  list   ────┼───●──●───●●─────●───●────●┼──●───●─────●───▶
//!             └── all of these are known ─┘└ looked up when a claim comes to them
//! ```
//!
//! A claim that looked into the index each time would step over all that is on its way and all that was delivered since sled was
//! last written. Whoever changes the index says so here as well, afterwards: a place that was looked up in between is in both.

use std::{
    collections::BTreeSet,
    ops::{Bound, Range},
};

use crate::model::{EventId, Timestamp};

/// Places that are looked up at a time.
const SLICE: usize = 256;
/// Places that are known at most, unless a claim has to go through more: 40 kB. What comes in behind them is looked up later.
const MAX_KNOWN: usize = 1024;

/// Where a delivery stands in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) due: Timestamp,
    pub(super) event: EventId,
}

impl Place {
    /// Behind all others.
    const LAST: Self = Self { due: Timestamp::MAX, event: EventId::from_bytes([u8::MAX; 16]) };

    /// Before all others that are due at `due` or later.
    pub(super) const fn first_at(due: Timestamp) -> Self {
        Self { due, event: EventId::from_bytes([0; 16]) }
    }
}

/// A stretch of a list of which all places are known.
#[derive(Debug)]
pub(super) struct Front {
    from: Timestamp,
    /// The last place up to which all are known; `None` when nothing is.
    upto: Option<Place>,
    places: BTreeSet<Place>,
}

impl Default for Front {
    fn default() -> Self {
        Self::starting_at(Timestamp::EPOCH)
    }
}

impl Front {
    /// Nothing is known yet of what is due at `from` or later.
    fn starting_at(from: Timestamp) -> Self {
        Self { from, upto: None, places: BTreeSet::new() }
    }

    /// The first place of a stretch of time, behind `after` if that is given; `load` looks up so many places of the list, from a
    /// bound on. What lies before the stretch is forgotten.
    ///
    /// # Errors
    /// That of `load`.
    pub(super) fn next<E>(
        &mut self,
        within: &Range<Timestamp>,
        after: Option<Place>,
        mut load: impl FnMut(Bound<Place>, usize) -> Result<Vec<Place>, E>,
    ) -> Result<Option<Place>, E> {
        self.start_at(within.start);
        let start = after.map_or(Bound::Included(Place::first_at(within.start)), Bound::Excluded);
        loop {
            if let Some(place) = self.places.range((start, Bound::Unbounded)).next() {
                return Ok(Some(*place).filter(|place| place.due < within.end));
            }
            if self.upto.is_some_and(|upto| upto >= Place::first_at(within.end)) {
                return Ok(None);
            }
            let rest = self.upto.map_or(Bound::Included(Place::first_at(self.from)), Bound::Excluded);
            let loaded = load(rest, SLICE)?;
            self.upto = loaded.last().copied().filter(|_| loaded.len() >= SLICE).or(Some(Place::LAST));
            self.places.extend(loaded);
        }
    }

    fn start_at(&mut self, from: Timestamp) {
        let first = Place::first_at(from);
        if from < self.from || self.upto.is_some_and(|upto| upto < first) {
            *self = Self::starting_at(from);
        }
        while self.places.first().is_some_and(|place| *place < first) {
            self.places.pop_first();
        }
        self.from = from;
    }

    /// Takes in that there is a delivery at `place` now.
    pub(super) fn add(&mut self, place: Place) {
        if place.due < self.from || self.upto.is_none_or(|upto| place > upto) {
            return;
        }
        self.places.insert(place);
        while self.places.len() > MAX_KNOWN {
            self.places.pop_last();
            self.upto = self.places.last().copied();
        }
    }

    /// Takes in that there is none at `place` any more.
    pub(super) fn remove(&mut self, place: Place) {
        self.places.remove(&place);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn place(number: u16) -> Place {
        let [high, low] = number.to_be_bytes();
        // Several of the same moment.
        let due = Timestamp::from_millis(u64::from(number / 3));
        Place { due, event: EventId::from_bytes([high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) }
    }

    /// Looks up `limit` places of `list`, as the index does.
    fn load(list: &BTreeSet<Place>, from: Bound<Place>, limit: usize) -> Vec<Place> {
        list.range((from, Bound::Unbounded)).take(limit).copied().collect()
    }

    fn next(
        front: &mut Front,
        list: &BTreeSet<Place>,
        within: &Range<Timestamp>,
        after: Option<Place>,
    ) -> Option<Place> {
        let Ok(next) = front.next(within, after, |from, limit| Ok::<_, Infallible>(load(list, from, limit)));
        next
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add(u16),
        Remove(u16),
        AddMany(u16, u16),
        Go { from: u16, to: u16, most: usize },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..4000u16).prop_map(Step::Add),
            4 => (0..4000u16).prop_map(Step::Remove),
            2 => (0..4000u16, 0..3000u16).prop_map(|(from, count)| Step::AddMany(from, count)),
            4 => (0..1500u16, 0..1500u16, 0..3000usize).prop_map(|(from, to, most)| Step::Go { from, to, most }),
        ];
        prop::collection::vec(step, 1..40)
    }

    proptest! {
        #[test]
        fn goes_through_exactly_what_is_in_the_list(steps in steps()) {
            let (mut list, mut front) = (BTreeSet::new(), Front::default());
            for step in steps {
                let added = match step {
                    Step::Add(number) => number..number + 1,
                    Step::AddMany(from, count) => from..from.saturating_add(count),
                    Step::Remove(number) => {
                        list.remove(&place(number));
                        front.remove(place(number));
                        continue;
                    }
                    Step::Go { from, to, most } => {
                        let within = Timestamp::from_millis(from.into())..Timestamp::from_millis(to.into());
                        let mut found = Vec::new();
                        while found.len() < most
                            && let Some(next) = next(&mut front, &list, &within, found.last().copied())
                        {
                            found.push(next);
                        }
                        let expected: Vec<_> =
                            list.iter().filter(|place| within.contains(&place.due)).take(most).copied().collect();
                        prop_assert_eq!(found, expected);
                        continue;
                    }
                };
                for number in added {
                    list.insert(place(number));
                    front.add(place(number));
                }
            }
        }
    }

    #[test]
    fn what_is_known_needs_no_look_and_is_bounded() {
        let mut list: BTreeSet<_> = (0..10_000).map(place).collect();
        let (mut front, mut looks) = (Front::default(), 0);
        let all = Timestamp::EPOCH..Timestamp::MAX;
        for _ in 0..SLICE {
            let next = front.next(&all, None, |from, limit| {
                looks += 1;
                Ok::<_, Infallible>(load(&list, from, limit))
            });
            let Ok(Some(next)) = next else { panic!("there are others") };
            list.remove(&next);
            front.remove(next);
        }
        assert_eq!(looks, 1);
        let (mut front, empty) = (Front::default(), BTreeSet::new());
        assert_eq!(next(&mut front, &empty, &all, None), None);
        (0..10_000).for_each(|number| front.add(place(number)));
        assert_eq!(front.places.len(), MAX_KNOWN);
    }
}
