//! How fast letters are replayed: never more than so many in any second.

use std::{collections::VecDeque, num::NonZeroU32, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
/// What a hiccup made late may be caught up on, instead of being lost to the rate.
const CATCH_UP: Duration = Duration::from_millis(100);
/// The times of the last second are remembered: this bounds their number.
const FASTEST: u32 = 100_000;

/// Letters a second, as `--rate` says it: `50/s`, `50`, or `300/m`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    count: NonZeroU32,
    per: Duration,
}

impl Rate {
    /// So many a second.
    pub fn per_second(count: NonZeroU32) -> Self {
        Self { count, per: SECOND }
    }

    /// Letters a second.
    pub fn a_second(self) -> f64 {
        f64::from(self.count.get()) / self.per.as_secs_f64()
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a rate: write how many a second, such as 50/s, or a minute, such as 30/m (at most {FASTEST}/s)"
            )
        };
        let (count, per) = match text.split_once('/') {
            None | Some((_, "s")) => (text.split('/').next().unwrap_or_default(), SECOND),
            Some((count, "m")) => (count, SECOND * 60),
            Some(_) => return Err(wrong()),
        };
        let count = count.trim().parse::<NonZeroU32>().map_err(|_| wrong())?;
        if count.get() > FASTEST {
            return Err(wrong());
        }
        Ok(Self { count, per })
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = if self.per == SECOND { "s" } else { "m" };
        write!(f, "{}/{unit}", self.count)
    }
}

/// A token bucket: starts are spread evenly, a short stall is caught up on, and no window as long as the rate's own
/// sees more starts than the rate says.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Option<Rate>,
    due: Option<Instant>,
    window: VecDeque<Instant>,
}

impl Pace {
    /// `None`: as fast as it goes.
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            due: None,
            window: VecDeque::new(),
        }
    }

    /// When the next start may be; reserves it.
    pub(crate) fn reserve(&mut self, now: Instant) -> Instant {
        let Some(rate) = self.rate else {
            return now;
        };
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let due = self.due.map_or(now, |due| due.max(earliest));
        self.due = Some(due + rate.per / rate.count.get());
        let full = usize::try_from(rate.count.get()).unwrap_or(usize::MAX);
        let mut start = due.max(now);
        if self.window.len() >= full
            && let Some(first) = self.window.pop_front()
        {
            start = start.max(first + rate.per);
        }
        self.window.push_back(start);
        start
    }

    /// The start that was reserved last took place: a timer wakes up late rather than early, and what counts is
    /// when it really was.
    pub(crate) fn started(&mut self, now: Instant) {
        if let Some(last) = self.window.back_mut() {
            *last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_are_read_as_they_are_written() {
        for (text, written, a_second) in [
            ("50/s", "50/s", 50.0),
            ("50", "50/s", 50.0),
            ("30/m", "30/m", 0.5),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(
                (rate.to_string().as_str(), rate.a_second()),
                (written, a_second)
            );
        }
        for wrong in ["0/s", "", "/s", "5/h", "-1", "1.5/s", "100001/s", "5/s/s"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    async fn turn(pace: &mut Pace) {
        tokio::time::sleep_until(pace.reserve(Instant::now())).await;
        pace.started(Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn ten_seconds_at_fifty_a_second_are_five_hundred_starts() {
        let mut pace = Pace::new(Some("50/s".parse().unwrap()));
        let begun = Instant::now();
        for _ in 0..=500 {
            turn(&mut pace).await;
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(9_999), "{took:?}");
        // Each wake-up of the paused clock is rounded up to a millisecond.
        assert!(took < Duration::from_millis(10_100), "{took:?}");
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let mut pace = Pace::new(None);
        let now = Instant::now();
        assert!((0..1_000).all(|_| pace.reserve(now) == now));
    }

    proptest! {
        #[test]
        fn no_second_sees_more_starts_than_the_rate(
            rate in 1_u32..200,
            stalls in proptest::collection::vec(0_u64..1_500, 0..400),
        ) {
            let mut pace = Pace::new(Some(Rate::per_second(NonZeroU32::new(rate).unwrap())));
            let mut now = Instant::now();
            let mut starts = Vec::new();
            for stall in stalls {
                // Mostly in a hurry, sometimes held up.
                if stall > 1_400 {
                    now += Duration::from_millis(stall);
                }
                now = pace.reserve(now);
                starts.push(now);
            }
            for (position, start) in starts.iter().enumerate() {
                let within = starts[position..].iter().take_while(|other| **other < *start + SECOND).count();
                prop_assert!(within <= rate as usize, "{within} starts in a second at {rate}/s");
            }
        }
    }
}
