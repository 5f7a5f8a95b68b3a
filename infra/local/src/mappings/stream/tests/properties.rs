//! Random records, answers, kills and numbers of lanes: nothing is lost, nothing overtakes.

use proptest::prelude::*;

use super::*;

/// How a function answers its next invocation.
#[derive(Debug, Clone)]
enum Mood {
    Fine,
    Broken,
    Nonsense,
    /// Reports the record at this place of the batch, counted round and round.
    Picky(usize),
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        3 => Just(Mood::Fine),
        1 => Just(Mood::Broken),
        1 => Just(Mood::Nonsense),
        2 => (0_usize..50).prop_map(Mood::Picky),
    ]
}

#[derive(Debug, Clone)]
struct Plan {
    items: Vec<u8>,
    moods: Vec<Mood>,
    /// After how many milliseconds the process is killed, again and again.
    kills: Vec<u64>,
    lanes: Vec<usize>,
    batch_size: usize,
    window_seconds: u64,
    bisects: bool,
    retries: Option<u32>,
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        proptest::collection::vec(0_u8..6, 1..60),
        proptest::collection::vec(mood(), 1..40),
        proptest::collection::vec(20_u64..3_000, 0..5),
        proptest::collection::vec(1_usize..5, 6),
        1_usize..12,
        0_u64..2,
        any::<bool>(),
        proptest::option::of(0_u32..3),
    )
        .prop_map(
            |(items, moods, kills, lanes, batch_size, window_seconds, bisects, retries)| Plan {
                items,
                moods,
                kills,
                lanes,
                batch_size,
                window_seconds,
                bisects,
                retries,
            },
        )
}

/// What a run left behind: for each record whether it was done, in the order in which this
/// became so, and what the destination was told.
type Journal = Arc<Mutex<Vec<(String, usize)>>>;

async fn run(plan: Plan) -> Result<(), TestCaseError> {
    let stream = FakeStream::new();
    for item in &plan.items {
        stream.write(&item.to_string(), "new");
    }
    let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
    let destinations: Arc<FakeDestinations> = Arc::default();
    let journal: Journal = Arc::default();
    let turn = Arc::new(Mutex::new(0_usize));
    let mut kills = plan.kills.iter();
    let mut life = 0;
    loop {
        let mapping = StreamMapping {
            batch_size: plan.batch_size,
            window: Duration::from_secs(plan.window_seconds),
            lanes: plan.lanes[life],
            on_error: if plan.bisects {
                OnError::Bisect
            } else {
                OnError::Retry
            },
            maximum_retries: plan.retries,
            ..mapping()
        };
        let (journal, turn, moods) = (Arc::clone(&journal), Arc::clone(&turn), plan.moods.clone());
        let answer = move |records: &[Value]| {
            let mut turn = turn.lock().unwrap();
            // Whoever is never fine is so in the end: the stream must come to its end.
            let mood = if *turn >= 400 {
                Mood::Fine
            } else {
                moods[*turn % moods.len()].clone()
            };
            *turn += 1;
            let (answer, done) = match mood {
                Mood::Fine => (done(records), records.len()),
                Mood::Broken => (boom(), 0),
                Mood::Nonsense => (
                    Ok(json!({"batchItemFailures": [{"itemIdentifier": ""}]})),
                    0,
                ),
                Mood::Picky(pick) => {
                    let failed = pick % records.len();
                    (report(&[place(&records[failed])]), failed)
                }
            };
            let mut journal = journal.lock().unwrap();
            journal.extend(
                records[..done]
                    .iter()
                    .map(|record| (item_of(record), place(record))),
            );
            answer
        };
        let world = World::restart(&stream, &checkpoints, &destinations, mapping, answer).await;
        match kills.next() {
            Some(after) => {
                tokio::time::sleep(Duration::from_millis(*after)).await;
                world.crash().await;
                life += 1;
            }
            None => {
                for _ in 0..100_000 {
                    if world.is_read().await {
                        break;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                prop_assert!(world.is_read().await, "the stream never came to its end");
                world.stop.send_replace(true);
                world.engine.await.unwrap();
                break;
            }
        }
    }
    check(&stream, &journal.lock().unwrap(), &destinations)
}

fn check(
    stream: &FakeStream,
    journal: &[(String, usize)],
    destinations: &FakeDestinations,
) -> Result<(), TestCaseError> {
    let mut told: Vec<usize> = Vec::new();
    for (_, discarded) in destinations.told.lock().unwrap().iter() {
        told.extend(
            discarded.payload["Records"]
                .as_array()
                .unwrap()
                .iter()
                .map(place),
        );
    }
    // None lost: every record was done, or the destination was told.
    for record in stream.records.lock().unwrap().iter() {
        let place = place(record);
        let was_done = journal.iter().any(|(_, done)| *done == place);
        prop_assert!(
            was_done || told.contains(&place),
            "record {} was lost",
            place
        );
    }
    // In order: the first time that a record of an item is done comes after all older ones of
    // that item were done or given up.
    let mut first_times: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (item, place) in journal {
        let places = first_times.entry(item).or_default();
        if !places.contains(place) {
            if let Some(former) = places.last() {
                prop_assert!(
                    former < place || told.contains(place),
                    "{} of item {} was overtaken by {}",
                    place,
                    item,
                    former
                );
            }
            places.push(*place);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_record_is_delivered_in_order_until_success_or_told_and_none_is_lost(plan in plan()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(plan))?;
    }
}
