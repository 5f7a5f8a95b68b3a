#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fakes;
mod properties;

use std::collections::BTreeMap;

use fakes::*;

use super::*;
use crate::matching::Pattern;
use crate::template::{Destination, FailureReports, OnError, StartingPosition};

#[tokio::test(start_paused = true)]
async fn trim_horizon_begins_with_the_oldest_record_and_latest_after_the_newest() {
    let stream = stream_of(3);
    let world = World::start(&stream, mapping(), done).await;
    let from_latest = StreamMapping {
        starting_position: StartingPosition::Latest,
        ..mapping()
    };
    let late = World::start(&stream, from_latest, done).await;
    seconds(1).await;
    stream.write("item-3", "new");
    seconds(1).await;
    assert_eq!(world.invocations(), [vec![0, 1, 2], vec![3]]);
    assert_eq!(late.invocations(), [vec![3]]);
    assert!(world.is_read().await && late.is_read().await);
}

#[tokio::test(start_paused = true)]
async fn latest_is_decided_once_and_survives_a_restart_before_the_first_record() {
    let stream = stream_of(2);
    let from_latest = StreamMapping {
        starting_position: StartingPosition::Latest,
        ..mapping()
    };
    let first = World::start(&stream, from_latest.clone(), done).await;
    let (checkpoints, destinations) = first.crash().await;
    stream.write("item-2", "new");
    let second = World::restart(&stream, &checkpoints, &destinations, from_latest, done).await;
    seconds(1).await;
    assert_eq!(second.invocations(), [vec![2]]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_as_large_as_it_may_be_and_without_a_window_does_not_wait() {
    let small = StreamMapping {
        batch_size: 4,
        ..mapping()
    };
    let world = World::start(&stream_of(10), small, done).await;
    seconds(1).await;
    assert_eq!(
        world.invocations(),
        [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]
    );
}

#[tokio::test(start_paused = true)]
async fn a_window_gathers_until_the_batch_is_full_or_the_time_is_over() {
    let stream = stream_of(1);
    let with_window = StreamMapping {
        batch_size: 3,
        window: Duration::from_secs(10),
        ..mapping()
    };
    let world = World::start(&stream, with_window, done).await;
    seconds(4).await;
    stream.write("item-1", "new");
    seconds(4).await;
    assert_eq!(world.invocations(), Vec::<Vec<usize>>::new());
    stream.write("item-2", "new");
    seconds(1).await;
    assert_eq!(world.invocations(), [vec![0, 1, 2]], "full before its time");
    stream.write("item-3", "new");
    seconds(12).await;
    assert_eq!(world.invocations()[1], [3]);
    assert_eq!(
        world.times()[1].as_secs(),
        19,
        "its window began when it came"
    );
}

#[tokio::test(start_paused = true)]
async fn records_that_no_filter_wants_are_passed_over_and_count_as_done() {
    let stream = FakeStream::new();
    for status in ["a", "b", "a", "b", "b"] {
        stream.write(status, status);
    }
    let pattern = json!({"dynamodb": {"NewImage": {"status": {"S": ["a"]}}}});
    let filtered = StreamMapping {
        filters: vec![Pattern::parse(&pattern).unwrap()],
        ..mapping()
    };
    let world = World::start(&stream, filtered, done).await;
    seconds(1).await;
    assert_eq!(world.invocations(), [vec![0, 2]]);
    assert!(
        world.is_read().await,
        "the checkpoint lies behind the last record, wanted or not"
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_retries_the_whole_batch_with_growing_pauses_and_holds_up_what_follows() {
    let stream = stream_of(3);
    let small = StreamMapping {
        batch_size: 2,
        ..mapping()
    };
    let world = World::start(&stream, small, |_| boom()).await;
    seconds(300).await;
    let invocations = world.invocations();
    assert!(
        invocations.iter().all(|invocation| *invocation == [0, 1]),
        "{invocations:?}"
    );
    let times = world.times();
    let pauses: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[3] > pauses[0] * 4, "{pauses:?}");
    assert!(
        pauses.iter().all(|pause| *pause < Duration::from_secs(62)),
        "{pauses:?}"
    );
    assert!(!world.is_read().await);
}

#[tokio::test(start_paused = true)]
async fn exhausted_retries_discard_the_batch_tell_the_destination_and_go_on() {
    let small = StreamMapping {
        batch_size: 2,
        maximum_retries: Some(2),
        ..mapping()
    };
    let world = World::start(&stream_of(3), small, |records| {
        if place(&records[0]) == 0 {
            boom()
        } else {
            done(records)
        }
    })
    .await;
    seconds(60).await;
    assert_eq!(
        world.invocations(),
        [vec![0, 1], vec![0, 1], vec![0, 1], vec![2]]
    );
    assert!(world.is_read().await);
    let told = world.told();
    assert_eq!(told.len(), 1);
    let mut record = told[0].clone();
    let request_id = record["requestContext"]["requestId"].take();
    assert_eq!(request_id.as_str().unwrap().len(), 36);
    let timestamp = record["timestamp"].take();
    assert!(
        timestamp.as_str().unwrap().starts_with("2026-09-21T"),
        "{timestamp}"
    );
    assert_eq!(
        record,
        json!({
            "requestContext": {
                "requestId": null,
                "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 3,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": null,
            "DDBStreamBatchInfo": {
                "shardId": crate::dynamo::SHARD,
                "startSequenceNumber": "999999998",
                "endSequenceNumber": "999999999",
                "approximateArrivalOfFirstRecord": "2026-09-21T14:13:20Z",
                "approximateArrivalOfLastRecord": "2026-09-21T14:13:20Z",
                "batchSize": 2,
                "streamArn": "arn:aws:dynamodb:us-east-1:000000000000:table/rows/stream/2026-01-01",
            },
        })
    );
    let told = world.destinations.told.lock().unwrap();
    assert_eq!(told[0].0, Destination::Queue("dlq".to_owned()));
    assert_eq!(told[0].1.payload["Records"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_destination_a_discarded_batch_is_passed_over() {
    let forgetful = StreamMapping {
        batch_size: 1,
        maximum_retries: Some(0),
        on_failure: None,
        ..mapping()
    };
    let world = World::start(&stream_of(2), forgetful, |_| boom()).await;
    seconds(10).await;
    assert_eq!(world.invocations(), [vec![0], vec![1]]);
    assert!(world.is_read().await);
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_waits_until_the_destination_was_told() {
    let stream = stream_of(1);
    let poisoned = StreamMapping {
        maximum_retries: Some(0),
        ..mapping()
    };
    let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
    let destinations = Arc::new(FakeDestinations::default());
    *destinations.failures.lock().unwrap() = 5;
    let world = World::restart(&stream, &checkpoints, &destinations, poisoned, |_| boom()).await;
    seconds(1).await;
    assert!(!world.is_read().await);
    seconds(60).await;
    assert_eq!(world.told().len(), 1);
    assert_eq!(
        world.invocations().len(),
        1,
        "the function is not invoked again for it"
    );
    assert!(world.is_read().await);
}

#[tokio::test(start_paused = true)]
async fn a_reported_failure_moves_the_checkpoint_to_it_and_retries_from_there() {
    let stream = stream_of(5);
    let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
    let world = World::restart(
        &stream,
        &checkpoints,
        &Arc::default(),
        mapping(),
        |records| {
            // The lowest counts, wherever it stands in the list.
            if records.len() == 5 {
                report(&[4, 2])
            } else {
                boom()
            }
        },
    )
    .await;
    seconds(2).await;
    assert_eq!(
        world.invocations()[..2],
        [vec![0, 1, 2, 3, 4], vec![2, 3, 4]]
    );
    world.crash().await;
    let again = World::restart(&stream, &checkpoints, &Arc::default(), mapping(), done).await;
    seconds(1).await;
    assert_eq!(
        again.invocations(),
        [vec![2, 3, 4]],
        "what was done is done after a restart, too"
    );
}

#[tokio::test(start_paused = true)]
async fn the_lowest_sequence_number_is_the_lowest_number_not_the_first_in_the_alphabet() {
    // 999999999 comes before 1000000000.
    let world = World::start(&stream_of(4), mapping(), |records| {
        if records.len() == 4 {
            report(&[2, 1])
        } else {
            done(records)
        }
    })
    .await;
    seconds(2).await;
    assert_eq!(world.invocations(), [vec![0, 1, 2, 3], vec![1, 2, 3]]);
}

#[tokio::test(start_paused = true)]
async fn an_identifier_of_another_batch_fails_the_whole_batch() {
    let once = StreamMapping {
        maximum_retries: Some(1),
        ..mapping()
    };
    let world = World::start(&stream_of(2), once, |_| report(&[1, 7])).await;
    seconds(10).await;
    assert_eq!(world.invocations(), [vec![0, 1], vec![0, 1]]);
    assert_eq!(world.told()[0]["DDBStreamBatchInfo"]["batchSize"], 2);
    assert_eq!(
        world.told()[0]["responseContext"]["functionError"],
        Value::Null
    );
}

#[tokio::test(start_paused = true)]
async fn without_reports_an_answer_is_success_whatever_it_says() {
    let unread = StreamMapping {
        failures: FailureReports::Unread,
        ..mapping()
    };
    let world = World::start(&stream_of(2), unread, |_| report(&[0])).await;
    seconds(10).await;
    assert_eq!(world.invocations(), [vec![0, 1]]);
}

#[tokio::test(start_paused = true)]
async fn bisect_isolates_the_poison_and_everything_else_is_done() {
    let bisecting = StreamMapping {
        on_error: OnError::Bisect,
        maximum_retries: Some(1),
        ..mapping()
    };
    let world = World::start(&stream_of(6), bisecting, |records| {
        if records.iter().any(|record| place(record) == 4) {
            boom()
        } else {
            done(records)
        }
    })
    .await;
    seconds(60).await;
    assert_eq!(
        world.invocations(),
        [
            vec![0, 1, 2, 3, 4, 5],
            vec![0, 1, 2],
            vec![3, 4, 5],
            vec![3],
            vec![4, 5],
            vec![4],
            vec![4],
            vec![5]
        ]
    );
    assert_eq!(world.told().len(), 1);
    assert_eq!(
        world.told()[0]["DDBStreamBatchInfo"]["startSequenceNumber"],
        "1000000002"
    );
    assert_eq!(world.told()[0]["DDBStreamBatchInfo"]["batchSize"], 1);
}

#[tokio::test(start_paused = true)]
async fn records_too_old_are_told_without_an_invocation() {
    let stream = stream_of(2);
    seconds(120).await;
    stream.write("item-2", "new");
    let impatient = StreamMapping {
        maximum_age: Some(Duration::from_secs(60)),
        ..mapping()
    };
    let world = World::start(&stream, impatient, done).await;
    seconds(1).await;
    assert_eq!(world.invocations(), [vec![2]]);
    let told = world.told();
    assert_eq!(told[0]["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(told[0]["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(told[0]["responseContext"], Value::Null);
    assert_eq!(told[0]["DDBStreamBatchInfo"]["batchSize"], 2);
}

#[tokio::test(start_paused = true)]
async fn retries_end_when_the_record_is_too_old_even_within_a_pause() {
    let impatient = StreamMapping {
        maximum_age: Some(Duration::from_secs(60)),
        ..mapping()
    };
    let world = World::start(&stream_of(1), impatient, |_| boom()).await;
    seconds(59).await;
    assert_eq!(world.told().len(), 0);
    seconds(2).await;
    assert_eq!(world.told().len(), 1);
    assert_eq!(
        world.told()[0]["responseContext"]["functionError"],
        "Unhandled"
    );
    assert!(world.is_read().await);
}

#[tokio::test(start_paused = true)]
async fn lanes_work_side_by_side_and_a_stuck_item_holds_up_its_lane_only() {
    let stream = FakeStream::new();
    for round in 0..5 {
        for item in 0..12 {
            stream.write(&format!("item-{item}"), &round.to_string());
        }
    }
    let parallel = StreamMapping {
        lanes: 4,
        batch_size: 1,
        ..mapping()
    };
    let world = World::start(&stream, parallel, |records| {
        if item_of(&records[0]) == "item-0" {
            boom()
        } else {
            done(records)
        }
    })
    .await;
    seconds(30).await;
    assert_eq!(
        world.function.running.lock().unwrap().1,
        4,
        "as many at once as there are lanes"
    );
    let stuck = super::super::lanes::lane_of(&stream.records.lock().unwrap()[0], 4);
    let records = stream.records.lock().unwrap().clone();
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (_, invoked) in world.function.invocations.lock().unwrap().iter() {
        for record in invoked {
            seen.entry(item_of(record)).or_default().push(place(record));
        }
    }
    for (item, first) in records.iter().enumerate().take(12).skip(1) {
        let name = format!("item-{item}");
        let lane = super::super::lanes::lane_of(first, 4);
        if lane != stuck {
            let expected: Vec<usize> = (0..5).map(|round| round * 12 + item).collect();
            assert_eq!(seen[&name], expected, "{name} is complete and in order");
        }
    }
    assert!(
        seen["item-0"].iter().all(|place| *place == 0),
        "nothing overtook the record that fails"
    );
}

#[tokio::test(start_paused = true)]
async fn another_number_of_lanes_loses_nothing() {
    let stream = stream_of(40);
    let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
    let four = StreamMapping {
        lanes: 4,
        batch_size: 1,
        ..mapping()
    };
    let stuck = World::restart(&stream, &checkpoints, &Arc::default(), four, |records| {
        if place(&records[0]) == 7 {
            boom()
        } else {
            done(records)
        }
    })
    .await;
    seconds(20).await;
    let before: Vec<usize> = stuck.invocations().concat();
    stuck.crash().await;
    let three = StreamMapping {
        lanes: 3,
        ..mapping()
    };
    let after = World::restart(&stream, &checkpoints, &Arc::default(), three, done).await;
    seconds(5).await;
    let after: Vec<usize> = after.invocations().concat();
    for place in 0..40 {
        let was_done = before.contains(&place) && place != 7;
        assert!(was_done || after.contains(&place), "{place} was lost");
    }
    assert!(after.contains(&7));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_lost_its_end_is_read_from_where_it_ends_now() {
    let stream = stream_of(5);
    let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
    let first = World::restart(&stream, &checkpoints, &Arc::default(), mapping(), done).await;
    seconds(1).await;
    first.crash().await;
    stream.records.lock().unwrap().truncate(3);
    let second = World::restart(&stream, &checkpoints, &Arc::default(), mapping(), done).await;
    stream.write("item-3", "written again");
    seconds(1).await;
    assert_eq!(second.invocations(), [vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn a_table_made_anew_is_read_from_its_beginning() {
    let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
    let first = World::restart(
        &stream_of(3),
        &checkpoints,
        &Arc::default(),
        mapping(),
        done,
    )
    .await;
    seconds(1).await;
    first.crash().await;
    let anew = FakeStream::labelled("2026-02-02");
    anew.write("item-0", "new");
    let second = World::restart(&anew, &checkpoints, &Arc::default(), mapping(), done).await;
    seconds(1).await;
    assert_eq!(second.invocations(), [vec![0]]);
}

#[tokio::test(start_paused = true)]
async fn an_event_stays_below_six_megabytes() {
    let stream = FakeStream::new();
    for record in 0..20 {
        stream.write(&format!("item-{record}"), &"x".repeat(390_000));
    }
    let world = World::start(&stream, mapping(), done).await;
    seconds(5).await;
    assert_eq!(world.invocations().concat(), (0..20).collect::<Vec<_>>());
    for (_, records) in world.function.invocations.lock().unwrap().iter() {
        let size = json!({ "Records": records }).to_string().len();
        assert!(size < 6 * 1024 * 1024, "{size}");
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_the_invocation_that_runs_and_keeps_what_it_did() {
    let stream = stream_of(4);
    let small = StreamMapping {
        batch_size: 2,
        ..mapping()
    };
    let world = World::start(&stream, small.clone(), done).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.stop.send_replace(true);
    world.engine.await.unwrap();
    assert_eq!(world.function.running.lock().unwrap().0, 0);
    let invoked = world.function.invocations.lock().unwrap().len();
    assert_eq!(invoked, 1);
    let again = World::restart(
        &stream,
        &world.checkpoints,
        &world.destinations,
        small,
        done,
    )
    .await;
    seconds(1).await;
    assert_eq!(again.invocations(), [vec![2, 3]]);
}
