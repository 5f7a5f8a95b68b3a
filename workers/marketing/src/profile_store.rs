//! `profile-store`: a store's profile is new or changed; its index keys follow, by category, place and price level.

use millrace_delivery::{Cx, Worker};
use millrace_events::{Failure, Outcome, RowChange, RowChangeKind, fields::malformed};

use crate::{
    context::Marketing,
    derive::Derivation,
    stores::{DERIVED, INPUTS, Store},
};

/// Listens to the stores table. Guard: what the keys are derived from is still what the record says; its own writes end as `Ignored`.
///
/// A profile that cannot be read is in no index, and its record is parked.
#[derive(Clone)]
pub struct ProfileStore(pub Marketing);

impl Worker for ProfileStore {
    const NAME: &'static str = "profile-store";
    type Event = RowChange;

    async fn handle(&self, change: RowChange, _cx: &Cx) -> Result<Outcome, Failure> {
        let Self(marketing) = self;
        if change.kind == RowChangeKind::Removed {
            return Ok(Outcome::Ignored("the profile was removed"));
        }
        let Some(image) = &change.new else {
            return Err(malformed("the record has no new image"));
        };
        let store = Store::of(&change.keys, image);
        let derivation = Derivation {
            table: &marketing.names.stores,
            inputs: INPUTS,
            derived: match &store {
                Ok(store) => store.derived(),
                Err(_) => DERIVED.map(|name| (name, None)).into(),
            },
        };
        let settled = derivation.settle(marketing, &change.keys, image).await?;
        match store {
            Err(failure) if !derivation.is_as_before(&change) => Err(failure),
            _ => Ok(settled),
        }
    }
}
