//! Fixtures as files, and what one needs to be run: its objects and rows put into a cloud, a world of its own.
//!
//! The format itself is [`millrace_delivery::fixture`], where the recorder can reach it too.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use md5::{Digest as _, Md5};
use millrace_cloud::{Clients, classify};
use millrace_delivery::{Invocation, Report};
use millrace_events::{Failure, Item};
use millrace_text::{Child, Limits};
use serde_json::Value;
use thiserror::Error;

mod letter;

pub(crate) use letter::as_event;
pub use letter::{Current, CurrentObject, DeadLetter, current, from_letter};
pub use millrace_delivery::fixture::{
    Content, Difference, Expect, ExpectedRecord, Fixture, FormatError, Given, GivenObject,
    GivenRow, is_fixture,
};

use crate::platform::{Home, OpenFailed, Platform};

/// What begins a placeholder for a file's entity tag; `}` ends it.
const ETAG: &str = "${etag:";
/// What begins a placeholder for so many letters, for rows as large as they can be; `}` ends it.
const FILLER: &str = "${filler:";
/// A fixture's delivery may take so long.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Why a fixture cannot be read or run.
#[derive(Debug, Error)]
pub enum FixtureError {
    /// A file cannot be read.
    #[error("{} cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error("{} is not JSON", file.display())]
    NotJson {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A placeholder is not closed, or has no number.
    #[error("{}: a placeholder begins with {ETAG} or {FILLER} and has no closing brace, or no number", file.display())]
    OpenPlaceholder {
        /// The file.
        file: PathBuf,
    },
    /// A field is missing or wrong.
    #[error("{}: {problem}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// Which, and why.
        problem: FormatError,
    },
    /// A row is not one in DynamoDB's JSON.
    #[error("`given.rows[{position}].item` is no row in DynamoDB's JSON")]
    Row {
        /// Which, counted from 0.
        position: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// The program does not carry a sample along.
    #[error("there is no sample {0:?}")]
    NoSample(String),
    /// A fixture that was just made is none.
    #[error("the redacted fixture cannot be read back: {0}")]
    NotReadBack(String),
    /// The cloud refused an object or a row.
    #[error("could not set up what is given: {0}")]
    SetUp(Failure),
    /// The cloud refused to tell what there is.
    #[error("could not collect what there is: {0}")]
    Collect(Failure),
    /// The world in which it should run could not be opened.
    #[error(transparent)]
    World(#[from] OpenFailed),
    /// No worker has the name that the fixture gives.
    #[error("`worker` is {worker:?}; there are {names}")]
    NoWorker {
        /// What the fixture says.
        worker: String,
        /// Those there are.
        names: String,
    },
}

/// What a file holds.
#[derive(Debug, Clone)]
pub enum Loaded {
    /// An event with what must come of it.
    Fixture(Box<Fixture>),
    /// An event and nothing else.
    Event(Value),
}

/// Reads a fixture, its placeholders filled in.
///
/// # Errors
/// [`FixtureError`], which names the file and the field.
pub fn load(file: &Path) -> Result<Fixture, FixtureError> {
    Fixture::from_value(value_of(file)?).map_err(|problem| FixtureError::Format {
        file: file.to_owned(),
        problem,
    })
}

/// Reads a fixture or a bare event.
///
/// # Errors
/// [`FixtureError`], which names the file and the field.
pub fn load_any(file: &Path) -> Result<Loaded, FixtureError> {
    let value = value_of(file)?;
    if !is_fixture(&value) {
        return Ok(Loaded::Event(value));
    }
    let fixture = Fixture::from_value(value).map_err(|problem| FixtureError::Format {
        file: file.to_owned(),
        problem,
    })?;
    Ok(Loaded::Fixture(Box::new(fixture)))
}

/// The folder to which the files that a fixture names are relative: `PRODUCT` of `PRODUCT/WORKER/FIXTURE.json`.
pub fn product_folder(file: &Path) -> PathBuf {
    let whole = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = whole.parent().and_then(Path::parent);
    folder.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn value_of(file: &Path) -> Result<Value, FixtureError> {
    let text = fill_in(&read(file)?, file)?;
    serde_json::from_str(&text).map_err(|source| FixtureError::NotJson {
        file: file.to_owned(),
        source,
    })
}

fn read(file: &Path) -> Result<String, FixtureError> {
    std::fs::read_to_string(file).map_err(|source| FixtureError::Unreadable {
        file: file.to_owned(),
        source,
    })
}

/// Puts the entity tags of files and fillers in their places: in the text, because a body within a body has them too.
fn fill_in(text: &str, file: &Path) -> Result<String, FixtureError> {
    let folder = product_folder(file);
    let unclosed = || FixtureError::OpenPlaceholder {
        file: file.to_owned(),
    };
    fill_in_with(text, |name| read_bytes(&folder.join(name)), unclosed)
}

/// The same with files from anywhere. An entity tag is that which S3 gives to bytes that are uploaded in one part.
fn fill_in_with(
    text: &str,
    read: impl Fn(&str) -> Result<Vec<u8>, FixtureError>,
    unclosed: impl Fn() -> FixtureError,
) -> Result<String, FixtureError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(ETAG) {
        let (name, after) = behind.split_once('}').ok_or_else(&unclosed)?;
        filled.push_str(before);
        filled.push_str(&hex::encode(Md5::digest(read(name)?)));
        rest = after;
    }
    filled.push_str(rest);
    fill_in_letters(&filled).ok_or_else(unclosed)
}

/// `${filler:N}` is N times the letter x. `None` when one has no end or no number.
fn fill_in_letters(text: &str) -> Option<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(FILLER) {
        let (number, after) = behind.split_once('}')?;
        filled.push_str(before);
        filled.push_str(&"x".repeat(number.parse().ok()?));
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

fn read_bytes(file: &Path) -> Result<Vec<u8>, FixtureError> {
    std::fs::read(file).map_err(|source| FixtureError::Unreadable {
        file: file.to_owned(),
        source,
    })
}

/// Puts what is given into a cloud: objects into `bucket`, files taken from the product's `folder`, rows into their tables.
///
/// # Errors
/// [`FixtureError`] if a file is not there, a row is none, or the cloud refuses one.
pub async fn put(
    given: &Given,
    folder: &Path,
    clients: &Clients,
    bucket: &str,
) -> Result<(), FixtureError> {
    put_with(
        given,
        |name| read_bytes(&folder.join(name)),
        clients,
        bucket,
    )
    .await
}

async fn put_with(
    given: &Given,
    read: impl Fn(&str) -> Result<Vec<u8>, FixtureError>,
    clients: &Clients,
    bucket: &str,
) -> Result<(), FixtureError> {
    for object in &given.objects {
        let bytes = match &object.content {
            Content::Text(text) => text.as_bytes().to_vec(),
            Content::File(name) => read(name)?,
        };
        let metadata: HashMap<String, String> = object.metadata.clone().into_iter().collect();
        let put = clients.s3.put_object().bucket(bucket).key(&object.key);
        let put = put.set_metadata(Some(metadata));
        let sent = put.body(ByteStream::from(bytes)).send().await;
        sent.map_err(|error| {
            FixtureError::SetUp(classify(&format!("write {}", object.key), error))
        })?;
    }
    for (position, row) in given.rows.iter().enumerate() {
        let item: Item = serde_json::from_value(Value::Object(row.item.clone()))
            .map_err(|source| FixtureError::Row { position, source })?;
        let item: HashMap<String, AttributeValue> = item.into();
        let put = clients.dynamodb.put_item().table_name(&row.table);
        let sent = put.set_item(Some(item)).send().await;
        sent.map_err(|error| {
            FixtureError::SetUp(classify(&format!("write a row of {}", row.table), error))
        })?;
    }
    Ok(())
}

/// Delivers a fixture's event in a fresh world in memory, in which what is given was set up first.
///
/// `folder` is the product's, `child` the program that parses files.
///
/// # Errors
/// [`FixtureError`] if the world cannot be set up or there is no such worker; whatever the worker does is in the report.
pub async fn run(fixture: &Fixture, folder: &Path, child: Child) -> Result<Report, FixtureError> {
    let platform = Platform::embedded(Home::Memory, Limits::default(), child).await?;
    put(
        &fixture.given,
        folder,
        platform.clients(),
        &platform.names().documents.bucket,
    )
    .await?;
    let Some(delivery) = platform.delivery(&fixture.worker) else {
        return Err(FixtureError::NoWorker {
            worker: fixture.worker.clone(),
            names: platform.workers().join(", "),
        });
    };
    let invocation = Invocation::lasting(TIME_LIMIT);
    Ok(delivery.deliver(fixture.event.clone(), invocation).await)
}
