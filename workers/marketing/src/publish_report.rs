//! `publish-report`: the reports of the last days and of all campaigns lie in the bucket.

use millrace_cloud::classify;
use millrace_delivery::{Cx, FromRecord, Worker};
use millrace_events::{Failure, Outcome, Payload, Record, reason};
use time::{Date, macros::format_description};

use crate::{
    campaigns::CampaignRow,
    context::Marketing,
    publishing::{About, publish},
};

/// Listens to a schedule, and to messages sent by hand. Guard: an artefact under a condition on what it replaces.
///
/// A time of the schedule stands for the days before it: yesterday, and as many before as the settings say, since what is late
/// (parked and replayed, say) still counts for its own day.
#[derive(Clone)]
pub struct PublishReport(pub Marketing);

/// What is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The reports of the days before this one, and of all campaigns.
    Before(Date),
    /// One report.
    One(About),
}

impl FromRecord for Wanted {
    fn from_record(record: &Record) -> Result<Option<Self>, Failure> {
        let message = match &record.payload {
            Payload::Schedule(time) => return Ok(Some(Self::Before(time.at.date()))),
            Payload::Message(message) => message,
            Payload::Object(_) | Payload::Row(_) | Payload::Test => return Ok(None),
        };
        let malformed = |what: &str| Failure::permanent(reason::MALFORMED_EVENT, what.to_owned());
        match (message.get("day"), message.get("campaignId")) {
            (Some(day), None) => {
                let day = day.as_str().and_then(parse_day);
                let day = day.ok_or_else(|| malformed("`day` is no day such as 2026-11-21"))?;
                Ok(Some(Self::One(About::Day(day))))
            }
            (None, Some(campaign)) => {
                let campaign = campaign.as_str().filter(|id| !id.is_empty());
                let campaign = campaign.ok_or_else(|| malformed("`campaignId` is no id"))?;
                Ok(Some(Self::One(About::Campaign(campaign.to_owned()))))
            }
            (Some(_), Some(_)) => Err(malformed(
                "a message asks for a day or a campaign, not both",
            )),
            (None, None) => Ok(None),
        }
    }
}

/// `2026-11-21`.
pub fn parse_day(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

impl Worker for PublishReport {
    const NAME: &'static str = "publish-report";
    type Event = Wanted;

    async fn handle(&self, wanted: Wanted, cx: &Cx) -> Result<Outcome, Failure> {
        let Self(marketing) = self;
        let today = cx.now.to_offset(time::UtcOffset::UTC).date();
        match wanted {
            Wanted::One(about) => {
                let published = publish(marketing, &about, today).await?;
                published.ok_or_else(|| {
                    Failure::permanent(reason::UNKNOWN_CAMPAIGN, "there is no such campaign")
                })
            }
            Wanted::Before(day) => {
                let mut outcome = Outcome::Already;
                let days = std::iter::successors(day.previous_day(), |day| day.previous_day());
                let days = days.take(marketing.rules.report_days);
                for about in days.map(About::Day).chain(campaigns(marketing).await?) {
                    if publish(marketing, &about, today).await? == Some(Outcome::Applied) {
                        outcome = Outcome::Applied;
                    }
                }
                Ok(outcome)
            }
        }
    }
}

/// Every campaign that has a row. Those whose rows cannot be read are passed over: their own records say so.
async fn campaigns(marketing: &Marketing) -> Result<Vec<About>, Failure> {
    let mut found = Vec::new();
    let mut from = None;
    loop {
        let page = marketing
            .clients
            .dynamodb
            .scan()
            .table_name(&marketing.names.campaigns)
            .consistent_read(true)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| classify("list campaigns", error))?;
        let rows = page.items.unwrap_or_default();
        let rows = rows
            .into_iter()
            .filter_map(|row| CampaignRow::of(row.into()).ok());
        found.extend(rows.map(|row| About::Campaign(row.id)));
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(found);
        }
    }
}
