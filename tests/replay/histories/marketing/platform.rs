//! The platform, in a world: how what people do reaches its tables.

use std::{collections::BTreeMap, time::Duration};

use millrace_marketing::workflow::Status;
use millrace_tests::World;
use serde_json::{Value, json};

use super::{Campaign, Look, Step, creator_id, match_key, store_id};

/// What was read of campaigns' rows.
pub(super) type Campaigns = BTreeMap<Campaign, Value>;

/// The budgets that a campaign's row may say.
const BUDGETS: [Option<u32>; 3] = [Some(500_000), Some(90_000), None];

/// What of a campaign's row is not the platform's, besides what is within budget.
const FOLLOWS: [&str; 4] = [
    "creators",
    "creatorsTotal",
    "performance",
    "projectedChanges",
];

/// The platform, in a world.
pub(super) struct Platform<'a>(pub &'a World);

impl Platform<'_> {
    fn names(&self) -> &millrace_marketing::Names {
        &self.0.names.marketing
    }

    fn call(&self, operation: &str, request: &Value) -> Value {
        let dynamo = &self.0.services().dynamo;
        dynamo.call_json(operation, request).unwrap()
    }

    fn put(&self, table: &str, row: &Value) {
        self.call("PutItem", &json!({"TableName": table, "Item": row}));
    }

    fn match_row(&self, one: u8) -> Option<Value> {
        self.get(&self.names().matches, &key_of(one))
    }

    /// Sets attributes of a match that is there.
    fn set(&self, one: u8, values: &[(&str, Value)]) {
        if self.match_row(one).is_none() {
            return;
        }
        let (mut sets, mut names, mut given) = (Vec::new(), json!({}), json!({}));
        for (nth, (name, value)) in values.iter().enumerate() {
            sets.push(format!("#n{nth} = :v{nth}"));
            names[format!("#n{nth}")] = json!(name);
            given[format!(":v{nth}")] = value.clone();
        }
        let request = json!({
            "TableName": self.names().matches, "Key": key_of(one),
            "UpdateExpression": format!("SET {}", sets.join(", ")),
            "ExpressionAttributeNames": names, "ExpressionAttributeValues": given,
        });
        self.call("UpdateItem", &request);
    }

    fn get(&self, table: &str, key: &Value) -> Option<Value> {
        let request = json!({"TableName": table, "Key": key});
        self.call("GetItem", &request).get("Item").cloned()
    }

    fn delete(&self, table: &str, key: &Value) {
        self.call("DeleteItem", &json!({"TableName": table, "Key": key}));
    }

    /// Writes a campaign's whole row over, with its figures as they were read when this was last done.
    fn rewrite(&self, campaign: Campaign, budget: u8, stale: bool, read: &mut Campaigns) {
        let table = &self.names().campaigns;
        let Some(now) = self.get(table, &key_of_campaign(campaign)) else {
            return;
        };
        let mut row = now.clone();
        let fields = row.as_object_mut().unwrap();
        fields.retain(|name, _| !FOLLOWS.contains(&name.as_str()));
        let mut own = budget_of(budget);
        let before = read.insert(campaign, now);
        if let Some(before) = before.filter(|_| stale) {
            for name in FOLLOWS {
                fields.extend(
                    before
                        .get(name)
                        .map(|value| (name.to_owned(), value.clone())),
                );
            }
            for name in ["spent", "committed", "remaining"] {
                if let Some(value) = before["budget"]["M"].get(name) {
                    own["M"][name] = value.clone();
                }
            }
        }
        fields.insert("budget".to_owned(), own);
        self.put(table, &row);
    }

    pub(super) async fn take(&self, step: Step, read: &mut Campaigns) {
        self.0.wait(Duration::from_secs(60));
        match step {
            Step::Store {
                store,
                look,
                active,
            } => self.put(&self.names().stores, &store_row(store, look, active)),
            Step::Creator {
                creator,
                channel,
                look,
            } => self.put(&self.names().creators, &creator_row(creator, channel, look)),
            Step::Campaign { campaign, look } => {
                self.put(&self.names().campaigns, &campaign_row(campaign, look));
            }
            Step::Rewrite {
                campaign,
                budget,
                stale,
            } => self.rewrite(campaign, budget, stale, read),
            Step::Drop { campaign } => {
                self.delete(&self.names().campaigns, &key_of_campaign(campaign));
            }
            Step::Name { one, campaign } => {
                self.set(one, &[("campaignId", text(&campaign_id(campaign)))]);
            }
            Step::Make { one, status } => {
                let mut row = key_of(one);
                row["status"] = text(status.word());
                row["matchScore"] = json!({"N": "72.5"});
                self.put(&self.names().matches, &row);
            }
            Step::Move { one, other } => {
                let row = self.match_row(one);
                let status = row.and_then(|row| Status::of_word(row["status"]["S"].as_str()?));
                let next = status.map(Status::next).unwrap_or_default();
                let next = if other { next.last() } else { next.first() };
                if let Some(next) = next {
                    self.set(one, &[("status", text(next.word()))]);
                }
            }
            Step::Set { one, status } => self.set(one, &[("status", text(status.word()))]),
            Step::Overwrite { one } => {
                if let Some(mut row) = self.match_row(one) {
                    let kept = [
                        "PK",
                        "SK",
                        "status",
                        "matchScore",
                        "agreedCost",
                        "campaignId",
                    ];
                    let fields = row.as_object_mut().unwrap();
                    fields.retain(|name, _| kept.contains(&name.as_str()));
                    self.put(&self.names().matches, &row);
                }
            }
            Step::Score { one, score } => {
                let cost = json!({"N": (u32::from(score) * 1_000).to_string()});
                let score = json!({"N": score.to_string()});
                self.set(one, &[("matchScore", score), ("agreedCost", cost)]);
            }
            Step::Delete { one } => {
                self.delete(&self.names().matches, &key_of(one));
            }
            Step::Month => {
                self.0.wait(Duration::from_secs(31 * 24 * 60 * 60));
                self.0.services().sweep().await.unwrap();
            }
            Step::Rebuild => {}
        }
    }
}

fn text(value: &str) -> Value {
    json!({"S": value})
}

fn key_of(one: u8) -> Value {
    let (partition, sort) = match_key(one).parts();
    json!({"PK": {"S": partition}, "SK": {"S": sort}})
}

fn store_row(store: u8, look: u8, active: bool) -> Value {
    let price = [9_000, 25_000, 45_000][usize::from(look)];
    json!({
        "PK": {"S": format!("STORE#{}", store_id(store))}, "SK": {"S": "PROFILE#2026-11-20T00:00:00.000Z"},
        "primaryCategory": {"S": if look == 2 { "식당" } else { "카페" }},
        "location": {"M": {"city": {"S": "서울"}, "district": {"S": "마포구"}}},
        "priceAnalysis": {"M": {"averagePrice": {"N": price.to_string()}}},
        "status": {"S": if active { "active" } else { "inactive" }},
    })
}

fn creator_row(creator: u8, channel: u8, look: u8) -> Value {
    // The last look is of a channel that cannot be classified.
    let subscribers = ["900", "8000", "45000", "-1"][usize::from(look)];
    let platform = ["youtube", "tiktok"][usize::from(channel)];
    json!({
        "PK": {"S": format!("CREATOR#{}", creator_id(creator))}, "SK": {"S": format!("PLATFORM#{platform}#UC1")},
        "platform": {"S": platform}, "category": {"S": if creator == 2 { "식당" } else { "카페" }},
        "region": {"S": "서울 마포구"}, "status": {"S": "active"},
        "statistics": {"M": {
            "subscribers": {"N": subscribers}, "avgViews": {"N": "400"}, "engagementRate": {"N": "5.5"},
        }},
        "lastActiveAt": {"S": "2026-11-20T00:00:00.000Z"},
    })
}

fn campaign_id(Campaign { store, nth }: Campaign) -> String {
    format!("{store:04x}{nth:04x}-0000-4000-8000-00000000abcd")
}

fn key_of_campaign(campaign: Campaign) -> Value {
    json!({
        "PK": {"S": format!("CAMPAIGN#{}", campaign_id(campaign))},
        "SK": {"S": format!("STORE#{}", store_id(campaign.store))},
    })
}

fn budget_of(budget: u8) -> Value {
    let mut own = json!({"M": {"currency": {"S": "KRW"}}});
    if let Some(total) = BUDGETS[usize::from(budget)] {
        own["M"]["total"] = json!({"N": total.to_string()});
    }
    own
}

fn campaign_row(campaign: Campaign, look: Look) -> Value {
    let mut row = key_of_campaign(campaign);
    row["campaignId"] = text(&campaign_id(campaign));
    row["status"] = text(if look == Look::Over {
        "completed"
    } else {
        "active"
    });
    row["GSI2PK"] = row["SK"].clone();
    row["GSI2SK"] = text(&format!("DATE#2026-11-{}T00:00:00.000Z", 17 + campaign.nth));
    row["budget"] = if look == Look::Unreadable {
        text("much")
    } else {
        budget_of(0)
    };
    row
}
