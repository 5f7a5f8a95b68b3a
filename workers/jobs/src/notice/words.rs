//! The sentences, in the two languages of the platform. They name the job and nobody.

use super::{JobSaid, Kind, Recipient};
use crate::{attributes::decimal, language::Language};

/// A notification's title and text.
pub(super) struct Said {
    pub(super) title: String,
    pub(super) text: String,
}

pub(super) fn say(kind: Kind, to: &Recipient, job: &JobSaid, score: Option<f64>) -> Said {
    match Language::of_tag(&job.language) {
        Language::Chinese => chinese(kind, to, job, score),
        Language::English => english(kind, to, job, score),
    }
}

fn chinese(kind: Kind, to: &Recipient, job: &JobSaid, score: Option<f64>) -> Said {
    let named = if job.title.is_empty() {
        "兼職"
    } else {
        &job.title
    };
    let mut facts: Vec<String> = job.district.iter().cloned().collect();
    facts.push(format!("時薪 ${}", decimal(job.hourly_rate)));
    facts.extend(job.hours.map(|hours| format!("{} 小時", decimal(hours))));
    let facts = facts.join("，");
    let (title, text) = match (kind, to) {
        (Kind::CandidateMatched, _) => (
            format!("有適合你的工作：{named}"),
            format!(
                "{named}：{facts}。與你的檔案配對得 {} 分（滿分 100）。",
                decimal(score.unwrap_or_default())
            ),
        ),
        (Kind::ResponseReceived, _) => (
            format!("有人回應：{named}"),
            format!("有一位僱員回應了你的工作「{named}」（{facts}）。"),
        ),
        (Kind::Selected, Recipient::Employee(_)) => (
            format!("你獲選了：{named}"),
            format!("僱主選了你擔任「{named}」（{facts}）。"),
        ),
        (Kind::Selected, Recipient::Employer(_)) => (
            format!("已選定人選：{named}"),
            format!("你為「{named}」選定了人選，其他回應者已獲通知。"),
        ),
        (Kind::Rejected, _) => (
            format!("未獲選：{named}"),
            format!("僱主為「{named}」選了另一位僱員。多謝你的回應。"),
        ),
    };
    Said { title, text }
}

fn english(kind: Kind, to: &Recipient, job: &JobSaid, score: Option<f64>) -> Said {
    let named = if job.title.is_empty() {
        "part-time job"
    } else {
        &job.title
    };
    let mut facts: Vec<String> = job.district.iter().cloned().collect();
    facts.push(format!("${} an hour", decimal(job.hourly_rate)));
    facts.extend(job.hours.map(|hours| match decimal(hours).as_str() {
        "1" => "1 hour".to_owned(),
        hours => format!("{hours} hours"),
    }));
    let facts = facts.join(", ");
    let (title, text) = match (kind, to) {
        (Kind::CandidateMatched, _) => (
            format!("A job that suits you: {named}"),
            format!(
                "{named}: {facts}. It matches your profile with {} of 100 points.",
                decimal(score.unwrap_or_default())
            ),
        ),
        (Kind::ResponseReceived, _) => (
            format!("Somebody answered: {named}"),
            format!("An employee answered to your job \"{named}\" ({facts})."),
        ),
        (Kind::Selected, Recipient::Employee(_)) => (
            format!("You were chosen: {named}"),
            format!("The employer chose you for \"{named}\" ({facts})."),
        ),
        (Kind::Selected, Recipient::Employer(_)) => (
            format!("You chose somebody: {named}"),
            format!("You chose an employee for \"{named}\"; the others who answered were told."),
        ),
        (Kind::Rejected, _) => (
            format!("Somebody else was chosen: {named}"),
            format!(
                "The employer chose another employee for \"{named}\". Thank you for answering."
            ),
        ),
    };
    Said { title, text }
}
