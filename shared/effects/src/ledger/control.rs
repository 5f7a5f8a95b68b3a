//! The control rows: which generation is read, and into which ones is written.
//!
//! One row, `main`, says which generation of the totals readers read, and how far a rebuild is. Each slot has a row that says into which
//! generations writers write; a transaction checks the row of its own slot, so that a writer that has missed a change is refused
//! and looks again. A row that is not there is that of the first generation.
//!
//! ```text
//!              main               slots
//! at rest      reads 1            write 1
//! building     reads 1, next 2    write 1, one after the other 1,2
//! switched     reads 2, old 1     write 1,2, one after the other 2
//! at rest      reads 2            write 2
//! ```
//!
//! Numbers are never used again, so whoever was away for long finds out.

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_events::{Failure, mutation, reason};

use super::{
    Ledger,
    rows::{self, Generation, Generations},
    slots::SLOTS,
};
use crate::{
    expression::{When, key},
    write::{Row, Update, Updated, Write},
};

/// The key of control rows.
const SLOT: &str = "slot";
const MAIN: &str = "main";
const WRITES: &str = "writes";
const READS: &str = "reads";
const NEXT: &str = "next";
const OLD: &str = "old";
/// How far the building is.
const PHASE: &str = "phase";
const CURSOR: &str = "cursor";

const FIRST: Generation = 1;
/// How often a change of a control row is tried that others get in the way of.
const TRIES: u32 = 8;

/// What a rebuild goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// What sources there are.
    Sources,
    /// What contributions there are that no source was found for.
    Contributions,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Contributions => "contributions",
        }
    }
}

/// The row `main`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Main {
    pub(super) reads: Generation,
    pub(super) stage: Stage,
}

/// How far a rebuild is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    AtRest,
    Building {
        next: Generation,
        phase: Phase,
        from: Option<String>,
    },
    Switched {
        old: Generation,
    },
}

impl Main {
    fn of(row: Option<&Row>) -> Self {
        let generation = |name: &str| Some(rows::number(row?, name)?.try_into().unwrap_or(FIRST));
        let word = |name: &str| row?.get(name)?.as_s().ok();
        let stage = match (generation(NEXT), generation(OLD)) {
            (Some(next), _) => Stage::Building {
                next,
                phase: match word(PHASE) {
                    Some(word) if word == Phase::Contributions.word() => Phase::Contributions,
                    _ => Phase::Sources,
                },
                from: word(CURSOR).cloned(),
            },
            (None, Some(old)) => Stage::Switched { old },
            (None, None) => Stage::AtRest,
        };
        Self {
            reads: generation(READS).unwrap_or(FIRST),
            stage,
        }
    }
}

fn number(generation: Generation) -> AttributeValue {
    AttributeValue::N(generation.to_string())
}

/// The key of a slot's row.
pub(super) fn slot_key(slot: usize) -> Row {
    key([(SLOT, &format!("{slot:02}"))])
}

/// Into which generations writers of a slot write.
pub(super) fn writes_of(row: Option<&Row>) -> Generations {
    let written = row.and_then(|row| row.get(WRITES)?.as_s().ok());
    written.map_or_else(
        || Generations::from([FIRST]),
        |text| rows::read_generations(text),
    )
}

/// Holds while writers write into these.
fn writing(generations: &Generations) -> When {
    let text = AttributeValue::S(rows::write_generations(generations));
    let is = When::Equal(WRITES, text);
    if *generations == Generations::from([FIRST]) {
        return When::Any(vec![When::Absent(WRITES), is]);
    }
    is
}

impl Ledger {
    /// Refuses a transaction once its slot's writers write elsewhere.
    pub(super) fn check(&self, slot: usize, writes: &Generations) -> Write {
        let when = if mutation::on(mutation::LEDGER_UNCHECKED) {
            When::whatever(WRITES)
        } else {
            writing(writes)
        };
        Write::Check {
            table: self.names.control.clone(),
            key: slot_key(slot),
            when,
        }
    }

    pub(super) async fn main(&self) -> Result<Main, Failure> {
        let row = self.table.read(&self.names.control, key([(SLOT, MAIN)]));
        Ok(Main::of(row.await?.as_ref()))
    }

    /// Begins a rebuild, if none is under way.
    pub(super) async fn begin(&self, reads: Generation) -> Result<(), Failure> {
        let update = self
            .change_main(reads)
            .set(READS, number(reads))
            .set(NEXT, number(reads + 1))
            .set(PHASE, AttributeValue::S(Phase::Sources.word().to_owned()))
            .when(When::Absent(NEXT))
            .when(When::Absent(OLD));
        self.amend("begin a rebuild", update).await
    }

    /// Keeps how far the building of `next` is.
    pub(super) async fn reached(
        &self,
        next: Generation,
        phase: Phase,
        from: Option<&str>,
    ) -> Result<(), Failure> {
        let update = self
            .building(next)
            .set(PHASE, AttributeValue::S(phase.word().to_owned()));
        let update = match from {
            Some(from) => update.set(CURSOR, AttributeValue::S(from.to_owned())),
            None => update.remove(CURSOR),
        };
        self.amend("keep how far a rebuild is", update).await
    }

    /// Lets readers read `next`, which is whole.
    pub(super) async fn switch(&self, next: Generation) -> Result<(), Failure> {
        let update = self
            .building(next)
            .set(READS, number(next))
            .set(OLD, number(next - 1))
            .remove(NEXT)
            .remove(PHASE)
            .remove(CURSOR);
        self.amend("switch to the totals that were built", update)
            .await
    }

    /// The old totals are gone.
    pub(super) async fn end(&self, old: Generation) -> Result<(), Failure> {
        let update = self
            .change_main(old + 1)
            .remove(OLD)
            .when(When::Equal(OLD, number(old)));
        self.amend("end a rebuild", update).await
    }

    fn building(&self, next: Generation) -> Update {
        self.change_main(next - 1)
            .when(When::Equal(NEXT, number(next)))
    }

    fn change_main(&self, reads: Generation) -> Update {
        let reading = When::Equal(READS, number(reads));
        let when = match reads {
            FIRST => When::Any(vec![When::Absent(READS), reading]),
            _ => reading,
        };
        Update::of(&self.names.control, key([(SLOT, MAIN)])).when(when)
    }

    /// Lets the writers of every slot go from one set of generations to another.
    pub(super) async fn move_writers(
        &self,
        from: &Generations,
        to: &Generations,
    ) -> Result<(), Failure> {
        let target = AttributeValue::S(rows::write_generations(to));
        for slot in 0..SLOTS {
            let update = Update::of(&self.names.control, slot_key(slot))
                .set(WRITES, target.clone())
                .when(writing(from));
            self.amend("tell writers what to write into", update)
                .await?;
        }
        Ok(())
    }

    /// A change of which somebody else may have done the same, or more: whoever asks looks again anyway.
    async fn amend(&self, attempted: &str, update: Update) -> Result<(), Failure> {
        let mut failed = None;
        for _ in 0..TRIES {
            match self.table.update(attempted, update.clone()).await {
                Ok(Updated::Done(_) | Updated::Refused(_)) => return Ok(()),
                Err(failure) if failure.reason() == reason::CONFLICT => failed = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
