//! Reading the figures of a report.

use std::collections::BTreeMap;

use millrace_events::Failure;
use time::Date;

use super::names::NameBook;
use crate::{
    Marketing,
    analytics::ledger,
    campaigns::Creator as Entry,
    report::{
        campaign::{Budget, Campaign, Creator},
        daily::{ALL, Counted, DIMENSIONS, Daily},
        figures::STATES,
    },
};

/// The figures of a day: what is counted on it, ever, and on each day after it through tomorrow.
pub(super) async fn daily(
    marketing: &Marketing,
    day: Date,
    today: Date,
    names: &mut NameBook,
) -> Result<Daily, Failure> {
    let tomorrow = today.next_day().unwrap_or(today);
    let after = std::iter::successors(day.next_day(), |day| day.next_day());
    let after: Vec<Date> = after.take_while(|day| *day <= tomorrow).collect();
    let dimensions: Vec<&str> = std::iter::once(ALL).chain(DIMENSIONS).collect();
    let mut scopes = Vec::new();
    for dimension in &dimensions {
        scopes.push(format!("{day}#{dimension}"));
        scopes.push(format!("ever#{dimension}"));
        scopes.extend(after.iter().map(|day| format!("{day}#{dimension}")));
    }
    let wanted: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let mut totals = ledger(marketing).totals_of(&wanted).await?.into_iter();
    let mut counted = dimensions.iter().map(|_| Counted {
        on_day: totals.next().unwrap_or_default(),
        ever: totals.next().unwrap_or_default(),
        after: totals.by_ref().take(after.len()).collect(),
    });
    let all = counted.next().unwrap_or_default();
    let by: [Counted; DIMENSIONS.len()] =
        std::array::from_fn(|_| counted.next().unwrap_or_default());
    let stores = by[0].ever.keys().chain(by[0].on_day.keys());
    let mut called = BTreeMap::new();
    for store in stores {
        if let Some(name) = names.store(marketing, store).await? {
            called.insert(store.clone(), name);
        }
    }
    Ok(Daily::of(&day.to_string(), &all, &by, &called))
}

/// The figures of a campaign as it is; `None`: there is no such campaign.
pub(super) async fn campaign(
    marketing: &Marketing,
    id: &str,
    names: &mut NameBook,
) -> Result<Option<Campaign>, Failure> {
    let campaigns = &marketing.campaigns;
    let Some(row) = campaigns.find(id).await? else {
        return Ok(None);
    };
    let figures = campaigns.figures(id).await?;
    let mut creators = Vec::new();
    for entry in campaigns.creators(id).await? {
        let name = names.creator(marketing, &entry.creator_id).await?;
        creators.push(creator(entry, name));
    }
    let store_name = names.store(marketing, &row.store).await?;
    Ok(Some(Campaign {
        id: row.id,
        kind: row.kind,
        status: row.status,
        store_name,
        store: row.store,
        timeline: row.timeline,
        budget: Budget {
            total: row.total,
            spent: figures.spent,
            committed: figures.committed,
            currency: row.currency,
        },
        in_it: figures.in_it,
        entered: figures.entered,
        creators,
    }))
}

fn creator(entry: Entry, name: Option<String>) -> Creator {
    let state = STATES.iter().position(|state| *state == entry.status);
    Creator {
        match_id: entry.match_id,
        creator_id: entry.creator_id,
        name,
        state: state.unwrap_or_default(),
        since: entry.since,
        score: entry.score,
        agreed_cost: entry.agreed_cost,
        expired: entry.expired,
    }
}
