//! Which letter is next: oldest first within a subject and never two of one subject at once, side by side otherwise.

use std::collections::{HashSet, VecDeque};

/// Letters in their order, of which those may begin whose subject nobody works on.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    waiting: VecDeque<(String, T)>,
    busy: HashSet<String>,
}

impl<T> Lanes<T> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            busy: HashSet::new(),
        }
    }

    /// Puts one behind all others.
    pub(crate) fn push(&mut self, subject: String, item: T) {
        self.waiting.push_back((subject, item));
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The first whose subject is free; its subject is busy from now on.
    pub(crate) fn next(&mut self) -> Option<(String, T)> {
        let place = self
            .waiting
            .iter()
            .position(|(subject, _)| !self.busy.contains(subject))?;
        let (subject, item) = self.waiting.remove(place)?;
        self.busy.insert(subject.clone());
        Some((subject, item))
    }

    /// The work on a subject has ended.
    pub(crate) fn done(&mut self, subject: &str) {
        self.busy.remove(subject);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_subject_is_worked_on_in_order_and_holds_up_no_other() {
        let mut lanes = Lanes::new();
        for (subject, number) in [("a", 1), ("a", 2), ("b", 3)] {
            lanes.push(subject.to_owned(), number);
        }
        assert_eq!(lanes.next(), Some(("a".to_owned(), 1)));
        assert_eq!(lanes.next(), Some(("b".to_owned(), 3)));
        assert_eq!(lanes.next(), None);
        lanes.done("a");
        assert_eq!(lanes.next(), Some(("a".to_owned(), 2)));
        assert_eq!(lanes.len(), 0);
    }

    proptest! {
        #[test]
        fn whatever_ends_first_each_subject_keeps_its_order(
            subjects in proptest::collection::vec(0_u8..5, 0..60),
            ends in proptest::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let mut lanes = Lanes::new();
            for (number, subject) in subjects.iter().enumerate() {
                lanes.push(subject.to_string(), number);
            }
            let mut running: Vec<(String, usize)> = Vec::new();
            let mut seen = Vec::new();
            let mut ends = ends.into_iter();
            loop {
                while running.len() < 3 {
                    let Some((subject, number)) = lanes.next() else { break };
                    prop_assert!(running.iter().all(|(other, _)| *other != subject));
                    seen.push((subject.clone(), number));
                    running.push((subject, number));
                }
                if running.is_empty() {
                    break;
                }
                let place = ends.next().map_or(0, |index| index.index(running.len()));
                let (subject, _) = running.remove(place);
                lanes.done(&subject);
            }
            prop_assert_eq!(seen.len(), subjects.len());
            for subject in 0..5_u8 {
                let of_subject: Vec<usize> =
                    seen.iter().filter(|(other, _)| *other == subject.to_string()).map(|(_, number)| *number).collect();
                prop_assert!(of_subject.is_sorted());
            }
        }
    }
}
