//! Comparing contributions and totals with what they are made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_events::Failure;

use super::{
    Ledger,
    rebuild::{Computed, Sources},
    rows::{self, Held},
    shares::{self, Shares, Total},
};
use crate::write::Row;

/// Something that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A subject's contribution is not what its source says.
    Contribution {
        /// Whose.
        subject: String,
        /// A total that it adds to, and the measure; `None`: what it adds is right, and where it stands is not.
        of: Option<(Total, String)>,
        /// What it is.
        is: String,
        /// What its source says.
        should_be: String,
    },
    /// A total is not the sum of what the sources say.
    Total {
        /// Which.
        total: Total,
        /// And which of its measures.
        measure: String,
        /// What it is.
        is: i64,
        /// The sum.
        should_be: i64,
    },
    /// A row that stands beside is not what its source says.
    Entry {
        /// Its key.
        key: EntryKey,
        /// What is wrong with it.
        differs: EntryDiffers,
    },
}

/// The key of an entry: attributes of type text.
pub(super) type EntryKey = BTreeMap<String, String>;

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryDiffers {
    /// It is not there.
    IsMissing,
    /// Nothing says that it should be there.
    IsTooMany,
    /// Attributes of these names are not what they should be.
    In(Vec<String>),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contribution {
                subject,
                of: Some((total, measure)),
                is,
                should_be,
            } => write!(
                f,
                "contribution of {subject}: {measure} of {} in {} is {is}, should be {should_be}",
                total.name, total.scope
            ),
            Self::Contribution {
                subject,
                of: None,
                is,
                should_be,
            } => write!(
                f,
                "contribution of {subject}: stands at {is}, should stand at {should_be}"
            ),
            Self::Total {
                total,
                measure,
                is,
                should_be,
            } => write!(
                f,
                "total: {measure} of {} in {} is {is}, should be {should_be}",
                total.name, total.scope
            ),
            Self::Entry { key, differs } => {
                let parts = key.iter().map(|(name, value)| format!("{name}={value}"));
                let key = parts.collect::<Vec<_>>().join(", ");
                match differs {
                    EntryDiffers::IsMissing => write!(f, "entry {key}: is missing"),
                    EntryDiffers::IsTooMany => write!(f, "entry {key}: should not be there"),
                    EntryDiffers::In(names) => {
                        write!(f, "entry {key}: differs in {}", names.join(", "))
                    }
                }
            }
        }
    }
}

/// What is known of a ledger that is being compared.
#[derive(Default)]
struct Seen {
    subjects: BTreeSet<String>,
    /// What all sources say together.
    sum: Shares,
    /// What the sources say that stands beside.
    entries: BTreeMap<EntryKey, Row>,
    differences: Vec<Difference>,
}

impl Ledger {
    /// Computes every contribution, every total and every entry from the sources, and names what is not so. Reads everything. An
    /// event that is still on its way is a difference: of a ledger that is written meanwhile, only what is named again and again is
    /// wrong.
    ///
    /// # Errors
    /// The tables' and the sources'.
    pub async fn verify(&self, sources: &impl Sources) -> Result<Vec<Difference>, Failure> {
        let mut seen = Seen::default();
        let mut from = None;
        loop {
            let page = sources.subjects(from.as_deref()).await?;
            self.look_at(sources, page.subjects, &mut seen).await?;
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        loop {
            let (page, next) = self.scan_contributions(from.as_deref()).await?;
            let subjects = page.iter().filter_map(rows::subject);
            let others = subjects.filter(|subject| !seen.subjects.contains(*subject));
            let others = others.map(str::to_owned).collect();
            self.look_at(sources, others, &mut seen).await?;
            from = next;
            if from.is_none() {
                break;
            }
        }
        let totals = self.all_totals().await?;
        for (total, measure, is, should_be) in unequal(&totals, &seen.sum) {
            seen.differences.push(Difference::Total {
                total,
                measure,
                is,
                should_be,
            });
        }
        self.look_at_entries(sources, &mut seen).await?;
        Ok(seen.differences)
    }

    /// Compares the contributions of these subjects with what their sources say. One without a source adds nothing.
    async fn look_at(
        &self,
        sources: &impl Sources,
        subjects: Vec<String>,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        if subjects.is_empty() {
            return Ok(());
        }
        let names = subjects.iter().map(String::as_str);
        let (held, _) = self.contributions(names, None).await?;
        let computed = sources.compute(&subjects).await?;
        let nothing = Held::default();
        for (subject, computed) in subjects.into_iter().zip(computed) {
            let held = held.get(&subject).unwrap_or(&nothing);
            match computed {
                Some(computed) => {
                    let computed = sources.agree(computed, &held.shares);
                    shares::add(&mut seen.sum, &computed.shares, 1);
                    compare(&subject, held, &computed, &mut seen.differences);
                    let entries = computed.entries.iter();
                    seen.entries
                        .extend(entries.map(|entry| (entry.key.clone(), rows::entry_row(entry))));
                }
                None => {
                    let nothing = Shares::new();
                    amounts(&subject, &held.shares, &nothing, &mut seen.differences);
                }
            }
            seen.subjects.insert(subject);
        }
        Ok(())
    }

    async fn look_at_entries(
        &self,
        sources: &impl Sources,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        let mut missing = std::mem::take(&mut seen.entries);
        let names: Vec<String> = match missing.keys().next() {
            Some(key) => key.keys().cloned().collect(),
            None => Vec::new(),
        };
        let mut from = None;
        loop {
            let (rows, next) = self.scan_entries(from).await?;
            for row in rows {
                let owned = sources.owner_of(&row).map(|(_, key)| key);
                let key = owned.unwrap_or_else(|| key_of_entry(&row, &names));
                let differs = match missing.remove(&key) {
                    None => EntryDiffers::IsTooMany,
                    Some(should_be) => EntryDiffers::In(differing(&row, &should_be)),
                };
                if differs != EntryDiffers::In(Vec::new()) {
                    seen.differences.push(Difference::Entry { key, differs });
                }
            }
            from = next;
            if from.is_none() {
                break;
            }
        }
        let missing = missing.into_keys().map(|key| Difference::Entry {
            key,
            differs: EntryDiffers::IsMissing,
        });
        seen.differences.extend(missing);
        Ok(())
    }

    /// A page of the entries; none of a ledger without.
    pub(super) async fn scan_entries(
        &self,
        from: Option<Row>,
    ) -> Result<(Vec<Row>, Option<Row>), Failure> {
        let Some(table) = &self.names.entries else {
            return Ok((Vec::new(), None));
        };
        self.table.scan_page(table, from, None).await
    }
}

/// The key that an entry has, of attributes of these names; of all that are text when nobody knows their names.
fn key_of_entry(row: &Row, names: &[String]) -> EntryKey {
    let text = |(name, value): (&String, &AttributeValue)| {
        let is_key = names.is_empty() || names.contains(name);
        let text = value.as_s().ok().filter(|_| is_key)?;
        Some((name.clone(), text.clone()))
    };
    row.iter().filter_map(text).collect()
}

/// The names of attributes that are not the same.
fn differing(is: &Row, should_be: &Row) -> Vec<String> {
    let names: BTreeSet<&String> = is.keys().chain(should_be.keys()).collect();
    let others = names
        .into_iter()
        .filter(|name| is.get(*name) != should_be.get(*name));
    others.cloned().collect()
}

fn compare(subject: &str, held: &Held, computed: &Computed, differences: &mut Vec<Difference>) {
    let before = differences.len();
    let should_be = shares::without_zeros(&computed.shares);
    amounts(subject, &held.shares, &should_be, differences);
    let version = computed.version.as_ref();
    if let Some(version) = version.filter(|version| version.as_str() != held.version)
        && differences.len() == before
    {
        differences.push(Difference::Contribution {
            subject: subject.to_owned(),
            of: None,
            is: held.version.clone(),
            should_be: version.to_string(),
        });
    }
}

fn amounts(subject: &str, is: &Shares, should_be: &Shares, differences: &mut Vec<Difference>) {
    for (total, measure, is, should_be) in unequal(is, should_be) {
        differences.push(Difference::Contribution {
            subject: subject.to_owned(),
            of: Some((total, measure)),
            is: is.to_string(),
            should_be: should_be.to_string(),
        });
    }
}

/// What differs, and how it is on both sides.
fn unequal(is: &Shares, should_be: &Shares) -> Vec<(Total, String, i64, i64)> {
    let amount = |shares: &Shares, total: &Total, measure: &str| {
        let measures = shares.get(total);
        measures
            .and_then(|measures| measures.get(measure).copied())
            .unwrap_or_default()
    };
    let mut unequal: BTreeMap<(Total, String), (i64, i64)> = BTreeMap::new();
    for (total, measures) in shares::difference(is, should_be) {
        for measure in measures.into_keys() {
            let pair = (
                amount(is, &total, &measure),
                amount(should_be, &total, &measure),
            );
            unequal.insert((total.clone(), measure), pair);
        }
    }
    let flat = |((total, measure), (is, should_be))| (total, measure, is, should_be);
    unequal.into_iter().map(flat).collect()
}
