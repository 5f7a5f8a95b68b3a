//! What other tables say of a store and of a creator.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::classify;
use millrace_effects::{Row, key};
use millrace_events::{Failure, Item, fields::Fields};

use crate::{
    attributes::text, context::Marketing, creators::Channel, progress::Traits, stores::Store,
};

/// Rows that are read of one creator at most: a creator has a few channels.
const CHANNELS: i32 = 25;
/// So many that share a category or a place are looked at.
const MOST_PROPOSED: usize = 2_000;
/// Campaigns of a store that are looked at: the newest.
const CAMPAIGNS: i32 = 50;

/// The newest profile of a store.
///
/// # Errors
/// The table's.
pub async fn store_row(marketing: &Marketing, store: &str) -> Result<Option<Row>, Failure> {
    let table = &marketing.names.stores;
    let store = format!("STORE#{store}");
    let rows = rows_of(marketing, table, &store, "PROFILE#", 1);
    Ok(rows.await?.into_iter().next())
}

/// The channels of a creator.
///
/// # Errors
/// The table's.
pub async fn creator_rows(marketing: &Marketing, creator: &str) -> Result<Vec<Row>, Failure> {
    let table = &marketing.names.creators;
    let creator = format!("CREATOR#{creator}");
    rows_of(marketing, table, &creator, "PLATFORM#", CHANNELS).await
}

/// The last rows under a key, read consistently.
async fn rows_of(
    marketing: &Marketing,
    table: &str,
    partition: &str,
    prefix: &str,
    limit: i32,
) -> Result<Vec<Row>, Failure> {
    let request = marketing
        .clients
        .dynamodb
        .query()
        .table_name(table)
        .key_condition_expression("PK = :partition AND begins_with(SK, :prefix)")
        .expression_attribute_values(":partition", text(partition))
        .expression_attribute_values(":prefix", text(prefix))
        .consistent_read(true)
        .scan_index_forward(false)
        .limit(limit);
    let answer = request.send().await;
    let answer = answer.map_err(|error| classify(&format!("read rows of {table}"), error))?;
    Ok(answer.items.unwrap_or_default())
}

/// What stores and creators say of a match's two sides. A row that cannot be read says nothing: its own worker parks it.
///
/// # Errors
/// The tables'.
pub async fn traits_of(
    marketing: &Marketing,
    store: &str,
    creator: &str,
    platform: Option<&str>,
) -> Result<Traits, Failure> {
    let row = store_row(marketing, store).await?.map(Item::from);
    let profile = row.and_then(|row| Store::of(&row, &row).ok());
    let rows = creator_rows(marketing, creator).await?;
    let channels = rows.into_iter().map(Item::from);
    let channels = channels.filter_map(|row| Channel::of(&row, &row).ok());
    let channels =
        channels.filter(|channel| platform.is_none_or(|wanted| wanted == channel.platform));
    let channel = channels.max_by_key(|channel| channel.subscribers);
    Ok(Traits {
        location: profile.as_ref().and_then(Store::location),
        category: profile.and_then(|profile| profile.category),
        tier: channel
            .as_ref()
            .map(|channel| channel.tier().word().to_owned()),
        platform: channel.map(|channel| channel.platform.to_owned()),
    })
}

/// The newest active campaign of a store. The index proposes, the row decides.
///
/// # Errors
/// The table's.
pub async fn active_campaign(
    marketing: &Marketing,
    store: &str,
) -> Result<Option<String>, Failure> {
    let table = &marketing.names.campaigns;
    let request = marketing
        .clients
        .dynamodb
        .query()
        .table_name(table)
        .index_name("campaign-store-index")
        .key_condition_expression("GSI2PK = :store AND begins_with(GSI2SK, :prefix)")
        .expression_attribute_values(":store", text(format!("STORE#{store}")))
        .expression_attribute_values(":prefix", text("DATE#"))
        .scan_index_forward(false)
        .limit(CAMPAIGNS);
    let answer = request.send().await;
    let answer = answer.map_err(|error| classify("look for a store's campaigns", error))?;
    for proposed in answer.items.unwrap_or_default() {
        let part = |name: &str| proposed.get(name).and_then(|value| value.as_s().ok());
        let (Some(partition), Some(sort)) = (part("PK"), part("SK")) else {
            continue;
        };
        let Some(campaign) = partition.strip_prefix("CAMPAIGN#").map(str::to_owned) else {
            continue;
        };
        if !is_active(&proposed) || sort != &format!("STORE#{store}") {
            continue;
        }
        let row = marketing
            .table
            .read(table, key([("PK", partition), ("SK", sort)]));
        if row.await?.as_ref().is_some_and(is_active) {
            return Ok(Some(campaign));
        }
    }
    Ok(None)
}

fn is_active(row: &Row) -> bool {
    row.get("status").is_some_and(says_active)
}

fn says_active(status: &AttributeValue) -> bool {
    let word = status.as_s().map(|word| word.trim().to_lowercase());
    word.is_ok_and(|word| word == "active")
}

/// Whether a row of stores or creators says that it is active.
pub fn row_is_active(row: &Item) -> bool {
    let status = Fields::of("row", row).text("status");
    status.is_ok_and(|status| status.is_some_and(|word| word.trim().eq_ignore_ascii_case("active")))
}

/// The rows that indexes have under these values, each once, as they are now: the indexes propose, the rows are read consistently, a
/// hundred a request. Rows that are gone are left out.
///
/// # Errors
/// The table's.
pub async fn proposed(
    marketing: &Marketing,
    table: &str,
    places: &[Place],
    mut take: impl FnMut(Item),
) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for place in places {
        let mut of_place = 0;
        let mut from = None;
        loop {
            let (keys, next) = place.page(marketing, table, from).await?;
            of_place += keys.len();
            let new = keys.into_iter().filter(|key| seen.insert(key.clone()));
            let wanted = new.map(|(partition, sort)| {
                let key = key([("PK", &*partition), ("SK", &*sort)]);
                (table.to_owned(), key)
            });
            let wanted: Vec<_> = wanted.collect();
            if !wanted.is_empty() {
                let mut found = marketing.table.read_many(wanted).await?;
                let rows = found.remove(table).unwrap_or_default();
                rows.into_iter().map(Item::from).for_each(&mut take);
            }
            from = next;
            if from.is_none() || of_place >= MOST_PROPOSED {
                break;
            }
        }
    }
    Ok(())
}

/// A value in an index.
#[derive(Debug, Clone)]
pub struct Place {
    /// The index.
    pub index: &'static str,
    /// Its partition key.
    pub attribute: &'static str,
    /// What stands there.
    pub value: String,
}

impl Place {
    /// Keys of rows, and where the next page begins.
    async fn page(
        &self,
        marketing: &Marketing,
        table: &str,
        from: Option<Row>,
    ) -> Result<(Vec<(String, String)>, Option<Row>), Failure> {
        let request = marketing
            .clients
            .dynamodb
            .query()
            .table_name(table)
            .index_name(self.index)
            .key_condition_expression(format!("{} = :value", self.attribute))
            .expression_attribute_values(":value", text(&*self.value))
            .projection_expression("PK, SK")
            .set_exclusive_start_key(from);
        let answer = request.send().await;
        let attempted = format!("look into {}", self.index);
        let answer = answer.map_err(|error| classify(&attempted, error))?;
        let part = |row: &Row, name: &str| row.get(name)?.as_s().ok().cloned();
        let keys = { answer.items() }
            .iter()
            .filter_map(|row| Some((part(row, "PK")?, part(row, "SK")?)));
        Ok((keys.collect(), answer.last_evaluated_key))
    }
}
