//! `classify-creator`: a creator's channel is new or changed; its influence tier and its index keys follow.

use millrace_delivery::{Cx, Worker};
use millrace_events::{Failure, Outcome, RowChange, RowChangeKind, fields::malformed};

use crate::{
    context::Marketing,
    creators::{Channel, DERIVED, INPUTS},
    derive::Derivation,
};

/// Listens to the creators table. Guard: what the keys are derived from is still what the record says; its own writes end as `Ignored`.
///
/// A channel that cannot be classified is in no index, and its record is parked.
#[derive(Clone)]
pub struct ClassifyCreator(pub Marketing);

impl Worker for ClassifyCreator {
    const NAME: &'static str = "classify-creator";
    type Event = RowChange;

    async fn handle(&self, change: RowChange, _cx: &Cx) -> Result<Outcome, Failure> {
        let Self(marketing) = self;
        if change.kind == RowChangeKind::Removed {
            return Ok(Outcome::Ignored("the channel was removed"));
        }
        let Some(image) = &change.new else {
            return Err(malformed("the record has no new image"));
        };
        let channel = Channel::of(&change.keys, image);
        let derivation = Derivation {
            table: &marketing.names.creators,
            inputs: INPUTS,
            derived: match &channel {
                Ok(channel) => channel.derived(),
                Err(_) => DERIVED.map(|name| (name, None)).into(),
            },
        };
        let settled = derivation.settle(marketing, &change.keys, image).await?;
        match channel {
            Err(failure) if !derivation.is_as_before(&change) => Err(failure),
            _ => Ok(settled),
        }
    }
}
