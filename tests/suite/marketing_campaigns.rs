//! Campaigns and reports: many batches at once, sleepers, and a platform that writes over what follows.

use std::collections::BTreeMap;

use millrace_tests::{
    State, World, has_failed,
    marketing::by_hand::{CAMPAIGN, WORKER, batches, put_campaign, put_match, put_total},
    sleepers::Sleepers,
};
use serde_json::{Value, json};
use time::macros::datetime;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_never_takes_a_campaign_back() {
    assert_eq!(Sleepers::Campaigns.run().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn older_figures_never_stay_in_the_place_of_newer_ones() {
    assert_eq!(Sleepers::Reports.run().await, Vec::<String>::new());
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
