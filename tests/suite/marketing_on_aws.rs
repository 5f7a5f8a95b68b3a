//! The marketing product through HTTP, with the usual AWS settings: nothing is embedded in the command's own process.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Output},
};

use millrace_local::{names::CREDENTIAL, names::REGION, sqs::OutgoingMessage};
use millrace_ops::platform::Platform;
use serde_json::{Value, json};

use crate::PROGRAM;

const CAMPAIGN: &str = "c-0001";
const STORE: &str = "s-0001";
const LETTERS: &str = "millrace-track-match-dlq";

fn millrace(address: SocketAddr, folder: &Path, words: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(words.split_whitespace()).current_dir(folder);
    command.envs([
        ("AWS_ENDPOINT_URL", format!("http://{address}").as_str()),
        ("AWS_ACCESS_KEY_ID", CREDENTIAL),
        ("AWS_SECRET_ACCESS_KEY", CREDENTIAL),
        ("AWS_REGION", REGION),
    ]);
    command
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The record of a new match of the campaign.
fn new_match() -> Value {
    let keys =
        json!({"PK": {"S": "MATCH#m-0001"}, "SK": {"S": format!("STORE#{STORE}#CREATOR#c-0001")}});
    let mut row = keys.clone();
    row["status"] = json!({"S": "PENDING"});
    row["matchScore"] = json!({"N": "87.5"});
    row["campaignId"] = json!({"S": CAMPAIGN});
    json!({"Records": [{
        "eventID": "e-1", "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": REGION,
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/dot-marketing-matches/stream/2026-11-01T08:00:00.000",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_795_233_600, "Keys": keys, "NewImage": row, "SequenceNumber": "100000000001",
            "SizeBytes": 60, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }]})
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_replayed_figures_verified_and_reports_made() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let mut platform = Platform::open_owned(&folder.join("data")).await.unwrap();
    let address = platform.serve("127.0.0.1:0".parse().unwrap(), false).await;
    let address = address.unwrap();
    platform.start();
    let services = platform.cloud().unwrap().services().clone();
    let names = platform.names().marketing.clone();
    let campaign = json!({
        "PK": {"S": format!("CAMPAIGN#{CAMPAIGN}")}, "SK": {"S": format!("STORE#{STORE}")},
        "status": {"S": "active"}, "budget": {"M": {"total": {"N": "900000"}}},
    });
    let put = json!({"TableName": names.campaigns, "Item": campaign});
    services.dynamo.call_json("PutItem", &put).unwrap();
    let letter = OutgoingMessage::new(new_match().to_string());
    services.queues.send(LETTERS, letter).await.unwrap();

    // The worker is set up in the command: it writes the progress and publishes the step.
    let replay = "dlq replay --aws --all --via handler --json --catalogue letters.sqlite";
    let replayed = run(millrace(address, folder, replay)).await;
    assert!(replayed.status.success(), "{replayed:?}");
    let outcomes: Vec<Value> = lines(&replayed)
        .into_iter()
        .map(|line| line["outcome"].clone())
        .collect();
    assert!(outcomes.contains(&json!("applied")), "{outcomes:?}");
    platform.wait_idle().await;
    let key = json!({"TableName": names.match_progress, "Key": {"matchId": {"S": "m-0001"}}});
    let progress = services.dynamo.call_json("GetItem", &key).unwrap();
    let published = progress["Item"]["published"]["SS"].as_array();
    assert_eq!(published.map(Vec::len), Some(1), "{progress}");

    let verify = || run(millrace(address, folder, "analytics verify --aws --json"));
    let verified = verify().await;
    assert!(verified.status.success(), "{verified:?}");
    let rebuilt = run(millrace(address, folder, "analytics rebuild --aws --json")).await;
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    assert!(verify().await.status.success());

    let report = format!("report --aws --campaign {CAMPAIGN} --json --out made");
    let made = run(millrace(address, folder, &report)).await;
    assert!(made.status.success(), "{made:?}");
    assert_eq!(lines(&made)[0]["bucket"], names.reports);
    let json = folder.join(format!("made/reports/campaigns/{CAMPAIGN}.json"));
    let json: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(json["campaignId"], CAMPAIGN);
    platform.stop().await;
}
