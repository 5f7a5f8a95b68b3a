//! One update by itself, with the row that it leaves behind: half the price of a transaction, and no second read.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::update_item::UpdateItemError,
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use millrace_cloud::{classify, retry::Retry};
use millrace_events::Failure;
use tokio::time::Instant;

use super::{Row, Table, Update};
use crate::expression::Placeholders;

/// How an update ended that met no failure.
#[derive(Debug, Clone)]
pub enum Updated {
    /// It took place; the row as it is now.
    Done(Row),
    /// Its condition did not hold; the row as it is, when there is one.
    Refused(Option<Row>),
}

impl Table {
    /// Carries out one update. A conflict with a transaction is tried again at once, a few times. `attempted` completes
    /// "could not …".
    ///
    /// An update whose answer is lost may have taken place, and the SDK sends it again: its condition must then refuse it, or it
    /// must be one that may be repeated.
    pub async fn update(&self, attempted: &str, update: Update) -> Result<Updated, Failure> {
        let deadline = Instant::now() + Duration::from_secs(10);
        Retry::default()
            .run(deadline, || self.try_update(attempted, &update))
            .await
    }

    async fn try_update(&self, attempted: &str, update: &Update) -> Result<Updated, Failure> {
        let mut placeholders = Placeholders::default();
        let expression = update.expression(&mut placeholders);
        let condition = update
            .when
            .as_ref()
            .map(|when| placeholders.condition(when));
        let sent = self
            .client
            .update_item()
            .table_name(&update.table)
            .set_key(Some(update.key.clone()))
            .update_expression(expression)
            .set_condition_expression(condition)
            .set_expression_attribute_names(placeholders.names())
            .set_expression_attribute_values(placeholders.values())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(answer) => return Ok(Updated::Done(answer.attributes.unwrap_or_default())),
            Err(error) => error,
        };
        if let SdkError::ServiceError(context) = &error
            && let UpdateItemError::ConditionalCheckFailedException(refused) = context.err()
        {
            return Ok(Updated::Refused(refused.item().cloned()));
        }
        Err(classify(attempted, error))
    }
}
