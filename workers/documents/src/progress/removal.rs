//! Tombstones: what was removed stays removed, however late its events come.

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::retry::Retry;
use millrace_effects::{Committed, Update, When, Write};
use millrace_events::{Failure, Outcome, mutation, reason};

use super::{
    ProgressStore, Status,
    store::{from_row, soon, text, unchanged},
};
use crate::keys::Document;

/// The attribute by which the last image of a platform's row says that [`ProgressStore::remove_row`] removed it.
pub const REMOVED_BY: &str = "removedBy";
const MILLRACE: &str = "millrace";

/// `2026-11-21T04:00:00`: so much of a time is whole seconds.
const SECONDS: usize = 19;

/// How the removal of a row began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowRemoval {
    /// What was derived up to this generation is to be tidied away.
    Begun(String),
    /// The tombstone is set; nothing had been derived, or it is gone.
    NothingToTidy,
    /// All of it was done before.
    Already,
    /// A later upload is there.
    Superseded,
}

impl ProgressStore {
    /// Sets the tombstone: no upload up to `through` is processed any more. `Already` when everything is tidied.
    pub async fn begin_removal(
        &self,
        document: &Document,
        through: &str,
        now: &str,
    ) -> Result<Outcome, Failure> {
        if mutation::on(mutation::REMOVAL_WITHOUT_TOMBSTONE) {
            return Ok(Outcome::Applied);
        }
        let through_value = || text(through);
        let older = When::All(vec![
            When::Any(vec![
                When::Absent("generation"),
                When::AtMost("generation", through_value()),
            ]),
            When::Any(vec![
                When::Absent("removedThrough"),
                When::Less("removedThrough", through_value()),
            ]),
        ]);
        let update = Update::of(&self.names.progress_table, Self::progress_key(document))
            .set("removedThrough", through_value())
            .set("status", text(Status::Removing.word()))
            .set_if_absent("reached", AttributeValue::N("0".to_owned()))
            .set("updatedAt", text(now))
            .add("revision", 1)
            .when(older);
        match self
            .table
            .commit("mark the document as removed", vec![update.into()])
            .await?
        {
            Committed::Done => Ok(Outcome::Applied),
            Committed::Refused { current, .. } => {
                let Some(progress) = current.map(from_row).transpose()? else {
                    return Err(Failure::transient(
                        reason::CONFLICT,
                        "the document's progress changed at the same time",
                    ));
                };
                Ok(match progress.status {
                    Status::Removing if progress.removed_through.as_deref() == Some(through) => {
                        Outcome::Applied
                    }
                    Status::Removed if progress.removed_through.as_deref() == Some(through) => {
                        Outcome::Already
                    }
                    _ => Outcome::Superseded,
                })
            }
        }
    }

    /// Sets the tombstone of a row that was removed: no upload up to `at` is processed any more, known or not.
    pub async fn begin_row_removal(
        &self,
        document: &Document,
        at: &str,
        now: &str,
    ) -> Result<RowRemoval, Failure> {
        Retry::default()
            .run(soon(), || self.try_row_removal(document, at, now))
            .await
    }

    async fn try_row_removal(
        &self,
        document: &Document,
        at: &str,
        now: &str,
    ) -> Result<RowRemoval, Failure> {
        let before = self.read(document).await?;
        let known = before
            .as_ref()
            .and_then(|known| Some((known, known.generation.as_deref()?)));
        // The stream tells whole seconds. What was claimed within the same one had a row, and that is gone.
        let second = |time: &str| time.get(..SECONDS).map(str::to_owned);
        let is_later = |time: &Option<String>| {
            time.as_deref()
                .is_some_and(|time| second(time) > second(at))
        };
        if known.is_some_and(|(known, _)| is_later(&known.uploaded_at)) {
            return Ok(RowRemoval::Superseded);
        }
        let is_told = before.as_ref().is_some_and(|before| {
            before.is_removed() && before.removed_at.as_deref().is_some_and(|told| told >= at)
        });
        let mut update = Update::of(&self.names.progress_table, Self::progress_key(document))
            .set("removedAt", text(at))
            .set_if_absent("reached", AttributeValue::N("0".to_owned()))
            .set("updatedAt", text(now))
            .add("revision", 1)
            .when(before.as_ref().map_or(When::Absent("userId"), unchanged));
        // What is left to tidy, and up to which generation.
        let through = match (&before, known) {
            (Some(before), _) if before.status == Status::Removing => {
                before.removed_through.clone()
            }
            (Some(before), Some((_, generation))) if !before.is_removed() => {
                update = update.set("removedThrough", text(generation));
                Some(generation.to_owned())
            }
            _ => None,
        };
        if !is_told {
            let status = match &through {
                Some(_) => Status::Removing,
                None => Status::Removed,
            };
            let update = update.set("status", text(status.word()));
            let attempted = "mark the document as removed";
            if let Committed::Refused { .. } =
                self.table.commit(attempted, vec![update.into()]).await?
            {
                return Err(Failure::transient(
                    reason::CONFLICT,
                    "the document's progress changed at the same time",
                ));
            }
        }
        Ok(match through {
            Some(through) => RowRemoval::Begun(through),
            None if is_told => RowRemoval::Already,
            None => RowRemoval::NothingToTidy,
        })
    }

    /// Removes the platform's row, unless it is of a later upload than the removal or a newer generation was claimed
    /// meanwhile. The row is marked first, so that the stream's record of this very removal is told apart from that of
    /// somebody who removed the row himself.
    pub async fn remove_row(
        &self,
        document: &Document,
        through: &str,
        removed_at: &str,
    ) -> Result<(), Failure> {
        let still_removing = || Write::Check {
            table: self.names.progress_table.clone(),
            key: Self::progress_key(document),
            when: removing(through),
        };
        let not_later = When::Any(vec![
            When::Absent("uploadDate"),
            When::AtMost("uploadDate", text(removed_at)),
        ]);
        let mark = Update::of(&self.names.documents_table, Self::progress_key(document))
            .set(REMOVED_BY, text(MILLRACE))
            .when(When::Present("userId"))
            .when(not_later);
        let marked = self
            .table
            .commit(
                "mark the document's row",
                vec![still_removing(), mark.into()],
            )
            .await?;
        if let Committed::Refused { .. } = marked {
            return Ok(());
        }
        let delete = Write::Delete {
            table: self.names.documents_table.clone(),
            key: Self::progress_key(document),
            when: Some(When::Equal(REMOVED_BY, text(MILLRACE))),
        };
        self.table
            .commit("remove the document's row", vec![still_removing(), delete])
            .await
            .map(|_| ())
    }

    /// Says that nothing of a removed document is left.
    pub async fn finish_removal(
        &self,
        document: &Document,
        through: &str,
        now: &str,
    ) -> Result<(), Failure> {
        let update = Update::of(&self.names.progress_table, Self::progress_key(document))
            .set("status", text(Status::Removed.word()))
            .set("updatedAt", text(now))
            .remove("derived")
            .remove("writtenTitle")
            .remove("error")
            .add("revision", 1)
            .when(removing(through));
        self.table
            .commit("say that the document is gone", vec![update.into()])
            .await
            .map(|_| ())
    }
}

/// Holds while this removal is the newest thing that is known of the document.
fn removing(through: &str) -> When {
    When::All(vec![
        When::Equal("removedThrough", text(through)),
        When::Equal("status", text(Status::Removing.word())),
    ])
}
