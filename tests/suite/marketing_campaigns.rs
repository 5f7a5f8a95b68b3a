//! Campaigns and reports: many batches at once, sleepers, and a platform that writes over what follows.

use std::collections::BTreeMap;

use millrace_marketing::{
    progress::Progress,
    publishing::{About, publish},
    workflow::Status,
};
use millrace_tests::{Listening, State, World, has_failed, listening};
use serde_json::{Value, json};
use time::macros::{date, datetime};

const WORKER: &str = "update-campaign";
const CAMPAIGN: &str = "spring";
const WAY: [Status; 6] = [
    Status::Pending,
    Status::Contacted,
    Status::Responded,
    Status::Negotiating,
    Status::Accepted,
    Status::Completed,
];

fn put(world: &World, table: &str, item: Value) {
    let request = json!({"TableName": table, "Item": item});
    let dynamo = &world.services().dynamo;
    dynamo.call_json("PutItem", &request).unwrap();
}

/// The campaign as the platform writes it: the whole row.
fn put_campaign(world: &World, total: u32) {
    let row = json!({
        "PK": {"S": format!("CAMPAIGN#{CAMPAIGN}")}, "SK": {"S": "STORE#mill"}, "status": {"S": "active"},
        "budget": {"M": {"total": {"N": total.to_string()}, "currency": {"S": "KRW"}}},
    });
    put(world, &world.names.marketing.campaigns, row);
}

/// A match of the campaign that has taken so many steps of the way.
fn put_match(world: &World, id: &str, taken: usize, cost: Option<i64>) {
    let heard = (0..taken).map(|step| {
        let mut heard = json!({
            "version": format!("v{step}"), "status": WAY[step].word(), "at": "2026-11-21T04:00:00Z", "score": 80.0,
        });
        if step > 0 {
            heard["from"] = json!(WAY[step - 1].word());
        } else {
            heard["inserted"] = json!(true);
        }
        heard
    });
    let progress = json!({
        "matchId": id, "storeId": "mill", "creatorId": format!("of-{id}"), "version": "v", "revision": taken,
        "steps": heard.collect::<Vec<_>>(), "bound": CAMPAIGN, "facts": {"score": 80.0, "agreedCost": cost},
    });
    let progress: Progress = serde_json::from_value(progress).unwrap();
    let item: serde_dynamo::Item = serde_dynamo::to_item(progress).unwrap();
    let table = &world.names.marketing.match_progress;
    put(world, table, serde_json::to_value(item).unwrap());
}

fn stream(table: &str) -> Listening {
    let mut streams = listening();
    streams
        .find(|stream| stream.worker == WORKER && stream.table == table)
        .unwrap()
}

/// What the worker has not seen yet of matches, a hundred records an event.
async fn batches(world: &World) -> Vec<Value> {
    let stream = stream(&world.names.marketing.match_progress);
    let mut batches = Vec::new();
    while let Some((event, seen)) = world.event_of(stream).await {
        world.checkpoint(seen);
        batches.push(event);
    }
    batches
}

async fn campaign(world: &World) -> Value {
    let state = State::of(world).await;
    let rows = state.rows.into_iter();
    let mut rows = rows.filter(|(key, _)| key.starts_with("dot-marketing-campaigns/"));
    rows.next().unwrap().1
}

fn number(value: &Value) -> i64 {
    value["N"].as_str().unwrap().parse().unwrap()
}

/// What stands in the campaign's row of the matches that are in each state.
fn by_status(row: &Value) -> BTreeMap<String, i64> {
    let counts = row["performance"]["M"]["byStatus"]["M"]
        .as_object()
        .unwrap();
    let counts = counts
        .iter()
        .map(|(status, count)| (status.clone(), number(count)));
    counts.filter(|(_, count)| *count != 0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_batches_at_once_of_one_campaign_do_not_conflict_themselves_to_death() {
    let world = World::in_process().await;
    put_campaign(&world, 10_000_000);
    world.quiet().await;
    for position in 0..1_600 {
        let cost = (position % 16 == 0).then_some(1_000);
        let taken = if position % 16 == 0 {
            6
        } else {
            1 + position % 4
        };
        put_match(&world, &format!("m-{position:04}"), taken, cost);
    }
    let batches = batches(&world).await;
    assert_eq!(batches.len(), 16);
    world.tap.arm(None);
    let delivery = &world.deliveries[WORKER];
    let running: Vec<_> = batches
        .into_iter()
        .map(|event| {
            let delivery = delivery.clone();
            let invocation =
                millrace_delivery::Invocation::lasting(std::time::Duration::from_secs(60));
            tokio::spawn(async move { delivery.deliver(event, invocation).await })
        })
        .collect();
    for one in running {
        let report = one.await.unwrap();
        assert!(!has_failed(&report), "{report:?}");
    }
    let calls = world.tap.calls().len();
    let row = campaign(&world).await;
    let expected = [
        ("PENDING", 300),
        ("CONTACTED", 400),
        ("RESPONDED", 400),
        ("NEGOTIATING", 400),
        ("COMPLETED", 100),
    ];
    let expected = expected.map(|(status, count)| (status.to_owned(), count));
    assert_eq!(by_status(&row), BTreeMap::from(expected));
    assert_eq!(number(&row["creatorsTotal"]), 1_600);
    assert_eq!(row["creators"]["L"].as_array().unwrap().len(), 200);
    assert_eq!(number(&row["budget"]["M"]["spent"]), 100_000);
    assert_eq!(number(&row["budget"]["M"]["remaining"]), 9_900_000);
    // A read, about three transactions and a projection a batch; conflicts cost the rest.
    assert!(calls < 16 * 40, "{calls} calls for 1,600 records");
}

/// One match has gone one step; the records of two more steps, each an event.
async fn going_on(world: &World) -> (Value, Value) {
    put_campaign(world, 1_000);
    put_match(world, "m", 3, None);
    world.quiet().await;
    put_match(world, "m", 4, None);
    put_match(world, "other", 1, None);
    let first = batches(world).await.remove(0);
    put_match(world, "m", 5, Some(300));
    (first, batches(world).await.remove(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_never_takes_a_campaign_back() {
    let calm = World::in_process().await;
    let (first, second) = going_on(&calm).await;
    calm.deliver(WORKER, &first).await;
    calm.tap.arm(None);
    calm.deliver(WORKER, &second).await;
    let calls = calm.tap.calls().len();
    // The platform writes over the row, in some of the worlds: in the end it is the same.
    put_campaign(&calm, 2_000);
    calm.quiet().await;
    let calm = State::of(&calm).await;
    for over in [false, true] {
        for asleep_before in 0..calls {
            let world = World::in_process().await;
            let (first, second) = going_on(&world).await;
            world.tap.hold_at(asleep_before);
            let delivery = world.deliveries[WORKER].clone();
            let event = first.clone();
            let invocation =
                millrace_delivery::Invocation::lasting(std::time::Duration::from_secs(60));
            let sleeper = tokio::spawn(async move { delivery.deliver(event, invocation).await });
            world.tap.held().await;
            assert!(!has_failed(&world.deliver(WORKER, &second).await));
            if over {
                put_campaign(&world, 2_000);
            }
            world.tap.release();
            assert!(!has_failed(&sleeper.await.unwrap()));
            if !over {
                put_campaign(&world, 2_000);
            }
            world.quiet().await;
            let state = State::of(&world).await;
            let differences = state.differences(&calm);
            assert_eq!(
                differences,
                Vec::<String>::new(),
                "asleep before {asleep_before}, {over}"
            );
        }
    }
}

/// What is counted of all matches on a day.
fn put_total(world: &World, scope: &str, entered: i64) {
    let row = json!({
        // Of the first generation.
        "scope": {"S": format!("1#{scope}")}, "total": {"S": "all#00"}, "entered.PENDING": {"N": entered.to_string()},
    });
    put(world, &world.names.marketing.analytics_totals, row);
}

async fn report(world: &World) -> String {
    let state = State::of(world).await;
    state.objects["reports/daily/2026-11-20.json"].0.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn older_figures_never_stay_in_the_place_of_newer_ones() {
    let about = About::Day(date!(2026 - 11 - 20));
    let today = date!(2026 - 11 - 21);
    let begin = || async {
        let world = World::in_process().await;
        put_total(&world, "2026-11-20#all", 1);
        publish(world.products.marketing(), &about, today)
            .await
            .unwrap();
        put_total(&world, "2026-11-20#all", 2);
        world
    };
    let world = begin().await;
    world.tap.arm(None);
    let asked = publish(world.products.marketing(), &about, today).await;
    assert_eq!(
        asked.unwrap().map(millrace_events::Outcome::word),
        Some("applied")
    );
    let calls = world.tap.calls().len();
    put_total(&world, "2026-11-20#all", 1);
    publish(world.products.marketing(), &about, today)
        .await
        .unwrap();
    let calm = report(&world).await;
    for asleep_before in 0..calls {
        let world = begin().await;
        world.tap.hold_at(asleep_before);
        let marketing = world.products.marketing().clone();
        let one = about.clone();
        let sleeper = tokio::spawn(async move { publish(&marketing, &one, today).await });
        world.tap.held().await;
        // The figures go on, and back to what they were: the very bytes that the sleeper may have looked at lie there again.
        for entered in [3, 1] {
            put_total(&world, "2026-11-20#all", entered);
            publish(world.observer.marketing(), &about, today)
                .await
                .unwrap();
        }
        world.tap.release();
        sleeper.await.unwrap().unwrap();
        assert_eq!(report(&world).await, calm, "asleep before {asleep_before}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_the_same_however_often_it_is_made() {
    let world = World::in_process().await;
    put_campaign(&world, 1_000);
    put_match(&world, "m", 6, Some(300));
    put_total(&world, "2026-11-20#all", 5);
    put_total(&world, "ever#all", 5);
    world.quiet().await;
    let tick = |id: &str| {
        json!({
            "version": "0", "id": id, "detail-type": "Scheduled Event", "source": "aws.events", "account": "000000000000",
            "time": "2026-11-21T00:10:00Z", "region": "us-east-1",
            "resources": ["arn:aws:events:us-east-1:000000000000:rule/millrace-dev-daily-report"], "detail": {},
        })
    };
    world.deliver("publish-report", &tick("1")).await;
    let first = State::of(&world).await;
    // Two days and a campaign, each in three forms.
    assert_eq!(first.objects.len(), 9);
    let campaign = &first.objects[&format!("reports/campaigns/{CAMPAIGN}.html")].0;
    assert!(campaign.contains("₩700"));
    world.wait(std::time::Duration::from_secs(86_400));
    world.tap.arm(None);
    world.deliver("publish-report", &tick("2")).await;
    assert!(
        !world
            .tap
            .calls()
            .iter()
            .any(|call| call.contains("PutObject"))
    );
    let second = State::of(&world).await;
    assert_eq!(second.differences(&first), Vec::<String>::new());
    assert!(datetime!(2026-11-21 04:00 UTC) < world.now());
}
