//! `close-window`: a job's matching window has ended.
//!
//! It listens to a queue of delayed messages that name a job. SQS delays by 15 minutes at most and keeps a message for 14 days at most;
//! so a message that comes too early sends the next one and is done, and a window may be as long as one likes. Whether it
//! is too early is asked of the progress row, never of the message: early, late, twice or for a job that nobody
//! knows are all the same to it. Two chains of messages for one window do no harm either; both end when it is closed.

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::classify;
use millrace_delivery::{Cx, FromRecord, Worker};
use millrace_effects::{Updated, When};
use millrace_events::{Failure, Outcome, Payload, Record, reason};
use serde_json::{Value, json};

use crate::{context::Jobs, projection::project, responses::ResponseSide, window::Look};

/// Listens to the queue of windows that are to be closed.
#[derive(Clone)]
pub struct CloseWindow(pub Jobs);

/// That somebody shall look at a job's window.
#[derive(Debug, Clone)]
pub struct LookAt(String);

impl FromRecord for LookAt {
    fn from_record(record: &Record) -> Result<Option<Self>, Failure> {
        let Payload::Message(message) = &record.payload else {
            return Ok(None);
        };
        match message.get("jobId").and_then(Value::as_str) {
            Some(job) if !job.is_empty() && job.len() <= 2048 => Ok(Some(Self(job.to_owned()))),
            _ => Err(Failure::permanent(
                reason::MALFORMED_EVENT,
                "the message names no job: `jobId` is missing, empty or no text",
            )),
        }
    }
}

impl Worker for CloseWindow {
    const NAME: &'static str = "close-window";
    type Event = LookAt;

    async fn handle(&self, LookAt(job): LookAt, cx: &Cx) -> Result<Outcome, Failure> {
        let Self(jobs) = self;
        let mut side = ResponseSide::read(jobs, &job).await?;
        let Some(window) = side.window() else {
            return Ok(Outcome::Ignored("nobody has answered to this job"));
        };
        let mut closed = false;
        if !side.window_closed {
            let look = window.look(cx.now);
            if look != Look::Due {
                look_at(jobs, &job, look).await?;
                return Ok(Outcome::Applied);
            }
            let update = ResponseSide::change(jobs, &job)
                .set("windowClosed", AttributeValue::Bool(true))
                .when(When::Absent("windowClosed"));
            let (now, row) = match jobs.table.update("close the window", update).await? {
                Updated::Done(row) => (true, Some(row)),
                Updated::Refused(row) => (false, row),
            };
            closed = now;
            side = ResponseSide::of(row.as_ref())?;
        }
        let projected = project(jobs, &job, side).await?;
        Ok(if closed || projected.changed {
            Outcome::Applied
        } else {
            Outcome::Already
        })
    }
}

/// Sends the message that makes this worker look at the window then.
pub(crate) async fn look_at(jobs: &Jobs, job: &str, look: Look) -> Result<(), Failure> {
    let seconds = match look {
        Look::Due => 0,
        Look::Later(delay) => i32::try_from(delay.as_secs()).unwrap_or(i32::MAX),
    };
    let request = jobs.clients.sqs.send_message();
    let sent = request
        .queue_url(&jobs.names.close_window_queue)
        .delay_seconds(seconds)
        .message_body(json!({ "jobId": job }).to_string())
        .send()
        .await;
    let attempted = "send the message that closes the window";
    sent.map(drop).map_err(|error| classify(attempted, error))
}
