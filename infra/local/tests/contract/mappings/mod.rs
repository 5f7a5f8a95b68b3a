//! Event source mappings: the same function behind the same settings, on the embedded cloud and on localstack, whose functions
//! are processes. It must be invoked with the same records in the same order, and the same must be told of what was given up.

mod embedded;
mod localstack;

use std::sync::Mutex;

use serde_json::{Value, json};

/// What the function does with a batch.
enum Answer {
    Success,
    /// It fails as a whole.
    Error,
    /// It reports these records.
    Failed(&'static [&'static str]),
    /// It reports a record that nobody sent.
    Senseless,
}

/// A mapping of a table's stream, the items that are there before it begins, and what must come of it.
struct Scenario {
    name: &'static str,
    batch_size: u32,
    retries: u32,
    reports: bool,
    /// A pattern that records must match.
    filter: Option<&'static str>,
    items: &'static [&'static str],
    /// By the keys of the batch and the number of invocations before.
    answer: fn(&[String], usize) -> Answer,
    /// The keys of every invocation.
    invocations: &'static [&'static [&'static str]],
    /// Condition, invocations and records of what was given up.
    discarded: &'static [(&'static str, u64, u64)],
}

const EXHAUSTED: &str = "RetryAttemptsExhausted";

const SCENARIOS: [Scenario; 9] = [
    Scenario {
        name: "batches-in-order",
        batch_size: 2,
        retries: 2,
        reports: false,
        filter: None,
        items: &["a", "b", "c", "d", "e"],
        answer: |_, _| Answer::Success,
        invocations: &[&["a", "b"], &["c", "d"], &["e"]],
        discarded: &[],
    },
    Scenario {
        name: "error-then-success",
        batch_size: 3,
        retries: 2,
        reports: true,
        filter: None,
        items: &["a", "b", "c", "d"],
        answer: |_, before| {
            if before == 0 {
                Answer::Error
            } else {
                Answer::Success
            }
        },
        invocations: &[&["a", "b", "c"], &["a", "b", "c"], &["d"]],
        discarded: &[],
    },
    Scenario {
        name: "attempts-exhausted",
        batch_size: 2,
        retries: 2,
        reports: false,
        filter: None,
        items: &["a", "poison", "c", "d"],
        answer: |keys, _| {
            if keys.iter().any(|key| key == "poison") {
                Answer::Error
            } else {
                Answer::Success
            }
        },
        invocations: &[
            &["a", "poison"],
            &["a", "poison"],
            &["a", "poison"],
            &["c", "d"],
        ],
        discarded: &[(EXHAUSTED, 3, 2)],
    },
    Scenario {
        name: "resumes-at-the-failed-record",
        batch_size: 10,
        retries: 3,
        reports: true,
        filter: None,
        items: &["a", "b", "c"],
        answer: |_, before| {
            if before < 2 {
                Answer::Failed(&["b"])
            } else {
                Answer::Success
            }
        },
        invocations: &[&["a", "b", "c"], &["b", "c"], &["b", "c"]],
        discarded: &[],
    },
    Scenario {
        name: "the-first-of-several-failed-records",
        batch_size: 10,
        retries: 3,
        reports: true,
        filter: None,
        items: &["a", "b", "c", "d"],
        answer: |_, before| {
            if before == 0 {
                Answer::Failed(&["d", "b"])
            } else {
                Answer::Success
            }
        },
        invocations: &[&["a", "b", "c", "d"], &["b", "c", "d"]],
        discarded: &[],
    },
    Scenario {
        name: "reported-until-exhausted",
        batch_size: 10,
        retries: 2,
        reports: true,
        filter: None,
        items: &["a", "poison", "c"],
        answer: |_, _| Answer::Failed(&["poison"]),
        invocations: &[&["a", "poison", "c"], &["poison", "c"], &["poison", "c"]],
        discarded: &[(EXHAUSTED, 3, 2)],
    },
    Scenario {
        name: "a-senseless-report",
        batch_size: 2,
        retries: 1,
        reports: true,
        filter: None,
        items: &["a", "b", "c"],
        answer: |keys, _| {
            if keys[0] == "a" {
                Answer::Senseless
            } else {
                Answer::Success
            }
        },
        invocations: &[&["a", "b"], &["a", "b"], &["c"]],
        discarded: &[(EXHAUSTED, 2, 2)],
    },
    Scenario {
        name: "reports-that-are-not-asked-for",
        batch_size: 10,
        retries: 1,
        reports: false,
        filter: None,
        items: &["a", "b"],
        answer: |_, _| Answer::Failed(&["a"]),
        invocations: &[&["a", "b"]],
        discarded: &[],
    },
    Scenario {
        name: "filtered",
        batch_size: 10,
        retries: 1,
        reports: true,
        filter: Some(
            r#"{"eventName":["INSERT"],"dynamodb":{"Keys":{"id":{"S":[{"prefix":"x"}]}}}}"#,
        ),
        items: &["x1", "y1", "x2", "y2"],
        answer: |_, _| Answer::Success,
        invocations: &[&["x1", "x2"]],
        discarded: &[],
    },
];

/// A function that answers as a scenario says and notes what it was given.
struct Function {
    answer: fn(&[String], usize) -> Answer,
    invocations: Mutex<Vec<Vec<String>>>,
}

impl Function {
    fn new(answer: fn(&[String], usize) -> Answer) -> Self {
        Self {
            answer,
            invocations: Mutex::default(),
        }
    }

    fn invocations(&self) -> Vec<Vec<String>> {
        self.invocations.lock().unwrap().clone()
    }

    /// Answers an event of a stream or of a queue. An error is what the invocation ends with.
    fn handle(&self, event: &Value) -> Result<Value, String> {
        let records = event["Records"].as_array().unwrap();
        let key = |record: &Value| {
            let key = record["dynamodb"]["Keys"]["id"]["S"].as_str();
            key.or(record["body"].as_str()).unwrap().to_owned()
        };
        let keys: Vec<String> = records.iter().map(key).collect();
        let mut invocations = self.invocations.lock().unwrap();
        let answer = (self.answer)(&keys, invocations.len());
        invocations.push(keys);
        let report = |ids: Vec<Value>| {
            let failures: Vec<Value> = ids
                .into_iter()
                .map(|id| json!({ "itemIdentifier": id }))
                .collect();
            Ok(json!({ "batchItemFailures": failures }))
        };
        match answer {
            Answer::Success => report(vec![]),
            Answer::Error => Err("told to fail".to_owned()),
            Answer::Senseless => report(vec![json!("nobody's")]),
            Answer::Failed(failed) => {
                let failed = failed.iter().filter_map(|wanted| {
                    let record = records.iter().find(|record| key(record) == *wanted)?;
                    let number = &record["dynamodb"]["SequenceNumber"];
                    Some(if number.is_null() {
                        record["messageId"].clone()
                    } else {
                        number.clone()
                    })
                });
                report(failed.collect())
            }
        }
    }
}

/// What an on-failure destination was told, as far as it is the same every time.
fn given_up(told: &Value) -> (String, u64, u64) {
    let context = &told["requestContext"];
    let batch = &told["DDBStreamBatchInfo"];
    for field in [
        "startSequenceNumber",
        "endSequenceNumber",
        "streamArn",
        "shardId",
    ] {
        assert!(batch[field].is_string(), "{field} of {told}");
    }
    (
        context["condition"].as_str().unwrap().to_owned(),
        context["approximateInvokeCount"].as_u64().unwrap(),
        batch["batchSize"].as_u64().unwrap(),
    )
}

fn check(scenario: &Scenario, invocations: &[Vec<String>], told: &[Value]) {
    assert_eq!(invocations, scenario.invocations, "{}", scenario.name);
    let given_up: Vec<_> = told.iter().map(given_up).collect();
    let given_up: Vec<_> = given_up
        .iter()
        .map(|(condition, count, size)| (condition.as_str(), *count, *size))
        .collect();
    assert_eq!(given_up, scenario.discarded, "{}", scenario.name);
}

/// Messages of a queue that a function reports until they are dead letters, and that it takes when they were moved back.
const GOOD_AND_BAD: [&str; 3] = ["bad", "good", "better"];
const RECEIVES: u32 = 2;

fn counted(invocations: &[Vec<String>], message: &str) -> usize {
    let times = invocations.iter().flatten().filter(|key| *key == message);
    times.count()
}
