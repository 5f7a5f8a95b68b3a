//! Folding a batch of contributions into few transactions.

use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::{chance, retry::Retry};
use millrace_events::{Failure, Outcome, mutation, reason};
use tokio::time::Instant;

use super::{
    Contribution, Ledger, control,
    pack::{Additions, Change, WRITES_PER_TRANSACTION, pack},
    rows::{self, Generation, Generations, Held},
    shares::{self, Shares},
    slots::Taken,
};
use crate::{
    expression::{When, key},
    write::{Tried, Update, Write},
};

/// How often a fold looks again without having done anything in between.
const RACES: u32 = 8;
/// How often one transaction goes to another slot.
const CONFLICTS: u32 = 8;
/// The first pause after meeting somebody; each further one is about twice as long.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a transaction is tried again that failed in a way that may pass.
const PATIENCE: Duration = Duration::from_secs(10);

/// What must be so of a contribution for it to be replaced.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule<'a> {
    /// It is older.
    Newer,
    /// It is still that of these turns, of whatever version. What is right stays if this generation has it already.
    Unmoved(&'a BTreeMap<&'a str, u64>, Generation),
}

/// How a transaction ended that met no failure.
enum Sent {
    Done,
    /// Its slot's writers write elsewhere by now.
    Stale,
    /// One of its contributions has moved.
    Raced,
}

impl Ledger {
    /// Replaces the contributions of a whole batch and adds the differences to the totals, in as few transactions as
    /// fit. The outcomes are in the order of the contributions.
    ///
    /// Several contributions of one subject fold into the newest; the older ones are [`Outcome::Superseded`]. A failure
    /// says nothing about what took place before it: the batch may be committed again.
    pub async fn commit(&self, batch: &[Contribution]) -> Result<Vec<Outcome>, Failure> {
        self.commit_by(Rule::Newer, batch).await
    }

    pub(super) async fn commit_by(
        &self,
        rule: Rule<'_>,
        batch: &[Contribution],
    ) -> Result<Vec<Outcome>, Failure> {
        let (mut outcomes, mut waiting) = newest(batch);
        let mut slot = self.slots.take();
        let mut together = usize::MAX;
        let mut idle = 0;
        while idle < RACES {
            if idle > 0 {
                pause(idle).await;
            }
            let (changes, writes) = self
                .look(rule, batch, &slot, &mut waiting, &mut outcomes)
                .await?;
            idle += 1;
            for group in pack(&changes, together) {
                match self.send(&writes, &mut slot, &group).await? {
                    Sent::Done => {
                        idle = 0;
                        let whole = group.iter().filter(|change| change.is_whole);
                        whole.for_each(|change| waiting.retain(|one| *one != change.position));
                    }
                    // A transaction that was refused is tried in smaller parts, so that one busy subject does not hold
                    // the others.
                    Sent::Raced => together = together.min((group.len() / 2).max(1)),
                    Sent::Stale => break,
                }
            }
            if waiting.is_empty() {
                return Ok(outcomes);
            }
        }
        Err(Failure::transient(
            reason::CONFLICT,
            "could not add contributions to totals: other writers were faster",
        ))
    }

    /// Reads what waits and says how each contribution changes, for writers of which generations. What need not change waits
    /// no more.
    async fn look(
        &self,
        rule: Rule<'_>,
        batch: &[Contribution],
        slot: &Taken,
        waiting: &mut Vec<usize>,
        outcomes: &mut [Outcome],
    ) -> Result<(Vec<Change>, Generations), Failure> {
        let subjects = waiting.iter().map(|position| &batch[*position].subject);
        let known = slot.view();
        let asked = known.is_none().then(|| slot.number());
        let (mut held, seen) = self
            .contributions(subjects.map(String::as_str), asked)
            .await?;
        let writes = match known.or(seen) {
            Some(writes) => writes,
            None => control::writes_of(None),
        };
        slot.learn(writes.clone());
        let mut changes = Vec::with_capacity(waiting.len());
        let mut still = Vec::with_capacity(waiting.len());
        for position in waiting.drain(..) {
            let contribution = &batch[position];
            let held = held.remove(&contribution.subject).unwrap_or_default();
            match standing(rule, contribution, &held) {
                Some(outcome) => outcomes[position] = outcome,
                None => {
                    changes.push(self.change(position, contribution, held, &writes)?);
                    still.push(position);
                }
            }
        }
        *waiting = still;
        Ok((changes, writes))
    }

    /// The contribution rows of these subjects, and into which generations the writers of `slot` write.
    pub(super) async fn contributions(
        &self,
        subjects: impl Iterator<Item = &str>,
        slot: Option<usize>,
    ) -> Result<(BTreeMap<String, Held>, Option<Generations>), Failure> {
        let names = &self.names;
        let wanted = subjects.map(|subject| {
            let key = key([(rows::SUBJECT, subject)]);
            (names.contributions.clone(), key)
        });
        let control = slot.map(|slot| (names.control.clone(), control::slot_key(slot)));
        let found = self.table.read_many(wanted.chain(control)).await?;
        let rows_of = |table: &str| found.get(table).map(Vec::as_slice).unwrap_or_default();
        let held = rows_of(&names.contributions)
            .iter()
            .filter_map(|row| Some((rows::subject(row)?.to_owned(), Held::read(row))));
        let writes = slot.map(|_| control::writes_of(rows_of(&names.control).first()));
        Ok((held.collect(), writes))
    }

    /// How a contribution becomes what it shall be: in one step, or, when that does not fit into a transaction, a step on the way.
    fn change(
        &self,
        position: usize,
        contribution: &Contribution,
        held: Held,
        writes: &Generations,
    ) -> Result<Change, Failure> {
        let new = shares::without_zeros(&contribution.shares);
        let entries = self.entries(contribution, &held)?;
        // While writers are told of a new generation slot by slot, somebody in another slot may have counted it there already.
        // There it is replaced too: what was left behind would be counted once more when the rebuild comes to it.
        let newest = writes.last().copied().unwrap_or_default();
        let newer = held
            .counted
            .iter()
            .filter(|counted| **counted > newest && !mutation::on(mutation::LEDGER_NEWER_LEFT));
        let writes: &Generations = &writes.iter().chain(newer).copied().collect();
        // What adds nothing is in every generation.
        let counted: Generations = held.counted.intersection(writes).copied().collect();
        let (from, counted) = if held.shares.is_empty() || counted.is_empty() {
            (Shares::new(), writes.clone())
        } else {
            (held.shares, counted)
        };
        let missing = if mutation::on(mutation::LEDGER_DIFFERENCE_ALONE) {
            0
        } else {
            writes.difference(&counted).count()
        };
        let room = WRITES_PER_TRANSACTION - 2;
        if entries.len() > room {
            return Err(too_large(contribution));
        }
        // Generations that it is not in yet get all of it at once, so they wait until it fits.
        let fits_later = entries.len() + missing * new.len() <= room;
        let to = if fits_later { &new } else { &Shares::new() };
        let difference = if mutation::on(mutation::CONTRIBUTION_NOT_REPLACED)
            || mutation::on(mutation::CONTRIBUTION_TWICE)
        {
            new.clone()
        } else {
            shares::difference(&from, to)
        };
        let needed = entries.len() + difference.len() * counted.len() + missing * new.len();
        let mut additions = Additions::new();
        if fits_later && needed <= room {
            put(&mut additions, &difference, &counted);
            if missing > 0 {
                let missing = writes.difference(&counted).copied().collect();
                put(&mut additions, &new, &missing);
            }
            let next = Held {
                turn: held.turn + 1,
                version: contribution.version.as_str().to_owned(),
                counted: writes.clone(),
                shares: new,
                entries: rows::entry_keys(contribution),
            };
            return Ok(Change {
                position,
                replaces: held.turn,
                row: next.to_row(&contribution.subject),
                entries,
                additions,
                is_whole: true,
            });
        }
        let part: Shares = difference
            .into_iter()
            .take((room / counted.len()).max(1))
            .collect();
        put(&mut additions, &part, &counted);
        let mut reached = from;
        shares::add(&mut reached, &part, 1);
        let next = Held {
            turn: held.turn + 1,
            version: held.version,
            counted,
            shares: reached,
            entries: held.entries,
        };
        Ok(Change {
            position,
            replaces: held.turn,
            row: next.to_row(&contribution.subject),
            entries: Vec::new(),
            additions,
            is_whole: false,
        })
    }

    fn entries(&self, contribution: &Contribution, held: &Held) -> Result<Vec<Write>, Failure> {
        let here = rows::entry_keys(contribution);
        let gone = held.entries.difference(&here);
        let gone: Vec<_> = gone
            .filter(|_| !mutation::on(mutation::CREATOR_STAYS_LISTED))
            .collect();
        if here.is_empty() && gone.is_empty() {
            return Ok(Vec::new());
        }
        let Some(table) = &self.names.entries else {
            let message = format!(
                "the contribution of {} has entries, and its ledger has no table for them",
                contribution.subject
            );
            return Err(Failure::permanent(reason::REQUEST_REJECTED, message));
        };
        let puts = contribution.entries.iter().map(|entry| Write::Put {
            table: table.clone(),
            row: rows::entry_row(entry),
            when: None,
        });
        let deletes = gone.into_iter().map(|key| Write::Delete {
            table: table.clone(),
            key: rows::entry_key(key),
            when: None,
        });
        Ok(puts.chain(deletes).collect())
    }

    /// Carries out a group of changes as one transaction, in another slot when somebody else is in this one.
    async fn send(
        &self,
        generations: &Generations,
        slot: &mut Taken,
        group: &[&Change],
    ) -> Result<Sent, Failure> {
        let attempted = "replace contributions and add their differences to the totals";
        let first_addition = 1 + group.len();
        for conflicts in 1..=CONFLICTS {
            let writes = self.writes(generations, slot, group);
            let deadline = Instant::now() + PATIENCE;
            let attempt = || self.table.try_commit(attempted, writes.clone());
            match Retry::default().run(deadline, attempt).await? {
                Tried::Done => return Ok(Sent::Done),
                Tried::Refused { index: 0, .. } => {
                    slot.forget();
                    return Ok(Sent::Stale);
                }
                Tried::Refused { .. } => return Ok(Sent::Raced),
                Tried::Conflicted(places) => {
                    if places
                        .iter()
                        .any(|place| *place == 0 || *place >= first_addition)
                    {
                        slot.move_on();
                    }
                    pause(conflicts).await;
                }
            }
        }
        Err(Failure::transient(
            reason::CONFLICT,
            format!("could not {attempted}: other writers were in the way"),
        ))
    }

    /// The slot's check first, then the contributions, then what they add, then their entries.
    fn writes(&self, generations: &Generations, slot: &Taken, group: &[&Change]) -> Vec<Write> {
        let mut writes = vec![self.check(slot.number(), generations)];
        let mut sums = Additions::new();
        for change in group {
            writes.push(self.replacement(change));
            for (total, measures) in &change.additions {
                let sum = sums.entry(total.clone()).or_default();
                shares::add_measures(sum, measures, 1);
            }
        }
        for ((generation, total), measures) in sums {
            if measures.is_empty() {
                continue;
            }
            let key = rows::total_key(generation, &total, slot.number());
            let update = measures.into_iter().fold(
                Update::of(&self.names.totals, key),
                |update, (measure, amount)| update.add(measure, amount),
            );
            writes.push(update.into());
        }
        writes.extend(
            group
                .iter()
                .flat_map(|change| change.entries.iter().cloned()),
        );
        writes
    }

    fn replacement(&self, change: &Change) -> Write {
        let turn = AttributeValue::N(change.replaces.to_string());
        let when = match change.replaces {
            _ if mutation::on(mutation::CONTRIBUTION_UNGUARDED) => When::whatever(rows::TURN),
            0 => When::Absent(rows::TURN),
            _ => When::Equal(rows::TURN, turn),
        };
        Write::Put {
            table: self.names.contributions.clone(),
            row: change.row.clone(),
            when: Some(when),
        }
    }
}

/// What is known before anything is read, and which contributions must be looked at: the newest of each subject.
fn newest(batch: &[Contribution]) -> (Vec<Outcome>, Vec<usize>) {
    let mut newest: BTreeMap<&str, usize> = BTreeMap::new();
    for (position, contribution) in batch.iter().enumerate() {
        let held = newest.entry(&contribution.subject).or_insert(position);
        if batch[*held].version < contribution.version {
            *held = position;
        }
    }
    let outcome = |(position, contribution): (usize, &Contribution)| match newest
        .get(contribution.subject.as_str())
    {
        Some(held) if *held == position => Outcome::Applied,
        Some(held) if batch[*held].version == contribution.version => Outcome::Already,
        _ => Outcome::Superseded,
    };
    let outcomes = batch.iter().enumerate().map(outcome).collect();
    let mut waiting: Vec<usize> = newest.into_values().collect();
    waiting.sort_unstable();
    (outcomes, waiting)
}

/// `Some`: it stays as it is.
fn standing(rule: Rule<'_>, contribution: &Contribution, held: &Held) -> Option<Outcome> {
    match rule {
        Rule::Newer if held.turn == 0 => None,
        Rule::Newer => match held.version.as_str().cmp(contribution.version.as_str()) {
            Ordering::Less => None,
            Ordering::Equal if mutation::on(mutation::CONTRIBUTION_TWICE) => None,
            Ordering::Equal => Some(Outcome::Already),
            Ordering::Greater => Some(Outcome::Superseded),
        },
        Rule::Unmoved(turns, next) => {
            let expected = turns.get(contribution.subject.as_str()).copied();
            let is_right = held.turn > 0
                && held.version == contribution.version.as_str()
                && held.shares == shares::without_zeros(&contribution.shares)
                && held.counted.contains(&next);
            if is_right && contribution.entries.is_empty() && held.entries.is_empty() {
                return Some(Outcome::Already);
            }
            (expected != Some(held.turn)).then_some(Outcome::Superseded)
        }
    }
}

fn put(additions: &mut Additions, shares: &Shares, generations: &Generations) {
    for generation in generations {
        for (total, measures) in shares {
            let sum = additions.entry((*generation, total.clone())).or_default();
            shares::add_measures(sum, measures, 1);
        }
    }
}

fn too_large(contribution: &Contribution) -> Failure {
    let message = format!(
        "the contribution of {} has more entries than fit into one transaction",
        contribution.subject
    );
    Failure::permanent(reason::REQUEST_REJECTED, message)
}

async fn pause(nth: u32) {
    let longest = PAUSE * 2_u32.saturating_pow(nth - 1);
    tokio::time::sleep(longest.mul_f64(0.5 + chance::unit())).await;
}
