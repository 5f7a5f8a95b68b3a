//! `aggregate-analytics`: a match or a campaign has changed; the figures follow.

use millrace_delivery::{Cx, Worker};
use millrace_effects::{Contribution, Ledger, Shares};
use millrace_events::{
    Failure, Outcome, RowChange, RowChangeKind, Version, fields::malformed, mutation,
};

use crate::{
    analytics::{
        Campaign, campaign_subject, ledger, match_subject, match_version, of_campaign, of_match,
    },
    context::Marketing,
    progress::Progress,
};

/// Listens to the tables of matches' progress and of campaigns. Guard: contributions, a whole batch at a time.
///
/// A campaign that cannot be read adds nothing, and its record is parked.
#[derive(Clone)]
pub struct AggregateAnalytics {
    marketing: Marketing,
    ledger: Ledger,
}

/// What a record says.
enum Said {
    /// This is what its subject contributes.
    Contributes(Contribution),
    /// Nothing any more, since it cannot be read.
    Unreadable(Contribution, Failure),
    /// Nothing new.
    Nothing(&'static str),
}

impl AggregateAnalytics {
    /// On this product.
    pub fn new(marketing: Marketing) -> Self {
        Self {
            ledger: ledger(&marketing),
            marketing,
        }
    }

    fn read(&self, change: &RowChange, version: &Version) -> Result<Said, Failure> {
        let names = &self.marketing.names;
        if change.table == names.match_progress {
            of_progress(change)
        } else if change.table == names.campaigns {
            of_campaigns(change, version)
        } else {
            Ok(Said::Nothing("a row of another table"))
        }
    }
}

impl Worker for AggregateAnalytics {
    const NAME: &'static str = "aggregate-analytics";
    const TOGETHER: usize = 100;
    type Event = RowChange;

    async fn handle(&self, change: RowChange, cx: &Cx) -> Result<Outcome, Failure> {
        let mut answers = self.handle_together(vec![(change, cx.clone())]).await?;
        answers.pop().unwrap_or(Ok(Outcome::Ignored("no record")))
    }

    async fn handle_together(
        &self,
        events: Vec<(RowChange, Cx)>,
    ) -> Result<Vec<Result<Outcome, Failure>>, Failure> {
        let mut batch = Vec::with_capacity(events.len());
        let mut answers = Vec::with_capacity(events.len());
        // Which answers wait for what becomes of the batch.
        let mut places = Vec::with_capacity(events.len());
        for (change, cx) in &events {
            let (contribution, answer) = match self.read(change, &cx.record.version) {
                Ok(Said::Contributes(contribution)) => (Some(contribution), None),
                Ok(Said::Unreadable(contribution, failure)) => {
                    (Some(contribution), Some(Err(failure)))
                }
                Ok(Said::Nothing(why)) => (None, Some(Ok(Outcome::Ignored(why)))),
                Err(failure) => (None, Some(Err(failure))),
            };
            if let Some(contribution) = contribution {
                places.push(answers.len());
                batch.push(contribution);
            }
            answers.push(answer);
        }
        if !batch.is_empty() {
            let outcomes = self.ledger.commit(&batch).await?;
            for (place, outcome) in places.into_iter().zip(outcomes) {
                answers[place].get_or_insert(Ok(outcome));
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }
}

fn of_progress(change: &RowChange) -> Result<Said, Failure> {
    let Some(image) = &change.new else {
        return Ok(match change.kind {
            RowChangeKind::Removed => Said::Nothing("a match's progress is never removed"),
            _ => return Err(malformed("the record has no new image")),
        });
    };
    let progress = Progress::of_item(image.clone())?;
    let before = change.old.clone().map(Progress::of_item).transpose()?;
    if before.is_some_and(|before| before.revision == progress.revision) {
        return Ok(Said::Nothing("nothing that figures follow has changed"));
    }
    Ok(Said::Contributes(Contribution {
        subject: match_subject(&progress.match_id),
        version: match_version(progress.revision),
        shares: of_match(&progress),
        entries: Vec::new(),
    }))
}

fn of_campaigns(change: &RowChange, version: &Version) -> Result<Said, Failure> {
    let (campaign_id, _) = Campaign::ids(&change.keys)?;
    let contributes = |shares| Contribution {
        subject: campaign_subject(campaign_id),
        version: version.clone(),
        shares,
        entries: Vec::new(),
    };
    let image = match (&change.new, change.kind) {
        (Some(image), _) => image,
        (None, RowChangeKind::Removed) if mutation::on(mutation::REMOVED_STAYS_COUNTED) => {
            return Ok(Said::Nothing("the campaign was removed"));
        }
        (None, RowChangeKind::Removed) => return Ok(Said::Contributes(contributes(Shares::new()))),
        (None, _) => return Err(malformed("the record has no new image")),
    };
    Ok(match Campaign::of(&change.keys, image) {
        Ok(campaign) => Said::Contributes(contributes(of_campaign(&campaign))),
        Err(failure) => Said::Unreadable(contributes(Shares::new()), failure),
    })
}
