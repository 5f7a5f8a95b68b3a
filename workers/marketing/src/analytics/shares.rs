//! What a match adds to the figures: a function of its progress row alone.

use std::collections::BTreeMap;

use millrace_effects::{Measures, Shares, Total};
use millrace_events::mutation;
use time::OffsetDateTime;

use super::{ALL, Dimension, EVER, day, entered, left, scope, seconds};
use crate::progress::{How, Progress};

/// Counted on the day of each step: that the match came into a state, that it left the one before, and how long it was in that. The
/// end of its time makes it leave its last state. A match that somebody deleted adds nothing.
pub fn of_match(progress: &Progress) -> Shares {
    let gone = progress.gone.as_ref();
    if gone.is_some_and(|gone| gone.how == How::Deleted)
        && !mutation::on(mutation::DELETED_STAYS_COUNTED)
    {
        return Shares::new();
    }
    let mut days: BTreeMap<String, Measures> = BTreeMap::new();
    let mut count = |at: OffsetDateTime, measure: String, amount: i64| {
        for day in [day(at), EVER.to_owned()] {
            let measures = days.entry(day).or_default();
            *measures.entry(measure.clone()).or_default() += amount;
        }
    };
    let mut steps = progress.steps().peekable();
    while let Some(step) = steps.next() {
        let status = step.status();
        count(step.at(), entered(status), 1);
        let next = steps.peek().map(|next| next.at());
        let ends = gone.filter(|_| !mutation::on(mutation::EXPIRY_NOT_COUNTED));
        if let Some(leaves) = next.or(ends.map(|gone| gone.at)) {
            count(leaves, left(status), 1);
            let stayed = (leaves - step.at()).whole_seconds().max(0);
            count(leaves, seconds(status), stayed);
        }
    }
    let mut shares = Shares::new();
    for (day, measures) in days {
        for dimension in Dimension::EACH {
            let total = Total::new(scope(&day, dimension), name(progress, dimension));
            shares.insert(total, measures.clone());
        }
    }
    shares
}

/// Under which name a dimension counts the match.
fn name(progress: &Progress, dimension: Dimension) -> &str {
    match dimension {
        Dimension::All => ALL,
        Dimension::Store => &progress.store_id,
        Dimension::Category => progress.category(),
        Dimension::Location => progress.location(),
        Dimension::Tier => progress.tier(),
        Dimension::Platform => progress.platform(),
    }
}
