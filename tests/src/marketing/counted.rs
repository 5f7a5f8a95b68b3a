//! What matches and campaigns come to: a fold over their rows, written apart from the workers.
//!
//! Nothing of the workers is called here. A match's row is only taken apart by the product's own type for it.

use std::collections::BTreeMap;

use millrace_effects::{Row, Shares, Total};
use millrace_marketing::{
    campaigns::{CampaignFigures, Creator},
    progress::{How, Progress},
    workflow::Status,
};
use time::OffsetDateTime;

/// Which states the data model lets follow which.
const LEADS: [(&str, &str); 6] = [
    ("PENDING", "CONTACTED"),
    ("CONTACTED", "RESPONDED"),
    ("RESPONDED", "NEGOTIATING"),
    ("NEGOTIATING", "ACCEPTED"),
    ("NEGOTIATING", "REJECTED"),
    ("ACCEPTED", "COMPLETED"),
];

/// A time that a match was in a state.
struct Stay {
    status: &'static str,
    from: OffsetDateTime,
    /// `None`: it is in it.
    until: Option<OffsetDateTime>,
}

/// When the match was in which state. None if it was deleted.
fn stays(progress: &Progress) -> Vec<Stay> {
    let mut heard = progress.heard.clone();
    heard.sort_by_key(|one| one.version.clone());
    let mut stays: Vec<Stay> = Vec::new();
    for one in &heard {
        let to = one.status.word();
        let now = stays.last().map(|stay| stay.status);
        let told = one.from.map(Status::word);
        let follows = |from: Option<&str>| {
            let mut leads = LEADS.iter();
            leads.any(|lead| from == Some(lead.0) && to == lead.1)
        };
        let begins = one.inserted && to == "PENDING";
        if now == Some(to) || !(begins || follows(told) || follows(now)) {
            continue;
        }
        if let Some(stay) = stays.last_mut() {
            stay.until = Some(one.at);
        }
        stays.push(Stay {
            status: to,
            from: one.at,
            until: None,
        });
    }
    match &progress.gone {
        Some(gone) if gone.how == How::Deleted => stays.clear(),
        Some(gone) => stays.iter_mut().for_each(|stay| {
            stay.until.get_or_insert(gone.at);
        }),
        None => {}
    }
    stays
}

fn add(sums: &mut Shares, total: Total, measure: String, amount: i64) {
    if amount != 0 {
        *sums.entry(total).or_default().entry(measure).or_default() += amount;
    }
}

/// Adds up what happened to a match, from what was heard of it; without zeros.
pub fn figures_of_a_match(progress: &Progress) -> Shares {
    let (said, found) = (&progress.facts.traits, &progress.found);
    let word = |said: &Option<String>, found: &Option<String>| {
        let word = said.clone().or(found.clone());
        word.unwrap_or_else(|| "unknown".to_owned())
    };
    let by = [
        ("all", "all".to_owned()),
        ("store", progress.store_id.clone()),
        ("category", word(&said.category, &found.category)),
        ("location", word(&said.location, &found.location)),
        ("tier", word(&said.tier, &found.tier)),
        ("platform", word(&said.platform, &found.platform)),
    ];
    let mut sums = Shares::new();
    let mut count = |at: OffsetDateTime, measure: &str, status: &str, amount: i64| {
        for day in [at.date().to_string(), "ever".to_owned()] {
            for (dimension, name) in &by {
                let total = Total::new(format!("{day}#{dimension}"), name);
                add(&mut sums, total, format!("{measure}.{status}"), amount);
            }
        }
    };
    for stay in stays(progress) {
        count(stay.from, "entered", stay.status, 1);
        if let Some(until) = stay.until {
            let seconds = (until - stay.from).whole_seconds().max(0);
            count(until, "left", stay.status, 1);
            count(until, "seconds", stay.status, seconds);
        }
    }
    sums
}

/// What a campaign's row adds to the figures, if it can be read.
fn figures_of_a_campaign(row: &Row) -> Option<Shares> {
    let text = |name: &str| row.get(name)?.as_s().ok().map(String::as_str);
    text("PK")?.strip_prefix("CAMPAIGN#")?;
    let store = text("SK")?.strip_prefix("STORE#")?;
    let status = text("status")?;
    let budget = match row.get("budget") {
        None => 0,
        Some(budget) => match budget.as_m().ok()?.get("total") {
            None => 0,
            Some(total) => total.as_n().ok()?.parse().ok()?,
        },
    };
    let mut sums = Shares::new();
    for (dimension, name) in [("all", "all"), ("store", store)] {
        let total = Total::new(format!("ever#{dimension}"), name);
        add(&mut sums, total.clone(), format!("campaigns.{status}"), 1);
        add(&mut sums, total, "budget".to_owned(), budget);
    }
    Some(sums)
}

/// Adds up all matches and all campaigns; without zeros.
pub fn figures<'a>(
    matches: impl IntoIterator<Item = &'a Progress>,
    campaigns: impl IntoIterator<Item = &'a Row>,
) -> Shares {
    let matches = matches.into_iter().map(figures_of_a_match);
    let campaigns = campaigns.into_iter().filter_map(figures_of_a_campaign);
    let mut sums = Shares::new();
    for (total, measures) in matches.chain(campaigns).flatten() {
        for (measure, amount) in measures {
            add(&mut sums, total.clone(), measure, amount);
        }
    }
    sums
}

/// What the matches of a campaign come to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OfACampaign {
    /// The counts; how many changes there were is left out.
    pub figures: CampaignFigures,
    /// The matches by id.
    pub matches: BTreeMap<String, Creator>,
}

/// Adds up the matches by the campaign that each belongs to.
pub fn campaigns<'a>(
    matches: impl IntoIterator<Item = &'a Progress>,
) -> BTreeMap<String, OfACampaign> {
    let mut campaigns: BTreeMap<String, OfACampaign> = BTreeMap::new();
    for progress in matches {
        let named = progress.named.as_ref().map(|named| &named.campaign_id);
        let stays = stays(progress);
        let (Some(campaign), Some(last)) = (named.or(progress.bound.as_ref()), stays.last()) else {
            continue;
        };
        let OfACampaign { figures, matches } = campaigns.entry(campaign.clone()).or_default();
        let place = |status: &str| {
            let mut all = Status::ALL.iter();
            all.position(|one| one.word() == status).unwrap()
        };
        figures.creators += 1;
        for stay in &stays {
            figures.entered[place(stay.status)] += 1;
            figures.in_it[place(stay.status)] += i64::from(stay.until.is_none());
        }
        let cost = progress.facts.agreed_cost;
        match last.status {
            "ACCEPTED" if last.until.is_none() => figures.committed += cost.unwrap_or_default(),
            "COMPLETED" => figures.spent += cost.unwrap_or_default(),
            _ => {}
        }
        let since = last.from.to_offset(time::UtcOffset::UTC);
        let (hour, minute, second) = since.to_hms();
        let creator = Creator {
            match_id: progress.match_id.clone(),
            creator_id: progress.creator_id.clone(),
            status: last.status.to_owned(),
            since: format!("{}T{hour:02}:{minute:02}:{second:02}Z", since.date()),
            score: progress.facts.score.to_string(),
            agreed_cost: cost,
            expired: last.until.is_some(),
        };
        matches.insert(progress.match_id.clone(), creator);
    }
    campaigns
}
