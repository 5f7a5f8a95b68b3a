//! Which of a stream's records go together (`ParallelizationFactor`).
//!
//! Records of one item always take the same lane, so that they stay in order; different items may take
//! different lanes, which work side by side.

use std::collections::BTreeMap;

use serde_json::Value;

/// The lane of a record, from 0 to `lanes - 1`. The same over restarts.
pub(super) fn lane_of(record: &Value, lanes: usize) -> usize {
    if lanes < 2 {
        return 0;
    }
    // Sorted, because the order of attributes says nothing.
    let keys: BTreeMap<&String, String> = record["dynamodb"]["Keys"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name, value.to_string()))
        .collect();
    let mut hash = Fnv::new();
    for (name, value) in keys {
        hash.add(name.as_bytes());
        hash.add(&[0]);
        hash.add(value.as_bytes());
        hash.add(&[0]);
    }
    // The high bits are the better mixed ones.
    let spread = (hash.0 >> 32) as usize;
    spread % lanes
}

/// FNV-1a, 64 bits: stable, unlike the standard library's hasher.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_item_keeps_its_lane_whatever_happened_to_it() {
        let insert = json!({"eventName": "INSERT", "dynamodb": {"Keys": {"a": {"S": "1"}, "b": {"N": "2"}}, "NewImage": {}}});
        let remove = json!({"eventName": "REMOVE", "dynamodb": {"Keys": {"b": {"N": "2"}, "a": {"S": "1"}}}});
        assert_eq!(lane_of(&insert, 10), lane_of(&remove, 10));
    }

    #[test]
    fn items_spread_over_all_lanes() {
        let mut counts = [0_usize; 4];
        for item in 0..400 {
            let record = json!({"dynamodb": {"Keys": {"id": {"S": item.to_string()}}}});
            counts[lane_of(&record, 4)] += 1;
        }
        assert!(
            counts.iter().all(|count| (60..140).contains(count)),
            "{counts:?}"
        );
    }
}
