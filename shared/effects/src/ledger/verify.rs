//! Comparing contributions and totals with what they are made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use millrace_events::Failure;

use super::{
    Ledger,
    rebuild::{Computed, Sources},
    rows::{self, Held},
    shares::{self, Shares, Total},
};

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
        }
    }
}

impl Ledger {
    /// Computes every contribution and every total from the sources, and names what is not so. Reads everything. An event that is
    /// still on its way is a difference: of a ledger that is written meanwhile, only what is named again and again is wrong.
    pub async fn verify(&self, sources: &impl Sources) -> Result<Vec<Difference>, Failure> {
        let mut differences = Vec::new();
        let mut sum = Shares::new();
        let mut known = BTreeSet::new();
        let mut from = None;
        loop {
            let page = sources.subjects(from.as_deref()).await?;
            let subjects = page.subjects.iter().map(String::as_str);
            let (held, _) = self.contributions(subjects, None).await?;
            let computed = sources.compute(&page.subjects).await?;
            for (subject, computed) in page.subjects.into_iter().zip(computed) {
                let nothing = Held::default();
                let held = held.get(&subject).unwrap_or(&nothing);
                if let Some(computed) = computed {
                    shares::add(&mut sum, &computed.shares, 1);
                    compare(&subject, held, &computed, &mut differences);
                    known.insert(subject);
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        self.without_source(&known, &mut differences).await?;
        let totals = self.all_totals().await?;
        for (total, measure, is, should_be) in unequal(&totals, &sum) {
            differences.push(Difference::Total {
                total,
                measure,
                is,
                should_be,
            });
        }
        Ok(differences)
    }

    /// Contributions that add something although nothing says so.
    async fn without_source(
        &self,
        known: &BTreeSet<String>,
        differences: &mut Vec<Difference>,
    ) -> Result<(), Failure> {
        let mut from: Option<String> = None;
        loop {
            let (page, next) = self.scan_contributions(from.as_deref()).await?;
            for row in &page {
                let subject = rows::subject(row).unwrap_or_default();
                if !known.contains(subject) {
                    amounts(
                        subject,
                        &Held::read(row).shares,
                        &Shares::new(),
                        differences,
                    );
                }
            }
            from = next;
            if from.is_none() {
                return Ok(());
            }
        }
    }
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
