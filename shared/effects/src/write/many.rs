//! Many rows with few requests.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, WriteRequest};
use millrace_cloud::{classify, retry::Retry};
use millrace_events::{Failure, reason};
use tokio::time::Instant;

use super::{Row, Table};

/// DynamoDB's limits for one request.
const READS_PER_REQUEST: usize = 100;
const DELETES_PER_REQUEST: usize = 25;

/// How long what a request left undone is asked for again.
const PATIENCE: Duration = Duration::from_secs(10);

impl Table {
    /// Reads rows as they are now (strongly consistent), a hundred a request; what a request leaves out is asked for again.
    /// The rows of each table come in no order, and without those that are not there. No key may be asked for twice.
    pub async fn read_many(
        &self,
        wanted: impl IntoIterator<Item = (String, Row)>,
    ) -> Result<HashMap<String, Vec<Row>>, Failure> {
        let mut waiting: Vec<(String, Row)> = wanted.into_iter().collect();
        let mut found: HashMap<String, Vec<Row>> = HashMap::new();
        let deadline = Instant::now() + PATIENCE;
        while !waiting.is_empty() {
            let request = waiting.split_off(waiting.len().saturating_sub(READS_PER_REQUEST));
            let read = || self.read_some(&request);
            let (rows, left_out) = Retry::default().run(deadline, read).await?;
            for (table, rows) in rows {
                found.entry(table).or_default().extend(rows);
            }
            waiting.extend(left_out);
        }
        Ok(found)
    }

    /// One request. It reads something, or it is a failure.
    async fn read_some(
        &self,
        wanted: &[(String, Row)],
    ) -> Result<(HashMap<String, Vec<Row>>, Vec<(String, Row)>), Failure> {
        let mut keys: HashMap<String, Vec<Row>> = HashMap::new();
        for (table, key) in wanted {
            keys.entry(table.clone()).or_default().push(key.clone());
        }
        let mut request = self.client().batch_get_item();
        for (table, keys) in keys {
            let of_table = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .map_err(|error| {
                    Failure::permanent(reason::REQUEST_REJECTED, "could not read many rows")
                        .caused_by(error)
                })?;
            request = request.request_items(table, of_table);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| classify("read many rows", error))?;
        let left_out: Vec<(String, Row)> = answer
            .unprocessed_keys
            .unwrap_or_default()
            .into_iter()
            .flat_map(|(table, keys)| keys.keys.into_iter().map(move |key| (table.clone(), key)))
            .collect();
        if left_out.len() >= wanted.len() {
            return Err(nothing_done("read many rows"));
        }
        Ok((answer.responses.unwrap_or_default(), left_out))
    }

    /// Deletes rows, whatever they are; those that are not there count as deleted.
    pub(crate) async fn delete_many(&self, table: &str, keys: Vec<Row>) -> Result<(), Failure> {
        let mut waiting = keys;
        let deadline = Instant::now() + PATIENCE;
        while !waiting.is_empty() {
            let request = waiting.split_off(waiting.len().saturating_sub(DELETES_PER_REQUEST));
            let delete = || self.delete_some(table, &request);
            waiting.extend(Retry::default().run(deadline, delete).await?);
        }
        Ok(())
    }

    async fn delete_some(&self, table: &str, keys: &[Row]) -> Result<Vec<Row>, Failure> {
        let attempted = || format!("delete rows of {table}");
        let deletes = keys.iter().map(|key| {
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
            delete.map(|delete| WriteRequest::builder().delete_request(delete).build())
        });
        let deletes: Vec<WriteRequest> = deletes.collect::<Result<_, _>>().map_err(|error| {
            Failure::permanent(
                reason::REQUEST_REJECTED,
                format!("could not {}", attempted()),
            )
            .caused_by(error)
        })?;
        let answer = self
            .client()
            .batch_write_item()
            .request_items(table, deletes)
            .send()
            .await
            .map_err(|error| classify(&attempted(), error))?;
        let left: Vec<Row> = answer
            .unprocessed_items
            .unwrap_or_default()
            .into_values()
            .flatten()
            .filter_map(|write| Some(write.delete_request?.key))
            .collect();
        if left.len() >= keys.len() {
            return Err(nothing_done(&attempted()));
        }
        Ok(left)
    }
}

fn nothing_done(attempted: &str) -> Failure {
    let message = format!("could not {attempted}: the tables have too much to do");
    Failure::transient(reason::THROTTLED, message)
}
