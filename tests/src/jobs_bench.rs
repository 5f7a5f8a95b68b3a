//! Ten thousand profile updates a minute on the embedded cloud, while jobs are posted: nothing lost, and how late.
//!
//! The platform runs on disk in this process, with the event source mappings that `millrace up` runs. People log in, change their rates
//! and rewrite their descriptions; jobs are posted meanwhile; a subscriber collects what is published. In the end each profile's last
//! update is in the table of profiles and in the index, each job is scored, and each person who was chosen was told once.
//!
//! `jobs-bench [SECONDS [UPDATES_PER_MINUTE [PEOPLE]]]`, by default 60, 10000 and 2000.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::{Clock as _, SystemClock};
use millrace_ops::platform::{Home, Platform};
use millrace_text::{Child, Limits};
use millrace_vectors::Field;
use serde_json::{Value, json};

/// Somebody's profile is rewritten, their rates change, or else they only log in: so many of a hundred updates each.
const WORDS_OF_100: u64 = 10;
const RATES_OF_100: u64 = 20;
/// A job is posted every so often.
const JOB_EVERY: Duration = Duration::from_secs(2);
/// How often the index is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The clients that write updates side by side.
const WRITERS: usize = 4;

const TRADES: [&str; 6] = [
    "餐廳服務員，有咖啡經驗",
    "Waiter with experience in a busy restaurant",
    "廚房助理，懂得切菜及清潔",
    "Barista, latte art, cash desk",
    "倉務員，可以搬運重物",
    "Warehouse helper, can lift heavy boxes",
];
const DISTRICTS: [&str; 4] = ["Central", "TST", "Mong Kok", "觀塘"];

fn main() {
    millrace_text::run_child_if_asked();
    let mut given = std::env::args()
        .skip(1)
        .map(|word| word.parse::<u64>().unwrap());
    let seconds = given.next().unwrap_or(60);
    let per_minute = given.next().unwrap_or(10_000);
    let people = given.next().unwrap_or(2_000);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(run(seconds, per_minute, people));
}

/// Numbers that look random and are the same in every run.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn user_id(user: u64) -> String {
    format!("{user:08x}-0000-4000-8000-00000000be4c")
}

fn job_id(job: u64) -> String {
    format!("{job:08x}-0000-4000-8000-00000000b0b5")
}

/// What a user's row should say, as whoever writes it remembers.
#[derive(Debug, Clone)]
struct Wanted {
    /// Unique for each update, and growing: by it an update is known in the index.
    seen_millis: i64,
    minimum: u64,
    text: String,
}

/// An update that is not yet seen in the index.
struct Outstanding {
    seen_millis: i64,
    since: Instant,
}

#[derive(Default)]
struct Board {
    wanted: HashMap<u64, Wanted>,
    outstanding: HashMap<u64, Vec<Outstanding>>,
    lags: Vec<Duration>,
    written: u64,
    posted: BTreeMap<String, Instant>,
    /// When each notification came, by id; with its job.
    told: HashMap<String, (String, Vec<Instant>)>,
}

type Shared = Arc<Mutex<Board>>;

fn row(user: u64, wanted: &Wanted) -> HashMap<String, AttributeValue> {
    let district = DISTRICTS[(user % 4) as usize];
    let row = json!({
        "userId": {"S": user_id(user)},
        "currentMode": {"S": "employee"},
        "employeeStatus": {"S": "available"},
        "isActive": {"BOOL": true},
        "lastLoginAt": {"N": wanted.seen_millis.to_string()},
        "profiles": {"M": {"employee": {"M": {
            "name": {"S": "Someone"},
            "jobDescription": {"S": wanted.text},
            "preferredDistricts": {"L": [{"S": district}]},
            "hourlyRateRange": {"M": {"min": {"N": wanted.minimum.to_string()}, "max": {"N": "150"}}},
            "ratings": {"M": {"good": {"N": "15"}, "neutral": {"N": "2"}, "bad": {"N": "0"}}},
            "isComplete": {"BOOL": true},
        }}}},
    });
    let item: millrace_events::Item = serde_json::from_value(row).unwrap();
    item.into()
}

async fn write(platform: &Platform, board: &Shared, user: u64, number: u64) {
    let (wanted, what) = {
        let mut board = board.lock().unwrap();
        let wanted = board.wanted.get_mut(&user).unwrap();
        wanted.seen_millis += 1;
        let picked = mixed(number) % 100;
        let what = if picked < WORDS_OF_100 {
            wanted.text = format!("{} {number}", TRADES[(mixed(number) / 100 % 6) as usize]);
            "words"
        } else if picked < WORDS_OF_100 + RATES_OF_100 {
            wanted.minimum = 60 + mixed(number) / 100 % 60;
            "rates"
        } else {
            "seen"
        };
        let wanted = wanted.clone();
        let outstanding = Outstanding {
            seen_millis: wanted.seen_millis,
            since: Instant::now(),
        };
        board.outstanding.entry(user).or_default().push(outstanding);
        board.written += 1;
        (wanted, what)
    };
    let update = platform.clients().dynamodb.update_item();
    let update = update
        .table_name(&platform.names().jobs.users)
        .key("userId", AttributeValue::S(user_id(user)));
    let seen = AttributeValue::N(wanted.seen_millis.to_string());
    let update = update.expression_attribute_values(":seen", seen);
    let update = match what {
        "words" => update
            .update_expression("SET lastLoginAt = :seen, profiles.employee.jobDescription = :text")
            .expression_attribute_values(":text", AttributeValue::S(wanted.text)),
        "rates" => update
            .update_expression(
                "SET lastLoginAt = :seen, profiles.employee.hourlyRateRange.#min = :min",
            )
            .expression_attribute_names("#min", "min")
            .expression_attribute_values(":min", AttributeValue::N(wanted.minimum.to_string())),
        _ => update.update_expression("SET lastLoginAt = :seen"),
    };
    update.send().await.unwrap();
}

async fn post(platform: &Platform, board: &Shared, job: u64) {
    let trade = TRADES[(mixed(job) % 6) as usize];
    let row = json!({
        "jobId": {"S": job_id(job)},
        "employerId": {"S": "ffffffff-0000-4000-8000-00000000be4c"},
        "title": {"S": trade},
        "description": {"S": trade},
        "district": {"S": DISTRICTS[(job % 4) as usize]},
        "hourlyRate": {"N": (90 + job % 60).to_string()},
        "status": {"S": "matching"},
        "matchingWindow": {"M": {"isOpen": {"BOOL": true}, "firstResponseAt": {"NULL": true}, "responses": {"L": []}}},
    });
    let item: millrace_events::Item = serde_json::from_value(row).unwrap();
    board
        .lock()
        .unwrap()
        .posted
        .insert(job_id(job), Instant::now());
    let put = platform.clients().dynamodb.put_item();
    let put = put
        .table_name(&platform.names().jobs.jobs)
        .set_item(Some(item.into()));
    put.send().await.unwrap();
}

/// Looks at the index for every update that is outstanding.
async fn look(platform: &Platform, board: &Shared) {
    let users: Vec<u64> = board.lock().unwrap().outstanding.keys().copied().collect();
    for user in users {
        let seen = seen_in_index(platform, user).await;
        let mut board = board.lock().unwrap();
        let board = &mut *board;
        let Some(outstanding) = board.outstanding.get_mut(&user) else {
            continue;
        };
        let lags = &mut board.lags;
        outstanding.retain(|one| {
            let there = seen >= Some(one.seen_millis);
            if there {
                lags.push(one.since.elapsed());
            }
            !there
        });
        if outstanding.is_empty() {
            board.outstanding.remove(&user);
        }
    }
}

async fn seen_in_index(platform: &Platform, user: u64) -> Option<i64> {
    let profiles = &platform.products().jobs().profiles;
    let point = profiles.get(&user_id(user)).await.unwrap()?;
    match point.fields.get("lastSeen") {
        Some(Field::Number(millis)) => Some(*millis as i64),
        _ => None,
    }
}

/// A queue that gets everything that is published.
async fn subscribe(platform: &Platform) -> String {
    let clients = platform.clients();
    let made = clients.sqs.create_queue().queue_name("bench-subscriber");
    let url = made.send().await.unwrap().queue_url.unwrap();
    let attributes = clients.sqs.get_queue_attributes().queue_url(&url);
    let attributes = attributes.attribute_names("QueueArn".into());
    let attributes = attributes.send().await.unwrap().attributes.unwrap();
    let arn = attributes[&"QueueArn".into()].clone();
    let subscription = clients.sns.subscribe();
    let subscription = subscription
        .topic_arn(&platform.names().jobs.topic)
        .protocol("sqs")
        .endpoint(arn)
        .attributes("RawMessageDelivery", "true");
    subscription.send().await.unwrap();
    url
}

/// Takes what has been published until there is nothing more.
async fn collect(platform: &Platform, board: &Shared, url: &str) {
    loop {
        let receive = platform.clients().sqs.receive_message().queue_url(url);
        let received = receive.max_number_of_messages(10).send().await.unwrap();
        let messages = received.messages.unwrap_or_default();
        if messages.is_empty() {
            return;
        }
        for message in messages {
            let body: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            let id = body["notificationId"].as_str().unwrap().to_owned();
            let job = body["jobId"].as_str().unwrap().to_owned();
            {
                let mut board = board.lock().unwrap();
                let told = board.told.entry(id).or_insert_with(|| (job, Vec::new()));
                told.1.push(Instant::now());
            }
            let delete = platform.clients().sqs.delete_message().queue_url(url);
            delete
                .set_receipt_handle(message.receipt_handle)
                .send()
                .await
                .unwrap();
        }
    }
}

async fn scan(platform: &Platform, table: &str) -> Vec<HashMap<String, AttributeValue>> {
    let mut rows = Vec::new();
    let mut from = None;
    loop {
        let scan = platform.clients().dynamodb.scan().table_name(table);
        let page = scan.set_exclusive_start_key(from).send().await.unwrap();
        rows.extend(page.items.unwrap_or_default());
        from = page.last_evaluated_key;
        if from.is_none() {
            return rows;
        }
    }
}

async fn run(seconds: u64, per_minute: u64, people: u64) {
    let home = tempfile::tempdir().unwrap();
    let data = Home::Folder(home.path().join("data"));
    let mut platform = Platform::embedded(data, Limits::default(), Child::this_program())
        .await
        .unwrap();
    platform.start();
    let platform = Arc::new(platform);
    let board = Shared::default();
    let url = subscribe(&platform).await;
    settle_in(&platform, &board, people).await;

    let over = Arc::new(AtomicBool::new(false));
    let lookers = {
        let (platform, board, over, url) =
            (platform.clone(), board.clone(), over.clone(), url.clone());
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                look(&platform, &board).await;
                collect(&platform, &board, &url).await;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
    };
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let mut hands = Vec::new();
    for hand in 0..WRITERS as u64 {
        let (platform, board) = (platform.clone(), board.clone());
        hands.push(tokio::spawn(async move {
            let every = Duration::from_secs_f64(60.0 * WRITERS as f64 / per_minute as f64);
            let mut ticks = tokio::time::interval(every);
            let mut number = hand;
            while Instant::now() < end {
                ticks.tick().await;
                // Each user has one hand that writes, so that the order of a user's updates is known.
                let user = mixed(number) % (people / WRITERS as u64) * WRITERS as u64 + hand;
                write(&platform, &board, user, number).await;
                number += WRITERS as u64;
            }
        }));
    }
    let mut jobs = 0;
    let mut ticks = tokio::time::interval(JOB_EVERY);
    while Instant::now() < end {
        ticks.tick().await;
        post(&platform, &board, jobs).await;
        jobs += 1;
    }
    for hand in hands {
        hand.await.unwrap();
    }
    let asked_for = begun.elapsed();
    let (written, behind) = {
        let board = board.lock().unwrap();
        let behind: usize = board.outstanding.values().map(Vec::len).sum();
        (board.written, behind)
    };
    platform.wait_idle().await;
    let all_done = begun.elapsed();
    over.store(true, Ordering::Relaxed);
    lookers.await.unwrap();
    look(&platform, &board).await;
    collect(&platform, &board, &url).await;

    let per_second = written as f64 / asked_for.as_secs_f64();
    println!(
        "{written} updates of {people} profiles in {:.1} s: {per_second:.0} a second, {:.0} a minute; {jobs} jobs posted meanwhile",
        asked_for.as_secs_f64(),
        per_second * 60.0
    );
    println!(
        "all handled after {:.1} s; {behind} updates were outstanding when the last was written",
        all_done.as_secs_f64()
    );
    nothing_is_lost(&platform, &board).await;
    said(&board);
}

/// Everybody has a profile, and everything is handled.
async fn settle_in(platform: &Platform, board: &Shared, people: u64) {
    let begun = Instant::now();
    let now = SystemClock.now();
    let now = i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap();
    for user in 0..people {
        let wanted = Wanted {
            // An hour ago, so that it grows and never lies ahead.
            seen_millis: now - 3_600_000,
            minimum: 60 + user % 60,
            text: format!("{} {}", TRADES[(user % 6) as usize], user % 50),
        };
        let item = row(user, &wanted);
        board.lock().unwrap().wanted.insert(user, wanted);
        let put = platform.clients().dynamodb.put_item();
        let put = put
            .table_name(&platform.names().jobs.users)
            .set_item(Some(item));
        put.send().await.unwrap();
    }
    platform.wait_idle().await;
    println!(
        "{people} profiles are there after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
}

async fn nothing_is_lost(platform: &Platform, board: &Shared) {
    let names = &platform.names().jobs;
    let (wanted, posted) = {
        let board = board.lock().unwrap();
        assert!(board.outstanding.is_empty(), "updates are not in the index");
        (board.wanted.clone(), board.posted.clone())
    };
    let text = |row: &HashMap<String, AttributeValue>, name: &str| {
        row.get(name).and_then(|value| value.as_s().ok().cloned())
    };
    let number = |value: Option<&AttributeValue>| {
        value.and_then(|value| value.as_n().ok()?.parse::<f64>().ok())
    };
    let rows = scan(platform, &names.profiles).await;
    let profiles: HashMap<String, _> = rows
        .into_iter()
        .map(|row| (text(&row, "userId").unwrap(), row))
        .collect();
    for (user, wanted) in &wanted {
        let profile = &profiles[&user_id(*user)];
        let seen = number(profile.get("lastSeen"));
        assert_eq!(
            seen,
            Some(wanted.seen_millis as f64),
            "user {user}: {profile:?}"
        );
        let jobs = platform.products().jobs();
        let point = jobs.profiles.get(&user_id(*user)).await.unwrap().unwrap();
        let minimum = Field::Number(wanted.minimum as f64);
        assert_eq!(point.fields.get("rateMin"), Some(&minimum), "user {user}");
        let texts = std::slice::from_ref(&wanted.text);
        let embedding = jobs.embedder.embed(texts).await.unwrap();
        assert_eq!(
            point.embedding, embedding[0],
            "user {user}: the index has another text"
        );
    }
    let progress = scan(platform, &names.progress).await;
    let scored = progress
        .iter()
        .filter(|row| text(row, "status").as_deref() == Some("scored"));
    let scored = scored
        .filter(|row| text(row, "version") == text(row, "doneVersion"))
        .count();
    assert_eq!(scored, posted.len(), "not every job is scored");
    let candidates = scan(platform, &names.candidates).await;
    let mut chosen = 0;
    for row in &candidates {
        let state = text(row, "state").unwrap();
        assert!(
            state != "chosen" && state != "telling",
            "{row:?} was not told"
        );
        if state != "told" {
            continue;
        }
        chosen += 1;
        let id = text(row, "notificationId").unwrap();
        let board = board.lock().unwrap();
        let times = board.told.get(&id).map_or(0, |(_, times)| times.len());
        assert_eq!(times, 1, "notification {id} was published {times} times");
    }
    assert_eq!(
        chosen,
        board.lock().unwrap().told.len(),
        "somebody was told who was not chosen"
    );
    let queues = &platform.cloud().unwrap().services().queues;
    for worker in platform.workers() {
        let letters = queues
            .counts(&format!("millrace-{worker}-dlq"))
            .await
            .unwrap();
        assert_eq!(letters.total(), 0, "{worker} has dead letters");
    }
    println!(
        "nothing lost: {} profiles as last written in table and index, {scored} jobs scored, {} candidates, {chosen} told once each, 0 dead letters",
        wanted.len(),
        candidates.len()
    );
}

fn said(board: &Shared) {
    let mut board = board.lock().unwrap();
    board.lags.sort();
    let at = |list: &[Duration], share: f64| {
        let place = ((list.len() as f64 * share) as usize).min(list.len().saturating_sub(1));
        list.get(place).copied().unwrap_or_default().as_millis()
    };
    println!(
        "from an update to the index: median {} ms, p99 {} ms, worst {} ms ({} updates, looked at every {} ms)",
        at(&board.lags, 0.5),
        at(&board.lags, 0.99),
        at(&board.lags, 1.0),
        board.lags.len(),
        LOOK_EVERY.as_millis()
    );
    let mut last: BTreeMap<&str, Instant> = BTreeMap::new();
    for (job, times) in board.told.values() {
        let newest = last.entry(job).or_insert(times[0]);
        *newest = (*newest).max(times[0]);
    }
    let mut waits: Vec<Duration> = last
        .iter()
        .map(|(job, at)| *at - board.posted[*job])
        .collect();
    waits.sort();
    println!(
        "from posting a job to its last notification: median {} ms, worst {} ms ({} jobs with notifications)",
        at(&waits, 0.5),
        at(&waits, 1.0),
        waits.len()
    );
}
