//! A job's progress: the fence, and how far its newest version has come.
//!
//! One row a job, which only Millrace writes and which outlives the job. Two workers claim it, each for a change of the job's row that
//! matters to it: `score-candidates` and `settle-job`. The version is that change's place in the stream: whoever is older than what
//! was claimed last is superseded, and every write to the job's candidates asks that its own claim still holds.
//!
//! The same row keeps who answered and who was chosen. Those are attributes of their own, written one by one under conditions of their own:
//! nobody ever writes this row whole.

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_effects::{Row, Table, Update, Updated, When, Write, key};
use millrace_events::{Failure, Version};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    attributes::{self, text},
    notice::JobSaid,
};

/// How far a job's newest version has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Its candidates are being looked for.
    Scoring,
    /// Its candidates stand in their table.
    Scored,
    /// Nobody is wanted any more.
    Settled,
    /// It cannot be scored.
    Failed,
}

impl Stage {
    /// The word in the row.
    pub fn word(self) -> &'static str {
        match self {
            Self::Scoring => "scoring",
            Self::Scored => "scored",
            Self::Settled => "settled",
            Self::Failed => "failed",
        }
    }
}

/// How many people a round of scoring looked at, and what it decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Found by the index: near enough, give or take, and past its filters.
    pub found: u64,
    /// Qualified by their rows.
    pub qualified: u64,
    /// How many people could be told at most, those told before included.
    pub cap: u64,
}

/// The progress row without the side of the responses.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The job.
    pub job_id: String,
    /// The fence: the newest change of the job that was claimed. Not there while only responses are known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// See [`Stage`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<Stage>,
    /// The version whose claim was carried out to its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub done_version: Option<String>,
    /// Who is at work on the claim; not there when nobody is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attempt: Option<String>,
    /// When the change happened that is scored: the time for all filters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub as_of: Option<String>,
    /// What notifications say of the job.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job: Option<JobSaid>,
    /// Of which text and model `embedding` is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub embedding_of: Option<String>,
    /// What the last round decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub counts: Option<Counts>,
    /// The reason code, when it cannot be scored.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed: Option<String>,
}

impl Progress {
    /// Of a row.
    ///
    /// # Errors
    /// `malformed-row`: it is not what a worker writes.
    pub fn of(row: Row) -> Result<Self, Failure> {
        attributes::read("a job's progress", AttributeValue::M(row))
    }

    /// Whether this is the newest change that was claimed.
    pub fn is_of(&self, version: &Version) -> bool {
        self.version.as_deref() == Some(version.as_str())
    }

    /// Whether a change after this one was claimed.
    pub fn is_past(&self, version: &Version) -> bool {
        self.version.as_deref() > Some(version.as_str())
    }

    /// Whether this change was carried out to its end.
    pub fn is_done(&self, version: &Version) -> bool {
        self.is_of(version) && self.done_version == self.version
    }
}

/// A claim that was granted: what every write under it asks for.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The job.
    pub job_id: String,
    /// The version.
    pub version: Version,
    attempt: String,
}

/// How asking for a claim ended.
#[derive(Debug)]
pub enum Claimed {
    /// It is granted; with the row, of which the responses' side is as it was.
    Granted(Claim, Row),
    /// This change was carried out before.
    Already(Row),
    /// A newer change was claimed before.
    Superseded(Row),
}

/// How a write under a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It took place: the claim holds.
    Yes,
    /// A newer change of the job was claimed since.
    Superseded,
    /// The same change is at work elsewhere, which took the claim over, or is done.
    TakenOver,
}

/// Reads and claims progress rows.
#[derive(Debug, Clone)]
pub struct ProgressStore {
    table: Table,
    name: String,
}

impl ProgressStore {
    /// On this table.
    pub fn new(table: Table, name: &str) -> Self {
        let name = name.to_owned();
        Self { table, name }
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A row's key.
    pub fn key(job_id: &str) -> Row {
        key([("jobId", job_id)])
    }

    /// An update of a job's row, for attributes that no claim guards.
    pub fn change(&self, job_id: &str) -> Update {
        Update::of(&self.name, Self::key(job_id))
    }

    /// The row as it is.
    ///
    /// # Errors
    /// The table's.
    pub async fn row(&self, job_id: &str) -> Result<Option<Row>, Failure> {
        self.table.read(&self.name, Self::key(job_id)).await
    }

    /// The progress as it is.
    ///
    /// # Errors
    /// The table's.
    pub async fn read(&self, job_id: &str) -> Result<Option<Progress>, Failure> {
        self.row(job_id).await?.map(Progress::of).transpose()
    }

    /// Asks for a claim on this change of the job: granted unless a newer one was claimed, or this one was carried out. Whoever was at
    /// work on it, or on an older one, is refused from now on. `more` sets what else the row should say.
    ///
    /// # Errors
    /// The table's.
    pub async fn claim(
        &self,
        job_id: &str,
        version: &Version,
        stage: Stage,
        more: impl FnOnce(Update) -> Update,
    ) -> Result<Claimed, Failure> {
        // Names this attempt: the same change may be at work twice.
        let attempt = Uuid::new_v4().to_string();
        let this = text(version.as_str());
        let free = When::Any(vec![
            When::Absent("version"),
            When::Less("version", this.clone()),
            When::All(vec![
                When::Equal("version", this.clone()),
                When::Any(vec![
                    When::Absent("doneVersion"),
                    When::NotEqual("doneVersion", this.clone()),
                ]),
            ]),
        ]);
        let update = self
            .change(job_id)
            .set("version", this)
            .set("status", text(stage.word()))
            .set("attempt", text(&*attempt))
            .remove("failed")
            .when(free);
        let update = more(update);
        match self.table.update("claim the job", update).await? {
            Updated::Done(row) => {
                let claim = Claim {
                    job_id: job_id.to_owned(),
                    version: version.clone(),
                    attempt,
                };
                Ok(Claimed::Granted(claim, row))
            }
            Updated::Refused(row) => {
                let row = row.unwrap_or_default();
                let is_this = said(&row, "version") == Some(version.as_str());
                Ok(if is_this {
                    Claimed::Already(row)
                } else {
                    Claimed::Superseded(row)
                })
            }
        }
    }

    /// Holds while nobody else claimed the job. The first write of every transaction under the claim.
    pub fn holds(&self, claim: &Claim) -> Write {
        Write::Check {
            table: self.name.clone(),
            key: Self::key(&claim.job_id),
            when: held(claim),
        }
    }

    /// What it means that [`ProgressStore::holds`] did not hold, by the row as it was then.
    pub fn refused(claim: &Claim, row: Option<&Row>) -> Held {
        let version = row.and_then(|row| said(row, "version"));
        if version == Some(claim.version.as_str()) {
            Held::TakenOver
        } else {
            Held::Superseded
        }
    }

    /// Says that a claim was carried out to its end; from now on the same change ends as `Already`.
    ///
    /// # Errors
    /// The table's.
    pub async fn finish(
        &self,
        claim: &Claim,
        stage: Stage,
        more: impl FnOnce(Update) -> Update,
    ) -> Result<Held, Failure> {
        let update = self
            .change(&claim.job_id)
            .set("status", text(stage.word()))
            .set("doneVersion", text(claim.version.as_str()))
            .remove("attempt")
            .when(held(claim));
        match self
            .table
            .update("finish the job's round", more(update))
            .await?
        {
            Updated::Done(_) => Ok(Held::Yes),
            Updated::Refused(row) => {
                let done = row.as_ref().and_then(|row| said(row, "doneVersion"));
                // An answer that was lost: it took place.
                if done == Some(claim.version.as_str()) {
                    return Ok(Held::Yes);
                }
                Ok(Self::refused(claim, row.as_ref()))
            }
        }
    }

    /// Says that a claim cannot be carried out. The same change may be claimed again: it may go better then.
    ///
    /// # Errors
    /// The table's.
    pub async fn fail(&self, claim: &Claim, code: &str) -> Result<Held, Failure> {
        let update = self
            .change(&claim.job_id)
            .set("status", text(Stage::Failed.word()))
            .set("failed", text(code))
            .remove("attempt")
            .when(held(claim));
        match self.table.update("say that the job failed", update).await? {
            Updated::Done(_) => Ok(Held::Yes),
            Updated::Refused(row) => {
                let failed = row.as_ref().and_then(|row| said(row, "status"));
                let is_said = failed == Some(Stage::Failed.word());
                match Self::refused(claim, row.as_ref()) {
                    // An answer that was lost: it took place.
                    Held::TakenOver if is_said => Ok(Held::Yes),
                    held => Ok(held),
                }
            }
        }
    }
}

fn held(claim: &Claim) -> When {
    When::All(vec![
        When::Equal("version", text(claim.version.as_str())),
        When::Equal("attempt", text(&*claim.attempt)),
    ])
}

fn said<'a>(row: &'a Row, attribute: &str) -> Option<&'a str> {
    Some(row.get(attribute)?.as_s().ok()?.as_str())
}
