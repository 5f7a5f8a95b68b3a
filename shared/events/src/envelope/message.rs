//! Messages that are no envelope: JSON of the platform's own.

use serde_json::Value;
use uuid::Uuid;

use super::{optional_text, parse_time};
use crate::{Payload, Record, Version};

/// The namespace of ids that are functions of content.
const CONTENT: Uuid = Uuid::from_u128(0x5b0f_3c1e_9a57_4f0b_8d4e_6a1c_20e7_91d3);

/// A bare message is known by its own id (`eventId`, else `id`); one without is known by its content.
pub(super) fn decode(value: &Value) -> Record {
    let own_id = optional_text(value, "/eventId").or_else(|| optional_text(value, "/id"));
    let id = own_id
        .filter(|id| !id.is_empty())
        .map_or_else(|| format!("content:{}", content_id(value)), str::to_owned);
    Record {
        subject: id.clone(),
        id,
        version: Version::default(),
        occurred_at: optional_text(value, "/time").and_then(parse_time),
        payload: Payload::Message(value.clone()),
    }
}

/// An id that is a function of the content: the order of an object's fields does not matter.
pub(super) fn content_id(value: &Value) -> Uuid {
    let mut canonical = String::new();
    write_canonical(value, &mut canonical);
    Uuid::new_v5(&CONTENT, canonical.as_bytes())
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| name.as_str());
            text.push('{');
            for (name, field) in sorted {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(field, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(entries) => {
            text.push('[');
            for entry in entries {
                write_canonical(entry, text);
                text.push(',');
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_known_by_its_own_id() {
        assert_eq!(decode(&json!({"eventId": "e-1", "id": "x"})).id, "e-1");
        assert_eq!(decode(&json!({"id": "x"})).id, "x");
    }

    #[test]
    fn content_ids_differ_with_content_only() {
        let one = content_id(&json!({"a": 1, "b": [1, "2"]}));
        assert_eq!(one, content_id(&json!({"b": [1, "2"], "a": 1})));
        assert_ne!(one, content_id(&json!({"a": 1, "b": [1, 2]})));
        assert_ne!(
            content_id(&json!({"a": "b"})),
            content_id(&json!(["a", "b"]))
        );
    }
}
