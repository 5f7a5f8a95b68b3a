//! The matching engine against a reference, written apart from it from the table in workers/marketing/README.md.

use millrace_tests::World;
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

const STORE: &str = "b2e85d17-94c3-4f60-a7d8-1c5f3e9b6042";
/// Matches of a store in a month, as the template has it.
const SHARE: usize = 10;

#[derive(Debug, Clone)]
struct Creator {
    number: usize,
    category: usize,
    region: Option<usize>,
    subscribers: u64,
    views: u64,
    /// In hundredths of a percent.
    rate: u64,
    /// Hours before the store is classified.
    silent: Option<i64>,
    active: bool,
}

#[derive(Debug, Clone)]
struct Store {
    category: usize,
    price: Option<u64>,
    budget: Option<u64>,
}

const CATEGORIES: [&str; 2] = ["카페", "식당"];
const REGIONS: [&str; 4] = ["서울 마포구", "서울 성동구", "서울", "부산 해운대구"];

fn creator_id(number: usize) -> String {
    format!("{number:08x}-0000-4000-8000-00000000c0de")
}

impl Creator {
    fn row(&self, now: i64) -> Value {
        let mut row = json!({
            "PK": {"S": format!("CREATOR#{}", creator_id(self.number))}, "SK": {"S": "PLATFORM#tiktok#1"},
            "platform": {"S": "tiktok"}, "category": {"S": CATEGORIES[self.category]},
            "status": {"S": if self.active { "active" } else { "paused" }},
            "statistics": {"M": {
                "subscribers": {"N": self.subscribers.to_string()}, "avgViews": {"N": self.views.to_string()},
                "engagementRate": {"N": format!("{}.{:02}", self.rate / 100, self.rate % 100)},
            }},
        });
        if let Some(region) = self.region {
            row["region"] = json!({"S": REGIONS[region]});
        }
        if let Some(silent) = self.silent {
            row["lastActiveAt"] = json!({"N": (now - silent * 3_600).to_string()});
        }
        row
    }

    /// The score in hundredths, by the README's table.
    fn score(&self, store: &Store) -> Option<u64> {
        let tier = [1_000, 10_000, 100_000, 1_000_000]
            .iter()
            .filter(|from| self.subscribers >= **from)
            .count();
        let same_category = self.category == store.category;
        let place = match self.region {
            Some(0) => 2_000,
            Some(1 | 2) => 1_200,
            _ => 0,
        };
        if !self.active || !(same_category || place == 2_000) {
            return None;
        }
        let fits = match store.price {
            None => 600,
            Some(price) => {
                let wanted = [10_000, 30_000, 70_000]
                    .iter()
                    .filter(|from| price >= **from)
                    .count();
                [1_200, 800, 400, 0, 0][wanted.abs_diff(tier)]
            }
        };
        let asked = [50_000, 150_000, 500_000, 2_000_000, 8_000_000][tier];
        let paid = match store.budget {
            None => 400,
            Some(budget) if budget >= asked => 800,
            Some(budget) if 2 * budget >= asked => 400,
            Some(_) => 0,
        };
        // 15 points at 6 percent, 10 at three tenths of the subscribers, 5 within a week and none after ninety days.
        let engagement = (self.rate * 1_500 / 600).min(1_500);
        let audience = match self.subscribers {
            0 => 0,
            of => (self.views * 10_000 / (of * 3)).min(1_000),
        };
        let recency = match self.silent {
            None => 0,
            Some(hours) => (500 * (90 * 24 - hours) / (83 * 24)).clamp(0, 500) as u64,
        };
        let category = if same_category { 3_000 } else { 0 };
        Some(category + place + fits + paid + engagement + audience + recency)
    }
}

impl Store {
    fn row(&self) -> Value {
        let mut row = json!({
            "PK": {"S": format!("STORE#{STORE}")}, "SK": {"S": "PROFILE#2026-11-21T00:00:00.000Z"},
            "primaryCategory": {"S": CATEGORIES[self.category]}, "status": {"S": "active"},
            "location": {"M": {"city": {"S": "서울"}, "district": {"S": "마포구"}}},
        });
        if let Some(price) = self.price {
            row["priceAnalysis"] = json!({"M": {"averagePrice": {"N": price.to_string()}}});
        }
        if let Some(budget) = self.budget {
            row["marketingBudget"] = json!({"N": budget.to_string()});
        }
        row
    }
}

fn any_creator() -> impl Strategy<Value = Creator> {
    let size = prop_oneof![
        0_u64..2_000,
        5_000_u64..20_000,
        50_000_u64..200_000,
        500_000_u64..2_000_000
    ];
    let rest = (
        0_u64..900,
        prop::option::weighted(0.9, 0_i64..2_400),
        prop::bool::weighted(0.9),
    );
    let region = prop::option::weighted(0.9, 0_usize..4);
    (0_usize..2, region, size, 0_u64..50, rest).prop_map(
        |(category, region, subscribers, share, (rate, silent, active))| Creator {
            number: 0,
            category,
            region,
            subscribers,
            views: subscribers * share / 100,
            rate,
            silent,
            active,
        },
    )
}

fn any_store() -> impl Strategy<Value = Store> {
    let price = prop::option::of(0_u64..100_000);
    let budget = prop::option::of(0_u64..3_000_000);
    (0_usize..2, price, budget).prop_map(|(category, price, budget)| Store {
        category,
        price,
        budget,
    })
}

fn put(world: &World, table: &str, row: &Value) {
    let request = json!({"TableName": table, "Item": row});
    world
        .services()
        .dynamo
        .call_json("PutItem", &request)
        .unwrap();
}

/// Store and creator of every match, with its score in hundredths.
fn matches(world: &World) -> Vec<(String, u64)> {
    let request = json!({"TableName": world.names.marketing.matches});
    let scan = world.services().dynamo.call_json("Scan", &request).unwrap();
    let rows = scan["Items"].as_array().unwrap().iter();
    let mut found: Vec<(String, u64)> = rows
        .map(|row| {
            let score: f64 = row["matchScore"]["N"].as_str().unwrap().parse().unwrap();
            let creator = row["creatorId"]["S"].as_str().unwrap().to_owned();
            (creator, (score * 100.0).round() as u64)
        })
        .collect();
    found.sort();
    found
}

async fn as_the_reference_says(
    store: Store,
    mut creators: Vec<Creator>,
) -> Result<(), TestCaseError> {
    let world = World::in_process().await;
    let now = world.now().unix_timestamp();
    for (number, creator) in creators.iter_mut().enumerate() {
        creator.number = number;
        put(&world, &world.names.marketing.creators, &creator.row(now));
    }
    world.quiet().await;
    put(&world, &world.names.marketing.stores, &store.row());
    world.quiet().await;
    let scored = creators
        .iter()
        .filter_map(|one| Some((one.score(&store)?, creator_id(one.number))));
    let mut expected: Vec<(u64, String)> = scored.filter(|(score, _)| *score >= 6_000).collect();
    expected.sort_by_key(|(score, id)| (std::cmp::Reverse(*score), id.clone()));
    expected.truncate(SHARE);
    let mut expected: Vec<(String, u64)> = expected
        .into_iter()
        .map(|(score, id)| (id, score))
        .collect();
    expected.sort();
    prop_assert_eq!(matches(&world), expected);
    Ok(())
}

#[test]
fn a_store_gets_the_best_creators_by_the_table() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(24)
    });
    let populations = (any_store(), prop::collection::vec(any_creator(), 0..24));
    let run = runner.run(&populations, |(store, creators)| {
        runtime.block_on(as_the_reference_says(store, creators))
    });
    run.unwrap();
}

#[tokio::test]
async fn a_pair_is_matched_once_whoever_is_classified_again_and_whatever_became_of_it() {
    let world = World::in_process().await;
    let names = &world.names.marketing;
    let now = world.now().unix_timestamp();
    let store = Store {
        category: 0,
        price: Some(32_000),
        budget: None,
    };
    let creator = Creator {
        number: 1,
        category: 0,
        region: Some(0),
        subscribers: 40_000,
        views: 12_000,
        rate: 600,
        silent: Some(1),
        active: true,
    };
    put(&world, &names.stores, &store.row());
    put(&world, &names.creators, &creator.row(now));
    world.quiet().await;
    let made = matches(&world);
    assert_eq!(made.len(), 1);
    let scan = world
        .services()
        .dynamo
        .call_json("Scan", &json!({"TableName": names.matches}))
        .unwrap();
    let row = &scan["Items"][0];
    let key = json!({"PK": row["PK"], "SK": row["SK"]});
    let request = json!({"TableName": names.matches, "Key": key});
    world
        .services()
        .dynamo
        .call_json("DeleteItem", &request)
        .unwrap();
    // Both are written whole, so both are classified again, with other facts.
    let store = Store {
        budget: Some(900_000),
        ..store
    };
    let creator = Creator {
        subscribers: 50_000,
        ..creator
    };
    put(&world, &names.stores, &store.row());
    put(&world, &names.creators, &creator.row(now));
    world.quiet().await;
    assert_eq!(matches(&world), []);
}

#[tokio::test]
async fn hundreds_of_creators_are_looked_at_with_few_requests() {
    let world = World::in_process().await;
    let names = &world.names.marketing;
    let now = world.now().unix_timestamp();
    for number in 0..250 {
        let creator = Creator {
            number,
            category: 0,
            region: Some(0),
            subscribers: 40_000,
            views: 12_000,
            rate: 600,
            silent: Some(1),
            active: true,
        };
        put(&world, &names.creators, &creator.row(now));
    }
    world.quiet().await;
    let store = Store {
        category: 0,
        price: Some(32_000),
        budget: None,
    };
    put(&world, &names.stores, &store.row());
    world.quiet_without(&["match-creators"]).await;
    world.tap.arm(None);
    for (event, seen) in world.stream_events("match-creators").await {
        world.deliver("match-creators", &event).await;
        world.checkpoint(seen);
    }
    let calls = world.tap.calls();
    assert_eq!(matches(&world).len(), SHARE);
    // Two requests for each match; of the creators and of their pairs a hundred at once.
    assert!(calls.len() < 45, "{} requests: {calls:?}", calls.len());
}

/// A sample as DynamoDB's JSON.
fn typed(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"S": text}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), typed(value)));
            json!({"M": fields.collect::<serde_json::Map<_, _>>()})
        }
        other => panic!("the samples have no {other}"),
    }
}

fn sample(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn every_pair_of_the_sample_day_is_matched() {
    let world = World::in_process().await;
    let names = &world.names.marketing;
    let now = world.now().unix_timestamp();
    for one in sample(include_str!(
        "../../events-fixtures/marketing/samples/creators.json"
    )) {
        let mut row = typed(&one)["M"].clone();
        let word = |name: &str| one[name].as_str().unwrap();
        row["PK"] = json!({"S": format!("CREATOR#{}", word("creatorId"))});
        row["SK"] = json!({"S": format!("PLATFORM#{}#{}", word("platform"), word("channelId"))});
        let days = one["lastActiveDaysAgo"].as_i64().unwrap();
        row["lastActiveAt"] = json!({"N": (now - days * 86_400).to_string()});
        put(&world, &names.creators, &row);
    }
    for one in sample(include_str!(
        "../../events-fixtures/marketing/samples/stores.json"
    )) {
        let mut row = typed(&one)["M"].clone();
        row["PK"] = json!({"S": format!("STORE#{}", one["storeId"].as_str().unwrap())});
        row["SK"] = json!({"S": "PROFILE#2026-11-21T00:00:00.000Z"});
        put(&world, &names.stores, &row);
    }
    world.quiet().await;
    let scan = json!({"TableName": names.matches});
    let scan = world.services().dynamo.call_json("Scan", &scan).unwrap();
    let made: Vec<(Value, Value)> = scan["Items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["storeId"]["S"].clone(), row["creatorId"]["S"].clone()))
        .collect();
    for step in sample(include_str!(
        "../../events-fixtures/marketing/samples/steps.json"
    )) {
        let pair = (step["storeId"].clone(), step["creatorId"].clone());
        assert!(made.contains(&pair), "{pair:?} is not matched: {made:?}");
    }
}
