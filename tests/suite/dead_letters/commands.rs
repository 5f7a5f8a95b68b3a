//! The commands on dead letters, run as an operator would.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use millrace_local::{
    Services,
    sqs::{MessageAttribute, OutgoingMessage, ReceiveOptions},
};
use millrace_ops::{platform::Platform, products::Names};
use serde_json::{Value, json};

use super::{QUEUE, object_created, on_failure_of_stream, parked};
use crate::PROGRAM;

/// A data folder with letters in it, and the command on it.
pub(super) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(super) async fn with(messages: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = Self { folder };
        let platform = Platform::open(&bench.data()).await.unwrap();
        for (queue, body) in messages {
            let queues = &platform.cloud().unwrap().services().queues;
            queues
                .send(queue, OutgoingMessage::new(body.clone()))
                .await
                .unwrap();
        }
        bench
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg("dlq")
            .args(arguments)
            .arg("--data")
            .arg(self.data());
        command.current_dir(self.folder.path());
        command
            .env("USER", "ada")
            .env_remove("EDITOR")
            .env_remove("VISUAL");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints, when all goes well.
    pub(super) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let mut all = arguments.to_vec();
        all.push("--json");
        self.ok(&all)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Writes a row as a platform does, and runs the workers until nothing moves any more.
    pub(super) async fn write(&self, row: impl FnOnce(&Names, &Services) -> (String, Value)) {
        let mut platform = Platform::open_owned(&self.data()).await.unwrap();
        platform.start();
        let services = platform.cloud().unwrap().services().clone();
        let (table, row) = row(platform.names(), &services);
        let request = json!({"TableName": table, "Item": row});
        services.dynamo.call_json("PutItem", &request).unwrap();
        platform.wait_idle().await;
        platform.stop().await;
    }

    pub(super) async fn look<T>(&self, at: impl FnOnce(&Names, &Services) -> T) -> T {
        let platform = Platform::open_owned(&self.data()).await.unwrap();
        at(platform.names(), platform.cloud().unwrap().services())
    }

    /// The only letter of a worker.
    pub(super) fn id_of(&self, worker: &str) -> String {
        let letters = self.json(&["list", "--worker", worker]);
        assert_eq!(letters.len(), 1, "{letters:?}");
        letters[0]["id"].as_str().unwrap().to_owned()
    }

    pub(super) fn verdict(&self, id: &str) -> Value {
        let mut told = self.json(&["explain", id]);
        assert_eq!(told.len(), 1, "{told:?}");
        told.remove(0)["verdict"].take()
    }

    /// What came of its replay.
    pub(super) fn replayed(&self, id: &str) -> Value {
        let told = self.json(&["replay", id]);
        let mut of_letters = told.into_iter().filter(|line| line["id"] == json!(id));
        let told = of_letters.next().unwrap();
        assert_eq!(of_letters.next(), None);
        told["outcome"].clone()
    }

    /// What it complains about, and its exit code.
    fn fails(&self, arguments: &[&str]) -> (String, i32) {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (said, output.status.code().unwrap())
    }

    /// Bodies and attributes of everything that lies in the queue.
    async fn queue(&self, queue: &str) -> Vec<String> {
        let platform = Platform::open(&self.data()).await.unwrap();
        let queues = &platform.cloud().unwrap().services().queues;
        let messages = queues
            .receive(queue, ReceiveOptions::at_once(10_000))
            .await
            .unwrap();
        let given_back = messages
            .iter()
            .map(|message| (message.receipt_handle.clone(), 0))
            .collect();
        queues.change_visibility(queue, given_back).await.unwrap();
        let mut bodies: Vec<String> = messages.into_iter().map(|message| message.body).collect();
        bodies.sort();
        bodies
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn list_counts_first_and_says_what_it_does_not_show() {
    let mut messages: Vec<(&str, String)> = (0..5).map(|n| (QUEUE, parked(n, 1))).collect();
    messages.push(("millrace-chunk-text-dlq", "no json".to_owned()));
    let bench = Bench::with(&messages).await;
    let output = bench.run(&["list", "--limit", "2"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "6 letters");
    assert!(lines[1].contains("5  extract-text  encrypted"), "{said}");
    assert!(lines[1].ends_with("docs/reasons.md#encrypted"), "{said}");
    assert!(lines[2].contains("1  chunk-text    redriven"), "{said}");
    assert_eq!(lines.len(), 6, "{said}");
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("4 letters more")
    );
    assert_eq!(bench.json(&["list", "--limit", "2"]).len(), 6);
    assert_eq!(
        bench
            .json(&["list", "--cached", "--worker", "chunk-text"])
            .len(),
        1
    );
    assert_eq!(bench.json(&["list", "--older-than", "1h"]).len(), 5);
    let (said, code) = bench.fails(&["list", "--older-than", "soon"]);
    assert!(said.contains("such as 2h"), "{said}");
    assert_eq!(code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn show_tells_every_attempt_and_every_act() {
    let bench = Bench::with(&[(QUEUE, parked(1, 2)), (QUEUE, parked(1, 9))]).await;
    let id = millrace_events::parked_id("extract-text", "r-1").to_string();
    bench.ok(&["dedupe", "--why", "twice"]);
    let shown = bench.json(&["show", &id[..6]]).remove(0);
    assert_eq!(shown["state"], "here");
    assert_eq!(shown["letter"]["attempts"], 9);
    let history = shown["history"].as_array().unwrap();
    assert_eq!(history.len(), 2, "the copy that was deleted is still told");
    assert_eq!(shown["acts"][0]["what"], "dedupe");
    assert_eq!(shown["acts"][0]["why"], "twice");
    assert_eq!(shown["event"]["eventId"], "r-1");
    assert!(shown["subject"].is_null());
    assert!(
        bench
            .ok(&["show", &id])
            .contains("nothing is known of this subject")
    );
    let (said, code) = bench.fails(&["show", "ffffffff"]);
    assert!(said.contains("there is no dead letter ffffffff"), "{said}");
    assert_eq!(code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn show_has_the_state_of_a_document_beside_its_letter() {
    let bench = Bench::with(&[]).await;
    let subject = "s3://b/documents/ada/0b0b3a4e-6c1f-4d6e-9a52-0f6f4a1d7a01/original.txt";
    let body = parked(1, 1).replace("subject-1", subject);
    let platform = Platform::open(&bench.data()).await.unwrap();
    let queues = &platform.cloud().unwrap().services().queues;
    queues
        .send(QUEUE, OutgoingMessage::new(body))
        .await
        .unwrap();
    drop(platform);
    let id = millrace_events::parked_id("extract-text", "r-1").to_string();
    let shown = bench.json(&["show", &id]).remove(0);
    assert_eq!(
        shown["subject"]["name"],
        "document ada/0b0b3a4e-6c1f-4d6e-9a52-0f6f4a1d7a01"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dedupe_keeps_the_copy_that_tells_most() {
    let messages = [
        (QUEUE, parked(1, 2)),
        (QUEUE, parked(1, 7)),
        (QUEUE, parked(1, 5)),
        (QUEUE, parked(2, 1)),
    ];
    let bench = Bench::with(&messages).await;
    assert_eq!(
        bench.json(&["dedupe"])[0],
        json!({"letters": 1, "deleted": 2, "left": 0})
    );
    let mut expected = vec![parked(1, 7), parked(2, 1)];
    expected.sort();
    assert_eq!(bench.queue(QUEUE).await, expected);
    assert!(
        bench.ok(&["dedupe"]).is_empty(),
        "there is nothing left to do"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_asks_keeps_a_copy_and_restore_brings_it_back() {
    let bench = Bench::with(&[
        (QUEUE, parked(1, 1)),
        (QUEUE, parked(2, 1)),
        (QUEUE, "no json".to_owned()),
    ])
    .await;
    let before = bench.queue(QUEUE).await;
    let (said, code) = bench.fails(&["drop", "--all", "--why", "a test"]);
    assert!(said.contains("say --yes"), "{said}");
    assert_eq!(code, 2);
    for more in [["--worker", "extract-text"], ["--max", "1"]] {
        let (said, code) = bench.fails(&[&["replay", "--continue"], more.as_slice()].concat());
        assert!(said.contains("leave out which letters"), "{said}");
        assert_eq!(code, 2);
    }
    let (said, _) = bench.fails(&["drop", "--yes", "--why", "a test"]);
    assert!(said.contains("say which letters"), "{said}");
    let (said, _) = bench.fails(&["drop", "--all", "--yes"]);
    assert!(said.contains("--why"), "{said}");
    assert_eq!(bench.queue(QUEUE).await, before, "nothing happened so far");

    let dropped = bench.json(&["drop", "--reason", "encrypted", "--yes", "--why", "a test"]);
    assert_eq!(dropped.last().unwrap()["dropped"], 2);
    assert_eq!(bench.queue(QUEUE).await, ["no json"]);
    assert_eq!(bench.json(&["restore", "--all"])[0], json!({"restored": 2}));
    assert_eq!(bench.queue(QUEUE).await, before, "byte for byte");
    let (said, _) = bench.fails(&["restore", "ffffffff"]);
    assert!(said.contains("no dropped letter"), "{said}");
    assert_eq!(
        bench.json(&["restore", "--all"])[0],
        json!({"restored": 0}),
        "once is enough"
    );

    let acts = bench.json(&["audit"]);
    let told: Vec<(&str, &str)> = acts
        .iter()
        .map(|act| (act["what"].as_str().unwrap(), act["who"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("drop", "os:ada"),
            ("restore", "os:ada"),
            ("restore", "os:ada")
        ]
    );
    assert_eq!(acts[0]["why"], "a test");
    assert_eq!(acts[0]["selection"], "--reason encrypted");
    assert_eq!(
        (&acts[0]["letters"], &acts[0]["result"]),
        (&json!(2), &json!("2 of 2 dropped"))
    );
    let (said, _) = bench.fails(&["audit", "--day", "yesterday"]);
    assert!(said.contains("no day"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_letter_takes_the_place_of_the_one_before_and_keeps_it() {
    let event = json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m",
        "body": object_created("documents/ada/x/wrong.txt").to_string()}]});
    let bench = Bench::with(&[(QUEUE, event.to_string())]).await;
    let id = bench.json(&["list"])[0]["id"].as_str().unwrap().to_owned();
    let place = "/Records/0/body/detail/object/key=documents/ada/x/right.txt";
    let edited = bench
        .json(&["edit", &id, "--set", place, "--why", "a typing error"])
        .remove(0);
    assert_eq!(edited["editedFrom"], json!(id));
    assert_eq!(edited["subject"], "s3://b/documents/ada/x/right.txt");

    let bodies = bench.queue(QUEUE).await;
    assert_eq!(bodies.len(), 1, "the one before is gone");
    let parked: Value = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!(
        parked["original"], event,
        "what it was stands in the letter itself"
    );
    let inner: Value =
        serde_json::from_str(parked["event"]["Records"][0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        inner["detail"]["object"]["key"],
        "documents/ada/x/right.txt"
    );
    // A worker opens it to the record it is now.
    let opened = millrace_events::open(&parked).unwrap();
    assert_eq!(
        opened.messages[0].records.as_ref().unwrap()[0].subject,
        "s3://b/documents/ada/x/right.txt"
    );
    let shown = bench.json(&["show", &id]).remove(0);
    assert_eq!(shown["state"], "edited");
    assert_eq!(shown["edits"][0]["letter"], edited["id"]);

    // Edited once more, by a patch: what it was in the beginning stays.
    let patch = bench.folder.path().join("patch.json");
    std::fs::write(&patch, json!({"note": "by hand"}).to_string()).unwrap();
    bench.ok(&[
        "edit",
        edited["id"].as_str().unwrap(),
        "--patch",
        patch.to_str().unwrap(),
    ]);
    let parked: Value = serde_json::from_str(&bench.queue(QUEUE).await[0]).unwrap();
    assert_eq!(
        (&parked["original"], &parked["event"]["note"]),
        (&event, &json!("by hand"))
    );
    assert_eq!(parked["editedFrom"], edited["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_does_not_fit_changes_nothing() {
    let stream = on_failure_of_stream().to_string();
    let bench = Bench::with(&[
        (QUEUE, parked(1, 1)),
        ("millrace-keep-progress-dlq", stream),
    ])
    .await;
    let before = bench.queue(QUEUE).await;
    let id = millrace_events::parked_id("extract-text", "r-1").to_string();
    for (arguments, expected) in [
        (vec!["edit", &id], "--patch FILE"),
        (vec!["edit", &id, "--set", "/a/b/c=1"], "not there"),
        (vec!["edit", &id, "--set", "nothing"], "POINTER=VALUE"),
        (
            vec!["edit", &id, "--patch", "not-there.json"],
            "cannot be read",
        ),
    ] {
        let (said, code) = bench.fails(&arguments);
        assert!(said.contains(expected), "{said}");
        assert_eq!(code, 2);
    }
    let of_stream = bench.json(&["list", "--kind", "stream-place"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (said, _) = bench.fails(&["edit", &of_stream, "--set", "/a=1"]);
    assert!(said.contains("event-not-carried"), "{said}");
    assert!(
        bench.ok(&["edit", &id, "--set", "/eventId=r-1"]).is_empty(),
        "nothing was changed"
    );
    assert_eq!(bench.queue(QUEUE).await, before);
    assert!(bench.json(&["audit"]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_sees_json_within_json_as_json() {
    let event = json!({"body": object_created("k").to_string(), "odd": "{ \"kept\" :1}"});
    let bench = Bench::with(&[(QUEUE, event.to_string())]).await;
    let id = bench.json(&["list"])[0]["id"].as_str().unwrap().to_owned();
    let output = bench
        .command(&["edit", &id])
        .env("EDITOR", "sed -i 's/\"key\": \"k\"/\"key\": \"l\"/'")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let parked: Value = serde_json::from_str(&bench.queue(QUEUE).await[0]).unwrap();
    assert!(
        parked["event"]["body"]
            .as_str()
            .unwrap()
            .contains("\"key\":\"l\"")
    );
    assert_eq!(
        parked["event"]["odd"], event["odd"],
        "what was not touched keeps its bytes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn export_and_import_bring_back_the_same_bytes_once() {
    let bench = Bench::with(&[]).await;
    let platform = Platform::open(&bench.data()).await.unwrap();
    let queues = platform.cloud().unwrap().services().queues.clone();
    let odd = "{ \"a\" :1,\n\"line\\u2028\": \"\u{1F600}\\n\" }";
    let mut message = OutgoingMessage::new(odd);
    message
        .attributes
        .insert("text".to_owned(), MessageAttribute::text("v"));
    let mut binary = MessageAttribute::text("");
    (binary.data_type, binary.string_value, binary.binary_value) =
        ("Binary.png".to_owned(), None, Some("AAEC".to_owned()));
    message.attributes.insert("bytes".to_owned(), binary);
    queues.send(QUEUE, message.clone()).await.unwrap();
    for number in 0..30 {
        queues
            .send(QUEUE, OutgoingMessage::new(parked(number, 1)))
            .await
            .unwrap();
    }
    drop((queues, platform));
    let before = bench.queue(QUEUE).await;
    let file = bench.folder.path().join("letters.jsonl");
    let file = file.to_str().unwrap();
    bench.ok(&["export", file]);
    let (said, _) = bench.fails(&["export", file]);
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(
        bench.json(&["import", file])[0],
        json!({"imported": 0, "present": 31})
    );
    bench.ok(&["drop", "--all", "--yes", "--why", "a test"]);
    assert!(bench.queue(QUEUE).await.is_empty());
    assert_eq!(
        bench.json(&["import", file])[0],
        json!({"imported": 31, "present": 0})
    );
    assert_eq!(bench.queue(QUEUE).await, before);
    let platform = Platform::open(&bench.data()).await.unwrap();
    let queues = &platform.cloud().unwrap().services().queues;
    let messages = queues
        .receive(QUEUE, ReceiveOptions::at_once(100))
        .await
        .unwrap();
    let back = messages.iter().find(|found| found.body == odd).unwrap();
    assert_eq!(back.attributes, message.attributes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_mistake_is_not_imported_at_all() {
    let bench = Bench::with(&[(QUEUE, parked(1, 1))]).await;
    let file = bench.folder.path().join("letters.jsonl");
    bench.ok(&["export", file.to_str().unwrap()]);
    let good = std::fs::read_to_string(&file).unwrap();
    let altered = good.replace("r-1", "r-9");
    std::fs::write(&file, format!("{good}\nnot json\n{altered}")).unwrap();
    bench.ok(&["drop", "--all", "--yes", "--why", "a test"]);
    let (said, code) = bench.fails(&["import", file.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(said.contains("line 3: "), "{said}");
    std::fs::write(
        &file,
        good.replace("\"place\":\"millrace", "\"place\":\"nowhere"),
    )
    .unwrap();
    let (said, _) = bench.fails(&["import", file.to_str().unwrap()]);
    assert!(said.contains("nowhere-extract-text-dlq"), "{said}");
    assert!(bench.queue(QUEUE).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_that_is_killed_loses_nothing() {
    let messages: Vec<(&str, String)> = (0..400).map(|n| (QUEUE, parked(n, 1))).collect();
    let bench = Bench::with(&messages).await;
    let mut before: Vec<String> = messages.into_iter().map(|(_, body)| body).collect();
    before.sort();
    let mut killed_in_the_middle = false;
    for round in 0..6_u64 {
        let mut command = bench.command(&["drop", "--all", "--yes", "--why", "a test"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(150 + round * 60));
        let _ = child.kill();
        child.wait().unwrap();
        let left = bench.queue(QUEUE).await.len();
        killed_in_the_middle |= left > 0 && left < 400;
        if left == 0 {
            break;
        }
    }
    // Whatever is not in the queue is in the catalogue.
    bench.run(&["restore", "--all"]);
    assert_eq!(
        bench.queue(QUEUE).await,
        before,
        "killed in the middle: {killed_in_the_middle}"
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_at_the_question_leaves_nothing_hidden() {
    let bench = Bench::with(&[(QUEUE, parked(1, 1))]).await;
    // `script` gives the command a terminal to ask on.
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no `script` to make a terminal with");
        return;
    }
    let typed = format!(
        "{PROGRAM} dlq drop --all --why test --data {}",
        bench.data().display()
    );
    let mut child = Command::new("script")
        .args(["-qec", &typed, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::{Read as _, Write as _};
    let mut stdout = child.stdout.take().unwrap();
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains("drop 1 letter?") {
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "it ended unasked");
        said.extend(byte);
    }
    // Ctrl-C as a terminal sends it.
    let begun = Instant::now();
    child.stdin.as_mut().unwrap().write_all(&[3]).unwrap();
    stdout.read_to_end(&mut said).unwrap();
    child.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("drop 1 letter?"), "{said}");
    assert!(said.contains("nothing was dropped"), "{said}");
    let platform = Platform::open(&bench.data()).await.unwrap();
    let counts = platform
        .cloud()
        .unwrap()
        .services()
        .queues
        .counts(QUEUE)
        .await
        .unwrap();
    assert_eq!((counts.visible, counts.in_flight), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_what_a_replay_would_do_and_does_not_do_it() {
    let bench = Bench::with(&[
        (QUEUE, "no json".to_owned()),
        (QUEUE, object_created("elsewhere/x").to_string()),
    ])
    .await;
    let stream = on_failure_of_stream().to_string();
    let platform = Platform::open(&bench.data()).await.unwrap();
    let queues = platform.cloud().unwrap().services().queues.clone();
    let dead = OutgoingMessage::new(stream);
    queues
        .send("millrace-keep-progress-dlq", dead)
        .await
        .unwrap();
    drop((queues, platform));
    let before = bench.queue(QUEUE).await;
    let told = bench.json(&["explain", "--worker", "extract-text"]);
    let of = |subject: &str| {
        let found = told.iter().find(|one| one["subject"] == subject);
        found
            .unwrap_or_else(|| panic!("{subject}: {told:?}"))
            .clone()
    };
    assert_eq!(of("-")["verdict"]["verdict"], "still-failing");
    assert_eq!(of("-")["verdict"]["reason"], "not-json");
    assert_eq!(of("s3://b/elsewhere/x")["verdict"]["verdict"], "ignored");
    let said = bench.ok(&["explain", "--reason", "redriven"]);
    assert!(
        said.contains("a replay would fail again with not-json"),
        "{said}"
    );
    // A letter that does not carry its event cannot be tried.
    let output = bench.run(&["explain", "--kind", "stream-place"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("not known") && said.contains("event-not-carried"),
        "{said}"
    );
    let (said, _) = bench.fails(&["explain"]);
    assert!(said.contains("say which letters"), "{said}");
    assert_eq!(bench.queue(QUEUE).await, before);
    assert!(bench.json(&["audit"]).is_empty(), "looking is no act");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_becomes_a_fixture_that_passes_and_says_nothing_of_anybody() {
    let key = "documents/lovelace/0b0b3a4e-6c1f-4d6e-9a52-0f6f4a1d7a01/original.txt";
    let bench = Bench::with(&[(QUEUE, object_created(key).to_string())]).await;
    let id = bench.json(&["list"])[0]["id"].as_str().unwrap().to_owned();
    let folder = bench.folder.path().join("fixtures");
    let folder = folder.to_str().unwrap();
    let (said, _) = bench.fails(&["fixture", &id, "--into", folder, "--name", "../x"]);
    assert!(said.contains("no name for a fixture"), "{said}");
    bench.ok(&[
        "fixture",
        &id,
        "--into",
        folder,
        "--name",
        "an-upload-that-is-gone",
    ]);
    let file = bench
        .folder
        .path()
        .join("fixtures/an-upload-that-is-gone.json");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("lovelace"), "{text}");
    let fixture = millrace_ops::fixture::load(&file).unwrap();
    let child = millrace_text::Child::program(std::path::Path::new(PROGRAM));
    let report = millrace_ops::fixture::run(&fixture, bench.folder.path(), child)
        .await
        .unwrap();
    assert!(fixture.expect.difference(&report).is_none());
    assert_eq!(bench.json(&["audit"])[0]["what"], "fixture");
    let (said, _) = bench.fails(&[
        "fixture",
        &id,
        "--into",
        folder,
        "--name",
        "an-upload-that-is-gone",
    ]);
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(
        bench.queue(QUEUE).await.len(),
        1,
        "the letter stays where it is"
    );
}
