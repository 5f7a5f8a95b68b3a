//! Changes of contributions, put into as few transactions as fit.

use std::collections::{BTreeMap, HashMap};

use super::{
    rows::Generation,
    shares::{Measures, Total},
};
use crate::write::{Row, Write};

/// DynamoDB's limits for one transaction, the bytes with room for what is not counted here.
pub(super) const WRITES_PER_TRANSACTION: usize = 100;
const BYTES_PER_TRANSACTION: usize = 3_500_000;

/// What is added to which totals of which generations.
pub(super) type Additions = BTreeMap<(Generation, Total), Measures>;

/// One contribution row's next state, with what follows from it.
#[derive(Debug)]
pub(super) struct Change {
    /// Whose: its place in the batch.
    pub(super) position: usize,
    /// The state that it replaces: the turn that the row has now.
    pub(super) replaces: u64,
    /// The state, as a row.
    pub(super) row: Row,
    /// Entries that come and go.
    pub(super) entries: Vec<Write>,
    /// What the totals get.
    pub(super) additions: Additions,
    /// Whether this is all of it; else the subject is looked at again.
    pub(super) is_whole: bool,
}

impl Change {
    fn own_writes(&self) -> usize {
        1 + self.entries.len()
    }
}

/// Groups, each a transaction, of at most `together` changes. Next comes whoever shares most with those that are in.
pub(super) fn pack(changes: &[Change], together: usize) -> Vec<Vec<&Change>> {
    let mut numbers: HashMap<&(Generation, Total), usize> = HashMap::new();
    let mut waiting: Vec<(&Change, Vec<usize>, usize)> = Vec::with_capacity(changes.len());
    for change in changes {
        let totals = change.additions.keys().map(|total| {
            let next = numbers.len();
            *numbers.entry(total).or_insert(next)
        });
        let totals: Vec<usize> = totals.collect();
        waiting.push((change, totals, weight(change)));
    }
    let mut groups = Vec::new();
    while !waiting.is_empty() {
        let mut group = Vec::new();
        let mut is_in = vec![false; numbers.len()];
        // The check of the slot is a write too.
        let (mut writes, mut bytes) = (1, 0);
        while group.len() < together {
            let cost = |(change, totals, _): &(&Change, Vec<usize>, usize)| {
                let new = totals.iter().filter(|total| !is_in[**total]).count();
                change.own_writes() + new
            };
            let cheapest = waiting
                .iter()
                .enumerate()
                .map(|(place, one)| (cost(one), place))
                .min();
            let Some((cost, place)) = cheapest else {
                break;
            };
            let is_full = writes + cost > WRITES_PER_TRANSACTION
                || bytes + waiting[place].2 > BYTES_PER_TRANSACTION;
            if is_full && !group.is_empty() {
                break;
            }
            let (change, totals, weight) = waiting.remove(place);
            totals.iter().for_each(|total| is_in[*total] = true);
            writes += cost;
            bytes += weight;
            group.push(change);
        }
        groups.push(group);
    }
    groups
}

/// About how many bytes a change sends.
fn weight(change: &Change) -> usize {
    let row: usize = change.row.values().map(weight_of).sum();
    let totals = change.additions.keys();
    let totals: usize = totals
        .map(|(_, total)| 200 + total.scope.len() + total.name.len())
        .sum();
    let entries = change.entries.iter().map(|write| match write {
        Write::Put { row, .. } => row.values().map(weight_of).sum(),
        _ => 200,
    });
    row + totals + entries.sum::<usize>()
}

fn weight_of(value: &aws_sdk_dynamodb::types::AttributeValue) -> usize {
    use aws_sdk_dynamodb::types::AttributeValue as A;
    match value {
        A::S(text) | A::N(text) => text.len() + 8,
        A::B(bytes) => bytes.as_ref().len() * 4 / 3 + 8,
        A::L(list) => list.iter().map(weight_of).sum::<usize>() + 8,
        A::M(map) => {
            map.iter()
                .map(|(name, value)| name.len() + 8 + weight_of(value))
                .sum::<usize>()
                + 8
        }
        A::Ss(list) | A::Ns(list) => list.iter().map(|text| text.len() + 4).sum::<usize>() + 8,
        _ => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(position: usize, totals: &[&str]) -> Change {
        let one = |name: &&str| ((1, Total::new("day", *name)), Measures::new());
        Change {
            position,
            replaces: 0,
            row: Row::new(),
            entries: Vec::new(),
            additions: totals.iter().map(one).collect(),
            is_whole: true,
        }
    }

    fn positions(groups: &[Vec<&Change>]) -> Vec<usize> {
        let mut all: Vec<usize> = groups
            .iter()
            .flatten()
            .map(|change| change.position)
            .collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_hundred_subjects_of_fifty_totals_are_two_transactions() {
        let names: Vec<String> = (0..49).map(|n| format!("store-{n}")).collect();
        let changes: Vec<Change> = (0..100)
            .map(|n| change(n, &["all", &names[n % 49]]))
            .collect();
        let groups = pack(&changes, usize::MAX);
        assert_eq!(groups.len(), 2);
        assert_eq!(positions(&groups), (0..100).collect::<Vec<_>>());
        for group in &groups {
            let totals: std::collections::BTreeSet<_> = group
                .iter()
                .flat_map(|change| change.additions.keys())
                .collect();
            assert!(1 + group.len() + totals.len() <= WRITES_PER_TRANSACTION);
        }
    }

    #[test]
    fn what_may_not_be_together_is_not() {
        let changes: Vec<Change> = (0..5).map(|n| change(n, &["all"])).collect();
        let groups = pack(&changes, 2);
        let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }
}
