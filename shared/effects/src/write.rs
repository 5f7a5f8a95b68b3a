//! Writes of rows, alone or several as one transaction.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update as SdkUpdate,
    },
};
use millrace_cloud::{classify, retry::Retry};
use millrace_events::{Failure, mutation, reason};
use tokio::time::Instant;

mod many;
mod single;

pub use self::single::Updated;
pub use crate::expression::Row;
use crate::expression::{Placeholders, When};

/// How a commit ended that met no failure.
#[derive(Debug, Clone)]
pub enum Committed {
    /// Every write took place.
    Done,
    /// The condition of one write did not hold; none took place.
    Refused {
        /// Its position among the writes.
        index: usize,
        /// The row as it is, when there is one.
        current: Option<Row>,
    },
}

/// How one attempt at a commit ended that met no failure.
#[derive(Debug)]
pub(crate) enum Tried {
    Done,
    /// As [`Committed::Refused`].
    Refused {
        index: usize,
        current: Option<Row>,
    },
    /// Another transaction was at the rows of these writes.
    Conflicted(Vec<usize>),
}

/// Changes to single attributes of a row; the row is created when it is not there, unless a condition forbids it.
#[derive(Debug, Clone)]
pub struct Update {
    table: String,
    key: Row,
    sets: Vec<(String, AttributeValue, Absence)>,
    removes: Vec<String>,
    adds: Vec<(String, AttributeValue)>,
    when: Option<When>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absence {
    Any,
    Only,
}

impl Update {
    /// An update of this row.
    pub fn of(table: &str, key: Row) -> Self {
        Self {
            table: table.to_owned(),
            key,
            sets: Vec::new(),
            removes: Vec::new(),
            adds: Vec::new(),
            when: None,
        }
    }

    /// Sets an attribute; the path may be nested.
    #[must_use]
    pub fn set(mut self, path: impl Into<String>, value: AttributeValue) -> Self {
        self.sets.push((path.into(), value, Absence::Any));
        self
    }

    /// Sets an attribute that is not there yet.
    #[must_use]
    pub fn set_if_absent(mut self, path: impl Into<String>, value: AttributeValue) -> Self {
        self.sets.push((path.into(), value, Absence::Only));
        self
    }

    /// Removes an attribute.
    #[must_use]
    pub fn remove(mut self, path: impl Into<String>) -> Self {
        self.removes.push(path.into());
        self
    }

    /// Adds to a number; a number that is not there counts as 0. DynamoDB adds to whole attributes only, so a dot in the name is
    /// part of it.
    #[must_use]
    pub fn add(mut self, attribute: impl Into<String>, number: i64) -> Self {
        self.adds
            .push((attribute.into(), AttributeValue::N(number.to_string())));
        self
    }

    /// Adds texts to a set; a set that is not there is empty.
    #[must_use]
    pub fn include(mut self, attribute: impl Into<String>, texts: Vec<String>) -> Self {
        self.adds
            .push((attribute.into(), AttributeValue::Ss(texts)));
        self
    }

    /// Only when this holds too.
    #[must_use]
    pub fn when(mut self, when: When) -> Self {
        self.when = Some(match self.when {
            Some(before) => When::All(vec![before, when]),
            None => when,
        });
        self
    }

    fn expression(&self, placeholders: &mut Placeholders) -> String {
        let mut clauses = Vec::new();
        let sets: Vec<String> = self
            .sets
            .iter()
            .map(|(path, value, absence)| {
                let path = placeholders.path(path);
                let value = placeholders.value(value.clone());
                match absence {
                    Absence::Any => format!("{path} = {value}"),
                    Absence::Only => format!("{path} = if_not_exists({path}, {value})"),
                }
            })
            .collect();
        if !sets.is_empty() {
            clauses.push(format!("SET {}", sets.join(", ")));
        }
        let removes: Vec<String> = self
            .removes
            .iter()
            .map(|path| placeholders.path(path))
            .collect();
        if !removes.is_empty() {
            clauses.push(format!("REMOVE {}", removes.join(", ")));
        }
        let adds: Vec<String> = self
            .adds
            .iter()
            .map(|(attribute, value)| {
                format!(
                    "{} {}",
                    placeholders.name(attribute),
                    placeholders.value(value.clone())
                )
            })
            .collect();
        if !adds.is_empty() {
            clauses.push(format!("ADD {}", adds.join(", ")));
        }
        clauses.join(" ")
    }
}

/// One write of a commit.
#[derive(Debug, Clone)]
pub enum Write {
    /// Changes attributes.
    Update(Update),
    /// Replaces the whole row.
    Put {
        /// The table's name.
        table: String,
        /// The row with its key.
        row: Row,
        /// Only when this holds.
        when: Option<When>,
    },
    /// Removes the row.
    Delete {
        /// The table's name.
        table: String,
        /// The row's key.
        key: Row,
        /// Only when this holds.
        when: Option<When>,
    },
    /// Writes nothing, but the others take place only when this holds.
    Check {
        /// The table's name.
        table: String,
        /// The row's key.
        key: Row,
        /// What must hold.
        when: When,
    },
}

impl From<Update> for Write {
    fn from(update: Update) -> Self {
        Self::Update(update)
    }
}

impl Write {
    /// The create-once guard: a row whose key is a function of its cause, written if it is not there.
    /// `key_attribute` is the name of its partition key.
    pub fn create_once(table: &str, row: Row, key_attribute: &'static str) -> Self {
        Self::Put {
            table: table.to_owned(),
            row,
            when: (!mutation::on(mutation::CREATE_TWICE)).then_some(When::Absent(key_attribute)),
        }
    }

    fn into_item(self, attempted: &str) -> Result<TransactWriteItem, Failure> {
        let returned = ReturnValuesOnConditionCheckFailure::AllOld;
        let mut placeholders = Placeholders::default();
        let item = TransactWriteItem::builder();
        let built = match self {
            Self::Update(update) => {
                let expression = update.expression(&mut placeholders);
                let condition = update
                    .when
                    .as_ref()
                    .map(|when| placeholders.condition(when));
                SdkUpdate::builder()
                    .table_name(update.table)
                    .set_key(Some(update.key))
                    .update_expression(expression)
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(placeholders.names())
                    .set_expression_attribute_values(placeholders.values())
                    .return_values_on_condition_check_failure(returned)
                    .build()
                    .map(|update| item.update(update).build())
            }
            Self::Put { table, row, when } => {
                let condition = when.as_ref().map(|when| placeholders.condition(when));
                Put::builder()
                    .table_name(table)
                    .set_item(Some(row))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(placeholders.names())
                    .set_expression_attribute_values(placeholders.values())
                    .return_values_on_condition_check_failure(returned)
                    .build()
                    .map(|put| item.put(put).build())
            }
            Self::Delete { table, key, when } => {
                let condition = when.as_ref().map(|when| placeholders.condition(when));
                Delete::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(placeholders.names())
                    .set_expression_attribute_values(placeholders.values())
                    .return_values_on_condition_check_failure(returned)
                    .build()
                    .map(|delete| item.delete(delete).build())
            }
            Self::Check { table, key, when } => {
                let condition = placeholders.condition(&when);
                ConditionCheck::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .condition_expression(condition)
                    .set_expression_attribute_names(placeholders.names())
                    .set_expression_attribute_values(placeholders.values())
                    .return_values_on_condition_check_failure(returned)
                    .build()
                    .map(|check| item.condition_check(check).build())
            }
        };
        built.map_err(|error| {
            Failure::permanent(reason::REQUEST_REJECTED, format!("could not {attempted}"))
                .caused_by(error)
        })
    }
}

/// Access to tables.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
}

impl Table {
    /// On this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client, for what is not a commit.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Reads a row as it is now (strongly consistent).
    pub async fn read(&self, table: &str, key: Row) -> Result<Option<Row>, Failure> {
        let answer = self
            .client
            .get_item()
            .table_name(table)
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| classify(&format!("read a row of {table}"), error))?;
        Ok(answer.item)
    }

    /// A page of all rows of a table, as they are now (strongly consistent): at most `most`, or what a page holds,
    /// from behind the key `from`. With the rows comes the key of the last one if there may be more.
    pub async fn scan_page(
        &self,
        table: &str,
        from: Option<Row>,
        most: Option<i32>,
    ) -> Result<(Vec<Row>, Option<Row>), Failure> {
        let page = self
            .client
            .scan()
            .table_name(table)
            .consistent_read(true)
            .set_limit(most)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| classify(&format!("read all of {table}"), error))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key))
    }

    /// Carries out the writes, all or none. A conflict with another transaction is tried again at once, a few
    /// times; after that it is a transient failure. `attempted` completes "could not …".
    ///
    /// A commit whose answer is lost may have taken place: the caller's record is then delivered again and
    /// meets its own guard.
    pub async fn commit(&self, attempted: &str, writes: Vec<Write>) -> Result<Committed, Failure> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let attempt = || async {
            match self.try_commit(attempted, writes.clone()).await? {
                Tried::Done => Ok(Committed::Done),
                Tried::Refused { index, current } => Ok(Committed::Refused { index, current }),
                Tried::Conflicted(_) => {
                    let message = format!("could not {attempted}: another transaction was there");
                    Err(Failure::transient(reason::CONFLICT, message))
                }
            }
        };
        Retry::default().run(deadline, attempt).await
    }

    /// One attempt at a commit.
    pub(crate) async fn try_commit(
        &self,
        attempted: &str,
        writes: Vec<Write>,
    ) -> Result<Tried, Failure> {
        let items = writes
            .into_iter()
            .map(|write| write.into_item(attempted))
            .collect::<Result<Vec<_>, _>>()?;
        self.transact(attempted, items).await
    }

    async fn transact(
        &self,
        attempted: &str,
        items: Vec<TransactWriteItem>,
    ) -> Result<Tried, Failure> {
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(Tried::Done),
            Err(error) => error,
        };
        let SdkError::ServiceError(context) = &error else {
            return Err(classify(attempted, error));
        };
        let TransactWriteItemsError::TransactionCanceledException(cancelled) = context.err() else {
            return Err(classify(attempted, error));
        };
        let refused = cancelled
            .cancellation_reasons()
            .iter()
            .enumerate()
            .find(|(_, why)| why.code() == Some("ConditionalCheckFailed"));
        if let Some((index, why)) = refused {
            return Ok(Tried::Refused {
                index,
                current: why.item().cloned(),
            });
        }
        let codes: Vec<&str> = cancelled
            .cancellation_reasons()
            .iter()
            .filter_map(|why| why.code())
            .filter(|c| *c != "None")
            .collect();
        let message = format!(
            "could not {attempted}: the transaction was cancelled ({})",
            codes.join(", ")
        );
        if codes.contains(&"ValidationError") || codes.contains(&"ItemCollectionSizeLimitExceeded")
        {
            let detail = cancelled
                .cancellation_reasons()
                .iter()
                .filter_map(|why| why.message())
                .collect::<Vec<_>>();
            return Err(Failure::permanent(
                reason::REQUEST_REJECTED,
                format!("{message}: {}", detail.join("; ")),
            ));
        }
        let conflicts = cancelled.cancellation_reasons().iter().enumerate();
        let conflicts: Vec<usize> = conflicts
            .filter(|(_, why)| why.code() == Some("TransactionConflict"))
            .map(|(index, _)| index)
            .collect();
        let is_throttled = codes
            .iter()
            .any(|code| code.contains("Throughput") || code.contains("Throttl"));
        if !conflicts.is_empty() && !is_throttled {
            return Ok(Tried::Conflicted(conflicts));
        }
        let code = context.err().code().unwrap_or_default();
        let why = if is_throttled {
            reason::THROTTLED
        } else if code.contains("Conflict") {
            reason::CONFLICT
        } else {
            reason::SERVICE_UNAVAILABLE
        };
        Err(Failure::transient(why, message))
    }
}
