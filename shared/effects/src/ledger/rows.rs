//! Contributions and totals as rows.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Contribution, Entry,
    shares::{Measures, Shares, Total},
};
use crate::{expression::key, write::Row};

/// The key of contributions.
pub(super) const SUBJECT: &str = "subject";
/// The keys of totals.
pub(super) const SCOPE: &str = "scope";
pub(super) const TOTAL: &str = "total";

/// Attributes of a contribution row.
const VERSION: &str = "version";
/// How often the row was written: what a replacement looked at is still there when this is.
pub(super) const TURN: &str = "turn";
/// The generations whose totals have it in them.
const COUNTED: &str = "counted";
const SHARES: &str = "shares";
const ENTRIES: &str = "entries";
/// Within shares: names of totals, scope and name in turn, and what each of them gets.
const TO: &str = "to";
const ADDED: &str = "add";

/// A number that counts the ledger's totals that were built anew.
pub(super) type Generation = u32;
/// Several of them.
pub(super) type Generations = BTreeSet<Generation>;

/// `1,2`.
pub(super) fn write_generations(generations: &Generations) -> String {
    let numbers: Vec<String> = generations.iter().map(ToString::to_string).collect();
    numbers.join(",")
}

/// The contrary of [`write_generations`].
pub(super) fn read_generations(text: &str) -> Generations {
    text.split(',')
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// A contribution as its row has it. The default is that of a subject without a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Held {
    /// 0: there is no row.
    pub(super) turn: u64,
    pub(super) version: String,
    pub(super) counted: Generations,
    pub(super) shares: Shares,
    pub(super) entries: BTreeSet<BTreeMap<String, String>>,
}

impl Held {
    pub(super) fn read(row: &Row) -> Self {
        let word = |name: &str| row.get(name).and_then(|value| value.as_s().ok());
        Self {
            turn: number(row, TURN)
                .and_then(|turn| turn.try_into().ok())
                .unwrap_or_default(),
            version: word(VERSION).cloned().unwrap_or_default(),
            counted: word(COUNTED)
                .map(|text| read_generations(text))
                .unwrap_or_default(),
            shares: list(row, SHARES).flat_map(read_group).collect(),
            entries: list(row, ENTRIES).filter_map(read_key).collect(),
        }
    }

    /// The row of this subject.
    pub(super) fn to_row(&self, subject: &str) -> Row {
        let mut row = key([(SUBJECT, subject)]);
        let counted = write_generations(&self.counted);
        row.insert(TURN.to_owned(), AttributeValue::N(self.turn.to_string()));
        row.insert(VERSION.to_owned(), AttributeValue::S(self.version.clone()));
        row.insert(COUNTED.to_owned(), AttributeValue::S(counted));
        row.insert(
            SHARES.to_owned(),
            AttributeValue::L(write_shares(&self.shares)),
        );
        if !self.entries.is_empty() {
            let keys = self
                .entries
                .iter()
                .map(|key| AttributeValue::M(entry_key(key)));
            row.insert(ENTRIES.to_owned(), AttributeValue::L(keys.collect()));
        }
        row
    }
}

/// The subject of a contribution row.
pub(super) fn subject(row: &Row) -> Option<&str> {
    row.get(SUBJECT)?.as_s().ok().map(String::as_str)
}

/// A key of entries as attributes.
pub(super) fn entry_key(key: &BTreeMap<String, String>) -> Row {
    key.iter()
        .map(|(name, value)| (name.clone(), AttributeValue::S(value.clone())))
        .collect()
}

/// A whole entry as a row.
pub(super) fn entry_row(entry: &Entry) -> Row {
    let mut row = entry.row.clone();
    row.extend(entry_key(&entry.key));
    row
}

/// The keys of a contribution's entries.
pub(super) fn entry_keys(contribution: &Contribution) -> BTreeSet<BTreeMap<String, String>> {
    let entries = contribution.entries.iter();
    entries.map(|entry| entry.key.clone()).collect()
}

/// Many totals get the same (a store, its place and its kind), so each such group is written once.
fn write_shares(shares: &Shares) -> Vec<AttributeValue> {
    let mut groups: BTreeMap<&Measures, Vec<AttributeValue>> = BTreeMap::new();
    for (total, measures) in shares {
        let names = [&total.scope, &total.name].map(|name| AttributeValue::S(name.clone()));
        groups.entry(measures).or_default().extend(names);
    }
    let group = |(measures, to): (&Measures, _)| {
        let measures = measures
            .iter()
            .map(|(name, n)| (name.clone(), AttributeValue::N(n.to_string())));
        AttributeValue::M(Row::from([
            (TO.to_owned(), AttributeValue::L(to)),
            (ADDED.to_owned(), AttributeValue::M(measures.collect())),
        ]))
    };
    groups.into_iter().map(group).collect()
}

fn read_group(group: &AttributeValue) -> Vec<(Total, Measures)> {
    let Ok(group) = group.as_m() else {
        return Vec::new();
    };
    let added = group.get(ADDED).and_then(|added| added.as_m().ok());
    let measures: Measures = added.map(read_measures).unwrap_or_default();
    let names: Vec<&String> = list(group, TO)
        .filter_map(|name| name.as_s().ok())
        .collect();
    names
        .chunks_exact(2)
        .map(|names| (Total::new(names[0], names[1]), measures.clone()))
        .collect()
}

fn read_key(key: &AttributeValue) -> Option<BTreeMap<String, String>> {
    let part = |(name, value): (&String, &AttributeValue)| {
        Some((name.clone(), value.as_s().ok()?.clone()))
    };
    key.as_m().ok()?.iter().map(part).collect()
}

fn list<'a>(row: &'a Row, name: &str) -> impl Iterator<Item = &'a AttributeValue> {
    let list = row.get(name).and_then(|value| value.as_l().ok());
    list.into_iter().flatten()
}

fn read_measures(row: &Row) -> Measures {
    row.keys()
        .filter_map(|name| Some((name.clone(), number(row, name)?)))
        .filter(|(_, amount)| *amount != 0)
        .collect()
}

/// A whole number that the row has.
pub(super) fn number(row: &Row, name: &str) -> Option<i64> {
    row.get(name)?.as_n().ok()?.parse().ok()
}

/// The key of the row in which a total is kept in one slot.
pub(super) fn total_key(generation: Generation, total: &Total, slot: usize) -> Row {
    let scope = generation_scope(generation, &total.scope);
    key([
        (SCOPE, &scope),
        (TOTAL, &format!("{}#{slot:02}", total.name)),
    ])
}

/// A scope as the totals of one generation have it.
pub(super) fn generation_scope(generation: Generation, scope: &str) -> String {
    format!("{}{scope}", generation_prefix(generation))
}

/// What the scopes of one generation begin with, and no others.
pub(super) fn generation_prefix(generation: Generation) -> String {
    format!("{generation}#")
}

/// The total that a row is part of, and what it holds of it.
pub(super) fn read_total(generation: Generation, row: &Row) -> Option<(Total, Measures)> {
    let word = |name: &str| row.get(name)?.as_s().ok();
    let scope = word(SCOPE)?.strip_prefix(&generation_prefix(generation))?;
    let (name, _slot) = word(TOTAL)?.rsplit_once('#')?;
    Some((Total::new(scope, name), read_measures(row)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn measures(of: &[(&str, i64)]) -> Measures {
        of.iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect()
    }

    #[test]
    fn a_contribution_is_read_as_it_was_written_and_equal_shares_are_written_once() {
        let both = measures(&[("entered.PENDING", 1), ("seconds.PENDING", 90)]);
        let held = Held {
            turn: 7,
            version: "00012".to_owned(),
            counted: Generations::from([1, 2]),
            shares: Shares::from([
                (Total::new("ever#store", "a#b"), both.clone()),
                (Total::new("ever#tier", "nano"), both),
                (
                    Total::new("2026-11-21#all", "all"),
                    measures(&[("left.PENDING", -1)]),
                ),
            ]),
            entries: BTreeSet::from([BTreeMap::from([("id".to_owned(), "one".to_owned())])]),
        };
        let row = held.to_row("match-1");
        assert_eq!(Held::read(&row), held);
        assert_eq!(subject(&row), Some("match-1"));
        assert_eq!(row[SHARES].as_l().unwrap().len(), 2);
    }

    #[test]
    fn a_total_s_row_tells_its_generation_scope_and_name_whatever_is_in_them() {
        let total = Total::new("2026-11-21#store", "강남#1");
        let mut row = total_key(12, &total, 3);
        row.insert("count".to_owned(), AttributeValue::N("4".to_owned()));
        row.insert("gone".to_owned(), AttributeValue::N("0".to_owned()));
        assert_eq!(
            read_total(12, &row),
            Some((total, measures(&[("count", 4)])))
        );
        assert_eq!(read_total(1, &row), None);
        assert_eq!(read_total(2, &row), None);
    }

    #[test]
    fn generations_are_read_as_they_were_written() {
        let both = Generations::from([9, 10]);
        assert_eq!(write_generations(&both), "9,10");
        assert_eq!(read_generations("9,10"), both);
    }
}
