//! Reading totals.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::classify;
use millrace_events::{Failure, reason};

use super::{
    Ledger,
    rows::{self, Generation},
    shares::{self, Measures, Shares, Total},
};

/// How often readers begin anew because other totals are to be read meanwhile.
const SWITCHES: u32 = 8;

/// One generation while it is read: that which readers read. The rows of a former one go only after the switch, so what was read
/// is whole if there was none meanwhile.
struct Reading {
    generation: Generation,
    switches: u32,
}

impl Reading {
    async fn begin(ledger: &Ledger) -> Result<Self, Failure> {
        Ok(Self {
            generation: ledger.main().await?.reads,
            switches: 0,
        })
    }

    /// Whether what was read is whole; else it is to be read again.
    async fn stands(&mut self, ledger: &Ledger) -> Result<bool, Failure> {
        let now = ledger.main().await?.reads;
        if now == self.generation {
            return Ok(true);
        }
        self.generation = now;
        self.switches += 1;
        if self.switches < SWITCHES {
            return Ok(false);
        }
        Err(Failure::transient(
            reason::CONFLICT,
            "could not read totals: they were built anew again and again",
        ))
    }
}

impl Ledger {
    /// The totals of a scope by name, without zeros.
    pub async fn totals(&self, scope: &str) -> Result<BTreeMap<String, Measures>, Failure> {
        let mut totals = self.totals_of(&[scope]).await?;
        Ok(totals.pop().unwrap_or_default())
    }

    /// The totals of several scopes, in their order, all of one generation.
    pub async fn totals_of(
        &self,
        scopes: &[&str],
    ) -> Result<Vec<BTreeMap<String, Measures>>, Failure> {
        let mut reading = Reading::begin(self).await?;
        loop {
            let mut totals = Vec::with_capacity(scopes.len());
            for scope in scopes {
                totals.push(self.query(reading.generation, scope, None).await?);
            }
            if reading.stands(self).await? {
                return Ok(totals);
            }
        }
    }

    /// One total, without zeros.
    pub async fn total(&self, total: &Total) -> Result<Measures, Failure> {
        let name = Some(total.name.as_str());
        let mut reading = Reading::begin(self).await?;
        loop {
            let found = self.query(reading.generation, &total.scope, name);
            let found = found.await?.remove(&total.name);
            if reading.stands(self).await? {
                return Ok(found.unwrap_or_default());
            }
        }
    }

    /// Every total there is, without zeros. Reads the whole table.
    pub async fn all_totals(&self) -> Result<Shares, Failure> {
        let mut reading = Reading::begin(self).await?;
        loop {
            let totals = self.scan_all(reading.generation).await?;
            if reading.stands(self).await? {
                return Ok(totals);
            }
        }
    }

    async fn scan_all(&self, generation: Generation) -> Result<Shares, Failure> {
        let mut totals = Shares::new();
        let mut from = None;
        loop {
            let page = self.scan_totals(generation, from).await?;
            for row in page.items.iter().flatten() {
                if let Some((total, measures)) = rows::read_total(generation, row) {
                    shares::add_measures(totals.entry(total).or_default(), &measures, 1);
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                totals.retain(|_, measures| !measures.is_empty());
                return Ok(totals);
            }
        }
    }

    async fn query(
        &self,
        generation: Generation,
        scope: &str,
        name: Option<&str>,
    ) -> Result<BTreeMap<String, Measures>, Failure> {
        let mut totals: BTreeMap<String, Measures> = BTreeMap::new();
        let mut from = None;
        loop {
            let scope = rows::generation_scope(generation, scope);
            let mut query = self
                .table
                .client()
                .query()
                .table_name(&self.names.totals)
                .consistent_read(true)
                .expression_attribute_names("#scope", rows::SCOPE)
                .expression_attribute_values(":scope", AttributeValue::S(scope))
                .set_exclusive_start_key(from);
            query = match name {
                None => query.key_condition_expression("#scope = :scope"),
                Some(name) => query
                    .key_condition_expression("#scope = :scope AND begins_with(#total, :name)")
                    .expression_attribute_names("#total", rows::TOTAL)
                    .expression_attribute_values(":name", AttributeValue::S(format!("{name}#"))),
            };
            let page = query
                .send()
                .await
                .map_err(|error| classify("read totals", error))?;
            for row in page.items() {
                if let Some((total, measures)) = rows::read_total(generation, row) {
                    shares::add_measures(totals.entry(total.name).or_default(), &measures, 1);
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                totals.retain(|_, measures| !measures.is_empty());
                return Ok(totals);
            }
        }
    }
}
