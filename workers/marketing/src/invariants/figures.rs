//! What must hold of totals, and of the figures that they are.

use std::collections::BTreeMap;

use millrace_effects::{Invariant, Measures, Shares};

use crate::analytics::{EVER, Figures};
use crate::workflow::Status;

/// The totals of a ledger as they are read now, and what the contributions in it add up to.
#[derive(Debug, Clone, Default)]
pub struct TotalsSnapshot {
    /// The totals that readers read, each the sum of its slots; without zeros.
    pub totals: Shares,
    /// The sum of all contributions; without zeros.
    pub contributed: Shares,
}

/// What holds of the totals of a ledger at every moment.
pub const OF_TOTALS: &[Invariant<TotalsSnapshot>] = &[
    Invariant {
        name: "totals-are-contributions",
        says: "The totals that are read are the sum of the contributions: nothing half built, nothing twice.",
        holds: |seen| seen.totals == seen.contributed,
    },
    Invariant {
        name: "no-total-is-negative",
        says: "Nothing that is counted is less than nothing.",
        holds: |seen| {
            let mut amounts = seen.totals.values().flat_map(BTreeMap::values);
            amounts.all(|amount| *amount >= 0)
        },
    },
    Invariant {
        name: "no-more-left-than-entered",
        says: "Of all days together, no more matches left a state than came into it.",
        holds: |seen| {
            let ever = seen
                .totals
                .iter()
                .filter(|(total, _)| total.scope.starts_with(EVER));
            let inside = |measures: &Measures, status| Figures(measures).inside(status);
            { ever }.all(|(_, measures)| {
                { Status::ALL }
                    .into_iter()
                    .all(|status| inside(measures, status) >= 0)
            })
        },
    },
];

/// The figures, and what somebody else makes of what they are made of.
#[derive(Debug, Clone, Default)]
pub struct FiguresSnapshot {
    /// The totals as a reader gets them.
    pub totals: Shares,
    /// What matches and campaigns come to, counted apart from the workers; without zeros.
    pub counted: Shares,
}

/// What holds of the figures when nothing moves.
pub const OF_FIGURES_AT_REST: &[Invariant<FiguresSnapshot>] = &[Invariant {
    name: "figures-add-up",
    says: "Every figure is what the rows of matches and campaigns come to, and there is no other.",
    holds: |seen| seen.totals == seen.counted,
}];

#[cfg(test)]
mod tests {
    use millrace_effects::{Total, broken};

    use super::*;

    fn shares(measures: &[(&str, i64)]) -> Shares {
        let measures = measures.iter().map(|(name, n)| ((*name).to_owned(), *n));
        Shares::from([(Total::new("ever#all", "all"), measures.collect())])
    }

    #[test]
    fn each_fault_breaks_its_own_invariant() {
        let of = |totals: Shares, contributed: Shares| {
            broken(
                OF_TOTALS,
                &TotalsSnapshot {
                    totals,
                    contributed,
                },
            )
        };
        let right = shares(&[("entered.PENDING", 2), ("left.PENDING", 1)]);
        assert_eq!(of(right.clone(), right.clone()), [""; 0]);
        assert_eq!(
            of(right.clone(), Shares::new()),
            ["totals-are-contributions"]
        );
        let negative = shares(&[("seconds.PENDING", -1)]);
        assert_eq!(of(negative.clone(), negative), ["no-total-is-negative"]);
        let left = shares(&[("left.PENDING", 1)]);
        assert_eq!(of(left.clone(), left), ["no-more-left-than-entered"]);

        let figures = |counted: Shares| {
            let totals = right.clone();
            broken(OF_FIGURES_AT_REST, &FiguresSnapshot { totals, counted })
        };
        assert_eq!(figures(right.clone()), [""; 0]);
        assert_eq!(figures(Shares::new()), ["figures-add-up"]);
    }
}
