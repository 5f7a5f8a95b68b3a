//! Making reports and putting them into the bucket.
//!
//! What lies in the bucket is looked at first, then the figures are read, then the files are put under the condition that what
//! was looked at still lies there, and then all of it is looked at again until nothing is to be put. So a writer that slept in
//! between is refused, unless the very bytes lie there again that it had looked at; then older figures lie there for a moment, and
//! whoever put them looks again or has not acknowledged its record.

mod figures;
mod names;

use std::collections::HashMap;

use bytes::Bytes;
use millrace_cloud::{Bucket, Condition, Put};
use millrace_events::{Failure, Outcome, mutation, reason};
use time::Date;

use crate::{Marketing, report::Files};
use names::NameBook;

/// How often a report is looked at because its figures or its files changed meanwhile.
const LOOKS: u32 = 16;

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum About {
    /// A day, from midnight to midnight in UTC.
    Day(Date),
    /// A campaign, as it is.
    Campaign(String),
}

impl About {
    /// The keys of the report's files: JSON, CSV and HTML.
    pub fn keys(&self) -> [String; 3] {
        let stem = match self {
            Self::Day(day) => format!("reports/daily/{day}"),
            Self::Campaign(campaign) => format!("reports/campaigns/{}", file_name(campaign)),
        };
        ["json", "csv", "html"].map(|ending| format!("{stem}.{ending}"))
    }
}

/// An id as a part of a path: reports are copied into folders.
fn file_name(id: &str) -> String {
    let mut name = String::new();
    for (position, byte) in id.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric()
            || byte == b'-'
            || byte == b'_'
            || (byte == b'.' && position > 0);
        if is_plain {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

/// Puts a report into the bucket, or finds that it lies there. `today` bounds which days after a day are looked at. `None`:
/// there is no such campaign.
///
/// # Errors
/// Those of the tables and the bucket; `conflict` when its figures did not stand still.
pub async fn publish(
    marketing: &Marketing,
    about: &About,
    today: Date,
) -> Result<Option<Outcome>, Failure> {
    let bucket = Bucket::new(marketing.clients.s3.clone(), &marketing.names.reports);
    let keys = about.keys();
    let mut outcome = Outcome::Already;
    for _ in 0..LOOKS {
        let mut held = Vec::with_capacity(keys.len());
        for key in &keys {
            held.push(bucket.get(key).await?);
        }
        let before = held.first().and_then(Option::as_ref);
        let mut names = NameBook::of(before.map(|object| &object.bytes));
        let Some(files) = files(marketing, about, today, &mut names).await? else {
            return Ok(None);
        };
        let mut stands = true;
        for ((key, held), (_, content_type, content)) in keys.iter().zip(held).zip(files.each()) {
            if held
                .as_ref()
                .is_some_and(|held| held.bytes == content.as_bytes())
            {
                continue;
            }
            stands = mutation::on(mutation::REPORT_LOOKED_AT_ONCE);
            let condition = match held {
                _ if mutation::on(mutation::REPORT_UNGUARDED) => Condition::Always,
                None => Condition::Absent,
                Some(held) => Condition::Is(held.e_tag),
            };
            let put = Put {
                bytes: Bytes::copy_from_slice(content.as_bytes()),
                content_type,
                metadata: HashMap::new(),
            };
            outcome = Outcome::Applied;
            bucket.put(key, put, &condition).await?;
        }
        if stands {
            return Ok(Some(outcome));
        }
    }
    Err(Failure::transient(
        reason::CONFLICT,
        format!("could not make a report: its figures changed {LOOKS} times meanwhile"),
    ))
}

async fn files(
    marketing: &Marketing,
    about: &About,
    today: Date,
    names: &mut NameBook,
) -> Result<Option<Files>, Failure> {
    Ok(match about {
        About::Day(day) => {
            let daily = figures::daily(marketing, *day, today, names).await?;
            Some(daily.files())
        }
        About::Campaign(campaign) => {
            let campaign = figures::campaign(marketing, campaign, names).await?;
            campaign.map(|campaign| campaign.files())
        }
    })
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn an_id_never_leads_out_of_the_folder() {
        let key = |id: &str| About::Campaign(id.to_owned()).keys()[2].clone();
        assert_eq!(key("cmp-1.a_B"), "reports/campaigns/cmp-1.a_B.html");
        assert_eq!(key("../x/y"), "reports/campaigns/%2E.%2Fx%2Fy.html");
        assert_eq!(key("가"), "reports/campaigns/%EA%B0%80.html");
        assert_eq!(
            About::Day(date!(2026 - 11 - 21)).keys()[0],
            "reports/daily/2026-11-21.json"
        );
    }
}
