//! A creator's channel: a row of the creators table, decoded.
//!
//! What the data model leaves open is said here once: the category is `category`; the place is `region`, or `location` as text,
//! or its `city` and `district`; `statistics.engagementRate` is in percent.

use millrace_events::{Failure, Item, fields::Fields};
use serde_dynamo::AttributeValue;

use crate::words::{behind, normal, word};

/// No platform has as many people, and a key has twelve digits.
const MOST_SUBSCRIBERS: u64 = 999_999_999_999;
/// A key has three digits before the point.
const HIGHEST_RATE: f64 = 999.99;

/// How many people listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Fewer than 1,000.
    Nano,
    /// Fewer than 10,000.
    Micro,
    /// Fewer than 100,000.
    Mid,
    /// Fewer than 1,000,000.
    Macro,
    /// 1,000,000 and more.
    Mega,
}

impl Tier {
    /// By subscribers.
    pub fn of(subscribers: u64) -> Self {
        match subscribers {
            0..1_000 => Self::Nano,
            1_000..10_000 => Self::Micro,
            10_000..100_000 => Self::Mid,
            100_000..1_000_000 => Self::Macro,
            _ => Self::Mega,
        }
    }

    /// The platform's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nano => "nano",
            Self::Micro => "micro",
            Self::Mid => "mid",
            Self::Macro => "macro",
            Self::Mega => "mega",
        }
    }
}

/// What classification looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// The creator.
    pub creator_id: String,
    /// `youtube`, `instagram` or `tiktok`.
    pub platform: &'static str,
    /// What it is about, where it says.
    pub category: Option<String>,
    /// Where its people are, where it says.
    pub region: Option<String>,
    /// How many people listen.
    pub subscribers: u64,
    /// How many of them answer, in percent; 0 where it does not say.
    pub engagement_rate: f64,
}

/// What derived attributes are computed from.
pub const INPUTS: &[&str] = &["platform", "category", "region", "location", "statistics"];

/// The attributes that are derived.
pub const DERIVED: [&str; 9] = [
    "influenceTier",
    "GSI1PK",
    "GSI1SK",
    "GSI2PK",
    "GSI2SK",
    "GSI3PK",
    "GSI3SK",
    "GSI4PK",
    "GSI4SK",
];

impl Channel {
    /// Of a row in the creators table.
    ///
    /// # Errors
    /// `malformed-row`.
    pub fn of(keys: &Item, row: &Item) -> Result<Self, Failure> {
        let key = Fields::of("creators row's key", keys);
        let creators = Fields::of("creators row", row);
        let creator_id = key.text("PK")?.unwrap_or_default();
        let creator_id = behind(creator_id, "CREATOR#")?.to_owned();
        let sort = behind(key.text("SK")?.unwrap_or_default(), "PLATFORM#")?;
        let of_key = sort.split('#').next().unwrap_or_default();
        let platform = creators.text("platform")?.unwrap_or(of_key);
        let statistics = creators.map("statistics", "statistics")?;
        let subscribers = statistics.count("subscribers")?;
        let wanted = "a whole number of 0 to 999,999,999,999";
        let subscribers = subscribers.filter(|count| *count <= MOST_SUBSCRIBERS);
        let rate = statistics.number("engagementRate")?.unwrap_or(0.0);
        if !(0.0..=HIGHEST_RATE).contains(&rate) {
            return Err(statistics.wrong("engagementRate", "a percentage of 0 to 999.99"));
        }
        Ok(Self {
            creator_id,
            platform: known_platform(platform)
                .ok_or_else(|| creators.wrong("platform", "youtube, instagram or tiktok"))?,
            category: word(&creators, "category")?,
            region: region(&creators)?,
            subscribers: subscribers.ok_or_else(|| statistics.wrong("subscribers", wanted))?,
            engagement_rate: rate,
        })
    }

    /// The influence tier.
    pub fn tier(&self) -> Tier {
        Tier::of(self.subscribers)
    }

    /// The derived attributes of its row. A channel without category or place is not in that index.
    pub fn derived(&self) -> Vec<(&'static str, Option<String>)> {
        let creator = format!("CREATOR#{}", self.creator_id);
        let category = self
            .category
            .as_ref()
            .map(|category| format!("CATEGORY#{category}"));
        let region = self
            .region
            .as_ref()
            .map(|region| format!("LOCATION#{region}"));
        let tier = self.tier().word();
        let values = [
            Some(tier.to_owned()),
            category.clone(),
            category.map(|_| creator.clone()),
            region.clone(),
            region.map(|_| creator),
            Some(format!("PLATFORM#{}", self.platform)),
            Some(format!("INFLUENCE#{:012}", self.subscribers)),
            Some(format!("INFLUENCE_TIER#{tier}")),
            Some(format!("ENGAGEMENT#{:06.2}", self.engagement_rate)),
        ];
        DERIVED.into_iter().zip(values).collect()
    }
}

fn known_platform(word: &str) -> Option<&'static str> {
    let word = word.trim().to_lowercase();
    ["youtube", "instagram", "tiktok"]
        .into_iter()
        .find(|known| *known == word)
}

fn region(creators: &Fields<'_>) -> Result<Option<String>, Failure> {
    if let Some(region) = word(creators, "region")? {
        return Ok(Some(region));
    }
    if matches!(creators.get("location"), Some(AttributeValue::S(_))) {
        return word(creators, "location");
    }
    let location = creators.map("location", "location")?;
    let (city, district) = (word(&location, "city")?, word(&location, "district")?);
    Ok(city.and_then(|city| normal(&format!("{city} {}", district.unwrap_or_default()))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn channel(row: Value) -> Result<Channel, &'static str> {
        let keys = json!({"PK": {"S": "CREATOR#c-1"}, "SK": {"S": "PLATFORM#youtube#UC1"}});
        let keys: Item = serde_json::from_value(keys).unwrap();
        let row: Item = serde_json::from_value(row).unwrap();
        Channel::of(&keys, &row).map_err(|failure| failure.reason().code())
    }

    fn statistics(subscribers: Value) -> Value {
        json!({"statistics": {"M": {"subscribers": subscribers, "engagementRate": {"N": "3.456"}}}})
    }

    #[test]
    fn tiers_begin_where_they_begin() {
        let cases = [
            (0, "nano"),
            (999, "nano"),
            (1_000, "micro"),
            (9_999, "micro"),
            (10_000, "mid"),
            (99_999, "mid"),
            (100_000, "macro"),
            (999_999, "macro"),
            (1_000_000, "mega"),
            (u64::MAX, "mega"),
        ];
        for (subscribers, tier) in cases {
            assert_eq!(Tier::of(subscribers).word(), tier, "{subscribers}");
        }
    }

    #[test]
    fn keys_sort_as_their_numbers_do() {
        let mut row = statistics(json!({"N": "12345"}));
        row["category"] = json!({"S": " 카페 "});
        row["location"] = json!({"M": {"city": {"S": "서울"}, "district": {"S": "마포구"}}});
        let derived = channel(row).unwrap().derived();
        let value = |name: &str| {
            let found = derived.iter().find(|(known, _)| *known == name);
            found.unwrap().1.clone().unwrap()
        };
        assert_eq!(value("influenceTier"), "mid");
        assert_eq!(value("GSI1PK"), "CATEGORY#카페");
        assert_eq!(value("GSI1SK"), "CREATOR#c-1");
        assert_eq!(value("GSI2PK"), "LOCATION#서울 마포구");
        assert_eq!(value("GSI3PK"), "PLATFORM#youtube");
        assert_eq!(value("GSI3SK"), "INFLUENCE#000000012345");
        assert_eq!(value("GSI4PK"), "INFLUENCE_TIER#mid");
        assert_eq!(value("GSI4SK"), "ENGAGEMENT#003.46");
    }

    #[test]
    fn what_is_missing_is_in_no_index() {
        let derived = channel(statistics(json!({"N": "1"}))).unwrap().derived();
        let absent: Vec<&str> = derived
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(absent, ["GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK"]);
    }

    #[test]
    fn what_is_no_channel_says_so() {
        for row in [
            json!({}),
            statistics(json!({"S": "12345"})),
            statistics(json!({"N": "-1"})),
            statistics(json!({"N": "1.5"})),
            statistics(json!({"N": "1000000000000"})),
            json!({"statistics": {"M": {"subscribers": {"N": "1"}, "engagementRate": {"N": "-3"}}}}),
            json!({"statistics": {"L": []}}),
        ] {
            assert_eq!(channel(row.clone()), Err("malformed-row"), "{row}");
        }
        let mut other = statistics(json!({"N": "1"}));
        other["platform"] = json!({"S": "myspace"});
        assert_eq!(channel(other), Err("malformed-row"));
    }
}
