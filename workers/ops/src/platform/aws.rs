//! The platform on AWS: real queues, tables and buckets, with the usual AWS settings.
//!
//! Nothing is embedded here. Credentials, region, profile and endpoint come from where every AWS tool takes them
//! (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …); names come from the template, and what the environment says
//! in a `MILLRACE_…` variable goes before them.

use std::{collections::BTreeMap, path::Path};

use millrace_cloud::{Clients, Settings, classify};
use millrace_local::{
    FunctionConfig,
    names::{queue_of_url, queue_url, topic_arn, topic_of_arn},
};
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
    /// [`OpenFailed::Aws`] if a queue of the template cannot be found: wrong account, wrong region, no
    /// credentials, or not deployed.
    pub async fn on_aws(data: &Path) -> Result<Self, OpenFailed> {
        let clients = Clients::from_environment().await;
        let template = template_with(&parameters()).map_err(OpenFailed::Aws)?;
        let mut functions: Vec<FunctionConfig> = template
            .functions
            .into_iter()
            .map(|function| function.config)
            .collect();
        let mut places = RealPlaces {
            clients: &clients,
            said: overrides(),
            urls: BTreeMap::new(),
        };
        for function in &mut functions {
            function.environment.extend(places.said.clone());
            places.put_into(function).await?;
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

/// The settings that all functions of a deployment share, as far as the template and the environment say them.
pub(crate) fn settings_on_aws() -> Result<Settings, OpenFailed> {
    let template = template_with(&parameters()).map_err(OpenFailed::Aws)?;
    let first = template.functions.into_iter().next();
    let mut values = first.map_or_else(BTreeMap::new, |first| first.config.environment);
    values.extend(overrides());
    Ok(Settings::from_map(values))
}

/// The parameters of the template that the environment says.
fn parameters() -> BTreeMap<String, String> {
    let environment = Settings::from_environment();
    let name = environment.optional("MILLRACE_ENVIRONMENT");
    name.map(|name| ("Environment".to_owned(), name.to_owned()))
        .into_iter()
        .collect()
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

/// The template's URLs of queues and ARNs of topics are those of the embedded account: whatever setting has one gets the real one.
struct RealPlaces<'a> {
    clients: &'a Clients,
    said: BTreeMap<String, String>,
    urls: BTreeMap<String, String>,
}

impl RealPlaces<'_> {
    async fn put_into(&mut self, function: &mut FunctionConfig) -> Result<(), OpenFailed> {
        for (name, value) in &mut function.environment {
            let queue = queue_of_url(value).to_owned();
            if !self.said.contains_key(name) && *value == queue_url(&queue) {
                *value = self.url(&queue).await?;
            }
        }
        // The account stands in a queue's URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME.
        let account = self.urls.values().find_map(|url| url.rsplit('/').nth(1));
        let region = self.clients.config.region().map(ToString::to_string);
        let (Some(account), Some(region)) = (account, region) else {
            return Ok(());
        };
        for (name, value) in &mut function.environment {
            let real = real_topic(value, &region, account);
            if let Some(arn) = real.filter(|_| !self.said.contains_key(name)) {
                *value = arn;
            }
        }
        Ok(())
    }

    async fn url(&mut self, queue: &str) -> Result<String, OpenFailed> {
        if let Some(url) = self.urls.get(queue) {
            return Ok(url.clone());
        }
        let url = real_url(queue, self.clients).await?;
        self.urls.insert(queue.to_owned(), url.clone());
        Ok(url)
    }
}

/// The ARN of a topic of the embedded account, as it is in another; `None`: it is none.
fn real_topic(value: &str, region: &str, account: &str) -> Option<String> {
    let topic = topic_of_arn(value).filter(|topic| value == topic_arn(topic))?;
    let partition = partition(region);
    Some(format!("arn:{partition}:sns:{region}:{account}:{topic}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_that_of_the_account_that_the_settings_lead_to() {
        let arn = topic_arn("dot-marketing-match-steps");
        let real = |value: &str| real_topic(value, "cn-north-1", "123456789012");
        let expected = "arn:aws-cn:sns:cn-north-1:123456789012:dot-marketing-match-steps";
        assert_eq!(real(&arn).as_deref(), Some(expected));
        for other in [expected, "dot-marketing-match-steps", "", &queue_url("q")] {
            assert_eq!(real(other), None, "{other}");
        }
    }
}
