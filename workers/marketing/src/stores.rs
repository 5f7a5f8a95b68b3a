//! A store's profile: a row of the stores table, decoded.
//!
//! What the data model leaves open is said here once: the place is `location.city` and `location.district`; the price level is
//! `priceAnalysis.level`, or what `priceAnalysis.averagePrice` (won for a person) comes to.

use millrace_events::{Failure, Item, fields::Fields};

use crate::words::{behind, word};

/// What a visit costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PriceLevel {
    /// Below 10,000 won.
    Low,
    /// Below 30,000 won.
    Medium,
    /// Below 70,000 won.
    High,
    /// 70,000 won and more.
    Premium,
}

impl PriceLevel {
    const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Premium];

    /// The platform's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Premium => "premium",
        }
    }

    /// By what a person pays, in won.
    pub fn of_price(won: f64) -> Self {
        match won {
            70_000.0.. => Self::Premium,
            30_000.0.. => Self::High,
            10_000.0.. => Self::Medium,
            _ => Self::Low,
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        let word = word.trim().to_lowercase();
        Self::ALL.into_iter().find(|level| level.word() == word)
    }
}

/// What is derived from.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// The store.
    pub store_id: String,
    /// What it is, where it says.
    pub category: Option<String>,
    /// City and district, where it says both.
    pub place: Option<(String, String)>,
    /// What a visit costs, where it says.
    pub price: Option<PriceLevel>,
}

/// What derived attributes are computed from.
pub const INPUTS: &[&str] = &["primaryCategory", "location", "priceAnalysis"];

/// The attributes that are derived.
pub const DERIVED: [&str; 6] = ["GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK", "GSI3PK", "GSI3SK"];

impl Store {
    /// Of a row in the stores table.
    ///
    /// # Errors
    /// `malformed-row`.
    pub fn of(keys: &Item, row: &Item) -> Result<Self, Failure> {
        let key = Fields::of("stores row's key", keys);
        let store_id = behind(key.text("PK")?.unwrap_or_default(), "STORE#")?;
        behind(key.text("SK")?.unwrap_or_default(), "PROFILE#")?;
        let said = Fields::of("stores row", row);
        let location = said.map("location", "location")?;
        let (city, district) = (word(&location, "city")?, word(&location, "district")?);
        Ok(Self {
            store_id: store_id.to_owned(),
            category: word(&said, "primaryCategory")?,
            place: city.zip(district),
            price: price(&said.map("priceAnalysis", "price analysis")?)?,
        })
    }

    /// City and district as one word.
    pub fn location(&self) -> Option<String> {
        self.place
            .as_ref()
            .map(|(city, district)| format!("{city} {district}"))
    }

    /// The derived attributes of its row. A store that does not say something is not in that index.
    pub fn derived(&self) -> Vec<(&'static str, Option<String>)> {
        let store = format!("STORE#{}", self.store_id);
        let category = self
            .category
            .as_ref()
            .map(|category| format!("CATEGORY#{category}"));
        let place = self.place.as_ref();
        let place = place.map(|(city, district)| format!("LOCATION#{city}#{district}"));
        let price = self.price.map(|price| format!("PRICE#{}", price.word()));
        let values = [category, place, price]
            .into_iter()
            .flat_map(|key| [key.clone(), key.map(|_| store.clone())]);
        DERIVED.into_iter().zip(values).collect()
    }
}

fn price(analysis: &Fields<'_>) -> Result<Option<PriceLevel>, Failure> {
    if let Some(level) = analysis.text("level")? {
        let known = PriceLevel::of_word(level);
        let known = known.ok_or_else(|| analysis.wrong("level", "low, medium, high or premium"))?;
        return Ok(Some(known));
    }
    match analysis.number("averagePrice")? {
        Some(price) if price < 0.0 => Err(analysis.wrong("averagePrice", "a number of 0 or more")),
        price => Ok(price.map(PriceLevel::of_price)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn store(row: Value) -> Result<Store, &'static str> {
        let keys =
            json!({"PK": {"S": "STORE#s-1"}, "SK": {"S": "PROFILE#2026-11-20T00:00:00.000Z"}});
        let keys: Item = serde_json::from_value(keys).unwrap();
        let row: Item = serde_json::from_value(row).unwrap();
        Store::of(&keys, &row).map_err(|failure| failure.reason().code())
    }

    #[test]
    fn a_store_is_found_by_what_it_says() {
        let derived = store(json!({
            "primaryCategory": {"S": " 카페"},
            "location": {"M": {"city": {"S": "서울"}, "district": {"S": "마포구"}}},
            "priceAnalysis": {"M": {"averagePrice": {"N": "9900"}}},
        }));
        let derived = derived.unwrap().derived();
        let keys: Vec<Option<&str>> = derived.iter().map(|(_, value)| value.as_deref()).collect();
        let store = Some("STORE#s-1");
        let expected = [
            Some("CATEGORY#카페"),
            store,
            Some("LOCATION#서울#마포구"),
            store,
            Some("PRICE#low"),
            store,
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_store_that_says_nothing_is_in_no_index() {
        let derived = store(json!({})).unwrap().derived();
        assert!(derived.iter().all(|(_, value)| value.is_none()));
        let city = json!({"location": {"M": {"city": {"S": "서울"}}}});
        assert_eq!(store(city).unwrap().place, None);
    }

    #[test]
    fn levels_begin_where_they_begin() {
        let cases = [
            (0.0, "low"),
            (9_999.9, "low"),
            (10_000.0, "medium"),
            (29_999.0, "medium"),
            (30_000.0, "high"),
            (69_999.0, "high"),
            (70_000.0, "premium"),
        ];
        for (won, level) in cases {
            assert_eq!(PriceLevel::of_price(won).word(), level, "{won}");
        }
        let given =
            json!({"priceAnalysis": {"M": {"level": {"S": "High"}, "averagePrice": {"N": "1"}}}});
        assert_eq!(store(given).unwrap().price, Some(PriceLevel::High));
    }

    #[test]
    fn what_is_no_profile_says_so() {
        for row in [
            json!({"primaryCategory": {"N": "1"}}),
            json!({"location": {"S": "서울"}}),
            json!({"location": {"M": {"city": {"L": []}}}}),
            json!({"priceAnalysis": {"M": {"level": {"S": "cheap"}}}}),
            json!({"priceAnalysis": {"M": {"averagePrice": {"N": "-1"}}}}),
            json!({"priceAnalysis": {"M": {"averagePrice": {"S": "9900"}}}}),
        ] {
            assert_eq!(store(row.clone()), Err("malformed-row"), "{row}");
        }
    }
}
