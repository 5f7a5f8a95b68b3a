//! What is said of a write to a table: keys and names of attributes, never their values.

use serde_json::Value;

/// So many names of attributes are told.
const NAMES_TOLD: usize = 12;

/// `table/first/second`.
pub(super) fn target(table: &str, names: &[String], key: &Value) -> String {
    let mut target = table.to_owned();
    for name in names {
        let value = &key[name];
        let part = value["S"].as_str().or_else(|| value["N"].as_str());
        target.push('/');
        target.push_str(part.unwrap_or("(binary)"));
    }
    target
}

/// What a write made of a row.
pub(super) fn summary(target: &str, before: Option<&Value>, after: Option<&Value>) -> String {
    let (before, after) = match (before, after) {
        (None, None) => return format!("delete the row {target}, which is not there"),
        (Some(_), None) => return format!("delete the row {target}"),
        (None, Some(after)) => {
            return format!("create the row {target} with {}", list(names(after)));
        }
        (Some(before), Some(after)) => (before, after),
    };
    let mut changed: Vec<&str> = names(after)
        .into_iter()
        .filter(|name| before.get(name) != after.get(name))
        .collect();
    let gone = names(before)
        .into_iter()
        .filter(|name| after.get(name).is_none());
    changed.extend(gone);
    changed.sort_unstable();
    if changed.is_empty() {
        return format!("write the row {target} as it is");
    }
    format!("update the row {target}: {}", list(changed))
}

fn names(item: &Value) -> Vec<&str> {
    let fields = item.as_object().into_iter().flatten();
    let mut names: Vec<&str> = fields.map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

fn list(names: Vec<&str>) -> String {
    let told = names
        .iter()
        .take(NAMES_TOLD)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMES_TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_write_is_told_by_its_attributes_without_their_values() {
        let row =
            json!({"id": {"S": "1"}, "status": {"S": "processing"}, "error": {"S": "secret"}});
        let ready = json!({"id": {"S": "1"}, "status": {"S": "ready"}, "at": {"S": "secret"}});
        let said = |before, after| summary("rows/1", before, after);
        assert_eq!(
            said(None, Some(&row)),
            "create the row rows/1 with error, id, status"
        );
        assert_eq!(
            said(Some(&row), Some(&ready)),
            "update the row rows/1: at, error, status"
        );
        assert_eq!(
            said(Some(&row), Some(&row)),
            "write the row rows/1 as it is"
        );
        assert_eq!(said(Some(&row), None), "delete the row rows/1");
        assert_eq!(
            said(None, None),
            "delete the row rows/1, which is not there"
        );
    }

    #[test]
    fn a_target_is_the_table_and_its_keys() {
        let names = ["user".to_owned(), "number".to_owned(), "hash".to_owned()];
        let key = json!({"user": {"S": "ada"}, "number": {"N": "7"}, "hash": {"B": "AA=="}});
        assert_eq!(target("rows", &names, &key), "rows/ada/7/(binary)");
    }
}
