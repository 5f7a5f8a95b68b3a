//! Reality: what is there, read and never written.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::scan::ScanInput;
use aws_sdk_dynamodb::types::TableDescription;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;

use super::attributes::Item;
use super::notes::Problem;

/// Clients of what a rehearsal stands on: the embedded cloud, a running one at its endpoint, or AWS.
///
/// Architecture invariant: the clients are used in this module alone, for operations that only read:
/// `GetItem`, `Query`, `Scan`, `DescribeTable`, `HeadBucket`, `HeadObject`, `GetObject`, `ListObjectsV2`,
/// `GetQueueUrl`.
#[derive(Debug, Clone)]
pub struct Reality {
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
}

/// What is known of an object without its bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) size: u64,
    /// Without quotes.
    pub(super) e_tag: String,
    /// Milliseconds since the Unix epoch.
    pub(super) modified: i64,
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// A page of items, and where the next one begins.
pub(super) type Page = (Vec<Item>, Option<Item>);

impl Reality {
    /// Reality as these clients see it.
    pub fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        s3: aws_sdk_s3::Client,
        sqs: aws_sdk_sqs::Client,
    ) -> Self {
        Self { dynamodb, s3, sqs }
    }

    /// `None` when there is no such table.
    pub(super) async fn table(&self, table: &str) -> Result<Option<TableDescription>, Problem> {
        match self
            .dynamodb
            .describe_table()
            .table_name(table)
            .send()
            .await
        {
            Ok(answer) => Ok(answer.table),
            Err(error) if code(&error) == "ResourceNotFoundException" => Ok(None),
            Err(error) => Err(unreadable(format!("describe the table {table}"), &error)),
        }
    }

    /// An item as it is now.
    pub(super) async fn item(&self, table: &str, key: Item) -> Result<Option<Item>, Problem> {
        let request = self.dynamodb.get_item().table_name(table);
        let request = request.set_key(Some(key)).consistent_read(true);
        match request.send().await {
            Ok(answer) => Ok(answer.item),
            Err(error) => Err(unreadable(format!("read an item of {table}"), &error)),
        }
    }

    pub(super) async fn query(&self, input: QueryInput) -> Result<Page, Problem> {
        let request = self
            .dynamodb
            .query()
            .set_table_name(input.table_name.clone())
            .set_index_name(input.index_name)
            .set_consistent_read(input.consistent_read)
            .set_key_condition_expression(input.key_condition_expression)
            .set_filter_expression(input.filter_expression)
            .set_expression_attribute_names(input.expression_attribute_names)
            .set_expression_attribute_values(input.expression_attribute_values)
            .set_exclusive_start_key(input.exclusive_start_key);
        match request.send().await {
            Ok(page) => Ok((page.items.unwrap_or_default(), page.last_evaluated_key)),
            Err(error) => {
                let table = input.table_name.unwrap_or_default();
                Err(unreadable(format!("query {table}"), &error))
            }
        }
    }

    pub(super) async fn scan(&self, input: ScanInput) -> Result<Page, Problem> {
        let request = self
            .dynamodb
            .scan()
            .set_table_name(input.table_name.clone())
            .set_index_name(input.index_name)
            .set_consistent_read(input.consistent_read)
            .set_filter_expression(input.filter_expression)
            .set_expression_attribute_names(input.expression_attribute_names)
            .set_expression_attribute_values(input.expression_attribute_values)
            .set_exclusive_start_key(input.exclusive_start_key);
        match request.send().await {
            Ok(page) => Ok((page.items.unwrap_or_default(), page.last_evaluated_key)),
            Err(error) => {
                let table = input.table_name.unwrap_or_default();
                Err(unreadable(format!("scan {table}"), &error))
            }
        }
    }

    /// Whether there is such a bucket.
    pub(super) async fn has_bucket(&self, bucket: &str) -> Result<bool, Problem> {
        match self.s3.head_bucket().bucket(bucket).send().await {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == 404 => Ok(false),
            Err(error) => Err(unreadable(format!("look at the bucket {bucket}"), &error)),
        }
    }

    /// `None` when there is no such object.
    pub(super) async fn look_at(&self, bucket: &str, key: &str) -> Result<Option<Seen>, Problem> {
        let answer = match self.s3.head_object().bucket(bucket).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if status(&error) == 404 => return Ok(None),
            Err(error) => return Err(unreadable(format!("look at s3://{bucket}/{key}"), &error)),
        };
        Ok(Some(Seen {
            size: size(answer.content_length),
            e_tag: unquoted(answer.e_tag()),
            modified: millis(answer.last_modified()),
            metadata: answer
                .metadata()
                .cloned()
                .unwrap_or_default()
                .into_iter()
                .collect(),
            content_type: answer.content_type,
            content_encoding: answer.content_encoding,
            content_language: answer.content_language,
            content_disposition: answer.content_disposition,
            cache_control: answer.cache_control,
        }))
    }

    /// The bytes of the object that has this entity tag; `None` when another one has its place by now.
    pub(super) async fn bytes(
        &self,
        bucket: &str,
        key: &str,
        e_tag: &str,
    ) -> Result<Option<Bytes>, Problem> {
        let attempted = || format!("read s3://{bucket}/{key}");
        let request = self.s3.get_object().bucket(bucket).key(key);
        let answer = match request.if_match(format!("\"{e_tag}\"")).send().await {
            Ok(answer) => answer,
            Err(error) if matches!(status(&error), 404 | 412) => return Ok(None),
            Err(error) => return Err(unreadable(attempted(), &error)),
        };
        match answer.body.collect().await {
            Ok(body) => Ok(Some(body.into_bytes())),
            Err(error) => Err(Problem::Unreadable {
                attempted: attempted(),
                message: error.to_string(),
            }),
        }
    }

    /// A page of the objects whose keys begin with `prefix`, and where the next one begins.
    pub(super) async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        from: Option<String>,
    ) -> Result<(Vec<(String, Seen)>, Option<String>), Problem> {
        let request = self.s3.list_objects_v2().bucket(bucket).prefix(prefix);
        let page = match request.set_continuation_token(from).send().await {
            Ok(page) => page,
            Err(error) => return Err(unreadable(format!("list s3://{bucket}/{prefix}"), &error)),
        };
        let seen = |object: &aws_sdk_s3::types::Object| {
            let seen = Seen {
                size: size(object.size()),
                e_tag: unquoted(object.e_tag()),
                modified: millis(object.last_modified()),
                ..Seen::default()
            };
            (object.key().unwrap_or_default().to_owned(), seen)
        };
        let objects = page.contents().iter().map(seen).collect();
        Ok((objects, page.next_continuation_token))
    }

    /// `None` when there is no such queue.
    pub(super) async fn queue_url(&self, queue: &str) -> Result<Option<String>, Problem> {
        match self.sqs.get_queue_url().queue_name(queue).send().await {
            Ok(answer) => Ok(answer.queue_url),
            Err(error)
                if code(&error).contains("NonExistent")
                    || code(&error).contains("DoesNotExist") =>
            {
                Ok(None)
            }
            Err(error) => Err(unreadable(format!("find the queue {queue}"), &error)),
        }
    }
}

fn size(length: Option<i64>) -> u64 {
    length
        .and_then(|length| u64::try_from(length).ok())
        .unwrap_or_default()
}

fn unquoted(tag: Option<&str>) -> String {
    tag.unwrap_or_default().trim_matches('"').to_owned()
}

fn millis(moment: Option<&aws_smithy_types::DateTime>) -> i64 {
    moment
        .and_then(|moment| moment.to_millis().ok())
        .unwrap_or_default()
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> u16 {
    error
        .raw_response()
        .map_or(0, |response| response.status().as_u16())
}

fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> &str {
    error.code().unwrap_or_default()
}

fn unreadable<E>(attempted: String, error: &SdkError<E, HttpResponse>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let message = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => with_causes(error),
    };
    Problem::Unreadable { attempted, message }
}

/// The SDK's own words name the kind of failure only; what happened stands in the causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}
