//! What a match adds to its campaign: a function of what is known of the match.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_effects::{Contribution, Entry, Measures, Row, Shares, Total};
use millrace_events::Version;
use time::{OffsetDateTime, UtcOffset};

use super::figures::{CHANGES, COMMITTED, CREATORS, SPENT, WHOLE, entered, in_it, scope};
use crate::{
    progress::{How, Progress},
    workflow::Status,
};

/// The contribution of a match to a campaign that it belongs to, or belonged to. One that it left gets nothing but
/// the count of changes, which never goes back: the projection is fenced by it.
///
/// What is agreed on is committed while the match is accepted and alive, and spent once it is completed: an
/// accepted match that expires is not going to be paid any more, a completed one was.
pub fn contribution(progress: &Progress, campaign: &str) -> Contribution {
    let mut measures = Measures::new();
    let mut add = |measure: String, amount: i64| *measures.entry(measure).or_default() += amount;
    add(
        CHANGES.to_owned(),
        i64::try_from(progress.revision).unwrap_or(i64::MAX),
    );
    let mut entries = Vec::new();
    let is_deleted = progress
        .gone
        .as_ref()
        .is_some_and(|gone| gone.how == How::Deleted);
    let belongs = progress.campaign_id() == Some(campaign);
    if belongs
        && !is_deleted
        && let Some(last) = progress.last_step()
    {
        let status = last.status();
        add(CREATORS.to_owned(), 1);
        for step in progress.steps() {
            add(entered(step.status()), 1);
        }
        if progress.is_alive() {
            add(in_it(status), 1);
        }
        match (status, progress.facts.agreed_cost) {
            (Status::Accepted, Some(cost)) if progress.is_alive() => {
                add(COMMITTED.to_owned(), cost)
            }
            (Status::Completed, Some(cost)) => add(SPENT.to_owned(), cost),
            _ => {}
        }
        entries.push(entry(progress, campaign, status, last.at()));
    }
    Contribution {
        subject: format!("{campaign}/{}", progress.match_id),
        version: Version::from_padded(format!("{:020}", progress.revision)),
        shares: Shares::from([(Total::new(scope(campaign), WHOLE), measures)]),
        entries,
    }
}

/// The row of a match beside its campaign's totals.
fn entry(progress: &Progress, campaign: &str, status: Status, since: OffsetDateTime) -> Entry {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let mut row = Row::from([
        ("creatorId".to_owned(), text(&progress.creator_id)),
        ("status".to_owned(), text(status.word())),
        ("since".to_owned(), text(&seconds(since))),
        (
            "score".to_owned(),
            AttributeValue::N(progress.facts.score.to_string()),
        ),
    ]);
    if let Some(cost) = progress.facts.agreed_cost {
        row.insert("agreedCost".to_owned(), AttributeValue::N(cost.to_string()));
    }
    if !progress.is_alive() {
        row.insert("expired".to_owned(), AttributeValue::Bool(true));
    }
    Entry {
        key: BTreeMap::from([
            ("campaignId".to_owned(), campaign.to_owned()),
            ("matchId".to_owned(), progress.match_id.clone()),
        ]),
        row,
    }
}

/// In whole seconds and UTC, so that it sorts as text.
fn seconds(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (date, time) = (at.date(), at.time());
    let (hour, minute, second) = time.as_hms();
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use time::macros::datetime;

    use super::*;
    use crate::progress::{Gone, Heard, Named};

    /// A match of the campaign `c` that went this way.
    fn went(way: &[Status], cost: Option<i64>) -> Progress {
        let mut before = None;
        let heard = way.iter().enumerate().map(|(position, status)| Heard {
            version: format!("{position:05}"),
            from: before.replace(*status),
            status: *status,
            at: datetime!(2026-11-21 04:00 UTC),
            inserted: position == 0,
            score: 82.5,
            campaign_id: None,
            tier: None,
            platform: None,
        });
        let mut progress = Progress {
            match_id: "m".to_owned(),
            creator_id: "cr".to_owned(),
            heard: heard.collect(),
            bound: Some("c".to_owned()),
            revision: 7,
            ..Progress::default()
        };
        progress.facts.agreed_cost = cost;
        progress.facts.score = 82.5;
        progress
    }

    fn measures(contribution: &Contribution) -> Vec<(&str, i64)> {
        let measures = contribution.shares.values().flatten();
        measures
            .filter(|(_, amount)| **amount != 0)
            .map(|(measure, amount)| (measure.as_str(), *amount))
            .collect()
    }

    const ACCEPTED: [Status; 5] = [
        Status::Pending,
        Status::Contacted,
        Status::Responded,
        Status::Negotiating,
        Status::Accepted,
    ];

    #[test]
    fn what_is_agreed_on_is_committed_and_then_spent() {
        let accepted = contribution(&went(&ACCEPTED, Some(300)), "c");
        assert_eq!(
            measures(&accepted),
            [
                ("changes", 7),
                ("committed", 300),
                ("creators", 1),
                ("entered.ACCEPTED", 1),
                ("entered.CONTACTED", 1),
                ("entered.NEGOTIATING", 1),
                ("entered.PENDING", 1),
                ("entered.RESPONDED", 1),
                ("in.ACCEPTED", 1),
            ]
        );
        let mut way = ACCEPTED.to_vec();
        way.push(Status::Completed);
        let completed = contribution(&went(&way, Some(300)), "c");
        assert!(measures(&completed).contains(&("spent", 300)));
        assert!(!measures(&completed).contains(&("committed", 300)));
        assert!(
            measures(&contribution(&went(&ACCEPTED[..4], Some(300)), "c"))
                .contains(&("in.NEGOTIATING", 1))
        );
    }

    #[test]
    fn who_expired_is_in_nothing_and_stays_in_the_history_who_was_deleted_leaves_both() {
        let mut progress = went(&ACCEPTED, Some(300));
        progress.gone = Some(Gone {
            how: How::Expired,
            at: datetime!(2026-12-21 04:00 UTC),
        });
        let expired = contribution(&progress, "c");
        let found = measures(&expired);
        assert!(found.contains(&("entered.ACCEPTED", 1)));
        assert!(
            found
                .iter()
                .all(|(measure, _)| !measure.starts_with("in.") && *measure != "committed")
        );
        assert_eq!(expired.entries[0].row["expired"].as_bool(), Ok(&true));
        progress.gone = Some(Gone {
            how: How::Deleted,
            at: datetime!(2026-12-21 04:00 UTC),
        });
        let deleted = contribution(&progress, "c");
        assert_eq!(measures(&deleted), [("changes", 7)]);
        assert!(deleted.entries.is_empty());
    }

    #[test]
    fn a_match_that_goes_to_another_campaign_leaves_only_its_changes() {
        let mut progress = went(&ACCEPTED[..2], None);
        progress.named = Some(Named {
            campaign_id: "other".to_owned(),
            version: "9".to_owned(),
        });
        let left = contribution(&progress, "c");
        assert_eq!(measures(&left), [("changes", 7)]);
        assert!(left.entries.is_empty());
        let entry = &contribution(&progress, "other").entries[0];
        assert_eq!(entry.row["since"].as_s().unwrap(), "2026-11-21T04:00:00Z");
        assert_eq!(entry.row["status"].as_s().unwrap(), "CONTACTED");
    }
}
