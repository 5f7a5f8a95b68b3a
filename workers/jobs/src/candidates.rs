//! Who was scored for a job: one row a candidate, with every component of the score, and whether they are told.
//!
//! `chosen` people are to be told; `reserve` people qualify beyond the cap; `telling` is the decision to tell, with the message in the row; `told`
//! is published; `withdrawn` people do not qualify any more, or the job ended, before anybody told them. From `telling` nobody goes
//! back, and a row that has a `notificationId` is somebody's who counts as told. Rows are never deleted.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::classify;
use millrace_effects::{Committed, Row, Table, Update, When, Write, key};
use millrace_events::{Failure, mutation, reason};
use serde::{Deserialize, Serialize};

use crate::{
    attributes::{self, count, number, text},
    notice::Notice,
    progress::{Claim, Held, ProgressStore},
    scoring::Score,
};

/// Rows of one transaction beside the check of the claim: DynamoDB takes 100 in all.
const ROWS_PER_WRITE: usize = 99;
/// How often a round looks again when people were told in the middle of it.
const LOOKS: usize = 10;

/// Where a candidate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// To be told.
    Chosen,
    /// Qualified, beyond the cap.
    Reserve,
    /// The decision to tell is taken.
    Telling,
    /// The message is published.
    Told,
    /// Not to be told any more.
    Withdrawn,
}

impl State {
    /// The word in the row.
    pub fn word(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Reserve => "reserve",
            Self::Telling => "telling",
            Self::Told => "told",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether they count as told: a message is on its way, or there.
    pub fn counts_as_told(self) -> bool {
        matches!(self, Self::Telling | Self::Told)
    }
}

/// On what ground somebody was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// The job's version then.
    pub job_version: String,
    /// Their score then.
    pub score: f64,
    /// Their rank then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rank: Option<u64>,
}

/// A row of the candidates table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The job.
    pub job_id: String,
    /// Who.
    pub employee_id: String,
    /// The version of the job that was scored last.
    pub job_version: String,
    /// When that change of the job happened: the time for all filters.
    pub as_of: String,
    /// The cosine.
    pub similarity: f64,
    /// 0 to 50.
    pub semantic_points: f64,
    /// 0 or 30.
    pub district_points: f64,
    /// 0 to 20.
    pub rate_points: f64,
    /// Their sum.
    pub score: f64,
    /// Their place among those who qualify, from 1; not there for those who do not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rank: Option<u64>,
    /// See [`State`].
    pub state: State,
    /// Whether somebody who was told qualifies for the newest version too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub still_matches: Option<bool>,
    /// When this was decided.
    pub scored_at: String,
    /// The message's id, once the decision to tell is taken.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub notification_id: Option<String>,
    /// The message, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub notice: Option<Notice>,
    /// On what ground they were told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub told: Option<Told>,
    /// When it was published.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub notified_at: Option<String>,
}

impl Candidate {
    /// Of a row.
    ///
    /// # Errors
    /// `malformed-row`: it is not what a worker writes.
    pub fn of(row: Row) -> Result<Self, Failure> {
        attributes::read("a candidate's row", AttributeValue::M(row))
    }

    fn with(mut self, score: &Score, rank: usize) -> Self {
        self.similarity = score.similarity;
        self.semantic_points = score.semantic;
        self.district_points = score.district;
        self.rate_points = score.rate;
        self.score = score.total();
        self.rank = Some(rank as u64);
        self
    }

    /// The same but for when it was decided.
    fn says_as(&self, other: &Self) -> bool {
        let at = |scored_at: &str| Self {
            scored_at: scored_at.to_owned(),
            ..self.clone()
        };
        at(&other.scored_at) == *other
    }
}

/// One round's decision on everybody.
#[derive(Debug, Clone)]
pub struct Round<'a> {
    /// The job.
    pub job_id: &'a str,
    /// The version that is scored.
    pub version: &'a str,
    /// When it happened.
    pub as_of: &'a str,
    /// Who qualifies, best first.
    pub ranked: &'a [(String, Score)],
    /// How many may be told.
    pub cap: usize,
    /// The time.
    pub now: &'a str,
}

/// What a round writes, in this order. Those who are not to be told any more come first: when the first new one is chosen, nobody else
/// is left who could be told beyond the cap.
pub fn plan(round: &Round<'_>, existing: &BTreeMap<String, Candidate>) -> Vec<Candidate> {
    let told = existing.values().filter(|one| one.state.counts_as_told());
    let mut room = round.cap.saturating_sub(told.count());
    if mutation::on(mutation::CAP_IGNORED) {
        room = round.ranked.len();
    }
    let mut wanted = Vec::with_capacity(round.ranked.len());
    for (position, (employee, score)) in round.ranked.iter().enumerate() {
        let before = existing.get(employee);
        let is_told = before.filter(|one| one.state.counts_as_told());
        let mut row = match is_told {
            Some(told) => Candidate {
                still_matches: Some(true),
                ..told.clone()
            },
            None => fresh(round, employee),
        };
        if is_told.is_none() && room > 0 {
            room -= 1;
            row.state = State::Chosen;
        }
        wanted.push(row.with(score, position + 1));
    }
    let qualified: std::collections::BTreeSet<&String> =
        round.ranked.iter().map(|(employee, _)| employee).collect();
    let others = existing
        .values()
        .filter(|one| !qualified.contains(&one.employee_id));
    wanted.extend(others.map(|one| {
        let told = one.state.counts_as_told();
        Candidate {
            state: if told || mutation::on(mutation::STALE_STAYS_CHOSEN) {
                one.state
            } else {
                State::Withdrawn
            },
            still_matches: told.then_some(false),
            rank: None,
            ..one.clone()
        }
    }));
    let mut steps: Vec<Candidate> = wanted
        .into_iter()
        .map(|row| Candidate {
            job_version: round.version.to_owned(),
            as_of: round.as_of.to_owned(),
            scored_at: round.now.to_owned(),
            ..row
        })
        .filter(|row| {
            let before = existing.get(&row.employee_id);
            !before.is_some_and(|before| row.says_as(before))
        })
        .collect();
    let is_taken_back = |row: &Candidate| {
        let before = existing.get(&row.employee_id);
        before.is_some_and(|before| before.state == State::Chosen) && row.state != State::Chosen
    };
    // Stable: within both, best first.
    steps.sort_by_key(|row| !is_taken_back(row));
    steps
}

fn fresh(round: &Round<'_>, employee: &str) -> Candidate {
    Candidate {
        job_id: round.job_id.to_owned(),
        employee_id: employee.to_owned(),
        job_version: String::new(),
        as_of: String::new(),
        similarity: 0.0,
        semantic_points: 0.0,
        district_points: 0.0,
        rate_points: 0.0,
        score: 0.0,
        rank: None,
        state: State::Reserve,
        still_matches: None,
        scored_at: String::new(),
        notification_id: None,
        notice: None,
        told: None,
        notified_at: None,
    }
}

/// How carrying out a plan ended.
enum Carried {
    Out,
    /// Somebody was told meanwhile: look again.
    Moved,
    /// The claim does not hold any more.
    Lost(Held),
}

/// The candidates' rows.
#[derive(Debug, Clone)]
pub struct Candidates {
    table: Table,
    name: String,
    progress: ProgressStore,
}

impl Candidates {
    /// In this table, under claims of that progress.
    pub fn new(table: Table, name: &str, progress: ProgressStore) -> Self {
        let name = name.to_owned();
        Self {
            table,
            name,
            progress,
        }
    }

    /// A row's key.
    pub fn key(job_id: &str, employee_id: &str) -> Row {
        key([("jobId", job_id), ("employeeId", employee_id)])
    }

    /// An update of a row.
    pub fn change(&self, job_id: &str, employee_id: &str) -> Update {
        Update::of(&self.name, Self::key(job_id, employee_id))
    }

    /// A candidate as they are now.
    ///
    /// # Errors
    /// The table's.
    pub async fn read(
        &self,
        job_id: &str,
        employee_id: &str,
    ) -> Result<Option<Candidate>, Failure> {
        let row = self.table.read(&self.name, Self::key(job_id, employee_id));
        row.await?.map(Candidate::of).transpose()
    }

    /// Everybody who was ever a candidate for a job, as they are now, by their id.
    ///
    /// # Errors
    /// The table's.
    pub async fn of_job(&self, job_id: &str) -> Result<BTreeMap<String, Candidate>, Failure> {
        let mut all = BTreeMap::new();
        let mut after = None;
        loop {
            let sent = self
                .table
                .client()
                .query()
                .table_name(&self.name)
                .key_condition_expression("#job = :job")
                .expression_attribute_names("#job", "jobId")
                .expression_attribute_values(":job", text(job_id))
                .consistent_read(true)
                .set_exclusive_start_key(after.take())
                .send()
                .await;
            let page = sent.map_err(|error| classify("list the job's candidates", error))?;
            for row in page.items.unwrap_or_default() {
                let candidate = Candidate::of(row)?;
                all.insert(candidate.employee_id.clone(), candidate);
            }
            after = page.last_evaluated_key.filter(|key| !key.is_empty());
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Writes a round's decision under its claim.
    ///
    /// # Errors
    /// The table's; a transient `conflict` when people were told faster than the round could look.
    pub async fn decide(&self, claim: &Claim, round: &Round<'_>) -> Result<Held, Failure> {
        for _ in 0..LOOKS {
            let existing = self.of_job(round.job_id).await?;
            match self.carry_out(claim, &plan(round, &existing)).await? {
                Carried::Out => return Ok(Held::Yes),
                Carried::Lost(held) => return Ok(held),
                Carried::Moved => {}
            }
        }
        Err(Failure::transient(
            reason::CONFLICT,
            "the job's candidates were told faster than a round of scoring could write",
        ))
    }

    /// Nobody who was not told yet is to be told any more.
    ///
    /// # Errors
    /// As [`Candidates::decide`].
    pub async fn withdraw(&self, claim: &Claim, now: &str) -> Result<Held, Failure> {
        for _ in 0..LOOKS {
            let existing = self.of_job(&claim.job_id).await?;
            let open = existing
                .into_values()
                .filter(|one| matches!(one.state, State::Chosen | State::Reserve));
            let rows: Vec<Candidate> = open
                .map(|one| Candidate {
                    job_version: claim.version.as_str().to_owned(),
                    state: State::Withdrawn,
                    rank: None,
                    scored_at: now.to_owned(),
                    ..one
                })
                .collect();
            match self.carry_out(claim, &rows).await? {
                Carried::Out => return Ok(Held::Yes),
                Carried::Lost(held) => return Ok(held),
                Carried::Moved => {}
            }
        }
        Err(Failure::transient(
            reason::CONFLICT,
            "the job's candidates were told faster than they could be withdrawn",
        ))
    }

    /// In batches, each one transaction with the check of the claim.
    async fn carry_out(&self, claim: &Claim, rows: &[Candidate]) -> Result<Carried, Failure> {
        for some in rows.chunks(ROWS_PER_WRITE) {
            let mut writes = vec![self.progress.holds(claim)];
            for row in some {
                writes.push(self.write(row)?);
            }
            match self
                .table
                .commit("write the job's candidates", writes)
                .await?
            {
                Committed::Done => {}
                Committed::Refused { index: 0, current } => {
                    let held = ProgressStore::refused(claim, current.as_ref());
                    return Ok(Carried::Lost(held));
                }
                Committed::Refused { .. } => return Ok(Carried::Moved),
            }
        }
        Ok(Carried::Out)
    }

    /// Whoever is not told is written whole while they are not told; of the others only what scoring found.
    fn write(&self, row: &Candidate) -> Result<Write, Failure> {
        if !row.state.counts_as_told() {
            let AttributeValue::M(whole) = attributes::map(row)? else {
                return Err(crate::fields::malformed("a candidate is not a map"));
            };
            return Ok(Write::Put {
                table: self.name.clone(),
                row: whole,
                when: Some(When::Absent("notificationId")),
            });
        }
        let update = self
            .change(&row.job_id, &row.employee_id)
            .set("jobVersion", text(&*row.job_version))
            .set("asOf", text(&*row.as_of))
            .set("scoredAt", text(&*row.scored_at))
            .set("similarity", number(row.similarity))
            .set("semanticPoints", number(row.semantic_points))
            .set("districtPoints", number(row.district_points))
            .set("ratePoints", number(row.rate_points))
            .set("score", number(row.score))
            .set(
                "stillMatches",
                AttributeValue::Bool(row.still_matches == Some(true)),
            );
        let update = match row.rank {
            Some(rank) => update.set("rank", count(rank)),
            None => update.remove("rank"),
        };
        Ok(update.when(When::Present("notificationId")).into())
    }
}

#[cfg(test)]
mod tests;
