//! What a store, a creator, a match, a campaign or a report is now: its rows, what Millrace keeps of it, its files.

use async_trait::async_trait;
use millrace_cloud::Bucket;
use millrace_delivery::FromRecord as _;
use millrace_effects::{Row, Table, key};
use millrace_events::{Failure, Payload, Record};
use millrace_marketing::{
    Marketing, Names,
    analytics::campaign_subject,
    campaigns::{CampaignFigures, Campaigns},
    publish_report::Wanted,
    publishing::About,
    workflow::Status,
};
use serde_json::{Value, json};

use super::{SubjectState, Subjects, as_json, key_in, text_in};

/// A row of one of the product's tables, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowOf {
    /// A store's profile.
    Store(Pair),
    /// A creator's channel.
    Creator(Pair),
    /// A match, by the platform's key.
    Match(Pair),
    /// A match, by its id alone, as its progress has it.
    Progress(String),
    /// A campaign.
    Campaign(Pair),
}

/// `PK` and `SK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair(String, String);

impl Pair {
    fn key(&self) -> Row {
        key([("PK", &*self.0), ("SK", &*self.1)])
    }

    /// The id behind a prefix of `PK`.
    fn id(&self, prefix: &str) -> &str {
        self.0.strip_prefix(prefix).unwrap_or(&self.0)
    }
}

/// A row that says what a subject is now.
pub(crate) struct Found {
    /// What it is to the subject.
    pub(crate) part: &'static str,
    /// Its table.
    pub(crate) table: String,
    /// The row; `None`: there is none.
    pub(crate) row: Option<Row>,
}

impl RowOf {
    /// The row whose table is called so and whose key has these parts; `None` if it is not one of this product.
    fn of(names: &Names, table: &str, part: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if table == names.match_progress {
            return Some(Self::Progress(part("matchId")?));
        }
        let of_pair: fn(Pair) -> Self = match table {
            table if table == names.stores => Self::Store,
            table if table == names.creators => Self::Creator,
            table if table == names.matches => Self::Match,
            table if table == names.campaigns => Self::Campaign,
            _ => return None,
        };
        Some(of_pair(Pair(part("PK")?, part("SK")?)))
    }

    fn of_subject(names: &Names, subject: &str) -> Option<Self> {
        let (table, _) = subject.split_once('/')?;
        Self::of(names, table, |name| key_in(subject, name))
    }

    /// The row that a record is of.
    pub(crate) fn of_record(names: &Names, record: &Record) -> Option<Self> {
        let Payload::Row(change) = &record.payload else {
            return None;
        };
        Self::of(names, &change.table, |name| text_in(&change.keys, name))
    }

    /// In words.
    fn name(&self) -> String {
        match self {
            Self::Store(pair) => format!("store {}", pair.id("STORE#")),
            Self::Creator(pair) => format!("creator {}, {}", pair.id("CREATOR#"), pair.1),
            Self::Match(pair) => format!("match {}", pair.id("MATCH#")),
            Self::Progress(id) => format!("match {id}"),
            Self::Campaign(pair) => format!("campaign {}", pair.id("CAMPAIGN#")),
        }
    }
}

/// The rows that say what a row's subject is now.
///
/// # Errors
/// The tables'.
pub(crate) async fn rows_around(
    table: &Table,
    names: &Names,
    row: &RowOf,
) -> Result<Vec<Found>, Failure> {
    let around = Around { table, names };
    match row {
        RowOf::Store(pair) => Ok(vec![around.at("row", &names.stores, pair.key()).await?]),
        RowOf::Creator(pair) => Ok(vec![around.at("row", &names.creators, pair.key()).await?]),
        RowOf::Campaign(pair) => Ok(vec![around.at("row", &names.campaigns, pair.key()).await?]),
        RowOf::Match(pair) => {
            let id = pair.id("MATCH#");
            around.of_match(id, Some(pair)).await
        }
        RowOf::Progress(id) => around.of_match(id, None).await,
    }
}

struct Around<'a> {
    table: &'a Table,
    names: &'a Names,
}

impl Around<'_> {
    async fn at(&self, part: &'static str, table: &str, key: Row) -> Result<Found, Failure> {
        Ok(Found {
            part,
            row: self.table.read(table, key).await?,
            table: table.to_owned(),
        })
    }

    /// The platform's row, the progress, and the campaign that the match belongs to.
    async fn of_match(&self, id: &str, pair: Option<&Pair>) -> Result<Vec<Found>, Failure> {
        let names = self.names;
        let progress = self
            .at("progress", &names.match_progress, key([("matchId", id)]))
            .await?;
        let said = |name: &str| progress.row.as_ref()?.get(name)?.as_s().ok().cloned();
        let pair = pair.cloned().or_else(|| {
            let sort = format!("STORE#{}#CREATOR#{}", said("storeId")?, said("creatorId")?);
            Some(Pair(format!("MATCH#{id}"), sort))
        });
        let mut found = Vec::new();
        if let Some(pair) = pair {
            found.push(self.at("row", &names.matches, pair.key()).await?);
        }
        let campaign = said("campaignId");
        found.push(progress);
        if let Some(campaign) = campaign {
            found.push(self.campaign(&campaign).await?);
        }
        Ok(found)
    }

    /// A campaign's row by its id alone. One that cannot be read is its own letter.
    async fn campaign(&self, id: &str) -> Result<Found, Failure> {
        let campaigns = Campaigns::new(self.table.clone(), self.names);
        let row = campaigns.row(id).await?;
        Ok(Found {
            part: "campaign",
            table: self.names.campaigns.clone(),
            row,
        })
    }
}

#[async_trait]
impl Subjects for Marketing {
    async fn state(
        &self,
        subject: &str,
        record: Option<&Record>,
    ) -> Result<Option<SubjectState>, Failure> {
        let Some(row) = RowOf::of_subject(&self.names, subject) else {
            return match record.and_then(report_of) {
                Some(about) => self.report(&about).await.map(Some),
                None => Ok(None),
            };
        };
        let found = rows_around(&self.table, &self.names, &row).await?;
        let mut parts: Vec<(String, Value)> = found
            .into_iter()
            .map(|found| (found.part.to_owned(), as_json(found.row)))
            .collect();
        for (part, table, key) in kept_of(&self.names, &row, subject) {
            let found = self.table.read(&table, key).await?;
            parts.push((part.to_owned(), as_json(found)));
        }
        if let RowOf::Campaign(pair) = &row {
            let figures = self.campaigns.figures(pair.id("CAMPAIGN#")).await?;
            parts.push(("figures".to_owned(), figures_as_json(&figures)));
        }
        Ok(Some(SubjectState {
            name: row.name(),
            parts,
        }))
    }
}

/// What Millrace keeps of it besides: a name, the table, the key of each.
fn kept_of(names: &Names, row: &RowOf, subject: &str) -> Vec<(&'static str, String, Row)> {
    let matched = |subject: &str| (names.matching.clone(), key([("subject", subject)]));
    let counted = |subject: String| {
        let key = key([("subject", &*subject)]);
        (names.analytics_contributions.clone(), key)
    };
    let kept = match row {
        RowOf::Store(pair) => vec![
            ("matched", matched(subject)),
            ("share", matched(&format!("quota/{}", pair.id("STORE#")))),
        ],
        RowOf::Creator(_) => vec![("matched", matched(subject))],
        RowOf::Match(_) | RowOf::Progress(_) => Vec::new(),
        RowOf::Campaign(pair) => {
            let subject = campaign_subject(pair.id("CAMPAIGN#"));
            vec![("counted", counted(subject))]
        }
    };
    let flat = kept.into_iter();
    flat.map(|(part, (table, key))| (part, table, key))
        .collect()
}

fn figures_as_json(figures: &CampaignFigures) -> Value {
    let by_status = |counts: &[i64; 7]| -> Value {
        let each = Status::ALL.iter().zip(counts);
        each.map(|(status, count)| (status.word().to_owned(), Value::from(*count)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "changes": figures.changes, "creators": figures.creators,
        "in": by_status(&figures.in_it), "entered": by_status(&figures.entered),
        "committed": figures.committed, "spent": figures.spent,
    })
}

/// The report that a record asks for; of a time of the schedule, that of the day before.
fn report_of(record: &Record) -> Option<About> {
    match Wanted::from_record(record).ok()?? {
        Wanted::One(about) => Some(about),
        Wanted::Before(day) => day.previous_day().map(About::Day),
    }
}

/// What lies in the bucket of a report.
trait Reports {
    async fn report(&self, about: &About) -> Result<SubjectState, Failure>;
}

impl Reports for Marketing {
    async fn report(&self, about: &About) -> Result<SubjectState, Failure> {
        let bucket = Bucket::new(self.clients.s3.clone(), &self.names.reports);
        let mut parts = Vec::new();
        for name in about.keys() {
            let head = bucket.head(&name).await?;
            let lies = head.map(|object| json!({"eTag": object.e_tag}));
            parts.push((name, lies.unwrap_or(Value::Null)));
        }
        if let About::Campaign(id) = about {
            let row = self.campaigns.row(id).await?;
            parts.push(("campaign".to_owned(), as_json(row)));
        }
        let name = match about {
            About::Day(day) => format!("report of {day}"),
            About::Campaign(id) => format!("report of campaign {id}"),
        };
        Ok(SubjectState { name, parts })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::collections::BTreeMap;

    use millrace_cloud::Settings;
    use millrace_local::Template;

    use super::*;

    fn names() -> Names {
        let text = include_str!("../../../../infra/template.yaml");
        let template = Template::parse(text, "infra/template.yaml", &BTreeMap::new()).unwrap();
        let environment = template.functions[0].config.environment.clone();
        Names::from_settings(&Settings::from_map(environment)).unwrap()
    }

    #[test]
    fn a_row_is_found_in_each_form_of_subject() {
        for (subject, expected) in [
            (
                "dot-marketing-matches/PK=MATCH#m,SK=STORE#s#CREATOR#c",
                "match m",
            ),
            ("dot-marketing-match-progress/matchId=m%2C1", "match m,1"),
            (
                "dot-marketing-stores/PK=STORE#s,SK=PROFILE#2026-11-21",
                "store s",
            ),
            (
                "dot-marketing-creators/PK=CREATOR#c,SK=PLATFORM#youtube",
                "creator c, PLATFORM#youtube",
            ),
            (
                "dot-marketing-campaigns/PK=CAMPAIGN#spring,SK=STORE#s",
                "campaign spring",
            ),
        ] {
            let row = RowOf::of_subject(&names(), subject).unwrap();
            assert_eq!(row.name(), expected, "{subject}");
        }
        for subject in [
            "-",
            "",
            "dot-marketing-stores",
            "dot-marketing-stores/PK=STORE#s",
            "dot-marketing-match-progress/PK=m",
            "dot-marketing-analytics-totals/scope=s,total=t",
            "jetbond-jobs/jobId=j",
            "schedule/rule",
        ] {
            assert_eq!(RowOf::of_subject(&names(), subject), None, "{subject}");
        }
    }
}
