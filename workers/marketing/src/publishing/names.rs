//! What stores and creators are called in a report.
//!
//! A name is what it was when the report was first made: names change, and rows of stores expire, but the report of a day is to be
//! the same however often it is made.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::classify;
use millrace_events::Failure;
use serde_json::Value;

use crate::Marketing;

/// The names in a report, by id.
#[derive(Debug, Default)]
pub(super) struct NameBook {
    known: BTreeMap<String, Option<String>>,
}

impl NameBook {
    /// With the names in the report that lies there. One that cannot be read has none.
    pub(super) fn of(json: Option<&bytes::Bytes>) -> Self {
        let report: Value = json
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let named = |entry: &Value, id: &str, name: &str| {
            Some((text(&entry[id])?, Some(text(&entry[name])?)))
        };
        let entries = |list: &Value| list.as_array().cloned().unwrap_or_default();
        let stores = entries(&report["by"]["store"]);
        let creators = entries(&report["creators"]);
        let known = stores
            .iter()
            .filter_map(|entry| named(entry, "key", "name"))
            .chain(
                creators
                    .iter()
                    .filter_map(|entry| named(entry, "creatorId", "name")),
            )
            .chain(named(&report, "storeId", "storeName"));
        Self {
            known: known.collect(),
        }
    }

    /// What a store is called, if anybody knows.
    pub(super) async fn store(
        &mut self,
        marketing: &Marketing,
        id: &str,
    ) -> Result<Option<String>, Failure> {
        let names = &marketing.names;
        self.look(
            marketing,
            &names.stores,
            ("STORE#", "PROFILE#"),
            id,
            "storeName",
        )
        .await
    }

    /// What a creator is called, if anybody knows.
    pub(super) async fn creator(
        &mut self,
        marketing: &Marketing,
        id: &str,
    ) -> Result<Option<String>, Failure> {
        let names = &marketing.names;
        self.look(
            marketing,
            &names.creators,
            ("CREATOR#", "PLATFORM#"),
            id,
            "channelName",
        )
        .await
    }

    async fn look(
        &mut self,
        marketing: &Marketing,
        table: &str,
        (prefix, below): (&str, &str),
        id: &str,
        attribute: &str,
    ) -> Result<Option<String>, Failure> {
        if let Some(known) = self.known.get(id) {
            return Ok(known.clone());
        }
        let answer = marketing
            .clients
            .dynamodb
            .query()
            .table_name(table)
            .key_condition_expression("PK = :id AND begins_with(SK, :below)")
            .expression_attribute_values(":id", AttributeValue::S(format!("{prefix}{id}")))
            .expression_attribute_values(":below", AttributeValue::S(below.to_owned()))
            .scan_index_forward(false)
            .consistent_read(true)
            .limit(1)
            .send()
            .await
            .map_err(|error| classify("look up a name for a report", error))?;
        let row = answer.items.unwrap_or_default().into_iter().next();
        let name = row.and_then(|row| row.get(attribute)?.as_s().ok().cloned());
        let name = name.filter(|name| !name.trim().is_empty());
        self.known.insert(id.to_owned(), name.clone());
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_report_are_known_and_those_that_nobody_knew_are_looked_up_again() {
        let json = serde_json::json!({
            "storeId": "s-1", "storeName": "물레방아",
            "by": {"store": [{"key": "s-2", "name": "버들내"}, {"key": "s-3"}]},
            "creators": [{"creatorId": "c-1", "name": "수진"}, {"creatorId": "c-2", "name": null}],
        });
        let book = NameBook::of(Some(&json.to_string().into()));
        let known: Vec<(&str, Option<&str>)> = book
            .known
            .iter()
            .map(|(id, name)| (id.as_str(), name.as_deref()))
            .collect();
        assert_eq!(
            known,
            [
                ("c-1", Some("수진")),
                ("s-1", Some("물레방아")),
                ("s-2", Some("버들내"))
            ]
        );
        assert!(NameBook::of(Some(&"no report".into())).known.is_empty());
        assert!(NameBook::of(None).known.is_empty());
    }
}
