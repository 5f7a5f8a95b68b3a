//! The steps of a match, told to the mail service: a message each.
//!
//! The message is a function of the step as it was heard, which never changes; so is its id. A worker that ends between a publish and
//! the mark publishes the same bytes under the same id once more, which subscribers drop.

use std::collections::BTreeMap;

use aws_sdk_sns::types::MessageAttributeValue;
use millrace_cloud::{classify, clock::iso};
use millrace_events::{Failure, mutation, reason};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    context::Marketing,
    progress::{Heard, Progress},
};

/// What ids of this product are made from, besides their cause.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x51c0_9e57_0a4b_5d3e_8f16_2b7c_94d0_e3a1);

/// The message. Its fields are written in this order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    notification_id: &'a str,
    match_id: &'a str,
    store_id: &'a str,
    creator_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_id: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'static str>,
    at: String,
    score: f64,
}

/// The id of a step's message.
pub fn step_id(match_id: &str, version: &str) -> String {
    Uuid::new_v5(
        &NAMESPACE,
        format!("match-step/{match_id}/{version}").as_bytes(),
    )
    .to_string()
}

/// Publishes what of the steps was not yet, in order, and marks it; whether there was anything.
///
/// # Errors
/// The topic's and the table's.
pub async fn publish(marketing: &Marketing, progress: &Progress) -> Result<bool, Failure> {
    let steps = progress.steps().map(|step| step.heard);
    let open: Vec<&Heard> = steps
        .filter(|heard| !progress.published.contains(&heard.version))
        .collect();
    if open.is_empty() {
        return Ok(false);
    }
    let versions: Vec<String> = open.iter().map(|heard| heard.version.clone()).collect();
    if mutation::on(mutation::STEP_MARKED_FIRST) {
        progress.mark_published(marketing, versions.clone()).await?;
    }
    for heard in open {
        send(marketing, progress, heard).await?;
    }
    progress.mark_published(marketing, versions).await?;
    Ok(true)
}

async fn send(marketing: &Marketing, progress: &Progress, heard: &Heard) -> Result<(), Failure> {
    let id = step_id(&progress.match_id, &heard.version);
    let from = heard.from.map(|from| from.word());
    let message = Message {
        notification_id: &id,
        match_id: &progress.match_id,
        store_id: &progress.store_id,
        creator_id: &progress.creator_id,
        campaign_id: heard.campaign_id.as_deref(),
        status: heard.status.word(),
        from,
        at: iso(heard.at),
        score: heard.score,
    };
    let message = serde_json::to_string(&message).map_err(|error| {
        Failure::permanent(reason::MALFORMED_ROW, "could not write a step's message")
            .caused_by(error)
    })?;
    let attributes = BTreeMap::from([
        ("notificationId", Some(&*id)),
        ("status", Some(heard.status.word())),
        ("from", from),
        ("storeId", Some(&*progress.store_id)),
        ("creatorId", Some(&*progress.creator_id)),
        ("campaignId", heard.campaign_id.as_deref()),
        ("tier", heard.tier.as_deref()),
        ("platform", heard.platform.as_deref()),
    ]);
    let sns = &marketing.clients.sns;
    let mut request = sns
        .publish()
        .topic_arn(&marketing.names.match_topic)
        .message(message);
    for (name, value) in attributes {
        let Some(value) = value else {
            continue;
        };
        let value = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(value)
            .build();
        let value = value.map_err(|error| {
            Failure::permanent(
                reason::REQUEST_REJECTED,
                "could not write a step's attribute",
            )
            .caused_by(error)
        })?;
        request = request.message_attributes(name, value);
    }
    let sent = request.send().await;
    sent.map_err(|error| classify("publish a step of a match", error))?;
    Ok(())
}
