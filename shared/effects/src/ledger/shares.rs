//! Totals and what is added to them.

use std::collections::BTreeMap;

/// A total: a name within a scope. Totals of one scope are read together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Total {
    /// What it is read by: `2026-11-21#store`.
    pub scope: String,
    /// Its name there: `store-1`.
    pub name: String,
}

impl Total {
    /// The total of this name in this scope.
    pub fn new(scope: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            scope: scope.into(),
            name: name.into(),
        }
    }
}

/// Numbers by what they count: `{"accepted": 1}`.
pub type Measures = BTreeMap<String, i64>;

/// Measures by total.
pub type Shares = BTreeMap<Total, Measures>;

/// Adds `shares`, `sign` times, to `sum`, which keeps neither zeros nor totals without a measure.
pub(crate) fn add(sum: &mut Shares, shares: &Shares, sign: i64) {
    for (total, measures) in shares {
        match sum.get_mut(total) {
            Some(there) => add_measures(there, measures, sign),
            None => {
                let mut there = Measures::new();
                add_measures(&mut there, measures, sign);
                sum.insert(total.clone(), there);
            }
        }
    }
    sum.retain(|_, measures| !measures.is_empty());
}

/// Adds `measures`, `sign` times, to `sum`, which keeps no zeros.
pub(crate) fn add_measures(sum: &mut Measures, measures: &Measures, sign: i64) {
    for (measure, amount) in measures {
        match sum.get_mut(measure) {
            Some(there) => *there += sign * amount,
            None => {
                sum.insert(measure.clone(), sign * amount);
            }
        }
    }
    sum.retain(|_, amount| *amount != 0);
}

/// What must be added to `from` so that it becomes `to`.
pub(crate) fn difference(from: &Shares, to: &Shares) -> Shares {
    let nothing = Measures::new();
    let mut difference = Shares::new();
    // Most of what was there stays as it is, and is not copied.
    let mut put = |total: &Total, before: &Measures, after: &Measures| {
        if before == after {
            return;
        }
        let mut change = Measures::new();
        add_measures(&mut change, after, 1);
        add_measures(&mut change, before, -1);
        if !change.is_empty() {
            difference.insert(total.clone(), change);
        }
    };
    for (total, after) in to {
        put(total, from.get(total).unwrap_or(&nothing), after);
    }
    for (total, before) in from.iter().filter(|(total, _)| !to.contains_key(total)) {
        put(total, before, &nothing);
    }
    difference
}

/// The same shares without zeros.
pub(crate) fn without_zeros(shares: &Shares) -> Shares {
    let mut sum = Shares::new();
    add(&mut sum, shares, 1);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(of: &[(&str, i64)]) -> Shares {
        let one = |(name, amount): &(&str, i64)| {
            let measures = Measures::from([("count".to_owned(), *amount)]);
            (Total::new("day", *name), measures)
        };
        of.iter().map(one).collect()
    }

    #[test]
    fn a_difference_leads_from_the_one_to_the_other_and_has_no_zeros() {
        let from = shares(&[("a", 1), ("b", 2), ("c", 3)]);
        let to = shares(&[("b", 2), ("c", 5), ("d", 4), ("e", 0)]);
        let step = difference(&from, &to);
        assert_eq!(step, shares(&[("a", -1), ("c", 2), ("d", 4)]));
        let mut there = from;
        add(&mut there, &step, 1);
        assert_eq!(there, without_zeros(&to));
    }
}
