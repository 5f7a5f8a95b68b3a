//! Which queues hold dead letters, and whose.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sqs::types::QueueAttributeName;
use futures::{StreamExt as _, stream};
use millrace_cloud::classify;
use millrace_events::{Failure, reason};
use serde_json::Value;

use super::decode::{Workers, worker_of_queue};

/// Questions that are asked at once.
const AT_ONCE: usize = 8;

/// A queue of dead letters.
#[derive(Debug, Clone)]
pub struct DeadLetterQueue {
    /// Its name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// The queue whose dead letters it holds.
    pub source: Option<String>,
    /// Whose letters lie in it.
    pub workers: Workers,
}

/// What a queue says of itself.
struct Described {
    name: String,
    url: String,
    /// Name of the dead-letter queue and the maximum of receives.
    redrive: Option<(String, Option<u32>)>,
}

/// The dead-letter queues: the one that was asked for, by its name or its worker's; else every queue that another one
/// names in its redrive policy, or whose name ends in `-dlq`.
pub(super) async fn find(
    sqs: &aws_sdk_sqs::Client,
    only: Option<&str>,
    known: &[String],
) -> Result<Vec<DeadLetterQueue>, Failure> {
    match only {
        Some(asked) => Ok(vec![find_one(sqs, asked, known).await?]),
        None => find_all(sqs, known).await,
    }
}

async fn find_one(
    sqs: &aws_sdk_sqs::Client,
    asked: &str,
    known: &[String],
) -> Result<DeadLetterQueue, Failure> {
    let names = [
        asked.to_owned(),
        format!("millrace-{asked}-dlq"),
        format!("{asked}-dlq"),
    ];
    for name in names {
        let answer = sqs.get_queue_url().queue_name(&name).send().await;
        let url = match answer.map_err(|error| classify(&format!("find the queue {name}"), error)) {
            Ok(answer) => answer.queue_url().unwrap_or_default().to_owned(),
            Err(failure) if failure.reason() == reason::RESOURCE_MISSING => continue,
            Err(failure) => return Err(failure),
        };
        let sources = sources_of(sqs, &name, &url).await?;
        if sources.is_empty() && !is_named_so(&name) {
            continue;
        }
        return Ok(assembled(name, url, &sources, known));
    }
    Err(Failure::permanent(
        reason::RESOURCE_MISSING,
        format!("there is no dead-letter queue {asked}, nor one of a worker of that name"),
    ))
}

/// The queues that name this one in their redrive policy, with their maximum of receives.
async fn sources_of(
    sqs: &aws_sdk_sqs::Client,
    name: &str,
    url: &str,
) -> Result<Vec<(String, Option<u32>)>, Failure> {
    let mut pages = sqs
        .list_dead_letter_source_queues()
        .queue_url(url)
        .into_paginator()
        .send();
    let mut sources = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page
            .map_err(|error| classify(&format!("ask whose dead letters lie in {name}"), error))?;
        for source in page.queue_urls() {
            let described = describe(sqs, source).await?;
            sources.push((described.name, described.redrive.and_then(|(_, n)| n)));
        }
    }
    Ok(sources)
}

async fn find_all(
    sqs: &aws_sdk_sqs::Client,
    known: &[String],
) -> Result<Vec<DeadLetterQueue>, Failure> {
    let mut urls = Vec::new();
    let mut pages = sqs.list_queues().max_results(1_000).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("list the queues", error))?;
        urls.extend(page.queue_urls().iter().cloned());
    }
    let mut asked = stream::iter(urls)
        .map(|url| async move {
            let described = describe(sqs, &url).await;
            (url, described)
        })
        .buffer_unordered(AT_ONCE);
    let mut queues = BTreeMap::new();
    let mut sources: BTreeMap<String, Vec<(String, Option<u32>)>> = BTreeMap::new();
    while let Some((url, described)) = asked.next().await {
        match described {
            Ok(described) => {
                if let Some((target, maximum)) = described.redrive {
                    let of_target = sources.entry(target).or_default();
                    of_target.push((described.name.clone(), maximum));
                }
                queues.insert(described.name, described.url);
            }
            // Somebody else's queue in the same account must not keep the operator from their own.
            Err(failure) => {
                tracing::warn!(queue = url, %failure, "a queue's attributes could not be read");
                queues.insert(name_of_url(&url).to_owned(), url);
            }
        }
    }
    let wanted: BTreeSet<&String> = queues
        .keys()
        .filter(|name| sources.contains_key(*name) || is_named_so(name))
        .collect();
    let none = Vec::new();
    Ok(wanted
        .into_iter()
        .map(|name| {
            let of_this = sources.get(name).unwrap_or(&none);
            assembled(name.clone(), queues[name].clone(), of_this, known)
        })
        .collect())
}

async fn describe(sqs: &aws_sdk_sqs::Client, url: &str) -> Result<Described, Failure> {
    let name = name_of_url(url).to_owned();
    let asked = sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::RedrivePolicy);
    let answer = asked
        .send()
        .await
        .map_err(|error| classify(&format!("read the attributes of {name}"), error))?;
    let policy = answer
        .attributes()
        .and_then(|all| all.get(&QueueAttributeName::RedrivePolicy));
    Ok(Described {
        redrive: policy.and_then(|text| redrive_of(text)),
        name,
        url: url.to_owned(),
    })
}

fn redrive_of(policy: &str) -> Option<(String, Option<u32>)> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let target = policy.get("deadLetterTargetArn")?.as_str()?;
    // SQS writes a number, some tools a text.
    let maximum = match policy.get("maxReceiveCount") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64().and_then(|number| number.try_into().ok()),
        None => None,
    };
    Some((target.rsplit(':').next()?.to_owned(), maximum))
}

fn assembled(
    name: String,
    url: String,
    sources: &[(String, Option<u32>)],
    known: &[String],
) -> DeadLetterQueue {
    let own = worker_of_queue(&name);
    // A queue that several share is the one's after which it is named.
    let named_after = sources
        .iter()
        .find(|(source, _)| worker_of_queue(source) == own);
    let source = named_after.or_else(|| sources.first());
    DeadLetterQueue {
        workers: Workers {
            default: source.map_or(own, |(source, _)| worker_of_queue(source)),
            max_receives: source.and_then(|(_, maximum)| *maximum),
            known: known.to_vec(),
        },
        source: source.map(|(source, _)| source.clone()),
        name,
        url,
    }
}

fn is_named_so(name: &str) -> bool {
    name.strip_suffix(".fifo").unwrap_or(name).ends_with("-dlq")
}

pub(super) fn name_of_url(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}
