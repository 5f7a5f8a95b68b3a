//! A bucket in the platform's words.

use std::{collections::HashMap, error::Error};

use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
};
use bytes::Bytes;
use millrace_events::{Failure, reason};
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt as _;

use crate::errors::classify;

/// One bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: aws_sdk_s3::Client,
    name: String,
}

/// An object with its bytes.
#[derive(Debug, Clone)]
pub struct Object {
    /// The whole content.
    pub bytes: Bytes,
    /// Without quotes.
    pub e_tag: String,
    /// In bytes.
    pub size: u64,
    /// User metadata, names in lower case.
    pub metadata: HashMap<String, String>,
    /// The MIME type it was stored with.
    pub content_type: Option<String>,
}

/// An object whose bytes are still to come.
#[derive(Debug)]
pub struct Opened {
    /// What is known of it; its bytes are empty.
    pub object: Object,
    body: ByteStream,
    attempted: String,
}

impl Opened {
    /// All its bytes, in memory.
    pub async fn bytes(self) -> Result<Bytes, Failure> {
        let collected = self.body.collect().await;
        let bytes = collected.map_err(|error| broke_off(&self.attempted, error))?;
        Ok(bytes.into_bytes())
    }

    /// Writes its bytes to a file, as they come.
    pub async fn write_to(mut self, file: &mut tokio::fs::File) -> Result<(), Failure> {
        let unwritten = |error: std::io::Error| {
            let folder = std::env::temp_dir();
            let message = format!(
                "could not put an object aside in {}: is there room?",
                folder.display()
            );
            Failure::transient(reason::WORKER_UNAVAILABLE, message).caused_by(error)
        };
        while let Some(part) = self.body.next().await {
            let part = part.map_err(|error| broke_off(&self.attempted, error))?;
            file.write_all(&part).await.map_err(unwritten)?;
        }
        file.flush().await.map_err(unwritten)
    }
}

fn broke_off(attempted: &str, error: impl Error + Send + Sync + 'static) -> Failure {
    let message = format!("could not {attempted} to its end");
    Failure::transient(reason::SERVICE_UNAVAILABLE, message).caused_by(error)
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// Without quotes.
    pub e_tag: String,
    /// In bytes.
    pub size: u64,
    /// When it was last written, in whole seconds.
    pub modified: Option<OffsetDateTime>,
}

/// What must be true of the object that a write replaces or removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Always,
    /// There is none.
    Absent,
    /// It is the one with this entity tag.
    Is(String),
}

/// What to write.
#[derive(Debug, Clone)]
pub struct Put {
    /// The content.
    pub bytes: Bytes,
    /// The MIME type.
    pub content_type: &'static str,
    /// User metadata.
    pub metadata: HashMap<String, String>,
}

/// Whether a conditional write took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// It did.
    Written,
    /// What it would have replaced was not what the condition says.
    Refused,
}

fn unquoted(tag: Option<&str>) -> String {
    tag.unwrap_or_default().trim_matches('"').to_owned()
}

impl Bucket {
    /// The bucket of that name.
    pub fn new(client: aws_sdk_s3::Client, name: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads an object; `None` when it is not there.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, Failure> {
        let Some(opened) = self.open(key).await? else {
            return Ok(None);
        };
        let mut object = opened.object.clone();
        object.bytes = opened.bytes().await?;
        object.size = object.bytes.len() as u64;
        Ok(Some(object))
    }

    /// Begins to read an object; `None` when it is not there. For objects that may be large:
    /// what is known of it comes before its bytes, and they need not be in memory at once.
    pub async fn open(&self, key: &str) -> Result<Option<Opened>, Failure> {
        let attempted = format!("read s3://{}/{key}", self.name);
        let answer = match self
            .client
            .get_object()
            .bucket(&self.name)
            .key(key)
            .send()
            .await
        {
            Ok(answer) => answer,
            Err(error) if is_missing_key(&error) => return Ok(None),
            Err(error) => return Err(classify(&attempted, error)),
        };
        let object = Object {
            bytes: Bytes::new(),
            e_tag: unquoted(answer.e_tag()),
            size: answer
                .content_length()
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or_default(),
            metadata: lower_case(answer.metadata().cloned().unwrap_or_default()),
            content_type: answer.content_type().map(str::to_owned),
        };
        Ok(Some(Opened {
            object,
            body: answer.body,
            attempted,
        }))
    }

    /// Reads what is known of an object without its bytes; `None` when it is not there.
    pub async fn head(&self, key: &str) -> Result<Option<Object>, Failure> {
        match self
            .client
            .head_object()
            .bucket(&self.name)
            .key(key)
            .send()
            .await
        {
            Ok(answer) => Ok(Some(Object {
                bytes: Bytes::new(),
                e_tag: unquoted(answer.e_tag()),
                size: answer
                    .content_length()
                    .and_then(|n| u64::try_from(n).ok())
                    .unwrap_or_default(),
                metadata: lower_case(answer.metadata().cloned().unwrap_or_default()),
                content_type: answer.content_type().map(str::to_owned),
            })),
            Err(error) if is_missing_key(&error) => Ok(None),
            Err(error) => Err(classify(
                &format!("look at s3://{}/{key}", self.name),
                error,
            )),
        }
    }

    /// Writes an object under a condition on what it replaces.
    pub async fn put(
        &self,
        key: &str,
        put: Put,
        condition: &Condition,
    ) -> Result<PutOutcome, Failure> {
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type(put.content_type)
            .set_metadata(Some(put.metadata))
            .body(ByteStream::from(put.bytes));
        let request = match condition {
            Condition::Always => request,
            Condition::Absent => request.if_none_match("*"),
            Condition::Is(tag) => request.if_match(format!("\"{tag}\"")),
        };
        match request.send().await {
            Ok(_) => Ok(PutOutcome::Written),
            Err(error)
                if is_refused(&error)
                    || (*condition != Condition::Always && is_missing_key(&error)) =>
            {
                Ok(PutOutcome::Refused)
            }
            Err(error) => Err(classify(&format!("write s3://{}/{key}", self.name), error)),
        }
    }

    /// Removes an object under a condition; removing what is not there is no failure.
    pub async fn delete(&self, key: &str, condition: &Condition) -> Result<PutOutcome, Failure> {
        let request = self.client.delete_object().bucket(&self.name).key(key);
        let request = match condition {
            Condition::Is(tag) => request.if_match(format!("\"{tag}\"")),
            Condition::Always | Condition::Absent => request,
        };
        match request.send().await {
            Ok(_) => Ok(PutOutcome::Written),
            Err(error) if is_missing_key(&error) => Ok(PutOutcome::Written),
            Err(error) if is_refused(&error) => Ok(PutOutcome::Refused),
            Err(error) => Err(classify(&format!("remove s3://{}/{key}", self.name), error)),
        }
    }

    /// Every object whose key begins with `prefix`, in the order of their keys.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failure> {
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let page = self
                .client
                .list_objects_v2()
                .bucket(&self.name)
                .prefix(prefix)
                .set_continuation_token(next)
                .send()
                .await
                .map_err(|error| classify(&format!("list s3://{}/{prefix}", self.name), error))?;
            found.extend(page.contents().iter().map(|object| {
                Listed {
                    key: object.key().unwrap_or_default().to_owned(),
                    e_tag: unquoted(object.e_tag()),
                    size: object
                        .size()
                        .and_then(|n| u64::try_from(n).ok())
                        .unwrap_or_default(),
                    modified: object
                        .last_modified()
                        .and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok()),
                }
            }));
            next = page.next_continuation_token().map(str::to_owned);
            if next.is_none() {
                return Ok(found);
            }
        }
    }
}

fn lower_case(metadata: HashMap<String, String>) -> HashMap<String, String> {
    metadata
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect()
}

type Response = aws_smithy_runtime_api::client::orchestrator::HttpResponse;

fn status<E>(error: &SdkError<E, Response>) -> u16 {
    error
        .raw_response()
        .map_or(0, |response| response.status().as_u16())
}

/// A key that is not there; a bucket that is not there is another thing, except that HEAD cannot tell.
fn is_missing_key<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> bool {
    status(error) == 404 && error.code() != Some("NoSuchBucket")
}

/// 412 Precondition Failed, and 409 when two conditional writes met.
fn is_refused<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> bool {
    matches!(status(error), 412 | 409)
}
