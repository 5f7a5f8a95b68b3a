//! The jobs product at work: people, jobs, who was told and who was not, and what a subscriber got.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sqs::types::QueueAttributeName;
use millrace_cloud::{Clients, clock::iso};
use millrace_jobs::{
    Jobs,
    explain::{Explanation, Verdict, explain},
};
use serde::Deserialize;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    commands::explain_match::{sum, why_not},
    output::{Error, line},
    platform::Platform,
};

/// The queue that stands for a subscriber.
const SUBSCRIBER: &str = "millrace-demo-subscriber";
/// How many answer to the first job.
const ANSWERS: usize = 3;

/// A sample person: a row of the users table, with days instead of a time.
#[derive(Debug, Deserialize)]
struct Person {
    #[serde(rename = "userId")]
    id: String,
    #[serde(rename = "lastLoginDaysAgo")]
    days: i64,
    #[serde(flatten)]
    row: serde_json::Map<String, Value>,
}

impl Person {
    fn name(&self) -> String {
        let name = self.row["profiles"]["employee"]["name"].as_str();
        name.unwrap_or(&self.id).to_owned()
    }

    fn row(&self, now: OffsetDateTime) -> Value {
        let mut row = Value::Object(self.row.clone());
        row["userId"] = json!(self.id);
        row["lastLoginAt"] = json!(iso(now - Duration::days(self.days)));
        row
    }
}

/// What was to be seen.
pub(super) struct Seen {
    pub(super) people: usize,
    pub(super) jobs: usize,
    pub(super) told: usize,
    /// A pair to explain: somebody who was not told.
    pub(super) not_told: Option<(String, String)>,
}

pub(super) async fn run(platform: &Platform, now: OffsetDateTime) -> Result<Seen, Error> {
    let people: Vec<Person> = parsed(include_str!(
        "../../../../../events-fixtures/jobs/samples/users.json"
    ))?;
    let mut jobs: Vec<Value> = parsed(include_str!(
        "../../../../../events-fixtures/jobs/samples/jobs.json"
    ))?;
    for job in &mut jobs {
        // A job of its own each time: one that was decided is not posted again.
        let id = format!("{} {}", word(job, "jobId"), iso(now));
        job["jobId"] = json!(Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).to_string());
        job["createdAt"] = json!(iso(now));
    }
    let product = platform.products().jobs();
    let clients = platform.clients();
    let queue = subscribe(clients, &product.names.topic).await?;
    eprintln!(
        "Writing {} people, then posting {} jobs.",
        people.len(),
        jobs.len()
    );
    for person in &people {
        put(clients, &product.names.users, person.row(now)).await?;
    }
    platform.wait_idle().await;
    for job in &jobs {
        put(clients, &product.names.jobs, job.clone()).await?;
    }
    platform.wait_idle().await;

    let names: BTreeMap<&str, String> = people
        .iter()
        .map(|person| (person.id.as_str(), person.name()))
        .collect();
    let name = |id: &str| names.get(id).cloned().unwrap_or_else(|| id.to_owned());
    let mut told = 0;
    let mut not_told = None;
    let mut answering: Vec<&Person> = Vec::new();
    for (position, job) in jobs.iter().enumerate() {
        let mut explained = Vec::new();
        for person in &people {
            let why = explain(product, word(job, "jobId"), &person.id).await?;
            explained.push((person, why));
        }
        show(job, &explained);
        let mut best: Vec<_> = explained.iter().filter(|(_, why)| is_told(why)).collect();
        best.sort_by_key(|(_, why)| why.rank);
        told += best.len();
        if position == 0 {
            answering = best
                .iter()
                .map(|(person, _)| *person)
                .take(ANSWERS)
                .collect();
            let other = explained.iter().find(|(_, why)| !is_told(why));
            not_told = other.map(|(person, _)| (word(job, "jobId").to_owned(), person.id.clone()));
        }
    }

    if let (Some(job), Some(chosen)) = (jobs.first(), answering.first()) {
        line("");
        line(&format!("Responses to {}", word(job, "title")));
        let answers = respond(platform, word(job, "jobId"), &answering, now).await?;
        let row = &answers[0];
        let mut selected = row.clone();
        selected["status"] = json!("selected");
        put(clients, &product.names.matches, selected).await?;
        platform.wait_idle().await;
        for answer in &answers {
            let key = ("responseId", word(answer, "responseId"));
            let status = read(product, &product.names.matches, key, "status").await?;
            line(&format!(
                "  {} {status}",
                padded(&name(word(answer, "employeeId")))
            ));
        }
        let key = ("jobId", word(job, "jobId"));
        let of_job = read(product, &product.names.jobs, key, "status").await?;
        let key = ("userId", chosen.id.as_str());
        let of_chosen = read(product, &product.names.users, key, "employeeStatus").await?;
        line(&format!(
            "  the job is {of_job}, {} is {of_chosen}",
            chosen.name()
        ));
    }

    line("");
    line("What a subscriber got, each notificationId once");
    let mut seen = BTreeSet::new();
    for message in received(clients, &queue).await? {
        if !seen.insert(word(&message, "notificationId").to_owned()) {
            continue;
        }
        let whom = message["employeeId"]
            .as_str()
            .or(message["employerId"].as_str());
        line(&format!(
            "  {:<18} {} {}",
            word(&message, "kind"),
            padded(&name(whom.unwrap_or_default())),
            word(&message, "text")
        ));
    }
    Ok(Seen {
        people: people.len(),
        jobs: jobs.len(),
        told,
        not_told,
    })
}

fn is_told(why: &Explanation) -> bool {
    why.verdict == Verdict::Told
}

/// Who was told of a job and who was not, best first.
fn show(job: &Value, explained: &[(&Person, Explanation)]) {
    line("");
    line(&format!(
        "Job: {} in {}, {} an hour",
        word(job, "title"),
        word(job, "district"),
        job["hourlyRate"]
    ));
    let mut told: Vec<_> = explained.iter().filter(|(_, why)| is_told(why)).collect();
    told.sort_by_key(|(_, why)| why.rank);
    for (person, why) in told {
        line(&format!(
            "  told      {} {}",
            padded(&person.name()),
            sum(why)
        ));
    }
    // Of those for whom the job is something else altogether there are many: one line.
    let mut dissimilar = Vec::new();
    let mut same: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (person, why) in explained.iter().filter(|(_, why)| !is_told(why)) {
        match (&why.components, why.excluded_by.contains(&"dissimilar")) {
            (Some(score), true) => {
                dissimilar.push(format!("{} {:.2}", person.name(), score.similarity));
            }
            _ => same.entry(why_not(why)).or_default().push(person.name()),
        }
    }
    for (why, names) in same {
        line(&format!("  not told  {} {why}", padded(&shortened(&names))));
    }
    if !dissimilar.is_empty() {
        line(&format!(
            "  not told  dissimilar   {}",
            dissimilar.join(", ")
        ));
    }
}

/// In a column: Chinese characters are two places wide.
pub(super) fn padded(name: &str) -> String {
    let wide = |character: char| if character > '\u{2e7f}' { 2 } else { 1 };
    let width: usize = name.chars().map(wide).sum();
    format!("{name}{}", " ".repeat(16_usize.saturating_sub(width)))
}

fn shortened(names: &[String]) -> String {
    match names {
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        [] => String::new(),
    }
}

/// The best answer, a minute apart; everything that follows is handled.
async fn respond(
    platform: &Platform,
    job: &str,
    people: &[&Person],
    now: OffsetDateTime,
) -> Result<Vec<Value>, Error> {
    let mut answers = Vec::new();
    for (minute, person) in people.iter().enumerate() {
        let at = now + Duration::minutes(i64::try_from(minute).unwrap_or_default());
        let id = format!("{job} {}", person.id);
        let row = json!({
            "responseId": Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).to_string(), "jobId": job, "employeeId": person.id,
            "respondedAt": iso(at), "status": "pending",
        });
        put(
            platform.clients(),
            &platform.products().jobs().names.matches,
            row.clone(),
        )
        .await?;
        answers.push(row);
    }
    platform.wait_idle().await;
    Ok(answers)
}

pub(super) fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text)
        .map_err(|error| Error::failed(format!("the bundled samples are damaged: {error}")))
}

pub(super) fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

pub(super) async fn put(clients: &Clients, table: &str, row: Value) -> Result<(), Error> {
    let item = serde_dynamo::to_item(&row)
        .map_err(|error| Error::failed(format!("a sample is no row: {error}")))?;
    let request = clients.dynamodb.put_item().table_name(table);
    let put = request.set_item(Some(item)).send().await;
    put.map_err(|error| millrace_cloud::classify(&format!("write a row of {table}"), error))?;
    Ok(())
}

/// A word in a row as it is now.
async fn read(
    product: &Jobs,
    table: &str,
    key: (&'static str, &str),
    attribute: &str,
) -> Result<String, Error> {
    let row = product
        .table
        .read(table, millrace_effects::key([key]))
        .await?;
    let value = row.and_then(|mut row| row.remove(attribute));
    Ok(value
        .and_then(|value| value.as_s().ok().cloned())
        .unwrap_or_default())
}

/// Makes the subscriber's queue and subscribes it to the topic.
async fn subscribe(clients: &Clients, topic: &str) -> Result<String, Error> {
    let made = clients.sqs.create_queue().queue_name(SUBSCRIBER).send();
    let made = made
        .await
        .map_err(|error| millrace_cloud::classify("make the subscriber's queue", error))?;
    let url = made.queue_url.unwrap_or_default();
    let asked = clients.sqs.get_queue_attributes().queue_url(&url);
    let attributes = asked
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .map_err(|error| millrace_cloud::classify("read the subscriber's queue", error))?;
    let arn = attributes
        .attributes()
        .and_then(|all| all.get(&QueueAttributeName::QueueArn));
    let subscription = clients.sns.subscribe().topic_arn(topic).protocol("sqs");
    subscription
        .endpoint(arn.cloned().unwrap_or_default())
        .attributes("RawMessageDelivery", "true")
        .send()
        .await
        .map_err(|error| millrace_cloud::classify("subscribe to the topic", error))?;
    Ok(url)
}

/// Everything in the subscriber's queue.
async fn received(clients: &Clients, queue: &str) -> Result<Vec<Value>, Error> {
    let mut messages = Vec::new();
    loop {
        let request = clients.sqs.receive_message().queue_url(queue);
        let answer = request.max_number_of_messages(10).send().await;
        let answer = answer
            .map_err(|error| millrace_cloud::classify("read the subscriber's queue", error))?;
        if answer.messages().is_empty() {
            return Ok(messages);
        }
        for message in answer.messages() {
            let body = message.body().unwrap_or_default();
            messages.push(serde_json::from_str(body).unwrap_or_default());
            let deleted = clients.sqs.delete_message().queue_url(queue);
            deleted
                .set_receipt_handle(message.receipt_handle.clone())
                .send()
                .await
                .map_err(|error| millrace_cloud::classify("delete a message", error))?;
        }
    }
}
