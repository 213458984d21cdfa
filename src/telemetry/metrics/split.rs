//! A counter for each value of a label.

use std::borrow::Cow;

use prometheus_client::metrics::{counter::Counter, family::Family};

use super::Labels;

/// A value of a label.
pub(in crate::telemetry) trait Word: Copy + PartialEq {
    /// As the label has it.
    fn word(self) -> Cow<'static, str>;
}

impl Word for &'static str {
    fn word(self) -> Cow<'static, str> {
        self.into()
    }
}

impl Word for u16 {
    fn word(self) -> Cow<'static, str> {
        self.to_string().into()
    }
}

/// The counters of one source or destination, split by a second label. Clones count together.
#[derive(Debug, Clone)]
pub(super) struct Split<W> {
    family: Family<Labels<2>, Counter>,
    of: (&'static str, String),
    by: &'static str,
    /// The values that are expected, so that none of them has to be looked up.
    expected: Vec<(W, Counter)>,
}

impl<W: Word> Split<W> {
    /// The part of `family` that is about `of`, split by the label `by`. What is `expected` is there from now on, at zero.
    pub(super) fn new(
        family: &Family<Labels<2>, Counter>,
        of: (&'static str, &str),
        by: &'static str,
        expected: &[W],
    ) -> Self {
        let mut split = Self { family: family.clone(), of: (of.0, of.1.to_owned()), by, expected: Vec::new() };
        split.expected = expected.iter().map(|word| (*word, split.counter(*word))).collect();
        split
    }

    /// Counts one.
    pub(super) fn count(&self, word: W) {
        match self.expected.iter().find(|(expected, _)| *expected == word) {
            Some((_, counter)) => counter.inc(),
            None => self.counter(word).inc(),
        };
    }

    /// How many were counted with this value.
    pub(super) fn counted(&self, word: W) -> u64 {
        self.expected.iter().find(|(expected, _)| *expected == word).map_or(0, |(_, counter)| counter.get())
    }

    /// How many were counted with a value that is expected.
    pub(super) fn expected(&self) -> u64 {
        self.expected.iter().map(|(_, counter)| counter.get()).sum()
    }

    fn counter(&self, word: W) -> Counter {
        self.family.get_or_create_owned(&[self.of.clone(), (self.by, word.word().into_owned())])
    }
}
