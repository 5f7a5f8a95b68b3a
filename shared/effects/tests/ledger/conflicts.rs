//! Many processes on one busy total. The embedded tables do one thing after the other and know no conflicts, so they are made here as
//! DynamoDB makes them: a transaction is cancelled while another one is at a row of it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpClient, SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use millrace_effects::Total;
use millrace_local::http_client;
use serde_json::{Value, json};

use crate::world::*;

/// How long a transaction is at its rows.
const TAKES: Duration = Duration::from_millis(10);

#[derive(Debug, Clone)]
struct Conflicting {
    inner: SharedHttpClient,
    rows: Arc<Mutex<BTreeSet<String>>>,
    transactions: Arc<AtomicUsize>,
    conflicts: Arc<AtomicUsize>,
}

impl Conflicting {
    fn over(inner: SharedHttpClient) -> Self {
        Self {
            inner,
            rows: Arc::default(),
            transactions: Arc::default(),
            conflicts: Arc::default(),
        }
    }

    fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }
}

/// The rows of a transaction.
fn rows_of(request: &HttpRequest) -> Option<Vec<String>> {
    let target = request.headers().get("x-amz-target")?;
    if !target.ends_with(".TransactWriteItems") {
        return None;
    }
    let body: Value = serde_json::from_slice(request.body().bytes()?).ok()?;
    let row = |item: &Value| {
        let (kind, write) = item.as_object()?.iter().next()?;
        let table = write["TableName"].as_str()?;
        let (_, hash, range) = TABLES.iter().find(|(name, _, _)| *name == table)?;
        let from = if kind == "Put" {
            &write["Item"]
        } else {
            &write["Key"]
        };
        let range = range.map(|range| &from[range]);
        Some(format!("{table} {} {range:?}", from[*hash]))
    };
    body["TransactItems"].as_array()?.iter().map(row).collect()
}

fn cancelled(conflicting: &[bool]) -> HttpResponse {
    let reasons: Vec<Value> = conflicting
        .iter()
        .map(|conflicts| json!({"Code": if *conflicts { "TransactionConflict" } else { "None" }}))
        .collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled", "CancellationReasons": reasons,
    });
    let status = StatusCode::try_from(400).unwrap();
    HttpResponse::new(status, SdkBody::from(body.to_string()))
}

impl HttpClient for Conflicting {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Connector(self.clone(), inner))
    }
}

#[derive(Debug)]
struct Connector(Conflicting, SharedHttpConnector);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (model, inner) = (self.0.clone(), self.1.clone());
        HttpConnectorFuture::new(async move {
            let Some(rows) = rows_of(&request) else {
                return inner.call(request).await;
            };
            model.transactions.fetch_add(1, Ordering::SeqCst);
            let conflicting: Vec<bool> = {
                let mut busy = model.rows.lock().unwrap();
                let conflicting: Vec<bool> = rows.iter().map(|row| busy.contains(row)).collect();
                if !conflicting.contains(&true) {
                    busy.extend(rows.iter().cloned());
                }
                conflicting
            };
            if conflicting.contains(&true) {
                model.conflicts.fetch_add(1, Ordering::SeqCst);
                return Ok(cancelled(&conflicting));
            }
            tokio::time::sleep(TAKES).await;
            let answer = inner.call(request).await;
            let mut busy = model.rows.lock().unwrap();
            rows.iter().for_each(|row| {
                busy.remove(row);
            });
            drop(busy);
            answer
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_on_one_store_find_slots_of_their_own() {
    const PROCESSES: u32 = 10;
    const BATCHES: u32 = 30;
    let services = services();
    let model = Conflicting::over(http_client(&services));
    let tasks: Vec<_> = (0..PROCESSES)
        .map(|process| {
            let ledger = ledger_through(model.client());
            tokio::spawn(async move {
                for batch in 0..BATCHES {
                    let subject = |n| (process * BATCHES + batch) * 20 + n;
                    let batch: Vec<_> = (0..20)
                        .map(|n| contribution(subject(n), 1, shares(0, 1)))
                        .collect();
                    ledger.commit(&batch).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let ledger = ledger_through(http_client(&services));
    let store = ledger
        .total(&Total::new("day#store", "store-0"))
        .await
        .unwrap();
    assert_eq!(store["amount"], i64::from(PROCESSES * BATCHES * 20));
    let (all, conflicts) = (
        model.transactions.load(Ordering::SeqCst),
        model.conflicts.load(Ordering::SeqCst),
    );
    // They meet at the beginning, and then no more: without slots nine of ten would.
    assert!(
        conflicts * 10 <= all,
        "{conflicts} conflicts in {all} transactions"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_at_the_same_time_in_one_process_do_not_meet() {
    let services = services();
    let model = Conflicting::over(http_client(&services));
    let ledger = ledger_through(model.client());
    for round in 0..5 {
        let tasks: Vec<_> = (0..12)
            .map(|n| {
                let ledger = ledger.clone();
                let one = contribution(round * 12 + n, 1, shares(0, 1));
                tokio::spawn(async move { ledger.commit(&[one]).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    }
    assert_eq!(model.conflicts.load(Ordering::SeqCst), 0);
    let store = ledger
        .total(&Total::new("day#store", "store-0"))
        .await
        .unwrap();
    assert_eq!(store["amount"], 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_processes_than_slots_wait_for_one_another_and_all_count() {
    const PROCESSES: u32 = 24;
    let services = services();
    let model = Conflicting::over(http_client(&services));
    let tasks: Vec<_> = (0..PROCESSES)
        .map(|process| {
            let ledger = ledger_through(model.client());
            tokio::spawn(async move {
                let one = [contribution(process, 1, shares(0, 5))];
                // A conflict that lasts is handed back and delivered again.
                while ledger.commit(&one).await.is_err() {}
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let ledger = ledger_through(http_client(&services));
    let store = ledger
        .total(&Total::new("day#store", "store-0"))
        .await
        .unwrap();
    assert_eq!(store["amount"], i64::from(PROCESSES * 5));
}
