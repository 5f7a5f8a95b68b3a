//! What is different on a vector collection of OpenSearch Serverless.
//!
//! The service chooses `_id` itself, knows no versions, and shows a write only after some seconds. So a point's states are known by
//! their fields, and a change is a loop that ends when what can be seen is what should be: the newest state of the id, once.
//!
//! Not held there: a search walks the graph, which may miss some, and brings at most 10,000; and between two attempts on one id, the
//! older of its states can be found for a moment.

use std::collections::{BTreeMap, HashSet};

use millrace_events::Failure;
use opensearch::http::Method;
use serde_json::json;

use super::{
    super::{bulk, documents::hits_of, serverless::Patience, wire::Wire},
    documents::State,
    search::STATES_A_REQUEST,
};

/// A document as it is seen.
struct Seen {
    id: String,
    state: State,
}

/// Writes states, each unless a newer one can be seen; the newest can be found, once, when this returns.
pub(super) async fn write(wire: &Wire, states: Vec<State>) -> Result<(), Failure> {
    let mut wanted: BTreeMap<String, State> = BTreeMap::new();
    for state in states {
        // Of one id twice in one call, the newer one counts, of equal ones the later.
        match wanted.get(state.id()) {
            Some(other) if other.revision() > state.revision() => {}
            _ => drop(wanted.insert(state.id().to_owned(), state)),
        }
    }
    let wanted: Vec<State> = wanted.into_values().collect();
    for wanted in wanted.chunks(STATES_A_REQUEST) {
        write_some(wire, wanted).await?;
    }
    Ok(())
}

async fn write_some(wire: &Wire, wanted: &[State]) -> Result<(), Failure> {
    let ids: Vec<&str> = wanted.iter().map(State::id).collect();
    let mut patience = Patience::default();
    let mut is_written = false;
    let mut deleted: HashSet<String> = HashSet::new();
    loop {
        let mut seen = list(wire, &ids).await?;
        let (missing, superfluous) = plan(&mut seen, wanted);
        if missing.is_empty() && superfluous.is_empty() {
            return Ok(());
        }
        if !is_written {
            let mut requests = bulk::Requests::default();
            for state in &missing {
                requests.add(&json!({"index": {}}), Some(&state.to_document()?));
            }
            for request in requests.all() {
                bulk::send(wire, "put points", request, bulk::Conflicts::Refused).await?;
            }
            is_written = true;
        }
        // The old ones leave when the new ones can be seen.
        if missing.is_empty() {
            let fresh = superfluous.into_iter();
            let fresh: Vec<String> = fresh.filter(|id| deleted.insert(id.clone())).collect();
            bulk::delete(wire, &fresh).await?;
        }
        patience
            .wait(wire, "points that were written cannot be found as they are")
            .await?;
    }
}

/// Which states are to be written, and the `_id`s of documents that are to go. Of each id the newest state stays; of twins the one
/// with the lowest `_id`: two attempts at the same time choose the same one.
fn plan<'a>(seen: &mut [Seen], wanted: &'a [State]) -> (Vec<&'a State>, Vec<String>) {
    seen.sort_by(|left, right| left.id.cmp(&right.id));
    let mut missing = Vec::new();
    let mut superfluous = Vec::new();
    for wanted in wanted {
        let of_it: Vec<&Seen> = seen
            .iter()
            .filter(|seen| seen.state.id() == wanted.id())
            .collect();
        let newest = of_it.iter().map(|seen| seen.state.revision()).max();
        let is_older = newest.is_some_and(|newest| newest > wanted.revision());
        let stays = of_it.iter().position(|seen| {
            if is_older {
                Some(seen.state.revision()) == newest
            } else {
                seen.state == *wanted
            }
        });
        if stays.is_none() {
            missing.push(wanted);
        }
        let goes = of_it.iter().enumerate();
        let goes = goes.filter(|(place, _)| Some(*place) != stays);
        superfluous.extend(goes.map(|(_, seen)| seen.id.clone()));
    }
    (missing, superfluous)
}

/// The newest state of each of these ids that can be seen.
pub(super) async fn newest(wire: &Wire, ids: &[&str]) -> Result<Vec<State>, Failure> {
    let mut newest: BTreeMap<String, State> = BTreeMap::new();
    for ids in ids.chunks(STATES_A_REQUEST) {
        for Seen { state, .. } in list(wire, ids).await? {
            match newest.get(state.id()) {
                Some(other) if other.revision() >= state.revision() => {}
                _ => drop(newest.insert(state.id().to_owned(), state)),
            }
        }
    }
    Ok(newest.into_values().collect())
}

/// Every document of these ids.
async fn list(wire: &Wire, ids: &[&str]) -> Result<Vec<Seen>, Failure> {
    let mut seen = Vec::new();
    let mut body = json!({
        "size": STATES_A_REQUEST,
        "_source": {"excludes": ["embedding"]},
        "query": {"bool": {"filter": [{"terms": {"id": ids}}]}},
        // Twins of one revision beyond a page's end would be missed: they are deleted by further rounds.
        "sort": [{"id": "asc"}, {"revision": "asc"}],
    });
    loop {
        let text = Some(body.to_string());
        let mut answer = wire
            .ask_index("list points", Method::Post, "/_search", &[], text)
            .await?;
        let mut page = hits_of(&mut answer);
        let after = page.last().map(|last| last["sort"].clone());
        let is_last = page.len() < STATES_A_REQUEST;
        for hit in &mut page {
            let id = hit["_id"].as_str().unwrap_or_default().to_owned();
            if let Some(state) = State::from_source(hit["_source"].take()) {
                seen.push(Seen { id, state });
            }
        }
        match after {
            Some(after) if !is_last => body["search_after"] = after,
            _ => return Ok(seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: &str, of: &str, revision: u64) -> Seen {
        Seen {
            id: id.to_owned(),
            state: state(of, revision),
        }
    }

    fn state(id: &str, revision: u64) -> State {
        State::Removed {
            id: id.to_owned(),
            revision,
        }
    }

    #[test]
    fn the_newest_state_stays_and_of_twins_the_lowest_id() {
        let wanted = [state("a", 5), state("b", 5), state("c", 5)];
        let mut there = [
            seen("z", "a", 5),
            seen("m", "a", 5),
            seen("k", "a", 4),
            seen("j", "b", 4),
            seen("y", "c", 7),
            seen("x", "c", 7),
            seen("w", "c", 5),
        ];
        let (missing, superfluous) = plan(&mut there, &wanted);
        assert_eq!(missing, [&wanted[1]]);
        assert_eq!(superfluous, ["k", "z", "j", "w", "y"]);
    }
}
