//! What the platform does to its rows on behalf of people and employers.

use std::time::Duration;

use serde_json::{Value, json};

use super::people::{Job, Person, iso};
use crate::World;

/// The platform, in a world.
#[derive(Clone, Copy)]
pub struct Platform<'a>(pub &'a World);

/// What becomes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nobody is wanted any more.
    Closed,
    /// The work is done.
    Completed,
}

impl Platform<'_> {
    fn names(&self) -> &millrace_jobs::Names {
        &self.0.names.jobs
    }

    fn call(&self, operation: &str, request: &Value) -> Value {
        let dynamo = &self.0.services().dynamo;
        dynamo.call_json(operation, request).unwrap()
    }

    fn put(&self, table: &str, row: &Value) {
        self.call("PutItem", &json!({"TableName": table, "Item": row}));
    }

    fn row(&self, table: &str, key: &Value) -> Option<Value> {
        let request = json!({"TableName": table, "Key": key});
        self.call("GetItem", &request).get("Item").cloned()
    }

    /// Sets attributes of a row, if it is there.
    fn set(&self, table: &str, key: &Value, values: &[(&str, Value)]) {
        if self.row(table, key).is_none() {
            return;
        }
        let (mut sets, mut names, mut given) = (Vec::new(), json!({}), json!({}));
        for (nth, (name, value)) in values.iter().enumerate() {
            sets.push(format!("#n{nth} = :v{nth}"));
            names[format!("#n{nth}")] = json!(name);
            given[format!(":v{nth}")] = value.clone();
        }
        let request = json!({
            "TableName": table, "Key": key, "UpdateExpression": format!("SET {}", sets.join(", ")),
            "ExpressionAttributeNames": names, "ExpressionAttributeValues": given,
        });
        self.call("UpdateItem", &request);
    }

    /// The time, in milliseconds since 1970.
    pub fn now_millis(&self) -> i64 {
        i64::try_from(self.0.now().unix_timestamp_nanos() / 1_000_000).unwrap()
    }

    /// Lets time pass.
    pub fn wait(&self, seconds: u64) {
        self.0.wait(Duration::from_secs(seconds));
    }

    /// Writes somebody's whole row. Whether they work stays; what the workers wrote into the row goes.
    pub fn write_person(&self, person: &Person) {
        let key = json!({"userId": {"S": person.id}});
        let mut row = person.row();
        if let Some(before) = self.row(&self.names().users, &key) {
            for kept in ["employeeStatus", "currentJobId"] {
                if let Some(value) = before.get(kept) {
                    row[kept] = value.clone();
                }
            }
        }
        self.put(&self.names().users, &row);
    }

    /// Somebody logs in.
    pub fn log_in(&self, person: &str) {
        let key = json!({"userId": {"S": person}});
        let seen = json!({"S": iso(self.now_millis())});
        self.set(&self.names().users, &key, &[("lastLoginAt", seen)]);
    }

    /// The job that somebody works for, if any; `None` when there is no such person.
    pub fn works_for(&self, person: &str) -> Option<Option<String>> {
        let row = self.row(&self.names().users, &json!({"userId": {"S": person}}))?;
        Some(row["currentJobId"]["S"].as_str().map(str::to_owned))
    }

    /// Somebody's account is removed.
    pub fn remove_person(&self, person: &str) {
        let key = json!({"userId": {"S": person}});
        let request = json!({"TableName": self.names().users, "Key": key});
        self.call("DeleteItem", &request);
    }

    /// Writes a job's whole row.
    pub fn write_job(&self, job: &Job) {
        self.put(&self.names().jobs, &job.row());
    }

    /// Gives a job another text and rate, and opens it again; posts it when it is not there.
    pub fn edit_job(&self, job: &Job) {
        let key = json!({"jobId": {"S": job.id}});
        if self.row(&self.names().jobs, &key).is_none() {
            return self.write_job(job);
        }
        let row = job.row();
        let values = ["title", "description", "hourlyRate", "status"];
        let values = values.map(|name| (name, row[name].clone()));
        self.set(&self.names().jobs, &key, &values);
    }

    /// A job comes to its end.
    pub fn end_job(&self, job: &str, end: End) {
        let status = match end {
            End::Closed => "closed",
            End::Completed => "completed",
        };
        let key = json!({"jobId": {"S": job}});
        let status = json!({"S": status});
        self.set(&self.names().jobs, &key, &[("status", status)]);
    }

    /// A job's row is removed.
    pub fn remove_job(&self, job: &str) {
        let key = json!({"jobId": {"S": job}});
        let request = json!({"TableName": self.names().jobs, "Key": key});
        self.call("DeleteItem", &request);
    }

    /// Somebody answers to a job that is there: once.
    pub fn respond(&self, response: &str, job: &str, person: &str) {
        let names = self.names();
        let key = json!({"responseId": {"S": response}});
        let job_is_there = self
            .row(&names.jobs, &json!({"jobId": {"S": job}}))
            .is_some();
        if !job_is_there || self.row(&names.matches, &key).is_some() {
            return;
        }
        let row = json!({
            "responseId": {"S": response},
            "jobId": {"S": job},
            "employeeId": {"S": person},
            "respondedAt": {"S": iso(self.now_millis())},
            "status": {"S": "pending"},
        });
        self.put(&names.matches, &row);
    }

    /// Whether the employer has selected this response.
    pub fn is_selected(&self, response: &str) -> bool {
        let key = json!({"responseId": {"S": response}});
        let row = self.row(&self.names().matches, &key);
        row.is_some_and(|row| row["status"]["S"] == "selected")
    }

    /// The employer says `selected` or `rejected` of a response of which nothing was said.
    pub fn decide(&self, response: &str, status: &str) {
        let names = self.names();
        let key = json!({"responseId": {"S": response}});
        let row = self.row(&names.matches, &key);
        if row.is_some_and(|row| row["status"]["S"] == "pending") {
            self.set(&names.matches, &key, &[("status", json!({"S": status}))]);
        }
    }
}
