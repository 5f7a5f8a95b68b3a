//! What is different on a vector collection of OpenSearch Serverless.
//!
//! The service chooses `_id` itself, knows neither `_refresh` nor delete-by-query, and shows a write only
//! after some seconds. So an entry is known by its fields, and a change is a loop that ends when what
//! can be seen is what should be: what is there already is not written again, and of twins that two
//! attempts wrote, all but one are removed.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use millrace_events::{Failure, reason};
use serde_json::Value;

use super::{
    bulk,
    documents::chunks,
    listing::{Listed, list},
    wire::Wire,
};
use crate::index::Entry;

/// How long a write may take to be seen; the service says a minute at most.
const VISIBLE_WITHIN: Duration = Duration::from_secs(75);
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Puts entries in by their fields; they can be found, once each, when this returns.
pub(super) async fn put(wire: &Wire, entries: &[Entry]) -> Result<(), Failure> {
    let mut by_user: HashMap<&str, HashMap<&str, &Entry>> = HashMap::new();
    for entry in entries {
        // Of the same chunk twice in one call, the later one counts.
        by_user
            .entry(&entry.user_id)
            .or_default()
            .insert(&entry.chunk_id, entry);
    }
    for (user_id, wanted) in by_user {
        put_of_user(wire, user_id, &wanted).await?;
    }
    Ok(())
}

async fn put_of_user(
    wire: &Wire,
    user_id: &str,
    wanted: &HashMap<&str, &Entry>,
) -> Result<(), Failure> {
    let ids: Vec<&str> = wanted.keys().copied().collect();
    let mut patience = Patience::default();
    let mut is_written = false;
    let mut deleted: HashSet<String> = HashSet::new();
    loop {
        let plan = Plan::of(list(wire, chunks(user_id, &ids)).await?, wanted);
        if plan.missing.is_empty() && plan.superfluous.is_empty() {
            return Ok(());
        }
        if !is_written {
            let naming = bulk::Naming::ByService;
            bulk::put(wire, &plan.missing, naming, bulk::Shown::Later).await?;
            is_written = true;
        }
        // The old ones leave when the new ones can be seen.
        if plan.missing.is_empty() {
            let fresh: Vec<String> = plan
                .superfluous
                .into_iter()
                .filter(|id| deleted.insert(id.clone()))
                .collect();
            bulk::delete(wire, &fresh).await?;
        }
        patience
            .wait(wire, "chunks that were put in cannot be found")
            .await?;
    }
}

/// What is between what is there and what should be.
struct Plan<'a> {
    missing: Vec<&'a Entry>,
    /// The `_id`s of all but one of each chunk. The one that stays has the lowest `_id`: two attempts at
    /// the same time choose the same one.
    superfluous: Vec<String>,
}

impl<'a> Plan<'a> {
    fn of(mut there: Vec<Listed>, wanted: &HashMap<&str, &'a Entry>) -> Self {
        there.sort_by(|left, right| left.id.cmp(&right.id));
        let mut kept: HashSet<String> = HashSet::new();
        let mut superfluous = Vec::new();
        for listed in there {
            let is_wanted = wanted
                .get(listed.chunk_id.as_str())
                .is_some_and(|entry| is_same(&listed, entry));
            if is_wanted && !kept.contains(&listed.chunk_id) {
                kept.insert(listed.chunk_id);
            } else {
                superfluous.push(listed.id);
            }
        }
        let missing = wanted
            .values()
            .copied()
            .filter(|entry| !kept.contains(&entry.chunk_id))
            .collect();
        Self {
            missing,
            superfluous,
        }
    }
}

fn is_same(listed: &Listed, entry: &Entry) -> bool {
    listed.generation == entry.generation && listed.content == entry.content
}

/// Removes what a query finds; it cannot be found any more when this returns.
pub(super) async fn remove(wire: &Wire, query: Value) -> Result<u64, Failure> {
    let mut patience = Patience::default();
    let mut deleted: HashSet<String> = HashSet::new();
    let mut count = 0;
    loop {
        let there = list(wire, query.clone()).await?;
        if there.is_empty() {
            return Ok(count);
        }
        let ids = there.into_iter().map(|listed| listed.id);
        let fresh: Vec<String> = ids.filter(|id| deleted.insert(id.clone())).collect();
        count += bulk::delete(wire, &fresh).await?;
        patience
            .wait(wire, "chunks that were removed can still be found")
            .await?;
    }
}

/// Growing waits, up to what the service promises.
pub(super) struct Patience {
    waited: Duration,
    next: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            waited: Duration::ZERO,
            next: FIRST_WAIT,
        }
    }
}

impl Patience {
    /// # Errors
    /// `index-unavailable`, once it has waited for longer than the service says.
    pub(super) async fn wait(&mut self, wire: &Wire, otherwise: &str) -> Result<(), Failure> {
        if self.waited >= VISIBLE_WITHIN {
            let message = format!("{otherwise} in {} after {:?}", wire.index(), self.waited);
            return Err(Failure::transient(reason::INDEX_UNAVAILABLE, message));
        }
        tokio::time::sleep(self.next).await;
        self.waited += self.next;
        self.next = (self.next * 2).min(LONGEST_WAIT);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::embedding::Embedding;

    fn entry(chunk_id: &str, generation: &str) -> Entry {
        Entry {
            chunk_id: chunk_id.to_owned(),
            user_id: "u".to_owned(),
            document_id: "d".to_owned(),
            generation: generation.to_owned(),
            chunk_index: 0,
            content: "text".to_owned(),
            embedding: Embedding::try_new(vec![1.0], 1).unwrap(),
            file_name: String::new(),
            file_type: String::new(),
            page_number: None,
            page_end: None,
            section: None,
            word_count: 0,
            tags: Vec::new(),
            created_at: String::new(),
        }
    }

    fn listed(id: &str, chunk_id: &str, generation: &str, content: &str) -> Listed {
        let [id, chunk_id, generation, content] =
            [id, chunk_id, generation, content].map(str::to_owned);
        Listed {
            id,
            chunk_id,
            generation,
            content,
        }
    }

    #[test]
    fn of_twins_the_lowest_id_stays() {
        let there = vec![
            listed("z", "a", "2", "text"),
            listed("m", "a", "2", "text"),
            listed("b", "a", "1", "text"),
            listed("c", "b", "2", "another text"),
        ];
        let (a, b) = (entry("a", "2"), entry("b", "2"));
        let wanted = HashMap::from([("a", &a), ("b", &b)]);
        let plan = Plan::of(there, &wanted);
        assert_eq!(plan.superfluous, ["b", "c", "z"]);
        assert_eq!(plan.missing, [&b]);
    }
}
