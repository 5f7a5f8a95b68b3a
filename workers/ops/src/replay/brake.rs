//! Stops a replay that fails too often: whatever is wrong then is wrong for the rest too.

use std::{collections::VecDeque, str::FromStr};

use serde::{Deserialize, Serialize};

/// How many of the last letters count.
const WINDOW: usize = 100;
/// Fewer say nothing.
const AT_LEAST: usize = 20;

/// A share of failures, as `--stop-on-error-rate` says it: `20` or `20%`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Percent(f64);

impl Percent {
    /// Between 0 and 100.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>();
        match number {
            Ok(number) if (0.0..=100.0).contains(&number) => Ok(Self(number)),
            _ => Err(format!(
                "{text:?} is not a share in per cent: write a number from 0 to 100, such as 20"
            )),
        }
    }
}

/// Watches the last letters.
#[derive(Debug)]
pub(crate) struct Brake {
    limit: Option<Percent>,
    last: VecDeque<bool>,
    failed: usize,
}

impl Brake {
    /// `None`: never stops.
    pub(crate) fn new(limit: Option<Percent>) -> Self {
        Self {
            limit,
            last: VecDeque::with_capacity(WINDOW),
            failed: 0,
        }
    }

    /// Counts a letter that was tried.
    pub(crate) fn note(&mut self, failed: bool) {
        if self.last.len() == WINDOW && self.last.pop_front() == Some(true) {
            self.failed -= 1;
        }
        self.last.push_back(failed);
        self.failed += usize::from(failed);
    }

    /// The share of failures in per cent, once it is above the limit.
    pub(crate) fn pulled(&self) -> Option<f64> {
        let limit = self.limit?;
        if self.last.len() < AT_LEAST {
            return None;
        }
        let share = self.failed as f64 * 100.0 / self.last.len() as f64;
        (share > limit.0).then_some(share)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn brake(limit: &str, notes: impl IntoIterator<Item = bool>) -> Brake {
        let mut brake = Brake::new(Some(limit.parse().unwrap()));
        notes.into_iter().for_each(|failed| brake.note(failed));
        brake
    }

    #[test]
    fn shares_are_read_as_they_are_written() {
        assert_eq!("20".parse::<Percent>().unwrap().value(), 20.0);
        assert_eq!("12.5%".parse::<Percent>().unwrap().value(), 12.5);
        for wrong in ["", "%", "101", "-1", "NaN", "many"] {
            assert!(wrong.parse::<Percent>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn nineteen_failures_are_too_few_to_stop_and_twenty_are_enough() {
        assert_eq!(brake("50", [true; 19]).pulled(), None);
        assert_eq!(brake("50", [true; 20]).pulled(), Some(100.0));
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let half = (0..20).map(|number| number % 2 == 0);
        assert_eq!(brake("50", half.clone()).pulled(), None);
        assert_eq!(brake("49", half).pulled(), Some(50.0));
        assert_eq!(brake("0", [false; 100]).pulled(), None);
    }

    #[test]
    fn what_is_longer_ago_than_a_hundred_letters_is_forgotten() {
        let then_well = [true; 100].into_iter().chain([false; 80]);
        assert_eq!(brake("20", then_well.clone()).pulled(), None);
        assert_eq!(brake("19", then_well).pulled(), Some(20.0));
    }

    #[test]
    fn without_a_limit_it_goes_on() {
        let mut brake = Brake::new(None);
        (0..200).for_each(|_| brake.note(true));
        assert_eq!(brake.pulled(), None);
    }
}
