//! `millrace dlq replay`.

use std::{collections::BTreeMap, path::Path};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use millrace_cloud::classify;
use millrace_events::ParkedRecord;
use serde::Serialize;
use serde_json::Value;

use crate::{
    cli::DlqPlace,
    output::{self, Ended, Error, line, short},
    platform::Platform,
};

/// How long listed letters stay out of sight of another operator: until they are put back, at the latest.
const LOOKING_SECONDS: i32 = 120;

/// One dead letter.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Letter {
    id: String,
    queue: String,
    worker: String,
    code: String,
    message: String,
    subject: String,
    attempts: u32,
    parked_at: String,
    /// How often the same record lies in the queue.
    copies: usize,
    event: Value,
    #[serde(skip)]
    body: String,
    #[serde(skip)]
    receipts: Vec<String>,
}

async fn open(data: &Path) -> Result<Platform, Error> {
    Platform::open_existing(data).await.map_err(Error::from)
}

/// `1c2d3e4f  extract-text  encrypted  s3://…: the file needs a password`
fn sentence(letter: &Letter) -> String {
    let id: String = letter.id.chars().take(8).collect();
    format!(
        "{id}  {}  {}  {}: {}",
        letter.worker,
        letter.code,
        letter.subject,
        short(&letter.message, 120)
    )
}

pub(super) async fn run(ids: &[String], all: bool, which: &DlqPlace) -> Result<Ended, Error> {
    let mut platform = open(&which.place.data).await?;
    let letters = look(&platform, which.queue.as_deref()).await?;
    let chosen: Vec<&Letter> = if all {
        letters.iter().collect()
    } else {
        match choose(&letters, ids) {
            Ok(chosen) => chosen,
            Err(error) => {
                put_back(&platform, &letters).await?;
                return Err(error);
            }
        }
    };
    let chosen_ids: Vec<String> = chosen.iter().map(|letter| letter.id.clone()).collect();
    for letter in &chosen {
        send_again(&platform, letter).await?;
    }
    put_back(
        &platform,
        &letters
            .iter()
            .filter(|l| !chosen_ids.contains(&l.id))
            .collect::<Vec<_>>(),
    )
    .await?;
    eprintln!("sent {} records to their workers again", chosen_ids.len());
    platform.start();
    platform.wait_idle().await;
    let left = look(&platform, which.queue.as_deref()).await?;
    put_back(&platform, &left).await?;
    let mut ended = Ended::Done;
    for id in &chosen_ids {
        let again = left.iter().find(|letter| letter.id == *id);
        let outcome = if again.is_some() { "parked" } else { "handled" };
        if let Some(letter) = again {
            ended = Ended::SomeFailed;
            eprintln!("parked again: {}", sentence(letter));
        }
        if which.place.json {
            let reason = again
                .map(|letter| serde_json::json!({"code": letter.code, "message": letter.message}));
            output::json(&serde_json::json!({"id": id, "outcome": outcome, "reason": reason}));
        } else {
            line(&format!("{outcome}  {id}"));
        }
    }
    platform.stop().await;
    Ok(ended)
}

fn choose<'a>(letters: &'a [Letter], ids: &[String]) -> Result<Vec<&'a Letter>, Error> {
    let mut chosen = Vec::new();
    for id in ids {
        let matching: Vec<&Letter> = letters
            .iter()
            .filter(|letter| letter.id.starts_with(id.as_str()))
            .collect();
        match matching.as_slice() {
            [one] => chosen.push(*one),
            [] => {
                return Err(Error::usage(format!(
                    "there is no dead letter {id}; `millrace dlq list` shows what there is"
                )));
            }
            several => {
                return Err(Error::usage(format!(
                    "{id} is the beginning of {} ids: give more of it",
                    several.len()
                )));
            }
        }
    }
    Ok(chosen)
}

/// New before old: the letter leaves its queue once the worker's queue has it.
async fn send_again(platform: &Platform, letter: &Letter) -> Result<(), Error> {
    let sqs = &platform.clients().sqs;
    let Some(queue) = letter.queue.strip_suffix("-dlq") else {
        return Err(Error::failed(format!(
            "{} is not a dead-letter queue",
            letter.queue
        )));
    };
    let url = queue_url(platform, queue).await?;
    let sent = sqs
        .send_message()
        .queue_url(url)
        .message_body(&letter.body)
        .send()
        .await;
    sent.map_err(|error| classify(&format!("send the record to {queue}"), error))?;
    let url = queue_url(platform, &letter.queue).await?;
    for receipt in &letter.receipts {
        let deleted = sqs
            .delete_message()
            .queue_url(&url)
            .receipt_handle(receipt)
            .send()
            .await;
        deleted.map_err(|error| {
            classify(&format!("take the record out of {}", letter.queue), error)
        })?;
    }
    Ok(())
}

async fn queue_url(platform: &Platform, queue: &str) -> Result<String, Error> {
    let answer = platform
        .clients()
        .sqs
        .get_queue_url()
        .queue_name(queue)
        .send()
        .await;
    let answer = answer.map_err(|error| classify(&format!("find the queue {queue}"), error))?;
    Ok(answer.queue_url().unwrap_or_default().to_owned())
}

/// Receives every dead letter, once each; copies of one record count as one letter.
async fn look(platform: &Platform, only: Option<&str>) -> Result<Vec<Letter>, Error> {
    let sqs = &platform.clients().sqs;
    let answer = sqs
        .list_queues()
        .send()
        .await
        .map_err(|error| classify("list the queues", error))?;
    let mut letters: BTreeMap<(String, String), Letter> = BTreeMap::new();
    for url in answer.queue_urls() {
        let queue = url.rsplit('/').next().unwrap_or_default();
        let Some(worker) = queue
            .strip_suffix("-dlq")
            .map(|name| name.strip_prefix("millrace-").unwrap_or(name))
        else {
            continue;
        };
        if only.is_some_and(|only| only != queue && only != worker) {
            continue;
        }
        loop {
            let received = sqs
                .receive_message()
                .queue_url(url)
                .max_number_of_messages(10)
                .visibility_timeout(LOOKING_SECONDS)
                .message_system_attribute_names(MessageSystemAttributeName::All)
                .send()
                .await
                .map_err(|error| classify(&format!("read {queue}"), error))?;
            if received.messages().is_empty() {
                break;
            }
            for message in received.messages() {
                let letter = letter(queue, worker, message);
                let key = (letter.parked_at.clone(), letter.id.clone());
                let same = letters.values_mut().find(|known| known.id == letter.id);
                match same {
                    Some(known) => {
                        known.copies += 1;
                        known.receipts.extend(letter.receipts);
                    }
                    None => {
                        letters.insert(key, letter);
                    }
                }
            }
        }
    }
    Ok(letters.into_values().collect())
}

fn letter(queue: &str, worker: &str, message: &Message) -> Letter {
    let body = message.body().unwrap_or_default();
    let system = |name: MessageSystemAttributeName| {
        message.attributes().and_then(|all| all.get(&name)).cloned()
    };
    let receipts: Vec<String> = message
        .receipt_handle()
        .map(str::to_owned)
        .into_iter()
        .collect();
    if let Ok(parked) = serde_json::from_str::<ParkedRecord>(body) {
        return Letter {
            id: parked.id.to_string(),
            queue: queue.to_owned(),
            worker: parked.worker,
            code: parked.reason.code,
            message: parked.reason.message,
            subject: parked.subject,
            attempts: parked.attempts,
            parked_at: millrace_cloud::clock::iso(parked.parked_at),
            copies: 1,
            event: parked.event,
            body: body.to_owned(),
            receipts,
        };
    }
    // Moved here by the queue itself: nobody could say why any more.
    let received =
        system(MessageSystemAttributeName::ApproximateReceiveCount).and_then(|n| n.parse().ok());
    Letter {
        id: message.message_id().unwrap_or_default().to_owned(),
        queue: queue.to_owned(),
        worker: worker.to_owned(),
        code: "redriven".to_owned(),
        message: "the queue gave up after its maximum of receives".to_owned(),
        subject: "-".to_owned(),
        attempts: received.unwrap_or_default(),
        parked_at: system(MessageSystemAttributeName::SentTimestamp).unwrap_or_default(),
        copies: 1,
        event: serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned())),
        body: body.to_owned(),
        receipts,
    }
}

/// Makes letters visible again at once.
async fn put_back<L: std::borrow::Borrow<Letter>>(
    platform: &Platform,
    letters: &[L],
) -> Result<(), Error> {
    for letter in letters {
        let letter = letter.borrow();
        let url = queue_url(platform, &letter.queue).await?;
        for receipt in &letter.receipts {
            let changed = platform
                .clients()
                .sqs
                .change_message_visibility()
                .queue_url(&url)
                .receipt_handle(receipt)
                .visibility_timeout(0)
                .send()
                .await;
            // A letter that somebody else took meanwhile is theirs.
            if let Err(error) = changed {
                tracing::debug!("a dead letter could not be put back: {error}");
            }
        }
    }
    Ok(())
}
