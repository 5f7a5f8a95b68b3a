//! People and jobs as plain values, and as the rows that the platform writes of them.

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Numbers in the vectors of tests.
pub const DIMENSIONS: usize = 8;

/// What somebody wants to be paid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// Says nothing.
    None,
    /// At least this.
    From(f64),
    /// Content with this.
    To(f64),
    /// At least the one, content with the other.
    Both(f64, f64),
}

/// How a row tells when somebody was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenAs {
    /// ISO 8601.
    Text,
    /// Milliseconds since 1970.
    Millis,
}

/// Somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// `userId`.
    pub id: String,
    /// Whether there is an employee profile at all.
    pub has_profile: bool,
    /// `isComplete`.
    pub complete: bool,
    /// `jobDescription`.
    pub description: String,
    /// `isActive`.
    pub active: bool,
    /// `employeeStatus`.
    pub status: &'static str,
    /// When they last logged in, in milliseconds since 1970.
    pub seen_millis: Option<i64>,
    /// How the row tells it.
    pub seen_as: SeenAs,
    /// Whether there are ratings in the row; without them all three are zero.
    pub has_ratings: bool,
    /// Good ratings.
    pub good: u32,
    /// Neutral ones.
    pub neutral: u32,
    /// Bad ones.
    pub bad: u32,
    /// What they want to be paid.
    pub range: Range,
    /// Where they want to work.
    pub districts: Vec<&'static str>,
    /// What the description means, to who compares it.
    pub vector: [f32; DIMENSIONS],
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// `jobId`.
    pub id: String,
    /// `employerId`.
    pub employer: String,
    /// `title`.
    pub title: String,
    /// `description`.
    pub description: String,
    /// When its row was written, in milliseconds since 1970.
    pub changed_millis: i64,
    /// Where it is.
    pub district: Option<&'static str>,
    /// What it pays an hour.
    pub rate: f64,
    /// What title and description mean, to who compares them.
    pub vector: [f32; DIMENSIONS],
}

/// A text that means this, to the embedder of [`super::prescribed`].
pub fn text_of(vector: &[f32; DIMENSIONS]) -> String {
    let numbers: Vec<String> = vector.iter().map(ToString::to_string).collect();
    format!("[{}]", numbers.join(" "))
}

fn number(value: f64) -> Value {
    json!({"N": value.to_string()})
}

fn words(values: &[&str]) -> Value {
    let list: Vec<Value> = values.iter().map(|value| json!({"S": value})).collect();
    json!({"L": list})
}

impl Person {
    /// Somebody to whom any job may be told that is like their description and pays so much.
    pub fn suitable(id: &str, description: &str, minimum: f64, now_millis: i64) -> Self {
        Self {
            id: id.to_owned(),
            has_profile: true,
            complete: true,
            description: description.to_owned(),
            active: true,
            status: "available",
            seen_millis: Some(now_millis),
            seen_as: SeenAs::Text,
            has_ratings: true,
            good: 9,
            neutral: 0,
            bad: 1,
            range: Range::Both(minimum, minimum + 20.0),
            districts: vec!["Central"],
            vector: [0.0; DIMENSIONS],
        }
    }

    /// The row in the Users table, in DynamoDB's JSON.
    pub fn row(&self) -> Value {
        let mut profiles = json!({"M": {}});
        if self.has_profile {
            profiles["M"]["employee"] = json!({"M": self.profile()});
        }
        let mut row = json!({
            "userId": {"S": self.id},
            "profiles": profiles,
            "currentMode": {"S": "employee"},
            "employeeStatus": {"S": self.status},
            "isActive": {"BOOL": self.active},
        });
        if let Some(millis) = self.seen_millis {
            row["lastLoginAt"] = match self.seen_as {
                SeenAs::Millis => json!({"N": millis.to_string()}),
                SeenAs::Text => json!({"S": iso(millis)}),
            };
        }
        row
    }

    fn profile(&self) -> Value {
        let mut profile = json!({
            "name": {"S": "Someone"},
            "jobDescription": {"S": self.description},
            "preferredDistricts": words(&self.districts),
            "isComplete": {"BOOL": self.complete},
        });
        if self.has_ratings {
            profile["ratings"] = json!({"M": {
                "good": number(self.good.into()),
                "neutral": number(self.neutral.into()),
                "bad": number(self.bad.into()),
            }});
        }
        match self.range {
            Range::None => {}
            Range::From(minimum) => {
                profile["hourlyRateRange"] = json!({"M": {"min": number(minimum)}});
            }
            Range::To(maximum) => {
                profile["hourlyRateRange"] = json!({"M": {"max": number(maximum)}});
            }
            Range::Both(minimum, maximum) => {
                profile["hourlyRateRange"] =
                    json!({"M": {"min": number(minimum), "max": number(maximum)}});
            }
        }
        profile
    }
}

impl Job {
    /// The row in the Jobs table, in DynamoDB's JSON.
    pub fn row(&self) -> Value {
        let mut row = json!({
            "jobId": {"S": self.id},
            "employerId": {"S": self.employer},
            "title": {"S": self.title},
            "description": {"S": self.description},
            "hourlyRate": number(self.rate),
            "status": {"S": "matching"},
            "createdAt": {"S": iso(self.changed_millis)},
            "matchingWindow": {"M": {
                "isOpen": {"BOOL": true}, "firstResponseAt": {"NULL": true}, "responses": {"L": []},
            }},
        });
        if let Some(district) = self.district {
            row["district"] = json!({"S": district});
        }
        row
    }
}

/// A time as the platform writes it.
pub fn iso(millis: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap();
    time.format(&Rfc3339).unwrap()
}
