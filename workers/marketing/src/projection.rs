//! What of a match's progress stands in the platform's row: keys of its indexes, confidence, expiry, history.
//!
//! Guard: the row is there, and `projectedRevision` in it is not newer. A whole row that the platform writes takes all of it away;
//! the stream record of that very write brings it back.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::clock::iso;
use millrace_effects::{Update, Updated, When, key};
use millrace_events::{Failure, mutation};
use time::{Duration, OffsetDateTime};

use crate::{
    attributes::{count, text},
    context::Marketing,
    matches::{MatchKey, confidence},
    progress::Progress,
};

/// A match expires so long after its last step.
const KEPT: Duration = Duration::days(30);

/// The attributes by name; nothing when there is no row, or nothing to say of it.
pub fn projection(progress: &Progress) -> Vec<(&'static str, AttributeValue)> {
    let Some(last) = progress.last_step() else {
        return Vec::new();
    };
    let created = progress.created_at().unwrap_or(last.at());
    let score = progress.facts.score;
    let history = progress.steps().map(|step| {
        let from = step.from.map(|from| ("from".to_owned(), text(from.word())));
        let said = [
            ("status".to_owned(), text(step.status().word())),
            ("at".to_owned(), text(iso(step.at()))),
        ];
        AttributeValue::M(said.into_iter().chain(from).collect::<HashMap<_, _>>())
    });
    let expires = (last.at() + KEPT).unix_timestamp();
    vec![
        ("GSI1PK", text(format!("SCORE#{:03}", score_range(score)))),
        ("GSI1SK", text(format!("MATCH#{}", progress.match_id))),
        ("GSI2PK", text(format!("STATUS#{}", last.status()))),
        ("GSI2SK", text(format!("DATE#{}", day(last.at())))),
        ("GSI3PK", text(format!("DATE#{}", day(created)))),
        ("GSI3SK", text(format!("SCORE#{:03}", score.floor()))),
        ("confidence", text(confidence(score))),
        ("ttl", AttributeValue::N(expires.to_string())),
        ("statusHistory", AttributeValue::L(history.collect())),
    ]
}

/// The tens of a score.
fn score_range(score: f64) -> f64 {
    (score / 10.0).floor() * 10.0
}

/// `2026-11-21`, in UTC.
pub fn day(at: OffsetDateTime) -> String {
    iso(at).chars().take(10).collect()
}

/// Brings the platform's row to what the progress says; whether something changed. Nothing happens to a row that is not
/// there, or that a newer revision was projected into.
///
/// # Errors
/// The table's.
pub async fn project(marketing: &Marketing, progress: &Progress) -> Result<bool, Failure> {
    let wanted = projection(progress);
    if wanted.is_empty() || !progress.is_alive() {
        return Ok(false);
    }
    let (partition, sort) = MatchKey {
        match_id: progress.match_id.clone(),
        store_id: progress.store_id.clone(),
        creator_id: progress.creator_id.clone(),
    }
    .parts();
    let row = key([("PK", &*partition), ("SK", &*sort)]);
    let revision = count(progress.revision);
    // The revision is written with every change: it keeps out who was slow with an older one.
    let differs = wanted
        .iter()
        .flat_map(|(name, value)| [When::Absent(name), When::NotEqual(name, value.clone())])
        .chain([When::Less("projectedRevision", revision.clone())]);
    let mut guard = vec![When::Any(differs.collect())];
    if !mutation::on(mutation::PROJECTION_RESURRECTS) {
        guard.push(When::Present("PK"));
    }
    if !mutation::on(mutation::PROJECTION_STALE) {
        guard.push(When::Any(vec![
            When::Absent("projectedRevision"),
            When::AtMost("projectedRevision", revision.clone()),
        ]));
    }
    let update = Update::of(&marketing.names.matches, row).when(When::All(guard));
    let update = { wanted }
        .into_iter()
        .fold(update, |update, (name, value)| update.set(name, value));
    let update = update.set("projectedRevision", revision);
    let written = marketing
        .table
        .update("write what follows into the match's row", update);
    Ok(matches!(written.await?, Updated::Done(_)))
}
