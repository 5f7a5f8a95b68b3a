//! What people are told: one message to the topic, whose bytes are kept in a row before the first publish.
//!
//! A notice is derived from a row and its id is a function of that row. A worker first writes the notice into the row, then publishes
//! it, then marks the row: if it ends between the last two, what is published again has the same id and the same bytes.
//! `docs/notifications.md` is the contract with subscribers.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sns::types::MessageAttributeValue;
use millrace_cloud::classify;
use millrace_events::{Failure, mutation, reason};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{attributes, language::Language, rows::Job};

mod words;

/// What a notification's id is made from, besides its cause.
const NAMESPACE: Uuid = Uuid::from_u128(0x9d3c_3c8e_52a0_5f1b_9a0b_6d0c_6f1e_7a55);

/// So many characters of a title or a district are told: a message has 256 KB at most, and people read the beginning.
const TOLD_CHARACTERS: usize = 200;

/// Why somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A job suits an employee.
    CandidateMatched,
    /// An employee answered to a job.
    ResponseReceived,
    /// An employee was chosen.
    Selected,
    /// An employee was not.
    Rejected,
}

impl Kind {
    /// The word that subscribers filter on.
    pub fn word(self) -> &'static str {
        match self {
            Self::CandidateMatched => "candidate-matched",
            Self::ResponseReceived => "response-received",
            Self::Selected => "selected",
            Self::Rejected => "rejected",
        }
    }
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// An employee.
    Employee(String),
    /// The job's employer.
    Employer(String),
}

/// What a job's notifications say of it. Kept in the job's progress, so that what people are told is of the version that was scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSaid {
    /// The job.
    pub job_id: String,
    /// Whose it is.
    pub employer_id: String,
    /// The beginning of its title; may be empty.
    pub title: String,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub district: Option<String>,
    /// What an hour is paid.
    pub hourly_rate: f64,
    /// How many hours.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hours: Option<f64>,
    /// BCP 47.
    pub language: String,
}

impl JobSaid {
    /// Of a job.
    pub fn of(job: &Job) -> Self {
        let cut = |text: &str| text.chars().take(TOLD_CHARACTERS).collect::<String>();
        let district = job.district.as_deref().map(cut);
        Self {
            job_id: job.job_id.clone(),
            employer_id: job.employer_id.clone(),
            title: cut(&job.title),
            district: district.filter(|district| !district.trim().is_empty()),
            hourly_rate: job.hourly_rate,
            hours: job.hours,
            language: Language::of(&job.text).tag().to_owned(),
        }
    }
}

/// The `Message`. Its fields are written in this order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    notification_id: &'a str,
    kind: &'static str,
    job_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    employee_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    employer_id: Option<&'a str>,
    language: &'a str,
    title: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

/// An attribute that subscribers can filter on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// `String` or `Number`.
    pub kind: String,
    /// The value as text.
    pub value: String,
}

/// A notification, ready to be published and to be kept in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// What a subscriber knows it by.
    pub notification_id: String,
    /// The bytes of the message.
    pub message: String,
    /// What subscribers filter on.
    pub attributes: BTreeMap<String, Attribute>,
}

/// The id of what this cause makes: `candidate/{jobId}/{employeeId}`, `response/{responseId}`.
pub fn notification_id(cause: &str) -> String {
    if mutation::on(mutation::NOTIFICATION_ID_RANDOM) {
        return Uuid::new_v4().to_string();
    }
    Uuid::new_v5(&NAMESPACE, cause.as_bytes()).to_string()
}

/// Two digits behind the point, as people read a score.
pub fn rounded(score: f64) -> f64 {
    (score * 100.0).round() / 100.0
}

impl Notice {
    /// An employee is told of a job.
    ///
    /// # Errors
    /// `malformed-row`; so for all of these. What is made of a job that was read cannot fail.
    pub fn candidate_matched(job: &JobSaid, employee: &str, score: f64) -> Result<Self, Failure> {
        let cause = format!("candidate/{}/{employee}", job.job_id);
        let to = Recipient::Employee(employee.to_owned());
        Self::new(Kind::CandidateMatched, &cause, job, &to, Some(score))
    }

    /// The employer is told of a response.
    ///
    /// # Errors
    /// As [`Notice::candidate_matched`].
    pub fn response_received(job: &JobSaid, response: &str) -> Result<Self, Failure> {
        let cause = format!("response/{response}");
        let to = Recipient::Employer(job.employer_id.clone());
        Self::new(Kind::ResponseReceived, &cause, job, &to, None)
    }

    /// An employee, or the employer, is told that the employee was chosen.
    ///
    /// # Errors
    /// As [`Notice::candidate_matched`].
    pub fn selected(job: &JobSaid, response: &str, to: &Recipient) -> Result<Self, Failure> {
        let role = match to {
            Recipient::Employee(_) => "employee",
            Recipient::Employer(_) => "employer",
        };
        let cause = format!("selected/{}/{response}/{role}", job.job_id);
        Self::new(Kind::Selected, &cause, job, to, None)
    }

    /// An employee is told that they were not chosen.
    ///
    /// # Errors
    /// As [`Notice::candidate_matched`].
    pub fn rejected(job: &JobSaid, response: &str, employee: &str) -> Result<Self, Failure> {
        let cause = format!("rejected/{response}");
        let to = Recipient::Employee(employee.to_owned());
        Self::new(Kind::Rejected, &cause, job, &to, None)
    }

    fn new(
        kind: Kind,
        cause: &str,
        job: &JobSaid,
        to: &Recipient,
        score: Option<f64>,
    ) -> Result<Self, Failure> {
        let id = notification_id(cause);
        let score = score.map(rounded);
        let said = words::say(kind, to, job, score);
        let (employee_id, employer_id) = match to {
            Recipient::Employee(id) => (Some(id.as_str()), None),
            Recipient::Employer(id) => (None, Some(id.as_str())),
        };
        let message = Message {
            notification_id: &id,
            kind: kind.word(),
            job_id: &job.job_id,
            employee_id,
            employer_id,
            language: &job.language,
            title: said.title,
            text: said.text,
            score,
        };
        let message = serde_json::to_string(&message).map_err(|error| {
            Failure::permanent(reason::MALFORMED_ROW, "could not write a notification")
                .caused_by(error)
        })?;
        let word = |value: &str| Attribute {
            kind: "String".to_owned(),
            value: value.to_owned(),
        };
        let number = |value: f64| Attribute {
            kind: "Number".to_owned(),
            value: attributes::decimal(value),
        };
        let given = [
            ("notificationId", Some(word(&id))),
            ("kind", Some(word(kind.word()))),
            ("jobId", Some(word(&job.job_id))),
            ("district", job.district.as_deref().map(word)),
            ("language", Some(word(&job.language))),
            ("score", score.map(number)),
            ("hourlyRate", Some(number(job.hourly_rate))),
        ];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(Self {
            attributes: given.collect(),
            notification_id: id,
            message,
        })
    }

    /// As an attribute of a row.
    ///
    /// # Errors
    /// `malformed-row`.
    pub fn to_attribute(&self) -> Result<AttributeValue, Failure> {
        attributes::map(self)
    }

    /// What [`Notice::to_attribute`] wrote.
    ///
    /// # Errors
    /// `malformed-row`: it is not what a worker writes.
    pub fn from_attribute(value: AttributeValue) -> Result<Self, Failure> {
        attributes::read("a notification kept in a row", value)
    }

    /// Publishes it. A publish whose answer is lost may have taken place: it is made again, with the same id and bytes.
    ///
    /// # Errors
    /// The topic's.
    pub async fn publish(&self, sns: &aws_sdk_sns::Client, topic: &str) -> Result<(), Failure> {
        let mut request = sns.publish().topic_arn(topic).message(&self.message);
        for (name, attribute) in &self.attributes {
            let value = MessageAttributeValue::builder()
                .data_type(&attribute.kind)
                .string_value(&attribute.value)
                .build()
                .map_err(|error| {
                    Failure::permanent(
                        reason::REQUEST_REJECTED,
                        "could not write a notification's attribute",
                    )
                    .caused_by(error)
                })?;
            request = request.message_attributes(name, value);
        }
        let sent = request.send().await;
        sent.map_err(|error| classify("publish a notification", error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(title: &str, text: &str) -> JobSaid {
        JobSaid::of(&Job {
            job_id: "j-1".to_owned(),
            employer_id: "u-9".to_owned(),
            title: title.to_owned(),
            text: text.to_owned(),
            district: Some("Central".to_owned()),
            hourly_rate: 120.0,
            hours: Some(4.0),
        })
    }

    #[test]
    fn a_message_is_one_line_with_its_fields_in_order() {
        let job = job("急需侍應", "急需侍應\n繁忙餐廳");
        let notice = Notice::candidate_matched(&job, "u-1", 77.549_999).unwrap();
        let id = notification_id("candidate/j-1/u-1");
        let expected = format!(
            "{{\"notificationId\":\"{id}\",\"kind\":\"candidate-matched\",\"jobId\":\"j-1\",\"employeeId\":\"u-1\",\
             \"language\":\"zh-Hant\",\"title\":\"有適合你的工作：急需侍應\",\
             \"text\":\"急需侍應：Central，時薪 $120，4 小時。與你的檔案配對得 77.55 分（滿分 100）。\",\"score\":77.55}}"
        );
        assert_eq!(notice.message, expected);
        let number = |name: &str| notice.attributes[name].clone();
        assert_eq!(
            (
                number("score").kind.as_str(),
                number("score").value.as_str()
            ),
            ("Number", "77.55")
        );
        assert_eq!(number("hourlyRate").value, "120");
        assert_eq!(notice.attributes["district"].value, "Central");
    }

    #[test]
    fn ids_are_functions_of_their_cause() {
        let job = job("Waiter", "Waiter");
        let employee = Recipient::Employee("u-1".to_owned());
        let employer = Recipient::Employer("u-9".to_owned());
        let all = [
            Notice::candidate_matched(&job, "u-1", 70.0).unwrap(),
            Notice::response_received(&job, "r-1").unwrap(),
            Notice::selected(&job, "r-1", &employee).unwrap(),
            Notice::selected(&job, "r-1", &employer).unwrap(),
            Notice::rejected(&job, "r-1", "u-1").unwrap(),
        ];
        let ids: std::collections::BTreeSet<_> =
            all.iter().map(|notice| &notice.notification_id).collect();
        assert_eq!(ids.len(), all.len());
        assert_eq!(notification_id("candidate/j-1/u-1"), all[0].notification_id);
    }

    #[test]
    fn a_notice_reads_back_from_its_row() {
        let notice = Notice::candidate_matched(&job("Waiter", "Waiter"), "u-1", 70.5).unwrap();
        let kept = notice.to_attribute().unwrap();
        assert_eq!(Notice::from_attribute(kept).unwrap(), notice);
        assert!(Notice::from_attribute(AttributeValue::Bool(true)).is_err());
    }

    #[test]
    fn a_job_without_district_or_title_is_told_all_the_same() {
        let mut job = job("", "description only");
        job.district = None;
        job.hours = None;
        let notice = Notice::candidate_matched(&job, "u-1", 70.0).unwrap();
        assert!(notice.message.contains("A job that suits you"));
        assert!(!notice.message.contains("null"));
        assert!(!notice.attributes.contains_key("district"));
        let long = JobSaid::of(&Job {
            title: "字".repeat(100_000),
            district: Some("  ".to_owned()),
            ..Job {
                job_id: "j".to_owned(),
                employer_id: "e".to_owned(),
                title: String::new(),
                text: "字".to_owned(),
                district: None,
                hourly_rate: 1.0,
                hours: None,
            }
        });
        assert_eq!(long.title.chars().count(), TOLD_CHARACTERS);
        assert_eq!(long.district, None);
    }
}
