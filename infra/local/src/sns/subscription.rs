//! What a subscription wants to receive, and in which form.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Publication;
use crate::error::ServiceError;
use crate::matching::Pattern;

/// What a filter policy looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterScope {
    /// The attributes of the message.
    MessageAttributes,
    /// The message itself, which must then be JSON.
    MessageBody,
}

/// The attributes of a subscription, read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SubscriptionSettings {
    pub(crate) raw: bool,
    filter: Option<Pattern>,
    scope: FilterScope,
}

impl SubscriptionSettings {
    /// Reads the attributes. Errors name the attribute.
    pub(crate) fn parse(attributes: &BTreeMap<String, String>) -> Result<Self, ServiceError> {
        let mut settings = Self {
            raw: false,
            filter: None,
            scope: FilterScope::MessageAttributes,
        };
        for (name, value) in attributes {
            match (name.as_str(), value.as_str()) {
                ("RawMessageDelivery", "true") => settings.raw = true,
                ("RawMessageDelivery", "false") => {}
                ("FilterPolicyScope", "MessageBody") => settings.scope = FilterScope::MessageBody,
                ("FilterPolicyScope", "MessageAttributes") => {}
                // An empty policy takes the policy away.
                ("FilterPolicy", "" | "{}") => {}
                ("FilterPolicy", policy) => settings.filter = Some(parse_policy(policy)?),
                ("RedrivePolicy" | "DeliveryPolicy" | "SubscriptionRoleArn", _) => {}
                (name, value) => {
                    return Err(ServiceError::client(
                        "InvalidParameter",
                        format!("Invalid parameter: Attributes: {name} = {value:?}"),
                    ));
                }
            }
        }
        Ok(settings)
    }

    /// Whether the subscription wants this publication.
    pub(crate) fn wants(&self, publication: &Publication) -> bool {
        let Some(filter) = &self.filter else {
            return true;
        };
        match self.scope {
            // Without any attribute even `"exists": false` matches nothing: AWS says so, and ministack does so.
            FilterScope::MessageAttributes => {
                !publication.attributes.is_empty()
                    && filter.matches(&attributes_as_json(publication))
            }
            FilterScope::MessageBody => {
                let body = serde_json::from_str::<Value>(&publication.message);
                body.is_ok_and(|body| body.is_object() && filter.matches(&body))
            }
        }
    }
}

fn parse_policy(policy: &str) -> Result<Pattern, ServiceError> {
    let invalid = |reason: String| {
        ServiceError::client(
            "InvalidParameter",
            format!("Invalid parameter: FilterPolicy: {reason}"),
        )
    };
    let policy: Value = serde_json::from_str(policy).map_err(|error| invalid(error.to_string()))?;
    Pattern::parse(&policy).map_err(|error| invalid(error.to_string()))
}

/// The attributes as a document for the pattern: numbers as numbers, a
/// `String.Array` as its list. Binary attributes cannot be filtered on.
fn attributes_as_json(publication: &Publication) -> Value {
    let mut document = Map::new();
    for (name, attribute) in &publication.attributes {
        let Some(text) = attribute.string_value.as_deref() else {
            continue;
        };
        let is_json = attribute.data_type == "String.Array"
            || attribute.data_type.split('.').next() == Some("Number");
        let parsed = if is_json {
            serde_json::from_str(text).ok()
        } else {
            None
        };
        document.insert(name.clone(), parsed.unwrap_or_else(|| text.into()));
    }
    Value::Object(document)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sqs::MessageAttribute;

    fn settings(pairs: &[(&str, &str)]) -> SubscriptionSettings {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        SubscriptionSettings::parse(&pairs.iter().map(owned).collect()).unwrap()
    }

    fn publication(attributes: &[(&str, &str, &str)]) -> Publication {
        let mut publication = Publication::new(r#"{"store":"north","price":{"amount":120}}"#);
        for (name, data_type, value) in attributes {
            let mut attribute = MessageAttribute::text(*value);
            attribute.data_type = (*data_type).to_owned();
            publication.attributes.insert((*name).to_owned(), attribute);
        }
        publication
    }

    #[test]
    fn attributes_are_filtered_by_their_types() {
        let order = publication(&[
            ("store", "String", "example_corp"),
            ("price", "Number", "210.75"),
            ("interests", "String.Array", r#"["soccer","rugby"]"#),
        ]);
        for (policy, expected) in [
            (r#"{"store":["example_corp"]}"#, true),
            (r#"{"store":[{"anything-but":"example_corp"}]}"#, false),
            (r#"{"price":[{"numeric":[">=",100,"<",300]}]}"#, true),
            (r#"{"price":["210.75"]}"#, false),
            (r#"{"interests":["rugby","hockey"]}"#, true),
            (r#"{"interests":["hockey"]}"#, false),
            (r#"{"missing":[{"exists":false}]}"#, true),
            (
                r#"{"store":[{"prefix":"example"}],"price":[{"numeric":["<",1]}]}"#,
                false,
            ),
        ] {
            let settings = settings(&[("FilterPolicy", policy)]);
            assert_eq!(settings.wants(&order), expected, "{policy}");
        }
        let settings = settings(&[("FilterPolicy", r#"{"missing":[{"exists":false}]}"#)]);
        assert!(!settings.wants(&publication(&[])));
    }

    #[test]
    fn the_body_is_filtered_where_the_scope_says_so() {
        let order = publication(&[]);
        let policy = r#"{"price":{"amount":[{"numeric":[">",100]}]}}"#;
        let by_body = settings(&[
            ("FilterPolicy", policy),
            ("FilterPolicyScope", "MessageBody"),
        ]);
        let by_attributes = settings(&[("FilterPolicy", policy)]);
        assert!(by_body.wants(&order));
        assert!(!by_attributes.wants(&order));
        assert!(!by_body.wants(&Publication::new("not json")));
    }

    #[test]
    fn attributes_that_are_not_known_are_refused() {
        for (name, value) in [
            ("RawDelivery", "true"),
            ("FilterPolicy", r#"{"a":[{"like":"x"}]}"#),
        ] {
            let attributes = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            let error = SubscriptionSettings::parse(&attributes).unwrap_err();
            assert!(error.message.contains(name), "{error}");
        }
    }
}
