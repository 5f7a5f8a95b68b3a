//! The fence: a row keeps the version of its subject that was last applied.

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_events::{Failure, Outcome, Version, mutation};

use crate::{
    expression::When,
    write::{Committed, Row, Table, Update},
};

/// The attribute that keeps the version, and the version that wants to be applied.
#[derive(Debug, Clone)]
pub struct Fence {
    attribute: &'static str,
    version: Version,
}

impl Fence {
    /// A fence on this attribute.
    pub fn new(attribute: &'static str, version: Version) -> Self {
        Self { attribute, version }
    }

    /// Holds when nothing, or something older, was applied.
    pub fn newer(&self) -> When {
        if mutation::on(mutation::FENCE_OPEN) {
            return When::whatever(self.attribute);
        }
        When::Any(vec![
            When::Absent(self.attribute),
            When::Less(self.attribute, self.value()),
        ])
    }

    /// The update with the version and its condition.
    pub fn on(&self, update: Update) -> Update {
        update.set(self.attribute, self.value()).when(self.newer())
    }

    /// What a refusal means: the same version was applied, or a newer one.
    pub fn verdict(&self, current: Option<&Row>) -> Outcome {
        let held = current
            .and_then(|row| row.get(self.attribute))
            .and_then(|value| value.as_s().ok());
        if held.is_some_and(|held| held == self.version.as_str()) {
            Outcome::Already
        } else {
            Outcome::Superseded
        }
    }

    /// One fenced write, no bookkeeping row.
    pub async fn commit(
        &self,
        table: &Table,
        attempted: &str,
        update: Update,
    ) -> Result<Outcome, Failure> {
        match table
            .commit(attempted, vec![self.on(update).into()])
            .await?
        {
            Committed::Done => Ok(Outcome::Applied),
            Committed::Refused { current, .. } => Ok(self.verdict(current.as_ref())),
        }
    }

    fn value(&self) -> AttributeValue {
        AttributeValue::S(self.version.as_str().to_owned())
    }
}
