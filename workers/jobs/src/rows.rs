//! The platform's rows, decoded: users, jobs, matches.
//!
//! Data model: tables, attributes and their meaning are a contract. What the model leaves open is said here once.
//! Beyond it stand `lastLoginAt` in a user's row, and `embeddingOf` beside each embedding.

use millrace_effects::Row;
use millrace_events::{Failure, Item, reason};
use millrace_vectors::{ModelId, content_hash};
use time::OffsetDateTime;

use crate::fields::{Fields, JobFields as _, invalid_rate, malformed};

/// So many characters of a text are embedded.
const EMBEDDED_CHARACTERS: usize = 20_000;

/// The word of somebody who may be told of jobs.
const AVAILABLE: &str = "available";

/// A row as the SDK answers it, in the form of a stream's image.
pub fn item_of(row: Row) -> Item {
    Item::from(row)
}

/// An id of a record's key.
///
/// # Errors
/// `malformed-row` or `invalid-id`.
pub fn key_id(keys: &Item, name: &'static str) -> Result<String, Failure> {
    Fields::of("row's key", keys).id(name)
}

/// How an employee was rated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ratings {
    /// How often good.
    pub good: u64,
    /// How often neither.
    pub neutral: u64,
    /// How often bad.
    pub bad: u64,
}

/// The hourly rates at which an employee works. Without a range any rate is as good as it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateRange {
    /// Below this they do not work.
    pub min: f64,
    /// From here on a rate is as good as it can be.
    pub max: f64,
}

impl RateRange {
    fn of(profile: &Fields<'_>) -> Result<Option<Self>, Failure> {
        let range = match profile.map("hourlyRateRange", "hourly rate range") {
            Ok(range) => range,
            Err(_) => return Err(invalid_rate("`hourlyRateRange` is not a map")),
        };
        let (min, max) = match (range.rate("min")?, range.rate("max")?) {
            (None, None) => return Ok(None),
            (Some(min), Some(max)) => (min, max),
            (Some(min), None) => (min, min),
            (None, Some(max)) => (0.0, max),
        };
        if min > max {
            return Err(invalid_rate(format!(
                "the least hourly rate {min} is above the greatest {max}"
            )));
        }
        Ok(Some(Self { min, max }))
    }
}

/// What matching looks at in an employee's profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Employee {
    /// What is embedded: the job description, trimmed and cut.
    pub text: String,
    /// `employeeStatus` is `available`.
    pub available: bool,
    /// When they were last seen.
    pub last_seen: Option<OffsetDateTime>,
    /// How they were rated.
    pub ratings: Ratings,
    /// At which rates they work.
    pub rates: Option<RateRange>,
    /// Where they like to work, as the platform writes it; sorted, each once.
    pub districts: Vec<String>,
}

/// Why somebody is in nobody's list, whatever the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// There is no profile of an employee, or it is not complete, or says nothing.
    Incomplete,
    /// The account is not active.
    Inactive,
    /// The row was removed.
    Gone,
}

impl Absent {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Inactive => "inactive",
            Self::Gone => "gone",
        }
    }
}

/// Whether a user's row is of somebody who may be told of jobs.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// An employee who is active and has a complete profile.
    Present(Box<Employee>),
    /// Not.
    Absent(Absent),
}

impl Standing {
    /// Of a row in the users table. What is not looked at may be as it likes: a profile that is not complete is not decoded.
    ///
    /// # Errors
    /// `malformed-row`, `invalid-rate`.
    pub fn of(row: &Item) -> Result<Self, Failure> {
        let user = Fields::of("users row", row);
        let profile = employee_fields(&user)?;
        let text = to_embed(profile.text("jobDescription")?.unwrap_or_default());
        if !profile.flag("isComplete")? || text.is_empty() {
            return Ok(Self::Absent(Absent::Incomplete));
        }
        if !user.flag("isActive")? {
            return Ok(Self::Absent(Absent::Inactive));
        }
        let ratings = profile.map("ratings", "ratings")?;
        let mut districts = profile.words("preferredDistricts")?;
        districts.sort();
        districts.dedup();
        Ok(Self::Present(Box::new(Employee {
            text,
            available: user.text("employeeStatus")? == Some(AVAILABLE),
            last_seen: user.time("lastLoginAt")?,
            ratings: Ratings {
                good: ratings.count("good")?.unwrap_or(0),
                neutral: ratings.count("neutral")?.unwrap_or(0),
                bad: ratings.count("bad")?.unwrap_or(0),
            },
            rates: RateRange::of(&profile)?,
            districts,
        })))
    }
}

/// The attributes of a user's profile as an employee.
///
/// # Errors
/// `malformed-row`.
pub fn employee_fields<'a>(user: &Fields<'a>) -> Result<Fields<'a>, Failure> {
    user.map("profiles", "profiles of the users row")?
        .map("employee", "employee's profile")
}

/// `status` of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// People are wanted.
    Matching,
    /// Nobody is wanted any more.
    Closed,
    /// The work is done.
    Completed,
}

impl JobStatus {
    /// The platform's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Matching => "matching",
            Self::Closed => "closed",
            Self::Completed => "completed",
        }
    }

    /// The status of a row in the jobs table; `None` for one that is not there or that nobody knows.
    ///
    /// # Errors
    /// `malformed-row` when it is no text.
    pub fn of(row: &Item) -> Result<Option<Self>, Failure> {
        let word = Fields::of("jobs row", row).text("status")?;
        let all = [Self::Matching, Self::Closed, Self::Completed];
        Ok(all.into_iter().find(|status| Some(status.word()) == word))
    }
}

/// What scoring looks at in a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The job.
    pub job_id: String,
    /// Whose it is.
    pub employer_id: String,
    /// Its title; may be empty.
    pub title: String,
    /// What is embedded: title and description, trimmed and cut.
    pub text: String,
    /// Where it is.
    pub district: Option<String>,
    /// What an hour is paid.
    pub hourly_rate: f64,
    /// How many hours, where it says.
    pub hours: Option<f64>,
}

impl Job {
    /// Of a row in the jobs table.
    ///
    /// # Errors
    /// `malformed-row`, `invalid-rate`, `invalid-id`, `empty-text`.
    pub fn of(row: &Item) -> Result<Self, Failure> {
        let job = Fields::of("jobs row", row);
        let title = job.text("title")?.unwrap_or_default();
        let description = job.text("description")?.unwrap_or_default();
        let text = to_embed(&format!("{}\n{}", title.trim(), description.trim()));
        let rate = job.rate("hourlyRate")?;
        let rate = rate.ok_or_else(|| invalid_rate("the jobs row has no `hourlyRate`"))?;
        let said = Self {
            job_id: job.id("jobId")?,
            employer_id: job.id("employerId")?,
            title: title.trim().to_owned(),
            text,
            district: job.text("district")?.map(str::to_owned),
            hourly_rate: rate,
            // Nothing is decided by it.
            hours: job
                .map("duration", "duration")
                .and_then(|duration| duration.number("hours"))
                .unwrap_or(None),
        };
        if said.text.is_empty() {
            return Err(Failure::permanent(
                reason::EMPTY_TEXT,
                "the job has neither a title nor a description",
            ));
        }
        Ok(said)
    }
}

impl Job {
    /// Whether scoring would find the same: title, description, place, rate and employer.
    pub fn is_scored_as(&self, other: &Self) -> bool {
        let facts = |job: &Self| {
            (
                job.employer_id.clone(),
                job.title.clone(),
                job.text.clone(),
                job.district.clone(),
            )
        };
        facts(self) == facts(other) && self.hourly_rate == other.hourly_rate
    }
}

/// `status` of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchStatus {
    /// An employee answered.
    Pending,
    /// The employer chose them.
    Selected,
    /// Somebody else was chosen, or nobody.
    Rejected,
}

impl MatchStatus {
    /// The platform's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Selected => "selected",
            Self::Rejected => "rejected",
        }
    }
}

/// An employee's response to a job: a row in the matches table.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// The response.
    pub response_id: String,
    /// To which job.
    pub job_id: String,
    /// Whose.
    pub employee_id: String,
    /// When.
    pub responded_at: OffsetDateTime,
    /// See [`MatchStatus`].
    pub status: MatchStatus,
}

impl Response {
    /// Of a row in the matches table.
    ///
    /// # Errors
    /// `malformed-row`, `invalid-id`.
    pub fn of(row: &Item) -> Result<Self, Failure> {
        let response = Fields::of("matches row", row);
        let word = response.text("status")?;
        let all = [
            MatchStatus::Pending,
            MatchStatus::Selected,
            MatchStatus::Rejected,
        ];
        let status = all.into_iter().find(|status| Some(status.word()) == word);
        let responded_at = response.time("respondedAt")?;
        Ok(Self {
            response_id: response.id("responseId")?,
            job_id: response.id("jobId")?,
            employee_id: response.id("employeeId")?,
            responded_at: responded_at
                .ok_or_else(|| malformed("the matches row has no `respondedAt`"))?,
            status: status.ok_or_else(|| {
                malformed("`status` of the matches row is not pending, selected or rejected")
            })?,
        })
    }
}

/// `embeddingOf`: the vector of which text, by which model, stands beside it.
pub fn embedding_of(model: &ModelId, text: &str) -> String {
    content_hash(model, text)
}

/// What of a text is embedded.
fn to_embed(text: &str) -> String {
    let cut: String = text.trim().chars().take(EMBEDDED_CHARACTERS).collect();
    cut.trim_end().to_owned()
}

#[cfg(test)]
mod tests;
