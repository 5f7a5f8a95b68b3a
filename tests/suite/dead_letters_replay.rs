//! Replays of dead letters: killed twice, from a stream, against a running platform, with the usual AWS settings.

use std::{collections::BTreeMap, path::Path, process::Command, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::{Addressing, Clients};
use millrace_local::{
    FunctionConfig, FunctionError, Functions, LocalCloud, Storage, Template, names::CREDENTIAL,
    names::REGION, sqs::OutgoingMessage,
};
use millrace_ops::platform::Platform;
use millrace_tests::dead_letters::{
    REMOVER_LETTERS, applied, document_id, fill, parked, put, removal, replay, verify,
};
use serde_json::Value;

use crate::PROGRAM;

fn dlq_replay(words: &str, data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["dlq", "replay", "--json"]);
    command.args(words.split_whitespace());
    command.arg("--data").arg(data);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twice_no_letter_is_lost_and_none_is_applied_twice() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let filled = fill(&data, 400).await;
    assert!(filled.hopeless > 0 && filled.effects > filled.letters);

    let first = replay(dlq_replay("--all --rate 250/s", &data), Some(90));
    assert_eq!(first.code, None, "it was killed: {first:?}");
    let second = replay(dlq_replay("--continue --rate 250/s", &data), Some(90));
    assert_eq!(second.code, None, "it was killed: {second:?}");
    let third = replay(dlq_replay("--continue", &data), None);
    // On a busy machine everything that must fail may have failed before the second death.
    assert!(matches!(third.code, Some(0 | 1)), "it ended: {third:?}");

    // What was finished in the moment of a death may not have been told: the state decides.
    verify(&data, filled).await;

    // What is left can be tried again, and nothing else is there.
    let again = replay(dlq_replay("--all", &data), None);
    assert_eq!(
        again.outcomes,
        BTreeMap::from([("failed".to_owned(), filled.hopeless)])
    );
    verify(&data, filled).await;
}

/// A function that fails whatever it is given.
struct Failing;

#[async_trait]
impl Functions for Failing {
    async fn invoke(
        &self,
        _function: &FunctionConfig,
        _event: Value,
        _request_id: &str,
        _deadline: tokio::time::Instant,
    ) -> Result<Value, FunctionError> {
        Err(FunctionError::new("it is broken today"))
    }
}

/// A row was written and removed while the functions were broken: Lambda's record of the batch lies in the queue.
async fn a_batch_that_failed(data: &Path) {
    let text = include_str!("../../infra/template.yaml");
    let impatient = text.replace("MaximumRetryAttempts: 10", "MaximumRetryAttempts: 0");
    let template = Template::parse(&impatient, "template.yaml", &BTreeMap::new()).unwrap();
    let storage = Storage::Directory(data.to_owned());
    let cloud = LocalCloud::open(&template, storage).await.unwrap();
    let clients = Clients::new(&cloud.sdk_config(), Addressing::Path);
    let running = cloud.start(Arc::new(Failing));
    let (user, document) = ("ada".to_owned(), document_id(7));
    let table = "ai-assistant-documents";
    let put = clients.dynamodb.put_item().table_name(table);
    let put = put.item("userId", AttributeValue::S(user.clone()));
    let put = put.item("documentId", AttributeValue::S(document.clone()));
    put.send().await.unwrap();
    let gone = clients.dynamodb.delete_item().table_name(table);
    let gone = gone.key("userId", AttributeValue::S(user));
    let gone = gone.key("documentId", AttributeValue::S(document));
    gone.send().await.unwrap();
    let queues = &cloud.services().queues;
    let begun = std::time::Instant::now();
    while queues.counts(REMOVER_LETTERS).await.unwrap().total() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "no letter came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_a_stream_is_fetched_from_the_stream_and_replayed() {
    for via in ["handler", "queue"] {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        a_batch_that_failed(&data).await;
        let mut explain = Command::new(PROGRAM);
        explain.args(["dlq", "explain", "--json", "--kind", "stream-place"]);
        explain.args(["--worker", "remove-document", "--data"]);
        let told = explain.arg(&data).output().unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        assert!(told.contains("would-apply"), "{told}");
        let words = format!("--kind stream-place --worker remove-document --via {via}");
        let replayed = replay(dlq_replay(&words, &data), None);
        assert_eq!(replayed.code, Some(0), "{replayed:?}");
        let platform = Platform::open_owned(&data).await.unwrap();
        let table = &platform.names().documents.progress_table;
        let counts = applied(platform.clients(), table).await;
        assert_eq!(counts, BTreeMap::from([(1, 1)]), "via {via}");
        let services = platform.cloud().unwrap().services();
        let left = services.queues.counts(REMOVER_LETTERS).await.unwrap();
        assert_eq!(left.total(), 0, "via {via}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_queues_and_a_running_platform_are_replayed_through_their_queues() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut platform = Platform::open_owned(&data).await.unwrap();
    let address = platform.serve("127.0.0.1:0".parse().unwrap(), false).await;
    let address = address.unwrap();
    platform.start();
    let services = platform.cloud().unwrap().services().clone();
    let letter = |number: u32| parked(&removal("ada", &document_id(number), number), "conflict", 1);
    let catalogue = home.path().join("catalogue.sqlite");
    let on_aws = |words: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["dlq", "replay", "--json", "--aws", "--all", "--catalogue"]);
        command.arg(&catalogue).args(words.split_whitespace());
        command.envs([
            ("AWS_ENDPOINT_URL", format!("http://{address}").as_str()),
            ("AWS_ACCESS_KEY_ID", CREDENTIAL),
            ("AWS_SECRET_ACCESS_KEY", CREDENTIAL),
            ("AWS_REGION", REGION),
        ]);
        command
    };
    let run = |command: Command| async {
        tokio::task::spawn_blocking(move || replay(command, None))
            .await
            .unwrap()
    };

    put(&services, letter(1)).await;
    let queued = run(on_aws("--wait")).await;
    assert_eq!(
        (queued.code, &queued.outcomes["sent"]),
        (Some(0), &1),
        "{queued:?}"
    );
    put(&services, letter(2)).await;
    let handled = run(on_aws("--via handler")).await;
    assert_eq!(
        (handled.code, &handled.outcomes["applied"]),
        (Some(0), &1),
        "{handled:?}"
    );
    // The platform's own folder, while it is in use: its vector index has one writer.
    put(&services, letter(3)).await;
    let refused = run(dlq_replay("--all --via handler", &data)).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let attached = run(dlq_replay("--all --wait", &data)).await;
    assert_eq!(
        (attached.code, &attached.outcomes["sent"]),
        (Some(0), &1),
        "{attached:?}"
    );

    let counts = applied(
        platform.clients(),
        &platform.names().documents.progress_table,
    )
    .await;
    assert_eq!(counts, BTreeMap::from([(1, 3)]));
    let left = services.queues.counts(REMOVER_LETTERS).await.unwrap();
    assert_eq!(left.total(), 0);
    // What no worker can decode comes back under another id, and is not taken for handled.
    let hello = OutgoingMessage::new("hello");
    services.queues.send(REMOVER_LETTERS, hello).await.unwrap();
    let undecodable = run(dlq_replay("--all --wait", &data)).await;
    assert_eq!(undecodable.code, Some(1), "{undecodable:?}");
    let left = services.queues.counts(REMOVER_LETTERS).await.unwrap();
    assert_eq!(left.total(), 1);
    platform.stop().await;
}
