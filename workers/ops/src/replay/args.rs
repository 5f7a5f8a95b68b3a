//! What can be said of a replay on the command line.

use std::{num::NonZeroUsize, time::Duration};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Percent, Rate};

/// How letters reach their workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// Through the worker's own loop, in this process
    Handler,
    /// Through the worker's own queue
    Queue,
}

impl Via {
    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Queue => "queue",
        }
    }
}

/// `dlq replay`, beyond which letters.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Letters a second at most, such as 50/s, or 30/m; without it as fast as it goes, on AWS 50/s
    #[arg(long, value_name = "N/s")]
    pub rate: Option<Rate>,
    /// Replay the oldest N letters of the selection and leave the others
    #[arg(long, value_name = "N")]
    pub max: Option<u64>,
    /// Only say what would be replayed
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: rehearse each letter, its effects withheld, and say what would come of it
    #[arg(long, requires = "dry_run")]
    pub explain: bool,
    /// Stop when more than this share of the last 100 letters failed again (at least 20 tried)
    #[arg(long, value_name = "PERCENT")]
    pub stop_on_error_rate: Option<Percent>,
    /// Letters under way at once; those of one subject never are
    #[arg(long, value_name = "N", default_value = "8")]
    pub concurrency: NonZeroUsize,
    /// Through the worker's loop in this process, or through its queue (the default on AWS)
    #[arg(long, value_name = "WAY")]
    pub via: Option<Via>,
    /// With --via queue: wait until the workers' queues are empty, and say which letters came back
    #[arg(long)]
    pub wait: bool,
    /// Go on with an interrupted replay: the last one, or that of this id
    #[arg(long = "continue", value_name = "RUN", num_args = 0..=1, default_missing_value = "")]
    pub go_on: Option<String>,
    /// Why, for the audit table
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

impl ReplayArgs {
    /// The run that is to go on: `Some(None)` is the last one.
    ///
    /// # Errors
    /// A sentence if it is not an id.
    pub fn run_to_go_on(&self) -> Result<Option<Option<Uuid>>, String> {
        match self.go_on.as_deref() {
            None => Ok(None),
            Some("") => Ok(Some(None)),
            Some(text) => match Uuid::try_parse(text) {
                Ok(id) => Ok(Some(Some(id))),
                Err(_) => Err(format!("{text:?} is not the id of a replay")),
            },
        }
    }
}

/// The shortest and the longest time for which letters are held while they are replayed. SQS allows 12 hours.
const HELD_AT_LEAST: Duration = Duration::from_secs(30 * 60);
const HELD_AT_MOST: Duration = Duration::from_secs(12 * 60 * 60 - 60);
/// What a replay without a rate does at least, for the estimate.
const A_SECOND_AT_LEAST: f64 = 50.0;

/// How long letters must be held for so many to be replayed, with time to spare: what is held when a process dies is
/// invisible to other readers of the queue for that long.
pub(super) fn hold_for(letters: u64, rate: Option<Rate>) -> Duration {
    let a_second = rate.map_or(A_SECOND_AT_LEAST, Rate::a_second);
    let expected = Duration::try_from_secs_f64(letters as f64 * 2.0 / a_second);
    expected
        .unwrap_or(HELD_AT_MOST)
        .clamp(HELD_AT_LEAST, HELD_AT_MOST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn letters_are_held_for_twice_the_time_that_the_replay_takes() {
        let rate = |text: &str| Some(text.parse().unwrap());
        assert_eq!(hold_for(10, None), HELD_AT_LEAST);
        assert_eq!(hold_for(100_000, rate("50/s")).as_secs(), 4_000);
        assert_eq!(hold_for(100_000, rate("1/m")), HELD_AT_MOST);
        assert_eq!(hold_for(u64::MAX, rate("1/m")), HELD_AT_MOST);
    }
}
