//! One letter through its worker, in this process.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_delivery::Ways;
use millrace_delivery::{Delivery, Invocation, Parking, QueueDefault, Report, Said};
use millrace_events::{Failure, ParkedRecord, reason};

use super::{
    outcome::{Became, Trouble},
    resolve::resolve,
};
use crate::{letters::Letter, platform::Platform};

/// How long the loop may take over one event; a handler that needs longer is handed back as timed out.
const LIMIT: Duration = Duration::from_secs(300);
/// What is transient is tried so often before the letter stays where it is.
const TRIES: u32 = 3;
/// The first wait between them; it grows fourfold.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// No wait between tries is longer, whatever the failure asks for: the letter can be replayed later.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A letter that fails again lies where it lay: there is nothing to park.
#[derive(Debug, Clone, Copy)]
struct StaysWhereItIs;

#[async_trait]
impl Parking for StaysWhereItIs {
    async fn park(&self, _record: ParkedRecord) -> Result<(), Failure> {
        Ok(())
    }
}

/// The workers' own loops, with letters for messages.
#[derive(Debug)]
pub(crate) struct Handlers {
    deliveries: BTreeMap<String, Delivery>,
    streams: aws_sdk_dynamodbstreams::Client,
}

impl Handlers {
    pub(crate) fn of(platform: &Platform) -> Self {
        let own = |worker: String| {
            let ways = Ways {
                parking: Arc::new(StaysWhereItIs),
                visibility: Arc::new(QueueDefault),
            };
            let delivery = platform.delivery_with(&worker, ways)?;
            Some((worker, delivery))
        };
        Self {
            deliveries: platform.workers().into_iter().filter_map(own).collect(),
            streams: platform.clients().streams.clone(),
        }
    }

    /// Handles a letter's event; what is transient is tried again for a while.
    pub(crate) async fn replay(&self, letter: &Letter) -> Became {
        let Some(delivery) = self.deliveries.get(&letter.worker) else {
            let names: Vec<&str> = self.deliveries.keys().map(String::as_str).collect();
            return Became::Failed(Trouble::of(&Failure::permanent(
                reason::WORKER_UNAVAILABLE,
                format!(
                    "there is no worker {:?} here; there are {}",
                    letter.worker,
                    names.join(", ")
                ),
            )));
        };
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.once(delivery, letter).await {
                Became::Failed(trouble) if trouble.is_transient => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 4).min(LONGEST_PAUSE);
                }
                became => return became,
            }
        }
        self.once(delivery, letter).await
    }

    async fn once(&self, delivery: &Delivery, letter: &Letter) -> Became {
        let mut resolved = match resolve(letter, &self.streams) {
            Ok(resolved) => resolved,
            Err(failure) => return Became::Failed(Trouble::of(&failure)),
        };
        let mut whole = Became::Handled(Said::Ignored);
        loop {
            let event = match resolved.next_event(letter).await {
                Ok(Some(event)) => event,
                Ok(None) => return whole,
                Err(failure) => return Became::Failed(Trouble::of(&failure)),
            };
            let report = delivery.deliver(event, Invocation::lasting(LIMIT)).await;
            whole = whole.and(of_report(&report));
        }
    }
}

/// A letter of several records is handled when all of them are.
fn of_report(report: &Report) -> Became {
    let became = report.records.iter().map(|record| {
        let (Said::Retry | Said::SetAside | Said::Parked) = record.outcome else {
            return Became::Handled(record.outcome);
        };
        let said = record.reason.as_ref();
        Became::Failed(Trouble {
            code: said.map_or_else(String::new, |reason| reason.code.to_owned()),
            message: said.map_or_else(String::new, |reason| reason.message.clone()),
            is_transient: record.outcome != Said::Parked,
        })
    });
    became.fold(Became::Handled(Said::Ignored), Became::and)
}
