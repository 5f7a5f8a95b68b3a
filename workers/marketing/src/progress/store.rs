//! The rows of matches' progress: read, and replaced while nobody else has.

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_effects::{Row, Update, Updated, When, key};
use millrace_events::{Failure, fields::malformed, mutation};

use super::Progress;
use crate::{attributes::text, context::Marketing};

impl Progress {
    /// As it is now; `None` for a match that nobody has heard of.
    ///
    /// # Errors
    /// The table's, and `malformed-row`.
    pub async fn read(marketing: &Marketing, match_id: &str) -> Result<Option<Self>, Failure> {
        let table = &marketing.names.match_progress;
        let row = marketing.table.read(table, row_key(match_id)).await?;
        row.map(Self::of).transpose()
    }

    /// Writes what follows `before`, in the next revision; `None` when somebody else was faster. What was published is none of
    /// it: it only grows, and beside.
    ///
    /// # Errors
    /// The table's.
    pub async fn replace(
        mut self,
        marketing: &Marketing,
        before: Option<&Self>,
    ) -> Result<Option<Self>, Failure> {
        self.revision = before.map_or(0, |before| before.revision) + 1;
        let mut row: Row = serde_dynamo::to_item(&self)
            .map_err(|error| malformed("could not write a match's progress").caused_by(error))?;
        row.remove("matchId");
        // For people who look at the table: what counts.
        row.extend(
            self.status()
                .map(|status| ("status".to_owned(), text(status.word()))),
        );
        row.extend(
            self.campaign_id()
                .map(|id| ("campaignId".to_owned(), text(id))),
        );
        let mut update = Update::of(&marketing.names.match_progress, row_key(&self.match_id));
        for gone in ["gone", "named", "bound", "status", "campaignId"] {
            if !row.contains_key(gone) {
                update = update.remove(gone);
            }
        }
        let mut attributes: Vec<(String, AttributeValue)> = row.into_iter().collect();
        attributes.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, value) in attributes {
            update = update.set(name, value);
        }
        let unchanged = match before {
            None => When::Absent("matchId"),
            Some(before) => When::Equal("revision", AttributeValue::N(before.revision.to_string())),
        };
        if !mutation::on(mutation::MATCH_UNGUARDED) {
            update = update.when(unchanged);
        }
        let written = marketing.table.update("write a match's progress", update);
        match written.await? {
            Updated::Done(row) => Ok(Some(Self::of(row)?)),
            Updated::Refused(_) => Ok(None),
        }
    }

    /// Notes that these steps were published.
    ///
    /// # Errors
    /// The table's.
    pub async fn mark_published(
        &self,
        marketing: &Marketing,
        versions: Vec<String>,
    ) -> Result<(), Failure> {
        let update = Update::of(&marketing.names.match_progress, row_key(&self.match_id))
            .include("published", versions)
            .when(When::Present("matchId"));
        let marked = marketing.table.update("mark steps as published", update);
        marked.await.map(|_| ())
    }
}

fn row_key(match_id: &str) -> Row {
    key([("matchId", match_id)])
}
