//! What can be said about dead letters.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use time::OffsetDateTime;

use super::Place;
use crate::{
    letters::{Kind, Selection},
    replay::ReplayArgs,
};

/// `dlq`
#[derive(Debug, Args)]
pub struct Dlq {
    /// What to do with them
    #[command(subcommand)]
    pub command: DlqCommand,
}

/// The commands on dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Counts dead letters by worker and reason, and lists the newest
    List {
        /// Which ones.
        #[command(flatten)]
        which: Which,
        /// How many to list; --json lists all of them
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        /// List what the catalogue knows, without reading the queues again
        #[arg(long)]
        cached: bool,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
    /// Shows one dead letter: event, reason, every attempt, and what its subject is now
    Show {
        /// Its id, or the beginning of it
        id: String,
        /// Show what the catalogue knows, without reading the queues again
        #[arg(long)]
        cached: bool,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
    /// Says what a replay would do: runs the worker with its effects withheld
    Explain {
        /// Which ones.
        #[command(flatten)]
        which: Which,
        /// Take what the catalogue knows, without reading the queues again
        #[arg(long)]
        cached: bool,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
    /// Gives dead letters to their workers again, oldest first; what is handled leaves its queue, what fails stays
    Replay {
        /// Which ones.
        #[command(flatten)]
        which: Which,
        /// How.
        #[command(flatten)]
        how: ReplayArgs,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
    /// Puts an edited letter in the place of another, and keeps what it was
    Edit {
        /// Its id, or the beginning of it
        id: String,
        /// A JSON merge patch (RFC 7386) on the event
        #[arg(long, value_name = "FILE", conflicts_with = "set")]
        patch: Option<PathBuf>,
        /// One value at a JSON pointer, such as /Records/0/body/detail/object/key=…; may be given several times
        #[arg(long, value_name = "POINTER=VALUE")]
        set: Vec<String>,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
    /// Keeps one of each set of copies of a letter, and deletes the others
    Dedupe {
        /// Which ones.
        #[command(flatten)]
        which: Which,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
    /// Writes letters into a file, one JSON object a line
    Export {
        /// The file, which must not be there yet; - is stdout
        file: PathBuf,
        /// Only these ids, or beginnings of them; everything unless told otherwise
        #[command(flatten)]
        which: Which,
        /// Write what the catalogue knows, without reading the queues again
        #[arg(long)]
        cached: bool,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
    /// Puts the letters of an exported file into their queues, unless they are there already
    Import {
        /// The file
        file: PathBuf,
        /// Into this queue, whatever queue they came from
        #[arg(long, value_name = "QUEUE")]
        to: Option<String>,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
    /// Deletes letters after asking, and keeps copies of them in the catalogue
    Drop {
        /// Which ones.
        #[command(flatten)]
        which: Which,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", required = true)]
        why: String,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
    /// Puts dropped letters back into their queues
    Restore {
        /// Which ones.
        #[command(flatten)]
        which: Which,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
    /// Saves a letter as a recorded fixture, redacted, with what must come of it
    Fixture {
        /// Its id, or the beginning of it
        id: String,
        /// The folder to put it into
        #[arg(long, value_name = "DIR", default_value = ".")]
        into: PathBuf,
        /// The file's name without .json; the reason and the beginning of the id unless told otherwise
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
    /// Shows what operators did
    Audit {
        /// The day in UTC, such as 2026-11-21; today unless told otherwise
        #[arg(long, value_name = "DAY")]
        day: Option<String>,
        /// Where they lie.
        #[command(flatten)]
        place: DlqPlace,
    },
}

/// Where dead letters lie.
#[derive(Debug, Clone, Args)]
pub struct DlqPlace {
    /// Only this dead-letter queue, or this worker's
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    /// Real queues, with the usual AWS settings (environment, profile, role)
    #[arg(long, conflicts_with = "data")]
    pub aws: bool,
    /// The catalogue's file; letters.sqlite in the data folder, or .millrace/letters-ACCOUNT-REGION.sqlite with --aws
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
    /// A bucket into which Lambda writes the batches that it gave up
    #[arg(long, value_name = "BUCKET")]
    pub failures_bucket: Option<String>,
    /// Where the state lives and how to print.
    #[command(flatten)]
    pub place: Place,
}

/// Which dead letters. Conditions hold together.
#[derive(Debug, Clone, Default, Args)]
pub struct Which {
    /// Ids, or beginnings of ids
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Only this worker's
    #[arg(long, value_name = "NAME")]
    pub worker: Option<String>,
    /// Only with this reason code
    #[arg(long, value_name = "CODE")]
    pub reason: Option<String>,
    /// Only of this kind: parked, redriven, stream-place, stream-batch, async
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// Only with this text in the subject or in a record's id
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    /// Only given up longer ago than this: 90s, 15m, 2h, 3d
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<Duration>,
    /// Only given up not longer ago than this: 90s, 15m, 2h, 3d
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub newer_than: Option<Duration>,
    /// All of them
    #[arg(long)]
    pub all: bool,
}

impl Which {
    /// The selection, with ages counted back from now.
    pub fn selection(&self, now: OffsetDateTime) -> Selection {
        Selection {
            ids: self.ids.clone(),
            worker: self.worker.clone(),
            reason: self.reason.clone(),
            kind: self.kind,
            subject: self.subject.clone(),
            older_than: self.older_than.map(|age| now - age),
            newer_than: self.newer_than.map(|age| now - age),
            all: self.all,
            ..Selection::default()
        }
    }

    /// The same in the words of the command line, for the audit.
    pub fn words(&self) -> String {
        let mut words = self.ids.clone();
        let mut option = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("--{name} {value}")));
        };
        let seconds = |age: Duration| format!("{}s", age.as_secs());
        option("worker", self.worker.clone());
        option("reason", self.reason.clone());
        option("kind", self.kind.map(|kind| kind.to_string()));
        option("subject", self.subject.clone());
        option("older-than", self.older_than.map(seconds));
        option("newer-than", self.newer_than.map(seconds));
        if self.all {
            words.push("--all".to_owned());
        }
        words.join(" ")
    }
}

/// `90s`, `15m`, `2h`, `3d`.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no age: give a number and s, m, h or d, such as 2h");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).unwrap_or_default();
    let number: u64 = number.parse().map_err(|_| wrong())?;
    // A hundred years: times are computed with it.
    let age = number
        .checked_mul(seconds)
        .filter(|age| *age < 3_153_600_000);
    age.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn ages_are_numbers_with_a_unit() {
        assert_eq!(age("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(age("15m").unwrap(), Duration::from_secs(900));
        assert_eq!(age("2h").unwrap(), Duration::from_secs(7_200));
        assert_eq!(age("3d").unwrap(), Duration::from_secs(259_200));
        for wrong in [
            "",
            "2",
            "h",
            "-1h",
            "2 h",
            "2w",
            "99999999999999999999d",
            "99999999d",
            "2é",
        ] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
