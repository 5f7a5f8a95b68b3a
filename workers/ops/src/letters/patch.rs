//! Changing an event: a JSON merge patch (RFC 7386), or one value at a JSON pointer (RFC 6901).
//!
//! Envelopes carry JSON as text within JSON (`body` of an SQS message, `Message` of an SNS notification). **Where a
//! change goes into a text that is itself a JSON object or array, the text is parsed, changed, and written again.** So
//! `/Records/0/body/detail/object/key` is a place, and a patch may have an object where the event has such a text. A
//! text that is to become another text is replaced by it as a whole. What no change goes into keeps its bytes.

use serde_json::{Map, Value};

/// A change that does not fit the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The pointer is no JSON pointer.
    #[error("{0:?} is no JSON pointer: it begins with a slash")]
    NoPointer(String),
    /// The pointer leads through something that has no parts.
    #[error("there is nothing below {0:?} in the event: it is {1}")]
    NoParts(String, &'static str),
    /// The pointer's index is beyond the array.
    #[error("{0:?} is no place of the array there, which has {1} entries")]
    NoEntry(String, usize),
}

/// Changes a value by a JSON merge patch: objects are merged, null removes, anything else replaces.
pub fn merge(target: Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else {
        return patch.clone();
    };
    if let Some(inner) = inner_json(&target) {
        return Value::String(merge(inner, patch).to_string());
    }
    let mut fields = match target {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
            continue;
        }
        let before = fields.remove(name).unwrap_or(Value::Null);
        fields.insert(name.clone(), merge(before, change));
    }
    Value::Object(fields)
}

/// Puts a value at a pointer. The last part may name a field that is not there yet.
///
/// # Errors
/// [`PatchError`] when the pointer leads nowhere.
pub fn set(target: Value, pointer: &str, value: Value) -> Result<Value, PatchError> {
    if pointer.is_empty() {
        return Ok(value);
    }
    let Some(rest) = pointer.strip_prefix('/') else {
        return Err(PatchError::NoPointer(pointer.to_owned()));
    };
    let parts: Vec<String> = rest
        .split('/')
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect();
    set_at(target, &parts, value, "")
}

fn set_at(target: Value, parts: &[String], value: Value, way: &str) -> Result<Value, PatchError> {
    let Some((part, rest)) = parts.split_first() else {
        return Ok(value);
    };
    if let Some(inner) = inner_json(&target) {
        return Ok(Value::String(set_at(inner, parts, value, way)?.to_string()));
    }
    let here = format!("{way}/{part}");
    match target {
        Value::Object(mut fields) => {
            let before = match fields.remove(part) {
                Some(before) => before,
                None if rest.is_empty() => Value::Null,
                None => return Err(PatchError::NoParts(here, "not there")),
            };
            fields.insert(part.clone(), set_at(before, rest, value, &here)?);
            Ok(Value::Object(fields))
        }
        Value::Array(mut entries) => {
            let length = entries.len();
            let place = part
                .parse::<usize>()
                .ok()
                .and_then(|at| entries.get_mut(at));
            let Some(entry) = place else {
                return Err(PatchError::NoEntry(here, length));
            };
            *entry = set_at(entry.take(), rest, value, &here)?;
            Ok(Value::Array(entries))
        }
        other => Err(PatchError::NoParts(way.to_owned(), kind_of(&other))),
    }
}

/// The merge patch that leads from one value to another; `None` if they are equal. A field that becomes null cannot be
/// said by a merge patch and is left out of it.
pub fn difference(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    // A patch with an object goes into a text that is JSON, so that is where the difference must be looked for.
    if let Some(inner_before) = inner_json(before) {
        let inner_after = inner_json(after).unwrap_or_else(|| after.clone());
        if inner_after.is_object() {
            return difference(&inner_before, &inner_after);
        }
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return Some(after.clone());
    };
    let mut changes = Map::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        changes.insert(name.clone(), Value::Null);
    }
    for (name, value) in new {
        let former = old.get(name).unwrap_or(&Value::Null);
        if let Some(change) = difference(former, value) {
            changes.insert(name.clone(), change);
        }
    }
    Some(Value::Object(changes))
}

/// The same with every text that is a JSON object or array shown as what it is: for people to read and edit.
pub fn expanded(value: &Value) -> Value {
    if let Some(inner) = inner_json(value) {
        return expanded(&inner);
    }
    match value {
        Value::Object(fields) => {
            let each = |(name, field): (&String, &Value)| (name.clone(), expanded(field));
            Value::Object(fields.iter().map(each).collect())
        }
        Value::Array(entries) => Value::Array(entries.iter().map(expanded).collect()),
        scalar => scalar.clone(),
    }
}

/// The way back: where `before` has a text that is JSON, `edited` becomes a text again; one that says the same keeps
/// its bytes.
pub fn folded(before: &Value, edited: Value) -> Value {
    if let Some(inner) = inner_json(before) {
        if edited.is_string() {
            return edited;
        }
        if expanded(&inner) == edited {
            return before.clone();
        }
        return Value::String(folded(&inner, edited).to_string());
    }
    match (before, edited) {
        (Value::Object(old), Value::Object(new)) => {
            let each = |(name, field): (String, Value)| {
                let field = match old.get(&name) {
                    Some(former) => folded(former, field),
                    None => field,
                };
                (name, field)
            };
            Value::Object(new.into_iter().map(each).collect())
        }
        (Value::Array(old), Value::Array(new)) => {
            let each = |(position, entry): (usize, Value)| match old.get(position) {
                Some(former) => folded(former, entry),
                None => entry,
            };
            Value::Array(new.into_iter().enumerate().map(each).collect())
        }
        (_, edited) => edited,
    }
}

/// What a text holds, if that is a JSON object or array.
fn inner_json(value: &Value) -> Option<Value> {
    let text = value.as_str()?;
    // Most texts are none: look before parsing.
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let inner: Value = serde_json::from_str(text).ok()?;
    (inner.is_object() || inner.is_array()).then_some(inner)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text that is not JSON",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7386, appendix A, but for those whose target is a text with JSON in it.
    #[test]
    fn the_examples_of_the_rfc_hold() {
        let examples = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ];
        for (target, patch, result) in examples {
            assert_eq!(merge(target.clone(), &patch), result, "{target} {patch}");
        }
    }

    #[test]
    fn a_patch_goes_into_a_text_that_is_json() {
        let body = json!({"detail": {"object": {"key": "old", "size": 3}}}).to_string();
        let event = json!({"messageId": "m", "body": body});
        let patched = merge(
            event,
            &json!({"body": {"detail": {"object": {"key": "new"}}}}),
        );
        let inner: Value = serde_json::from_str(patched["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            inner,
            json!({"detail": {"object": {"key": "new", "size": 3}}})
        );
        assert_eq!(patched["messageId"], "m");
        let replaced = merge(patched, &json!({"body": "plain"}));
        assert_eq!(replaced["body"], "plain");
    }

    #[test]
    fn a_pointer_goes_into_a_text_that_is_json() {
        let body = json!({"Records": [{"s3": {"object": {"key": "old"}}}]}).to_string();
        let event = json!({"Records": [{"body": body}]});
        let changed = set(
            event,
            "/Records/0/body/Records/0/s3/object/key",
            json!("new"),
        )
        .unwrap();
        let inner: Value =
            serde_json::from_str(changed["Records"][0]["body"].as_str().unwrap()).unwrap();
        assert_eq!(inner["Records"][0]["s3"]["object"]["key"], "new");
    }

    #[test]
    fn a_pointer_that_leads_nowhere_says_where_it_ends() {
        let event = json!({"a": [1], "b": 2, "x/y": {}});
        let error = |pointer: &str| {
            set(event.clone(), pointer, json!(0))
                .unwrap_err()
                .to_string()
        };
        assert!(error("a").contains("begins with a slash"));
        assert!(error("/a/1").contains("has 1 entries"));
        assert!(error("/b/c").contains("it is a number"));
        assert!(error("/c/d").contains("not there"));
        let set = set(event, "/x~1y/z", json!(0)).unwrap();
        assert_eq!(set["x/y"]["z"], 0);
    }

    #[test]
    fn what_is_not_edited_keeps_its_bytes() {
        let odd = "{ \"b\":1,\n \"a\":2 }";
        let event = json!({"one": odd, "two": "{\"x\":1}"});
        let mut edited = expanded(&event);
        assert_eq!(folded(&event, edited.clone()), event);
        edited["two"]["x"] = json!(2);
        let back = folded(&event, edited);
        assert_eq!(back, json!({"one": odd, "two": "{\"x\":2}"}));
        assert_eq!(difference(&event, &back), Some(json!({"two": {"x": 2}})));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner.clone(), 0..3)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
                inner.prop_map(|value| Value::from(value.to_string())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_difference_leads_from_one_to_the_other(before in any_json(), after in any_json()) {
            let reached = match difference(&before, &after) {
                Some(patch) => merge(before.clone(), &patch),
                None => before.clone(),
            };
            prop_assert_eq!(expanded(&reached), expanded(&after));
        }

        #[test]
        fn folding_undoes_expanding(event in any_json()) {
            prop_assert_eq!(folded(&event, expanded(&event)), event);
        }
    }
}
