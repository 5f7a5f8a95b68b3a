//! Attribute values between DynamoDB's JSON, which the overlay speaks, and the SDK's type, which reality does.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

/// An item or a key as the SDK has it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// `None` if it is no JSON of an item.
pub(super) fn item_of(value: &Value) -> Option<Item> {
    value
        .as_object()?
        .iter()
        .map(|(name, value)| Some((name.clone(), attribute_of(value)?)))
        .collect()
}

fn attribute_of(value: &Value) -> Option<AttributeValue> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (kind, value) = object.iter().next()?;
    let texts = || -> Option<Vec<String>> {
        let list = value.as_array()?.iter();
        list.map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let blob = |value: &Value| BASE64.decode(value.as_str()?).ok().map(Blob::new);
    Some(match kind.as_str() {
        "S" => AttributeValue::S(value.as_str()?.to_owned()),
        "N" => AttributeValue::N(value.as_str()?.to_owned()),
        "B" => AttributeValue::B(blob(value)?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(value.as_bool()?),
        "SS" => AttributeValue::Ss(texts()?),
        "NS" => AttributeValue::Ns(texts()?),
        "BS" => AttributeValue::Bs(value.as_array()?.iter().map(blob).collect::<Option<_>>()?),
        "L" => {
            let list = value.as_array()?.iter();
            AttributeValue::L(list.map(attribute_of).collect::<Option<_>>()?)
        }
        "M" => AttributeValue::M(item_of(value)?),
        _ => return None,
    })
}

/// `None` if a value is of a kind that this version of the SDK does not know.
pub(super) fn json_of(item: &Item) -> Option<Value> {
    let fields: Option<Map<String, Value>> = item
        .iter()
        .map(|(name, value)| Some((name.clone(), json_of_attribute(value)?)))
        .collect();
    fields.map(Value::Object)
}

fn json_of_attribute(value: &AttributeValue) -> Option<Value> {
    let blob = |blob: &Blob| BASE64.encode(blob.as_ref());
    Some(match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::B(bytes) => json!({ "B": blob(bytes) }),
        AttributeValue::Bool(is_true) => json!({ "BOOL": is_true }),
        AttributeValue::Null(is_null) => json!({ "NULL": is_null }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::Bs(list) => json!({ "BS": list.iter().map(blob).collect::<Vec<_>>() }),
        AttributeValue::L(list) => {
            let list: Option<Vec<Value>> = list.iter().map(json_of_attribute).collect();
            json!({ "L": list? })
        }
        AttributeValue::M(map) => json!({ "M": json_of(map)? }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_kind_survives_the_way_there_and_back() {
        let item = json!({
            "s": {"S": "水車"}, "n": {"N": "-12.50"}, "b": {"B": "AAEC/w=="},
            "t": {"BOOL": true}, "f": {"BOOL": false}, "z": {"NULL": true},
            "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2"]}, "bs": {"BS": ["AA=="]},
            "l": {"L": [{"S": ""}, {"M": {"deep": {"L": []}}}]}, "m": {"M": {"x": {"N": "1"}}},
        });
        assert_eq!(json_of(&item_of(&item).unwrap()).unwrap(), item);
    }

    #[test]
    fn what_is_no_item_is_none() {
        for wrong in [
            json!({"a": "bare"}),
            json!({"a": {"S": 1}}),
            json!({"a": {"Q": "1"}}),
            json!({"a": {"B": "not base64!"}}),
            json!([]),
        ] {
            assert!(item_of(&wrong).is_none(), "{wrong}");
        }
    }
}
