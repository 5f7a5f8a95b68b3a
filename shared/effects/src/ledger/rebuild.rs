//! Building totals anew, from what contributions are made of, while contributions go on arriving.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
};

use aws_sdk_dynamodb::{operation::scan::ScanOutput, types::AttributeValue};
use millrace_cloud::classify;
use millrace_events::{Failure, Outcome, Version, mutation, reason};

use super::{
    Contribution, Entry, Ledger,
    commit::Rule,
    control::{Phase, Stage},
    rows::{self, Generation, Generations, Held},
    shares::Shares,
    verify::EntryKey,
};
use crate::{
    expression::{When, key},
    write::{Committed, Row, Write},
};

/// How many contributions are read at once.
const PAGE: i32 = 100;
/// How often a page is looked at again of which contributions moved meanwhile.
const RACES: u32 = 16;

/// What contributions are made of.
pub trait Sources: Send + Sync {
    /// The subjects that have a source, a hundred or so at once, in an order that stays; `from` is where a former page ended.
    fn subjects(
        &self,
        from: Option<&str>,
    ) -> impl Future<Output = Result<Subjects, Failure>> + Send;

    /// What these subjects contribute now, in their order, read consistently; `None`: there is no source any more.
    fn compute(
        &self,
        subjects: &[String],
    ) -> impl Future<Output = Result<Vec<Option<Computed>>, Failure>> + Send;

    /// What is right of a contribution that adds something which its source cannot say exactly, such as how far a count of what is
    /// over had come: `held` is what it adds now. Unless said otherwise, what the source says.
    fn agree(&self, computed: Computed, held: &Shares) -> Computed {
        let _ = held;
        computed
    }

    /// Whose an entry is, and its key; `None` if that cannot be told.
    fn owner_of(&self, entry: &Row) -> Option<(String, EntryKey)> {
        let _ = entry;
        None
    }
}

/// Some of the subjects that have a source.
#[derive(Debug, Clone, Default)]
pub struct Subjects {
    /// The subjects.
    pub subjects: Vec<String>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<String>,
}

/// What a source says of its contribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// Where the subject stands; `None` when the source does not say: then it stands where its contribution stood before the
    /// source was read.
    pub version: Option<Version>,
    /// What it adds.
    pub shares: Shares,
    /// What stands beside.
    pub entries: Vec<Entry>,
}

/// What a rebuild did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Whether it went on with one that was interrupted.
    pub went_on: bool,
    /// How many contributions were looked at.
    pub subjects: usize,
    /// How many of them were written, if only into the new totals.
    pub written: usize,
    /// How many had no source any more and add nothing now.
    pub emptied: usize,
    /// How many entries were removed that were nobody's.
    pub strays: usize,
}

impl Ledger {
    /// Makes every contribution what its source says, and the totals their sum, whatever they were. Contributions may go on
    /// arriving; readers see the old totals until the new ones are whole. Interrupted anywhere, it goes on where it was when it
    /// is called again.
    pub async fn rebuild(&self, sources: &impl Sources) -> Result<Rebuilt, Failure> {
        let mut rebuilt = Rebuilt::default();
        let mut has_begun = false;
        loop {
            let main = self.main().await?;
            match main.stage {
                Stage::AtRest if has_begun => {
                    rebuilt.strays = self.remove_strays(sources).await?;
                    return Ok(rebuilt);
                }
                Stage::AtRest => self.begin(main.reads).await?,
                Stage::Building { next, phase, from } => {
                    rebuilt.went_on |= !has_begun;
                    let old = Generations::from([next - 1]);
                    let both = Generations::from([next - 1, next]);
                    self.move_writers(&old, &both).await?;
                    if mutation::on(mutation::LEDGER_EARLY_SWITCH) {
                        self.switch(next).await?;
                    }
                    self.build(sources, next, phase, from, &mut rebuilt).await?;
                    self.switch(next).await?;
                }
                Stage::Switched { old } => {
                    rebuilt.went_on |= !has_begun;
                    let both = Generations::from([old, old + 1]);
                    let new = Generations::from([old + 1]);
                    self.move_writers(&both, &new).await?;
                    self.sweep(old).await?;
                    self.end(old).await?;
                }
            }
            has_begun = true;
        }
    }

    /// Goes through every source, then through the contributions that are not in the new totals yet.
    async fn build(
        &self,
        sources: &impl Sources,
        next: Generation,
        mut phase: Phase,
        mut from: Option<String>,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), Failure> {
        loop {
            let page = match phase {
                Phase::Sources => sources.subjects(from.as_deref()).await?,
                Phase::Contributions => self.not_counted(next, from.as_deref()).await?,
            };
            self.settle(sources, next, page.subjects, rebuilt).await?;
            from = page.next;
            match (phase, &from) {
                (Phase::Contributions, None) => return Ok(()),
                (Phase::Sources, None) => phase = Phase::Contributions,
                (_, Some(_)) => {}
            }
            self.reached(next, phase, from.as_deref()).await?;
        }
    }

    /// Makes the contributions of these subjects what their sources say.
    ///
    /// A contribution is read before its source: a source that is newer than that tells nothing but what an event will tell too,
    /// one that is older cannot be. And it is replaced only if nobody has replaced it since.
    async fn settle(
        &self,
        sources: &impl Sources,
        next: Generation,
        subjects: Vec<String>,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), Failure> {
        rebuilt.subjects += subjects.len();
        let mut waiting = subjects;
        for _ in 0..RACES {
            if waiting.is_empty() {
                return Ok(());
            }
            let early = match mutation::on(mutation::LEDGER_SOURCE_FIRST) {
                true => Some(sources.compute(&waiting).await?),
                false => None,
            };
            let names = waiting.iter().map(String::as_str);
            let (held, _) = self.contributions(names, None).await?;
            let computed = match early {
                Some(early) => early,
                None => sources.compute(&waiting).await?,
            };
            let mut batch = Vec::with_capacity(waiting.len());
            let mut turns = BTreeMap::new();
            let nothing = Held::default();
            for (subject, computed) in waiting.iter().zip(computed) {
                let held = held.get(subject).unwrap_or(&nothing);
                let is_gone = computed.is_none();
                if is_gone && held.turn == 0 {
                    continue;
                }
                rebuilt.emptied += usize::from(is_gone && !held.shares.is_empty());
                turns.insert(subject.as_str(), held.turn);
                let computed = computed.map(|computed| sources.agree(computed, &held.shares));
                batch.push(contribution(subject, held, computed));
            }
            let outcomes = self.commit_by(Rule::Unmoved(&turns, next), &batch).await?;
            let again = outcomes.iter().zip(&batch);
            let again = again.filter(|(outcome, _)| **outcome == Outcome::Superseded);
            let again = again
                .map(|(_, contribution)| contribution.subject.clone())
                .collect();
            let applied = |outcome: &&Outcome| **outcome == Outcome::Applied;
            rebuilt.written += outcomes.iter().filter(applied).count();
            waiting = again;
        }
        Err(Failure::transient(
            reason::CONFLICT,
            "could not build totals anew: contributions moved again and again; what is built stays, begin again",
        ))
    }

    /// Contributions that are not in this generation.
    async fn not_counted(&self, next: Generation, from: Option<&str>) -> Result<Subjects, Failure> {
        let (rows, next_page) = self.scan_contributions(from).await?;
        let subjects = rows
            .iter()
            .filter(|row| !Held::read(row).counted.contains(&next))
            .filter_map(|row| Some(rows::subject(row)?.to_owned()))
            .collect();
        Ok(Subjects {
            subjects,
            next: next_page,
        })
    }

    /// Contribution rows behind the one of this subject.
    pub(super) async fn scan_contributions(
        &self,
        from: Option<&str>,
    ) -> Result<(Vec<Row>, Option<String>), Failure> {
        let page = self
            .table
            .client()
            .scan()
            .table_name(&self.names.contributions)
            .consistent_read(true)
            .limit(PAGE)
            .set_exclusive_start_key(from.map(|from| key([(rows::SUBJECT, from)])))
            .send()
            .await
            .map_err(|error| classify("read contributions", error))?;
        let next = page.last_evaluated_key.as_ref().and_then(rows::subject);
        let next = next.map(str::to_owned);
        Ok((page.items.unwrap_or_default(), next))
    }

    /// Removes entries that their owners' contributions do not have. An owner that moves meanwhile keeps them: it writes them itself.
    async fn remove_strays(&self, sources: &impl Sources) -> Result<usize, Failure> {
        let mut removed = 0;
        let mut from = None;
        loop {
            let (rows, next) = self.scan_entries(from).await?;
            let owned: Vec<_> = { &rows }
                .iter()
                .filter_map(|row| sources.owner_of(row))
                .collect();
            let owners: BTreeSet<&str> = owned.iter().map(|(owner, _)| owner.as_str()).collect();
            let (held, _) = self.contributions(owners.into_iter(), None).await?;
            for (owner, entry) in &owned {
                let held = held.get(owner);
                if held.is_some_and(|held| held.entries.contains(entry)) {
                    continue;
                }
                removed += usize::from(self.remove_stray(owner, held, entry).await?);
            }
            from = next;
            if from.is_none() {
                return Ok(removed);
            }
        }
    }

    /// Whether it was removed: not if its owner has moved.
    async fn remove_stray(
        &self,
        owner: &str,
        held: Option<&Held>,
        entry: &EntryKey,
    ) -> Result<bool, Failure> {
        let Some(table) = &self.names.entries else {
            return Ok(false);
        };
        let check = Write::Check {
            table: self.names.contributions.clone(),
            key: key([(rows::SUBJECT, owner)]),
            when: match held {
                Some(held) => When::Equal(rows::TURN, AttributeValue::N(held.turn.to_string())),
                None => When::Absent(rows::SUBJECT),
            },
        };
        let delete = Write::Delete {
            table: table.clone(),
            key: rows::entry_key(entry),
            when: None,
        };
        let attempted = "remove what stands beside totals and is nobody's";
        let committed = self.table.commit(attempted, vec![check, delete]).await?;
        Ok(matches!(committed, Committed::Done))
    }

    /// Removes the totals of a generation that nobody reads or writes any more.
    async fn sweep(&self, old: Generation) -> Result<(), Failure> {
        let mut from = None;
        loop {
            let page = self.scan_totals(old, from).await?;
            let keys = page.items.into_iter().flatten().map(|mut row| {
                row.retain(|name, _| name == rows::SCOPE || name == rows::TOTAL);
                row
            });
            self.table
                .delete_many(&self.names.totals, keys.collect())
                .await?;
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// The rows of one generation's totals, a page.
    pub(super) async fn scan_totals(
        &self,
        generation: Generation,
        from: Option<Row>,
    ) -> Result<ScanOutput, Failure> {
        let prefix = AttributeValue::S(rows::generation_prefix(generation));
        self.table
            .client()
            .scan()
            .table_name(&self.names.totals)
            .consistent_read(true)
            .filter_expression("begins_with(#scope, :generation)")
            .expression_attribute_names("#scope", rows::SCOPE)
            .expression_attribute_values(":generation", prefix)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| classify("read totals", error))
    }
}

/// What a contribution shall be.
fn contribution(subject: &str, held: &Held, computed: Option<Computed>) -> Contribution {
    let computed = computed.unwrap_or(Computed {
        version: None,
        shares: Shares::new(),
        entries: Vec::new(),
    });
    let stood = || Version::from_padded(held.version.as_str());
    Contribution {
        subject: subject.to_owned(),
        version: computed.version.unwrap_or_else(stood),
        shares: computed.shares,
        entries: computed.entries,
    }
}
