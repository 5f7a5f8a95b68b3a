//! What can have happened to stores, creators, matches and campaigns before a worker wakes up.

use std::time::Duration;

use futures::future::FutureExt as _;
use millrace_marketing::workflow::Status;
use serde_json::{Value, json};

use super::{Story, Told};

const STORE: &str = "00000001-0000-4000-8000-0000000057d0";
const CREATOR: &str = "00000001-0000-4000-8000-0000000057e0";
const MATCH: &str = "00000001-0000-4000-8000-0000000057f0";
const SPRING: &str = "00000001-0000-4000-8000-0000000057a1";
const AUTUMN: &str = "00000002-0000-4000-8000-0000000057a1";

/// A time that is over, in seconds since 1970.
const OVER: &str = "1700000000";

/// What only the platform writes into a match's row.
const OF_THE_PLATFORM: [&str; 6] = [
    "PK",
    "SK",
    "status",
    "matchScore",
    "agreedCost",
    "campaignId",
];

/// All of them.
pub(super) const STORIES: [Story; 14] = [
    Story {
        name: "a match goes its way to the end",
        tell: |told| {
            async move {
                told.campaign(SPRING, 1_000);
                told.all_go_on().await;
                told.makes();
                for status in &Status::ALL[1..5] {
                    told.moves(*status).await;
                }
                told.sets(&[("agreedCost", json!({"N": "300"}))]);
                told.moves(Status::Completed).await;
            }
            .boxed()
        },
    },
    Story {
        name: "a match takes a step",
        tell: |told| {
            async move {
                told.made().await;
                told.moves(Status::Contacted).await;
            }
            .boxed()
        },
    },
    Story {
        name: "a match expires",
        tell: |told| {
            async move {
                told.made().await;
                // The tables' engine knows no clock but the machine's, so the row's time is set to one that is over on each.
                told.sets(&[("ttl", json!({"N": OVER}))]);
                told.world.services().sweep().await.unwrap();
            }
            .boxed()
        },
    },
    Story {
        name: "a match is deleted",
        tell: |told| {
            async move {
                told.made().await;
                told.deletes();
            }
            .boxed()
        },
    },
    Story {
        name: "a match takes a step and is deleted while the worker sleeps",
        tell: |told| {
            async move {
                told.made().await;
                told.moves(Status::Contacted).await;
                told.deletes();
            }
            .boxed()
        },
    },
    Story {
        name: "a match is written over by the platform",
        tell: |told| {
            async move {
                told.made().await;
                let mut row = told.one_match().unwrap();
                let fields = row.as_object_mut().unwrap();
                fields.retain(|name, _| OF_THE_PLATFORM.contains(&name.as_str()));
                told.put(&told.names().matches, row);
            }
            .boxed()
        },
    },
    Story {
        name: "a match goes to another campaign",
        tell: |told| {
            async move {
                told.made().await;
                told.campaign(AUTUMN, 5_000);
                told.others_go_on().await;
                told.later();
                told.sets(&[("campaignId", json!({"S": AUTUMN}))]);
            }
            .boxed()
        },
    },
    Story {
        name: "a match is deleted and made again",
        tell: |told| {
            async move {
                told.made().await;
                told.moves(Status::Contacted).await;
                told.deletes();
                told.others_go_on().await;
                told.later();
                told.makes();
            }
            .boxed()
        },
    },
    Story {
        name: "a campaign's row is written over",
        tell: |told| {
            async move {
                told.made().await;
                told.campaign(SPRING, 2_000);
            }
            .boxed()
        },
    },
    Story {
        name: "a campaign's row is written over while its match moves",
        tell: |told| {
            async move {
                told.made().await;
                told.campaign(SPRING, 2_000);
                told.moves(Status::Contacted).await;
            }
            .boxed()
        },
    },
    Story {
        name: "store and creator come into other classes",
        tell: |told| {
            async move {
                told.store(9_000);
                told.creator("8000", "식당", "부산 수영구");
                told.all_go_on().await;
                told.later();
                told.store(45_000);
                told.creator("45000", "식당", "부산 수영구");
            }
            .boxed()
        },
    },
    Story {
        name: "a step that the workflow does not have, and then one that it has",
        tell: |told| {
            async move {
                told.made().await;
                told.moves(Status::Accepted).await;
                told.moves(Status::Contacted).await;
            }
            .boxed()
        },
    },
    Story {
        name: "a match of the matching engine moves at once",
        tell: |told| {
            async move {
                told.campaign(SPRING, 1_000);
                told.store(25_000);
                told.creator("8000", "카페", "서울 마포구");
                told.others_go_on().await;
                told.later();
                if let Some(row) = told.any_match() {
                    let key = json!({"PK": row["PK"], "SK": row["SK"]});
                    told.sets_at(&key, &[("status", json!({"S": "CONTACTED"}))]);
                }
            }
            .boxed()
        },
    },
    Story {
        name: "reports of a day and of its campaign are asked for by hand",
        tell: |told| {
            async move {
                told.made().await;
                let world = told.world;
                world.wait(Duration::from_secs(24 * 60 * 60));
                for asked in [json!({"day": "2026-11-21"}), json!({"campaignId": SPRING})] {
                    world.send("publish-report", &asked.to_string()).await;
                }
            }
            .boxed()
        },
    },
];

fn key_of_match() -> Value {
    json!({
        "PK": {"S": format!("MATCH#{MATCH}")}, "SK": {"S": format!("STORE#{STORE}#CREATOR#{CREATOR}")},
    })
}

impl Told<'_> {
    fn names(&self) -> &millrace_marketing::Names {
        &self.world.names.marketing
    }

    fn call(&self, operation: &str, request: Value) -> Value {
        let dynamo = &self.world.services().dynamo;
        dynamo.call_json(operation, &request).unwrap()
    }

    fn put(&self, table: &str, row: Value) {
        self.call("PutItem", json!({"TableName": table, "Item": row}));
    }

    fn later(&self) {
        self.world.wait(Duration::from_secs(60));
    }

    fn store(&self, price: u32) {
        let row = json!({
            "PK": {"S": format!("STORE#{STORE}")}, "SK": {"S": "PROFILE#2026-11-20T00:00:00.000Z"},
            "primaryCategory": {"S": "카페"}, "status": {"S": "active"},
            "location": {"M": {"city": {"S": "서울"}, "district": {"S": "마포구"}}},
            "priceAnalysis": {"M": {"averagePrice": {"N": price.to_string()}}},
        });
        self.put(&self.names().stores, row);
    }

    fn creator(&self, subscribers: &str, category: &str, region: &str) {
        let row = json!({
            "PK": {"S": format!("CREATOR#{CREATOR}")}, "SK": {"S": "PLATFORM#youtube#UC1"},
            "platform": {"S": "youtube"}, "status": {"S": "active"},
            "category": {"S": category}, "region": {"S": region},
            "statistics": {"M": {
                "subscribers": {"N": subscribers}, "avgViews": {"N": "4000"}, "engagementRate": {"N": "5.5"},
            }},
            "lastActiveAt": {"S": "2026-11-20T00:00:00.000Z"},
        });
        self.put(&self.names().creators, row);
    }

    /// The platform writes the campaign's whole row.
    fn campaign(&self, id: &str, total: u32) {
        let row = json!({
            "PK": {"S": format!("CAMPAIGN#{id}")}, "SK": {"S": format!("STORE#{STORE}")},
            "campaignId": {"S": id}, "status": {"S": "active"},
            "GSI2PK": {"S": format!("STORE#{STORE}")}, "GSI2SK": {"S": "DATE#2026-11-18T00:00:00.000Z"},
            "budget": {"M": {"total": {"N": total.to_string()}, "currency": {"S": "KRW"}}},
        });
        self.put(&self.names().campaigns, row);
    }

    fn makes(&self) {
        let mut row = key_of_match();
        row["status"] = json!({"S": "PENDING"});
        row["matchScore"] = json!({"N": "72.5"});
        self.put(&self.names().matches, row);
    }

    /// A match that everybody knows, of a campaign.
    async fn made(&self) {
        self.campaign(SPRING, 1_000);
        self.all_go_on().await;
        self.makes();
        self.all_go_on().await;
        self.later();
    }

    /// Another state, of which everybody but the sleeper hears.
    async fn moves(&self, status: Status) {
        self.others_go_on().await;
        self.later();
        self.sets(&[("status", json!({"S": status.word()}))]);
    }

    fn sets(&self, values: &[(&str, Value)]) {
        self.sets_at(&key_of_match(), values);
    }

    fn sets_at(&self, key: &Value, values: &[(&str, Value)]) {
        for (name, value) in values {
            self.call(
                "UpdateItem",
                json!({
                    "TableName": self.names().matches, "Key": key, "UpdateExpression": "SET #name = :value",
                    "ExpressionAttributeNames": {"#name": name}, "ExpressionAttributeValues": {":value": value},
                }),
            );
        }
    }

    fn deletes(&self) {
        let request = json!({"TableName": self.names().matches, "Key": key_of_match()});
        self.call("DeleteItem", request);
    }

    fn one_match(&self) -> Option<Value> {
        let request = json!({"TableName": self.names().matches, "Key": key_of_match()});
        self.call("GetItem", request).get("Item").cloned()
    }

    fn any_match(&self) -> Option<Value> {
        let scanned = self.call("Scan", json!({"TableName": self.names().matches}));
        scanned["Items"].as_array()?.first().cloned()
    }
}
