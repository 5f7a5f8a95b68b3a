//! Contributions: totals that add up whatever is delivered how often.
//!
//! Each subject keeps one row that says what it adds to which totals. A transaction replaces that row, fenced
//! by the subject's version, and adds the difference to the totals. Totals are therefore always the sum of
//! the contributions, and can be built anew from them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::classify;
use millrace_events::{Failure, Outcome, Version, mutation, reason};

use crate::{
    expression::{When, key},
    write::{Committed, Row, Table, Update, Write},
};

/// Attributes of a contribution row.
const VERSION: &str = "version";
const SHARES: &str = "shares";

/// DynamoDB's limit for one transaction.
const WRITES_PER_TRANSACTION: usize = 100;

/// How often a fold looks again after it lost a race.
const RACES: u32 = 8;

/// Measures by total: `{"2026-11-21#store-1": {"accepted": 1}}`.
pub type Shares = BTreeMap<String, BTreeMap<String, i64>>;

/// What one subject adds, as of one version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// The subject: the key of its contribution row.
    pub subject: String,
    /// Where the subject stands.
    pub version: Version,
    /// What it adds to which totals; empty when it adds nothing any more.
    pub shares: Shares,
}

/// Where contributions and totals are kept: two tables with a text partition key each.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// The table of contributions.
    pub contributions: String,
    /// The name of its partition key.
    pub contribution_key: &'static str,
    /// The table of totals; measures are attributes of type number.
    pub totals: String,
    /// The name of its partition key.
    pub total_key: &'static str,
}

struct Seen {
    version: Option<String>,
    shares: Shares,
}

/// Replaces the contributions of a whole batch and adds the differences to the totals, in as few transactions as
/// fit. The outcomes are in the order of the contributions.
///
/// Several contributions of one subject fold into the newest; the older ones are [`Outcome::Superseded`].
pub async fn commit_contributions(
    table: &Table,
    ledger: &Ledger,
    batch: &[Contribution],
) -> Result<Vec<Outcome>, Failure> {
    let mut newest: BTreeMap<&str, usize> = BTreeMap::new();
    for (position, contribution) in batch.iter().enumerate() {
        let held = newest.entry(&contribution.subject).or_insert(position);
        if batch[*held].version < contribution.version {
            *held = position;
        }
    }
    let mut outcomes: Vec<Outcome> = batch
        .iter()
        .enumerate()
        .map(
            |(position, contribution)| match newest.get(contribution.subject.as_str()) {
                Some(held) if *held == position => Outcome::Applied,
                Some(held) if batch[*held].version == contribution.version => Outcome::Already,
                _ => Outcome::Superseded,
            },
        )
        .collect();
    let mut waiting: BTreeSet<usize> = newest.into_values().collect();
    let mut together = usize::MAX;
    for _ in 0..RACES {
        let Some(progress) =
            fold(table, ledger, batch, &mut waiting, &mut outcomes, together).await?
        else {
            return Ok(outcomes);
        };
        // A transaction that was refused is tried in smaller parts, so that one busy subject does not hold the others.
        together = progress;
    }
    Err(Failure::transient(
        reason::CONFLICT,
        "could not add contributions to totals: other writers were faster",
    ))
}

/// One pass over what waits. `None` when nothing waits any more, else the size to try next.
async fn fold(
    table: &Table,
    ledger: &Ledger,
    batch: &[Contribution],
    waiting: &mut BTreeSet<usize>,
    outcomes: &mut [Outcome],
    together: usize,
) -> Result<Option<usize>, Failure> {
    let mut pending: Vec<(usize, Seen)> = Vec::new();
    for position in waiting.clone() {
        let seen = read(table, ledger, &batch[position].subject).await?;
        match seen
            .version
            .as_deref()
            .map(|held| held.cmp(batch[position].version.as_str()))
        {
            Some(std::cmp::Ordering::Equal) if !mutation::on(mutation::CONTRIBUTION_TWICE) => {
                outcomes[position] = Outcome::Already;
            }
            Some(std::cmp::Ordering::Greater) => outcomes[position] = Outcome::Superseded,
            _ => {
                pending.push((position, seen));
                continue;
            }
        }
        waiting.remove(&position);
    }
    let mut smallest = together;
    let mut queue = pending.into_iter().peekable();
    while queue.peek().is_some() {
        let mut writes = Vec::new();
        let mut members = Vec::new();
        let mut differences = Shares::new();
        while let Some((position, seen)) = queue.peek() {
            let mut with_this = differences.clone();
            add(&mut with_this, &batch[*position].shares, 1);
            if !mutation::on(mutation::CONTRIBUTION_NOT_REPLACED)
                && !mutation::on(mutation::CONTRIBUTION_TWICE)
            {
                add(&mut with_this, &seen.shares, -1);
            }
            let full = writes.len() + 1 + with_this.len() > WRITES_PER_TRANSACTION
                || members.len() >= together;
            if full && !members.is_empty() {
                break;
            }
            differences = with_this;
            writes.push(replacement(
                ledger,
                &batch[*position],
                seen.version.as_deref(),
            ));
            members.push(*position);
            queue.next();
        }
        writes.extend(additions(ledger, differences));
        if writes.len() > WRITES_PER_TRANSACTION {
            let message = format!(
                "the contribution of {} touches more than 99 totals",
                batch[members[0]].subject
            );
            return Err(Failure::permanent(reason::REQUEST_REJECTED, message));
        }
        match table
            .commit(
                "replace contributions and add their differences to the totals",
                writes,
            )
            .await?
        {
            Committed::Done => {
                for member in &members {
                    waiting.remove(member);
                }
            }
            Committed::Refused { .. } => smallest = (members.len() / 2).max(1).min(smallest),
        }
    }
    Ok((!waiting.is_empty()).then_some(smallest))
}

fn add(sum: &mut Shares, shares: &Shares, sign: i64) {
    for (total, measures) in shares {
        let entry = sum.entry(total.clone()).or_default();
        for (measure, amount) in measures {
            *entry.entry(measure.clone()).or_default() += sign * amount;
        }
        entry.retain(|_, amount| *amount != 0);
    }
    sum.retain(|_, measures| !measures.is_empty());
}

fn replacement(ledger: &Ledger, contribution: &Contribution, seen: Option<&str>) -> Write {
    let when = match seen {
        _ if mutation::on(mutation::CONTRIBUTION_UNGUARDED) => When::whatever(VERSION),
        None => When::Absent(VERSION),
        Some(held) => When::Equal(VERSION, AttributeValue::S(held.to_owned())),
    };
    let mut row = key([(ledger.contribution_key, contribution.subject.as_str())]);
    row.insert(
        VERSION.to_owned(),
        AttributeValue::S(contribution.version.as_str().to_owned()),
    );
    let shares = contribution.shares.iter().map(|(total, measures)| {
        let measures = measures
            .iter()
            .map(|(name, n)| (name.clone(), AttributeValue::N(n.to_string())))
            .collect();
        (total.clone(), AttributeValue::M(measures))
    });
    row.insert(SHARES.to_owned(), AttributeValue::M(shares.collect()));
    Write::Put {
        table: ledger.contributions.clone(),
        row,
        when: Some(when),
    }
}

fn additions(ledger: &Ledger, differences: Shares) -> Vec<Write> {
    differences
        .into_iter()
        .map(|(total, measures)| {
            let update = Update::of(&ledger.totals, key([(ledger.total_key, total.as_str())]));
            measures
                .into_iter()
                .fold(update, |update, (measure, amount)| {
                    update.add(measure, amount)
                })
                .into()
        })
        .collect()
}

async fn read(table: &Table, ledger: &Ledger, subject: &str) -> Result<Seen, Failure> {
    let row = table
        .read(
            &ledger.contributions,
            key([(ledger.contribution_key, subject)]),
        )
        .await?;
    Ok(row.map_or(
        Seen {
            version: None,
            shares: Shares::new(),
        },
        |row| parse(&row),
    ))
}

fn parse(row: &Row) -> Seen {
    let version = row
        .get(VERSION)
        .and_then(|value| value.as_s().ok())
        .cloned();
    let mut shares = Shares::new();
    for (total, measures) in row
        .get(SHARES)
        .and_then(|value| value.as_m().ok())
        .into_iter()
        .flatten()
    {
        let measures = measures.as_m().into_iter().flatten();
        let measures =
            measures.filter_map(|(name, n)| Some((name.clone(), n.as_n().ok()?.parse().ok()?)));
        shares.insert(total.clone(), measures.collect());
    }
    Seen { version, shares }
}

/// What the totals should be: the sum of all contributions. Reads the whole table of contributions.
pub async fn rebuild_totals(table: &Table, ledger: &Ledger) -> Result<Shares, Failure> {
    let mut sum = Shares::new();
    let mut from = None;
    loop {
        let page = table
            .client()
            .scan()
            .table_name(&ledger.contributions)
            .consistent_read(true)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| classify(&format!("read all of {}", ledger.contributions), error))?;
        for row in page.items() {
            add(&mut sum, &parse(row).shares, 1);
        }
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(sum);
        }
    }
}
