//! The figures of a report: what is counted, and what follows from it.
//!
//! Whole numbers all the way: a ratio is kept as its two parts and rounded once, when it is written, so that the same
//! figures are the same bytes everywhere.

use std::collections::BTreeMap;

/// The states of a match, in the order of the workflow.
pub const STATES: [&str; 7] = [
    "PENDING",
    "CONTACTED",
    "RESPONDED",
    "NEGOTIATING",
    "ACCEPTED",
    "REJECTED",
    "COMPLETED",
];

/// The steps that a match can take, as positions in [`STATES`].
pub const STEPS: [(usize, usize); 6] = [(0, 1), (1, 2), (2, 3), (3, 4), (3, 5), (4, 6)];

const ACCEPTED: usize = 4;
const REJECTED: usize = 5;

/// A number for each of [`STATES`].
pub type Counts = [i64; STATES.len()];

/// What a scope of the totals holds: by name, by measure.
pub type Totals = BTreeMap<String, BTreeMap<String, i64>>;

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// The part.
    pub part: i64,
    /// The whole.
    pub whole: i64,
}

impl Ratio {
    /// In hundredths of a percent, rounded half up; `None` where there is no whole.
    pub fn hundredths_of_percent(self) -> Option<i64> {
        let doubled = (self.whole > 0).then_some(2 * i128::from(self.whole))?;
        let rounded = (i128::from(self.part) * 20_000 + i128::from(self.whole)).div_euclid(doubled);
        i64::try_from(rounded).ok()
    }
}

/// What is counted of some matches for one day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// How many entered each state on the day.
    pub entered: Counts,
    /// How many left each state on the day, by a step or because they expired.
    pub left: Counts,
    /// The seconds that those which left a state on the day had spent in it.
    pub seconds: Counts,
    /// How many had ever entered each state when the day was over.
    pub entered_so_far: Counts,
    /// How many had ever left each state when the day was over.
    pub left_so_far: Counts,
    /// The seconds that those had spent in it.
    pub seconds_so_far: Counts,
}

impl Group {
    /// From what was counted on the day, ever, and on the days after it.
    pub fn of(
        on_day: Option<&BTreeMap<String, i64>>,
        ever: Option<&BTreeMap<String, i64>>,
        after: &[&BTreeMap<String, i64>],
    ) -> Self {
        let counts = |measures: Option<&BTreeMap<String, i64>>, kind: &str| {
            STATES.map(|state| {
                let measure =
                    measures.and_then(|measures| measures.get(&format!("{kind}.{state}")));
                measure.copied().unwrap_or_default()
            })
        };
        let through_the_day = |kind: &str| {
            let mut so_far = counts(ever, kind);
            for day in after {
                so_far = zip(so_far, counts(Some(day), kind), |one, later| one - later);
            }
            so_far
        };
        Self {
            entered: counts(on_day, "entered"),
            left: counts(on_day, "left"),
            seconds: counts(on_day, "seconds"),
            entered_so_far: through_the_day("entered"),
            left_so_far: through_the_day("left"),
            seconds_so_far: through_the_day("seconds"),
        }
    }

    /// How many were in each state when the day was over.
    pub fn in_it(&self) -> Counts {
        zip(self.entered_so_far, self.left_so_far, |entered, left| {
            entered - left
        })
    }

    /// Whether anything was ever counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Of those decided on the day, how many were accepted.
    pub fn success_rate(&self) -> Ratio {
        success_rate(&self.entered)
    }

    /// Of those ever decided when the day was over, how many were accepted.
    pub fn success_rate_so_far(&self) -> Ratio {
        success_rate(&self.entered_so_far)
    }

    /// Of those that had ever entered the first state of a step, how many had entered the second.
    pub fn conversion(&self, step: (usize, usize)) -> Ratio {
        conversion(&self.entered_so_far, step)
    }

    /// The mean seconds that those which left a state on the day had spent in it.
    pub fn mean_seconds(&self) -> [Option<i64>; STATES.len()] {
        means(&self.seconds, &self.left)
    }

    /// The same, of all that had left it when the day was over.
    pub fn mean_seconds_so_far(&self) -> [Option<i64>; STATES.len()] {
        means(&self.seconds_so_far, &self.left_so_far)
    }
}

/// Accepted over decided. Who has completed was accepted before.
pub fn success_rate(entered: &Counts) -> Ratio {
    Ratio {
        part: entered[ACCEPTED],
        whole: entered[ACCEPTED] + entered[REJECTED],
    }
}

/// Of those that entered the first state of a step, how many entered the second.
pub fn conversion(entered: &Counts, (from, to): (usize, usize)) -> Ratio {
    Ratio {
        part: entered[to],
        whole: entered[from],
    }
}

fn zip(one: Counts, other: Counts, with: impl Fn(i64, i64) -> i64) -> Counts {
    std::array::from_fn(|position| with(one[position], other[position]))
}

fn means(seconds: &Counts, left: &Counts) -> [Option<i64>; STATES.len()] {
    std::array::from_fn(|position| {
        let count = left[position];
        (count > 0).then(|| (seconds[position] + count / 2).div_euclid(count))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn measures(of: &[(&str, i64)]) -> BTreeMap<String, i64> {
        of.iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect()
    }

    #[test]
    fn in_it_at_the_end_of_a_day_leaves_out_what_came_after() {
        let ever = measures(&[
            ("entered.PENDING", 9),
            ("left.PENDING", 6),
            ("seconds.PENDING", 600),
        ]);
        let day = measures(&[
            ("entered.PENDING", 4),
            ("left.PENDING", 2),
            ("seconds.PENDING", 31),
        ]);
        let next = measures(&[("entered.PENDING", 1), ("left.PENDING", 3)]);
        let last = measures(&[("left.PENDING", 1), ("seconds.PENDING", 200)]);
        let group = Group::of(Some(&day), Some(&ever), &[&next, &last]);
        assert_eq!(group.entered[0], 4);
        assert_eq!(group.entered_so_far[0], 8);
        assert_eq!(group.left_so_far[0], 2);
        assert_eq!(group.in_it()[0], 6);
        assert_eq!(group.mean_seconds()[0], Some(16));
        assert_eq!(group.mean_seconds_so_far()[0], Some(200));
        assert_eq!(group.mean_seconds()[1], None);
    }

    #[test]
    fn rates_are_rounded_half_up_and_nothing_has_no_rate() {
        let rate = |part, whole| Ratio { part, whole }.hundredths_of_percent();
        assert_eq!(rate(2, 3), Some(6_667));
        assert_eq!(rate(1, 8), Some(1_250));
        assert_eq!(rate(1, 20_000), Some(1));
        assert_eq!(rate(0, 5), Some(0));
        assert_eq!(rate(0, 0), None);
        let group = Group {
            entered_so_far: [9, 8, 7, 6, 3, 1, 2],
            ..Group::default()
        };
        // Completed matches were accepted before: they are not counted twice.
        assert_eq!(group.success_rate_so_far(), Ratio { part: 3, whole: 4 });
        assert_eq!(group.conversion((0, 1)), Ratio { part: 8, whole: 9 });
    }

    proptest! {
        #[test]
        fn a_ratio_of_a_part_is_between_nothing_and_all(whole in 1_i64..i64::MAX, part in any::<i64>()) {
            let part = part.rem_euclid(whole);
            let rate = Ratio { part, whole }.hundredths_of_percent();
            prop_assert!(rate.is_some_and(|rate| (0..=10_000).contains(&rate)));
        }
    }
}
