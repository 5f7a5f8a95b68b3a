//! The platform on AWS: real queues, tables and buckets, with the usual AWS settings.
//!
//! Nothing is embedded here. Credentials, region, profile and endpoint come from where every AWS tool takes them
//! (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …); names come from the template, and what the environment says
//! in a `MILLRACE_…` variable goes before them.

use std::{collections::BTreeMap, path::Path};

use millrace_cloud::{Clients, Settings, classify};
use millrace_local::{FunctionConfig, names::queue_of_url};
use millrace_text::{Child, Extractor, Limits};

use super::{Indexes, OpenFailed, Platform, Standing, functions::template_with, late};

/// Each function has its own; one in the environment cannot be meant for all.
const OF_ONE_FUNCTION: [&str; 3] = [
    "MILLRACE_DEAD_LETTER_QUEUE_URL",
    "MILLRACE_QUEUE_URL",
    "MILLRACE_WORKER",
];

impl Platform {
    /// The platform that the usual AWS settings lead to. `data` is for what the command itself keeps.
    ///
    /// # Errors
    /// [`OpenFailed::Aws`] if a dead-letter queue of the template cannot be found: wrong account, wrong region, no
    /// credentials, or not deployed.
    pub async fn on_aws(data: &Path) -> Result<Self, OpenFailed> {
        let clients = Clients::from_environment().await;
        let environment = Settings::from_environment();
        let parameters: BTreeMap<String, String> = environment
            .optional("MILLRACE_ENVIRONMENT")
            .map(|name| ("Environment".to_owned(), name.to_owned()))
            .into_iter()
            .collect();
        let template = template_with(&parameters).map_err(OpenFailed::Aws)?;
        let mut functions: Vec<FunctionConfig> = template
            .functions
            .into_iter()
            .map(|function| function.config)
            .collect();
        for function in &mut functions {
            function.environment.extend(overrides());
            use_real_places(function, &clients).await?;
        }
        let first = functions.first().map(|first| first.environment.clone());
        let settings = Settings::from_map(first.unwrap_or_default());
        let indexes = Indexes {
            chunks: late::chunks(&settings, &clients),
            profiles: late::profiles(&settings, &clients),
        };
        let extractor = Extractor::new(Child::this_program(), Limits::default());
        let opened = Self::assemble(data.to_owned(), &functions, clients, indexes, extractor);
        let mut platform = opened.await?;
        platform.standing = Standing::Aws;
        Ok(platform)
    }
}

/// What the environment says of settings that all functions share.
fn overrides() -> BTreeMap<String, String> {
    let said = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        let is_shared = name.starts_with("MILLRACE_") && !OF_ONE_FUNCTION.contains(&name.as_str());
        (is_shared && !value.is_empty()).then_some((name, value))
    });
    said.collect()
}

/// Settings that are URLs of queues.
const QUEUE_URLS: [&str; 3] = [
    "MILLRACE_DEAD_LETTER_QUEUE_URL",
    "MILLRACE_QUEUE_URL",
    "MILLRACE_CLOSE_WINDOW_QUEUE_URL",
];
/// Settings that are ARNs of topics.
const TOPIC_ARNS: [&str; 1] = ["MILLRACE_NOTIFICATIONS_TOPIC_ARN"];

/// The template's URLs and ARNs are those of the embedded account.
async fn use_real_places(
    function: &mut FunctionConfig,
    clients: &Clients,
) -> Result<(), OpenFailed> {
    let said = overrides();
    for setting in QUEUE_URLS.iter().filter(|name| !said.contains_key(**name)) {
        if let Some(url) = function.environment.get_mut(*setting) {
            *url = real_url(queue_of_url(url), clients).await?;
        }
    }
    // The account stands in the dead-letter queue's URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME.
    let url = function.environment.get(QUEUE_URLS[0]);
    let account = url
        .and_then(|url| url.rsplit('/').nth(1))
        .map(str::to_owned);
    let region = clients.config.region().map(ToString::to_string);
    for setting in TOPIC_ARNS.iter().filter(|name| !said.contains_key(**name)) {
        if let (Some(account), Some(region), Some(arn)) =
            (&account, &region, function.environment.get_mut(*setting))
        {
            let name = arn.rsplit(':').next().unwrap_or_default().to_owned();
            let partition = partition(region);
            *arn = format!("arn:{partition}:sns:{region}:{account}:{name}");
        }
    }
    Ok(())
}

/// The part of AWS that a region belongs to.
fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

async fn real_url(name: &str, clients: &Clients) -> Result<String, OpenFailed> {
    let answer = clients.sqs.get_queue_url().queue_name(name).send().await;
    let answer = answer.map_err(|error| {
        let failure = classify(&format!("find the queue {name}"), error);
        OpenFailed::Aws(format!(
            "{}; look at the credentials, at AWS_PROFILE and at AWS_REGION, and whether infra/template.yaml is deployed there",
            failure.chain()
        ))
    })?;
    Ok(answer.queue_url().unwrap_or_default().to_owned())
}
