//! The audit of operators' acts: who did what to which letters, when and why.
//!
//! An act is written down before it is done (its *intent*) and completed after. An act whose result is missing was
//! interrupted: it may have been done in part. A row that cannot be written stops the act.
//!
//! One row an act in the table `millrace-operator-acts` (`MILLRACE_OPERATOR_ACTS_TABLE`): partition key `day`, sort
//! key `atId` (`2026-11-21T08:00:00.000Z#` and the act's id). The ids of many letters do not fit into one row: they
//! go into rows of their own below it (`…#00001`), at most [`IDS_A_ROW`] each.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::{Clients, Clock, Settings, classify, clock::iso};
use millrace_events::Failure;
use serde::Serialize;
use uuid::Uuid;

/// The setting that names the table.
pub const TABLE_SETTING: &str = "MILLRACE_OPERATOR_ACTS_TABLE";
/// The table, unless a setting says otherwise.
pub const DEFAULT_TABLE: &str = "millrace-operator-acts";
/// The most letters' ids in one row: with 37 bytes each well below the 400 KB of an item.
pub const IDS_A_ROW: usize = 5_000;

/// What an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Sends letters to their workers again.
    Replay,
    /// Puts an edited letter in the place of another.
    Edit,
    /// Deletes all but one copy of letters.
    Dedupe,
    /// Puts letters from a file into their queues.
    Import,
    /// Deletes letters.
    Drop,
    /// Puts dropped letters back.
    Restore,
    /// Saves a letter as a recorded fixture.
    Fixture,
}

impl What {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Edit => "edit",
            Self::Dedupe => "dedupe",
            Self::Import => "import",
            Self::Drop => "drop",
            Self::Restore => "restore",
            Self::Fixture => "fixture",
        }
    }
}

/// An act whose intent is written down.
#[derive(Debug)]
#[must_use = "an act that is not completed looks interrupted"]
pub struct Act {
    id: Uuid,
    day: String,
    key: String,
    parts: usize,
    waiting: Vec<String>,
    count: u64,
}

impl Act {
    /// Its id.
    pub fn id(&self) -> Uuid {
        self.id
    }
}

/// An act as the table tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActRow {
    /// Its id.
    pub id: String,
    /// When it began.
    pub at: String,
    /// Who: the ARN of the AWS caller, or `os:` and the name of the operating system's user.
    pub who: String,
    /// What.
    pub what: String,
    /// Which letters, in the words of the command.
    pub selection: String,
    /// How many letters.
    pub letters: u64,
    /// Their ids.
    pub letter_ids: Vec<String>,
    /// Why, in the operator's words.
    pub why: Option<String>,
    /// What came of it; `None`: it was interrupted, or goes on.
    pub result: Option<String>,
    /// When it was completed.
    pub completed_at: Option<String>,
}

/// Writes acts down.
#[derive(Debug, Clone)]
pub struct Audit {
    client: aws_sdk_dynamodb::Client,
    table: String,
    who: String,
    clock: Arc<dyn Clock>,
}

impl Audit {
    /// The audit of `who`, in the table that the settings name.
    pub fn new(
        clients: &Clients,
        settings: &Settings,
        who: impl Into<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            client: clients.dynamodb.clone(),
            table: settings
                .optional(TABLE_SETTING)
                .unwrap_or(DEFAULT_TABLE)
                .to_owned(),
            who: who.into(),
            clock,
        }
    }

    /// Writes down what is about to be done. `selection` says which letters, in the words of the command.
    ///
    /// # Errors
    /// A [`Failure`] when the row cannot be written: then the act must not be done.
    pub async fn begin(
        &self,
        what: What,
        selection: &str,
        why: Option<&str>,
    ) -> Result<Act, Failure> {
        let at = iso(self.clock.now());
        let id = Uuid::new_v4();
        let act = Act {
            id,
            day: at.chars().take(10).collect(),
            key: format!("{at}#{id}"),
            parts: 0,
            waiting: Vec::new(),
            count: 0,
        };
        let mut row = act.key_of(0);
        for (name, value) in [
            ("id", id.to_string()),
            ("at", at),
            ("who", self.who.clone()),
            ("what", what.word().to_owned()),
            ("selection", selection.to_owned()),
        ] {
            row.insert(name.to_owned(), AttributeValue::S(value));
        }
        if let Some(why) = why {
            row.insert("why".to_owned(), AttributeValue::S(why.to_owned()));
        }
        self.put(row).await?;
        Ok(act)
    }

    /// Names letters of the act, before it is done to them.
    ///
    /// # Errors
    /// A [`Failure`] when a row cannot be written.
    pub async fn name(
        &self,
        act: &mut Act,
        letters: impl IntoIterator<Item = Uuid>,
    ) -> Result<(), Failure> {
        for letter in letters {
            act.waiting.push(letter.to_string());
            act.count += 1;
            if act.waiting.len() == IDS_A_ROW {
                self.write_names(act).await?;
            }
        }
        self.write_names(act).await
    }

    /// Names that were written stay in their row; a row that is not full is not written again.
    async fn write_names(&self, act: &mut Act) -> Result<(), Failure> {
        if act.waiting.is_empty() {
            return Ok(());
        }
        act.parts += 1;
        let mut row = act.key_of(act.parts);
        let ids = std::mem::take(&mut act.waiting);
        row.insert("id".to_owned(), AttributeValue::S(act.id.to_string()));
        row.insert("letterIds".to_owned(), AttributeValue::Ss(ids));
        self.put(row).await
    }

    /// Completes the act: what came of it.
    ///
    /// # Errors
    /// A [`Failure`] when the row cannot be written: the act is done, and looks interrupted.
    pub async fn complete(&self, act: Act, result: &str) -> Result<(), Failure> {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(act.key_of(0)))
            .update_expression("SET #result = :result, completedAt = :at, letters = :letters")
            .expression_attribute_names("#result", "result")
            .expression_attribute_values(":result", AttributeValue::S(result.to_owned()))
            .expression_attribute_values(":at", AttributeValue::S(iso(self.clock.now())))
            .expression_attribute_values(":letters", AttributeValue::N(act.count.to_string()))
            .send()
            .await
            .map_err(|error| classify(&self.attempted("complete the operator's act in"), error))?;
        Ok(())
    }

    async fn put(&self, row: HashMap<String, AttributeValue>) -> Result<(), Failure> {
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row))
            .send()
            .await
            .map_err(|error| classify(&self.attempted("write the operator's act into"), error))?;
        Ok(())
    }

    fn attempted(&self, what: &str) -> String {
        format!("{what} the table {} ({TABLE_SETTING})", self.table)
    }

    /// The acts of a day (`2026-11-21`), in the order in which they began.
    ///
    /// # Errors
    /// A [`Failure`] when the table cannot be read.
    pub async fn day(&self, day: &str) -> Result<Vec<ActRow>, Failure> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#day = :day")
            .expression_attribute_names("#day", "day")
            .expression_attribute_values(":day", AttributeValue::S(day.to_owned()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut rows: Vec<ActRow> = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| {
                classify(&self.attempted("read the operators' acts from"), error)
            })?;
            match item.get("letterIds") {
                // An act's letters follow the act itself: their sort key begins with its own.
                Some(AttributeValue::Ss(ids)) => {
                    let id = text(&item, "id").unwrap_or_default();
                    if let Some(act) = rows.iter_mut().rev().find(|act| act.id == id) {
                        act.letter_ids.extend(ids.iter().cloned());
                    }
                }
                _ => rows.push(row_of(&item)),
            }
        }
        for row in &mut rows {
            row.letters = row.letters.max(row.letter_ids.len() as u64);
        }
        Ok(rows)
    }
}

impl Act {
    fn key_of(&self, part: usize) -> HashMap<String, AttributeValue> {
        let sort = match part {
            0 => self.key.clone(),
            part => format!("{}#{part:05}", self.key),
        };
        HashMap::from([
            ("day".to_owned(), AttributeValue::S(self.day.clone())),
            ("atId".to_owned(), AttributeValue::S(sort)),
        ])
    }
}

fn text(item: &HashMap<String, AttributeValue>, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}

fn row_of(item: &HashMap<String, AttributeValue>) -> ActRow {
    let said = |name: &str| text(item, name).unwrap_or_default();
    let letters = item.get("letters").and_then(|value| value.as_n().ok());
    ActRow {
        id: said("id"),
        at: said("at"),
        who: said("who"),
        what: said("what"),
        selection: said("selection"),
        letters: letters.and_then(|count| count.parse().ok()).unwrap_or(0),
        letter_ids: Vec::new(),
        why: text(item, "why"),
        result: text(item, "result"),
        completed_at: text(item, "completedAt"),
    }
}

/// The operator on their own machine, by the name that the operating system has for them; by their number where the
/// environment has no name.
pub fn local_operator() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|name| !name.is_empty()));
    let name = name.or_else(|| {
        use std::os::unix::fs::MetadataExt as _;
        let own = std::fs::metadata("/proc/self").ok()?;
        Some(format!("uid-{}", own.uid()))
    });
    format!("os:{}", name.as_deref().unwrap_or("unknown"))
}

/// The operator by the name that AWS has for them: the ARN of the caller.
///
/// # Errors
/// A [`Failure`] when AWS does not know the credentials.
pub async fn aws_operator(clients: &Clients) -> Result<String, Failure> {
    let answer = aws_sdk_sts::Client::new(&clients.config)
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| classify("ask AWS who the caller is", error))?;
    Ok(answer.arn().unwrap_or("unknown").to_owned())
}
